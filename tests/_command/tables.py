"""Tables for the command."""

import numpy as np
import pandas as pd


def make_flower(n_rows=12, seed=0):
    """Return rows around a curve in five columns of unlike units, and a class for each.

    With 12 rows the autoencoder stays PCA and takes no time.
    """
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n_rows)
    curve = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle), angle]
    X = (np.column_stack(curve) + 0.05 * rng.normal(size=(n_rows, 5))) * [1, 10, 100, 0.1, 3]
    return X, np.where(angle < np.pi, "left", "right")


def write_flower(path, n_rows):
    """Write a CSV file with everything that is left out, three rows among it."""
    X, side = make_flower(n_rows)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d", "e"])
    frame["side"] = side
    frame["sunny"] = (frame["a"] > 0).astype(object)
    frame["empty"] = None
    frame.loc[3, "a"] = None
    frame.loc[4, "b"] = np.inf
    frame.loc[5, "sunny"] = None
    frame.to_csv(path, index=False)
    return path
