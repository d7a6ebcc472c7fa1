"""Small tables of numbers, booleans and categories, and networks for them, built by hand."""

from itertools import product

import numpy as np
import torch

from skae._data import Batch, Rows, Scaling
from skae._training import TrainedModule
from skae.modules import mlp_autoencoder
from skae.modules.cells import CellLayout

#: A boolean, and categories of three and of four levels.
DISCRETE = CellLayout((), (0,), ((1, 4), (4, 8)))

#: Two numbers, a boolean and a category of three levels, in an order of their own.
MIXED = CellLayout((0, 5), (4,), ((1, 4),))


def draw_discrete(n_rows, seed=0):
    """Cells that hang together: levels of a boolean and of two categories."""
    rng = np.random.default_rng(seed)
    first = rng.random(n_rows) < 0.4
    second = np.where(rng.random(n_rows) < 0.7, first + 0, rng.integers(0, 3, n_rows))
    third = np.where(rng.random(n_rows) < 0.6, second + first, rng.integers(0, 4, n_rows))
    return np.column_stack([first, second, third])


def list_discrete():
    """All 24 rows."""
    return np.array(list(product(range(2), range(3), range(4))))


def encode_discrete(cells):
    indicators = [cells[:, :1], np.eye(3)[cells[:, 1]], np.eye(4)[cells[:, 2]]]
    return np.hstack(indicators).astype(float)


def draw_mixed(n_rows, seed=0):
    """Encoded rows: two numbers whose means depend on a category, and a boolean on a number."""
    rng = np.random.default_rng(seed)
    level = rng.choice(3, n_rows, p=[0.5, 0.3, 0.2])
    first = rng.normal(size=n_rows) + np.array([-2.0, 0.0, 2.0])[level]
    second = first**2 / 3 + 0.3 * rng.normal(size=n_rows)
    flag = rng.random(n_rows) < 1 / (1 + np.exp(-2 * first))
    return np.column_stack([first, np.eye(3)[level], flag, second])


def scale_columns(X, layout):
    """Return the scaling under which each column counts alike."""
    scale = X.std(axis=0)
    for own in layout.categories:
        scale[slice(*own)] = np.sqrt(X[:, slice(*own)].var(axis=0).sum())
    return Scaling(X.mean(axis=0), scale)


def make_rows(X, scaling, observed=None, weight=None):
    scaled = scaling.forward(X, np.float32)
    mask = None if observed is None else torch.from_numpy(observed)
    weight = None if weight is None else torch.from_numpy(weight).float()
    return Rows(Batch(torch.from_numpy(scaled), None, mask, weight))


def to_double(rows):
    return rows.batch._replace(input=rows.batch.input.double())


def make_network(rows, n_components=2, n_steps=150):
    """Return an autoencoder that was trained a little."""
    generator = torch.Generator().manual_seed(0)
    module = mlp_autoencoder(rows.n_features, n_components, (16,), "tanh", generator=generator)
    for half in (module.encoder, module.decoder):
        torch.nn.init.ones_(half.gate)
    X = rows.batch.input
    with torch.enable_grad():
        optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
        for _ in range(n_steps):
            optimizer.zero_grad()
            (module(X) - X).square().mean().backward()
            optimizer.step()
    return TrainedModule(module)
