"""How far codes are spread: which units of a code say something."""

from dataclasses import dataclass

import numpy as np

from ._training import AnyRows, TrainedModule


@dataclass(frozen=True)
class CodeSpread:
    """Mean and variance of rows' codes, which blocks of rows can add to.

    Attributes
    ----------
    total : float
        Weight of the rows.
    mean, variance : ndarray of shape (n_components,)
        Of each unit of their codes.
    """

    total: float
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, rows: AnyRows, trained: TrainedModule) -> "CodeSpread":
        """Return the spread of rows' codes under a trained module; some of a stored table's."""
        some = rows.some()
        X = some.table
        codes = trained.apply(lambda module, part: module.encode(part), X).astype(np.float64)
        known = some.weight_array
        weight = np.ones(len(X)) if known is None else known
        mean = np.average(codes, axis=0, weights=weight)
        variance = np.average(np.square(codes - mean), axis=0, weights=weight)
        return cls(float(weight.sum()) * len(rows) / len(some), mean, variance)

    def merged(self, other: "CodeSpread") -> "CodeSpread":
        """Return the spread of the rows of both (Chan et al. 1983)."""
        total = self.total + other.total
        share = other.total / total
        step = other.mean - self.mean
        within = (1 - share) * self.variance + share * other.variance
        between = share * (1 - share) * np.square(step)
        return CodeSpread(total, self.mean + share * step, within + between)
