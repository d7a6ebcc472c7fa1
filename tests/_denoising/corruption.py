"""Noise by numpy, against which the tests measure denoisers."""

import numpy as np


def corrupt(X, noise, share, rng):
    """Return rows with that share of their cells hit, independently of the package's own noise."""
    return np.where(rng.uniform(size=X.shape) < share, _draw_values(X, noise, rng), X)


def _draw_values(X, noise, rng):
    if noise == "masking":
        return X.mean(axis=0)
    if noise == "swap":
        return rng.permuted(X, axis=0)
    return np.where(rng.uniform(size=X.shape) < 0.5, X.max(axis=0), X.min(axis=0))
