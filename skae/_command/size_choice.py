"""Which number of components to advise, if the figures tell."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .certainty import Difference
from .measurement import Pair

#: Log-likelihoods that differ by less, in nats a row, are as good.
NATS_THAT_MATTER = 0.05

# If one with so many nats a row more may be better or not, the held-out rows are too few.
_NATS_IN_DOUBT = 1.0

# Columns have unit variance, so a mean squared error below this is rounding.
_NO_ERROR = 1e-6

# Densities that differ by less than this, relatively, differ by rounding.
_EQUAL = 1e-9

_Reason = Literal["only", "exact", "best", "as good", "too few", "no density", "same density"]


@dataclass(frozen=True)
class SizeChoice:
    """A number of components, and why it is that one.

    Attributes
    ----------
    size : int
        The number of components. One that is not advised is an example.
    reason : str
        "only" one was compared; the smallest with which PCA is "exact"; the "best" log-likelihood;
        "as good" as the best, and smaller; "too few" rows to tell; "no density" of the rows; or the
        "same density" with other numbers of components.
    others : tuple of int
        The numbers that the reason is about: the best, those that may be as good as it, or those
        of the same density.
    """

    size: int
    reason: _Reason
    others: tuple[int, ...] = ()

    @property
    def is_advised(self) -> bool:
        """Whether the figures tell that this number of components is a good one."""
        return self.reason not in ("too few", "no density", "same density")


def choose_size(results: dict[int, Pair]) -> SizeChoice:
    """Choose the smallest number of components whose log-likelihood is not surely below the best.

    The one where the autoencoder gains most would flatter it, and explained variance rises with
    each component. Of rows that PCA has no density of, the autoencoder's counts; it may leave the
    codes no share, and is then the same with other numbers of components, and tells nothing.

    A smaller number that has far less, but not surely, is no advice: the rows are too few.
    """
    sizes = sorted(results)
    if len(sizes) == 1:
        return SizeChoice(sizes[0], "only")
    exact = [size for size in sizes if is_exact(results[size])]
    if exact:
        return SizeChoice(exact[0], "exact")
    middle = sizes[(len(sizes) - 1) // 2]
    densities = _find_densities(results)
    if not densities:
        return SizeChoice(middle, "no density")
    best = max(densities, key=lambda size: float(densities[size].mean()))
    same = [size for size in sorted(densities) if _are_equal(densities[size], densities[best])]
    if len(same) > 1:
        return SizeChoice(same[0], "same density", tuple(same))
    smaller = [size for size in sorted(densities) if size < best]
    lacks = {size: Difference.from_rows(densities[best] - densities[size]) for size in smaller}
    in_doubt = [size for size, lack in lacks.items() if _is_in_doubt(lack)]
    if in_doubt:
        return SizeChoice(best, "too few", tuple(in_doubt))
    for size, lack in lacks.items():
        if not (lack.is_sure and lack.mean >= NATS_THAT_MATTER):
            return SizeChoice(size, "as good", (best,))
    return SizeChoice(best, "best")


def is_exact(pair: Pair) -> bool:
    """Return whether PCA makes no error."""
    return bool(pair.pca.errors.mean() < _NO_ERROR)


def _find_densities(results: dict[int, Pair]) -> dict[int, np.ndarray]:
    """Return the log-densities of the rows, by whichever model has the better mean, by size.

    Sizes are left out where a model has none, unless PCA has none with any of them.
    """
    both: dict[int, np.ndarray] = {}
    own: dict[int, np.ndarray] = {}
    for size, pair in results.items():
        pca, autoencoder = (
            None if found.log_likelihood is None else found.log_densities
            for found in (pair.pca, pair.autoencoder)
        )
        if autoencoder is not None:
            own[size] = autoencoder
            if pca is not None:
                both[size] = max(pca, autoencoder, key=lambda values: float(values.mean()))
    return both or own


def _is_in_doubt(lack: Difference) -> bool:
    """Return whether a lack is large unless it is chance; of a single row nothing is known."""
    return not lack.is_sure and (lack.mean >= _NATS_IN_DOUBT or math.isinf(lack.margin))


def _are_equal(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(np.allclose(first, second, rtol=_EQUAL, atol=_EQUAL))
