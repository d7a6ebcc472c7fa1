"""How sure a mean is that was taken over a sample of rows."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.stats import t as student

# At least so many: few rows need more of them for the same confidence.
_STANDARD_ERRORS = 2.0
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """The mean or the share of paired differences, and an interval of 95% around it.

    Attributes
    ----------
    mean : float
        The mean, or the share.
    margin : float
        Half the width of the interval; infinite of a single row.
    """

    mean: float
    margin: float

    @classmethod
    def from_rows(cls, differences: np.ndarray) -> Self:
        """Measure the differences of rows, by the t distribution where these are few."""
        n_rows = len(differences)
        if n_rows < 2:
            return cls(float(differences.mean()), math.inf)
        errors = max(_STANDARD_ERRORS, student.ppf((1 + _CONFIDENCE) / 2, n_rows - 1))
        return cls(float(differences.mean()), float(errors * measure_standard_error(differences)))

    @classmethod
    def from_shares(cls, differences: np.ndarray, totals: np.ndarray) -> Self:
        """Measure the sum of the rows' differences as a share of the sum of their totals.

        The totals are a sample too: the interval is that of the residuals, by the delta method.
        """
        share = float(differences.sum() / totals.sum())
        margin = cls.from_rows((differences - share * totals) / totals.mean()).margin
        return cls(share, margin)

    def scale(self, factor: float) -> "Difference":
        """Return the difference in other units; the factor is positive."""
        return Difference(factor * self.mean, factor * self.margin)

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return abs(self.mean) > self.margin


def measure_standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of rows; 0 of a single one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
