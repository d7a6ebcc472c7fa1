"""Coupled biased random walks: anomalies among categories, by values that go with rare ones."""

import numpy as np
import pandas as pd

# The share of steps that follow an edge, as in the paper.
_DAMPING = 0.95
_MOST_STEPS = 1000
_TOLERANCE = 1e-10


def score_by_walks(frame: pd.DataFrame) -> np.ndarray:
    """Return the score of each cell; a row's score is their sum.

    Pang, Cao and Chen (2016), "Outlier detection in complex categorical data by modelling the
    feature value couplings", IJCAI. A value is rare to the extent that its frequency is below
    the mode's. A walk goes from value to value, by conditional frequencies times rarity; a
    value's score is the share of time that the walk spends there. Columns weigh as much as their
    values' scores add up to.

    Parameters
    ----------
    frame : DataFrame
        Columns of categories. A missing cell is a value too.
    """
    codes = np.column_stack([pd.factorize(frame[name], use_na_sentinel=False)[0] for name in frame])
    counts = codes.max(axis=0) + 1
    starts = np.cumsum(counts) - counts
    values = codes + starts
    owner = np.repeat(np.arange(len(counts)), counts)
    indicators = np.zeros((len(frame), counts.sum()))
    np.put_along_axis(indicators, values, 1.0, axis=1)
    share = indicators.mean(axis=0)
    mode = np.maximum.reduceat(share, starts)[owner]
    rarity = 0.5 * ((1 - mode) + (mode - share) / mode)
    together = indicators.T @ indicators / len(frame)
    together[owner[:, None] == owner] = 0.0
    walk = together / share[None, :] * rarity[None, :]
    total = walk.sum(axis=1, keepdims=True)
    walk = np.divide(walk, total, out=np.full_like(walk, 1 / len(walk)), where=total > 0)
    visits = np.full(len(walk), 1 / len(walk))
    for _ in range(_MOST_STEPS):
        previous = visits
        visits = (1 - _DAMPING) / len(walk) + _DAMPING * previous @ walk
        if np.abs(visits - previous).sum() < _TOLERANCE:
            break
    weight = np.add.reduceat(visits, starts)
    return visits[values] * weight / weight.sum()
