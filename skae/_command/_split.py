"""Rows to train on and rows held out, and the yardstick of their variance."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from ._errors import CommandError
from ._tables import Table


@dataclass(frozen=True)
class Split:
    """Numbers of the rows of each part, and the training part's means and scales."""

    train: np.ndarray
    test: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    def squares(self, X: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Return each row's squared distance from `around`, in standardised columns."""
        return np.square((X - around) / self.scale).sum(axis=1)


def split_of(table: Table, seed: int) -> Split:
    """Split a table's rows, three to one."""
    train, test = train_test_split(np.arange(len(table.X)), test_size=0.25, random_state=seed)
    scaler = StandardScaler().fit(table.X[train])
    if not (scaler.var_ > 0).any():
        raise CommandError(
            f"{table.name} has the same value in all {len(train)} training rows of each of its "
            f"{table.X.shape[1]} numeric columns, expected columns that vary"
        )
    return Split(train, test, scaler.mean_, scaler.scale_)
