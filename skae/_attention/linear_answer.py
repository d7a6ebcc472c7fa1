"""What the normal distribution says of missing cells, and where it is wrong."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._data import subsample_indices
from .._linear import (
    COMPLETION_ROWS,
    WIDEST_COMPLETED,
    WIDEST_FACTORED,
    Completion,
    FactorCompletion,
    invert_covariance,
)

# Added to the variances before columns' relations are measured: the indicators of a category
# determine each other, and would be related to nothing else.
_NUGGET = 0.01


@dataclass(frozen=True)
class LinearAnswer:
    """The means of missing cells given the observed ones of their row, and its errors.

    Attributes
    ----------
    completion : Completion, FactorCompletion or None
        The normal distribution; None takes every cell for its column's mean, which is 0.
    """

    completion: Completion | FactorCompletion | None

    @classmethod
    def fit(cls, rows: np.ndarray, weight: np.ndarray) -> Self:
        """Return the answer of scaled rows: the wider they are, the simpler the distribution."""
        indices = subsample_indices(len(rows), COMPLETION_ROWS)  # rows may be sorted
        rows, weight = rows[indices], weight[indices]
        if rows.shape[1] <= WIDEST_COMPLETED:
            return cls(Completion.fit(rows, weight))
        if rows.shape[1] <= WIDEST_FACTORED and len(rows) > 1:
            return cls(FactorCompletion.fit(rows, weight))
        return cls(None)

    def get_state(self) -> dict[str, Any] | None:
        """Return plain values and arrays."""
        return None if self.completion is None else self.completion.get_state()

    @classmethod
    def from_state(cls, state: dict[str, Any] | None) -> Self:
        """Return the answer of a stored state."""
        if state is None:
            return cls(None)
        if "loadings" in state:
            return cls(FactorCompletion.from_state(state))
        return cls(Completion.from_state(state))

    def fill(self, rows: np.ndarray) -> np.ndarray:
        """Return scaled rows with missing cells filled."""
        if self.completion is None:
            return np.where(np.isnan(rows), 0.0, rows)
        return self.completion.complete(rows).values

    def measure_residuals(self, filled: np.ndarray, cells: tuple[slice, ...]) -> np.ndarray:
        """Return complete rows less the means of each cell given all others.

        A block of the precision is the inverse of the cell's conditional covariance.
        """
        if self.completion is None:
            return filled.copy()
        moments = self.completion.moments
        precision = invert_covariance(moments.covariance)
        pull = (filled - moments.mean) @ precision
        for own in cells:
            pull[:, own] = np.linalg.solve(precision[own, own], pull[:, own].T).T
        return pull

    def relate(self, cells: tuple[slice, ...], n_encoded: int) -> np.ndarray:
        """Return the largest partial correlation of each cell (row) with each encoded column."""
        if self.completion is None:
            return np.ones((len(cells), n_encoded))
        covariance = self.completion.moments.covariance
        precision = np.linalg.inv(covariance + _NUGGET * np.eye(n_encoded))
        spread = np.sqrt(precision.diagonal())
        correlation = np.abs(precision / np.outer(spread, spread))
        return np.stack([correlation[own].max(axis=0) for own in cells])
