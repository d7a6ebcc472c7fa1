"""The evidence bound of a linear model, which the closed forms maximize."""

from dataclasses import replace

import numpy as np


def evidence_bound(model, X, beta, weight=None):
    """Return the mean of `E_q log p(x | z) - beta KL(q(z | x) || p(z))`, in nats per row."""
    centred = X - model.mean
    codes = centred @ model.components.T
    noise = np.broadcast_to(model.noise, X.shape[1])
    squares = np.square(centred - codes @ model.loadings.T)
    squares = squares + np.square(model.loadings) @ model.variance
    likelihood = -0.5 * (squares / noise + np.log(2 * np.pi * noise)).sum(axis=1)
    spread = (model.variance - 1 - np.log(model.variance)).sum()
    divergence = 0.5 * (np.square(codes).sum(axis=1) + spread)
    return np.average(likelihood - beta * divergence, weights=weight)


FIELDS = ("loadings", "components", "variance", "noise")


def draw_neighbours(model, rng, n_models=30, size=0.03, fields=FIELDS):
    """Yield models that differ a little in all their parts, or in those of `fields`."""
    for _ in range(n_models):
        changed = {}
        for name in fields:
            value = getattr(model, name)
            if name in ("variance", "noise"):
                changed[name] = value * np.exp(size * rng.normal(size=np.shape(value)))
            else:
                changed[name] = value + size * np.abs(value).mean() * rng.normal(size=value.shape)
        yield replace(model, **changed)


def measure_slopes(model, X, beta, rng, step=1e-3, fields=FIELDS):
    """Return the bound's derivatives in random directions, relative to the parameters' size."""
    slopes = []
    for other in draw_neighbours(model, rng, size=step, fields=fields):
        mirrored = {name: 2 * getattr(model, name) - getattr(other, name) for name in fields}
        back = replace(model, **mirrored)
        gain = evidence_bound(other, X, beta) - evidence_bound(back, X, beta)
        slopes.append(gain / (2 * step))
    return np.array(slopes)


def covariance_of(model):
    """Return the rows' covariance under the model."""
    noise = np.broadcast_to(model.noise, len(model.mean))
    return model.loadings @ model.loadings.T + np.diag(noise)
