"""A table whose columns tell nothing of each other."""

import numpy as np
import pandas as pd

from skae._command.encoding import Encoding
from skae._command.measurement import Split
from skae._command.shuffling import shuffle_columns


def test_columns_keep_their_cells_in_each_part_and_lose_each_other():
    numbers = np.arange(200.0)
    frame = pd.DataFrame(
        {"a": numbers, "b": numbers, "c": pd.Categorical(np.where(numbers % 2, "x", "y"))},
        index=np.arange(1000, 1200),
    )
    frame.loc[1003, "a"] = np.nan
    split = Split(np.arange(0, 200, 2), np.arange(1, 200, 2), Encoding.fit(frame))
    found = shuffle_columns(frame, split, seed=0)
    pd.testing.assert_index_equal(found.index, frame.index)
    pd.testing.assert_series_equal(found.dtypes, frame.dtypes)
    for rows in (split.train, split.test):
        for name in frame:
            own = found[name].iloc[rows].value_counts(dropna=False).sort_index()
            pd.testing.assert_series_equal(
                own, frame[name].iloc[rows].value_counts(dropna=False).sort_index()
            )
    assert abs(found["a"].corr(found["b"])) < 0.2
    pd.testing.assert_frame_equal(found, shuffle_columns(frame, split, seed=0))
    assert not found.equals(shuffle_columns(frame, split, seed=1))
