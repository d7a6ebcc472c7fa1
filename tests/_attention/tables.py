"""Scaled tables whose missing cells are known."""

import numpy as np
from sklearn.impute import KNNImputer

from skae.modules.cells import CellLayout


def standardize(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def draw_curve(n_rows=300, seed=0):
    """A number and a function of it that no line follows."""
    x = np.random.default_rng(seed).uniform(-1, 1, n_rows)
    return standardize(np.column_stack([x, np.cos(3 * x)])), CellLayout.from_numbers(2)


def draw_levels(n_rows=300, n_levels=3, seed=0):
    """A number, and a category and a boolean that it determines, scaled as tables are."""
    x = np.random.default_rng(seed).uniform(-1, 1, n_rows)
    level = np.floor((x + 1) / 2 * 2 * n_levels).astype(int) % n_levels
    indicators = (level[:, None] == np.arange(n_levels)).astype(float)
    indicators -= indicators.mean(axis=0)
    indicators /= np.sqrt(np.square(indicators).sum(axis=1).mean())
    is_outside = (np.abs(x) > 0.5).astype(float)
    numbers = standardize(np.column_stack([x, is_outside]))
    rows = np.column_stack([numbers[:, :1], indicators, numbers[:, 1:]])
    return rows, CellLayout((0,), (n_levels + 1,), ((1, n_levels + 1),)), level


def draw_normal(n_rows=600, n_columns=4, seed=0):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n_columns, n_columns)) + np.eye(n_columns)
    return standardize(rng.normal(size=(n_rows, n_columns)) @ factor)


def hide(rows, columns, share=0.2, seed=1):
    """Hide cells of these columns, all in the same rows."""
    hidden = np.zeros(rows.shape, dtype=bool)
    chosen = np.random.default_rng(seed).random(len(rows)) < share
    hidden[np.ix_(chosen, columns)] = True
    return np.where(hidden, np.nan, rows), hidden


def hide_in_copies():
    """Rows that the table has several times, and the same with a tenth of the cells hidden."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 4))[rng.integers(0, 50, 300)]
    return X, np.where(rng.random(X.shape) < 0.1, np.nan, X)


def compare_with_neighbours(filled, X, gaps):
    """Return the error of filled cells as a multiple of that of `KNNImputer`."""
    hidden = np.isnan(gaps)
    errors = [(known - X)[hidden] for known in (filled, KNNImputer().fit_transform(gaps))]
    return np.divide(*(np.sqrt(np.square(error).mean()) for error in errors))
