"""A table whose columns tell nothing of each other."""

import numpy as np
import pandas as pd

from .measurement import Split


def shuffle_columns(frame: pd.DataFrame, split: Split, seed: int) -> pd.DataFrame:
    """Return a table with the same cells in each column, in an order of its own.

    Cells stay among the training or the held-out rows, so that each part has the same variance.
    """
    generator = np.random.default_rng(seed)
    columns = {}
    for name in frame.columns:
        order = np.empty(len(frame), dtype=int)
        for rows in (split.train, split.test):
            order[rows] = generator.permutation(rows)
        columns[name] = frame[name].iloc[order].set_axis(frame.index)
    return pd.DataFrame(columns, index=frame.index)
