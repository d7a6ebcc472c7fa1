"""The densities to compare, with their default parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

import skae

#: Numbers of Gaussians that the criterion chooses from.
N_GAUSSIANS = (1, 2, 4, 8, 12)
#: Added to the variances: with less, a Gaussian collapses onto few rows of a small table, and the
#: mean of a table of 60 rows is -55,000 nats a column.
LEAST_VARIANCE = 0.01

BANDWIDTHS = np.geomspace(0.02, 2.0, 21)


class MixtureByCriterion:
    """The Gaussian mixture with the lowest Bayesian information criterion.

    Parameters
    ----------
    columns : int
        Number of columns; planes, which are not dithered, need no least variance.
    seed : int
        Random state of the mixtures.
    """

    def __init__(self, columns: int, seed: int) -> None:
        self.seed = seed
        self.least_variance = LEAST_VARIANCE if columns > 2 else 1e-6

    def fit(self, X: np.ndarray) -> "MixtureByCriterion":
        """Fit a mixture of each size, and keep the best."""
        sizes = [size for size in N_GAUSSIANS if size <= len(X)]
        fits = [
            GaussianMixture(size, reg_covar=self.least_variance, random_state=self.seed).fit(X)
            for size in sizes
        ]
        self.best_ = min(fits, key=lambda mixture: mixture.bic(X))
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Return the log-density of rows."""
        return self.best_.score_samples(X)


class KernelDensityByFolds(GridSearchCV):
    """The kernel density whose width has the best score in five folds."""

    def __init__(self) -> None:
        super().__init__(KernelDensity(), {"bandwidth": BANDWIDTHS}, cv=5)


#: Creates a density from the number of columns and the seed, in the order of the page.
METHODS: dict[str, Callable[[int, int], Any]] = {
    "Gaussian": lambda columns, seed: GaussianMixture(1, random_state=seed),
    "GaussianMixture": lambda columns, seed: MixtureByCriterion(columns, seed),
    "KernelDensity": lambda columns, seed: KernelDensityByFolds(),
    "AutoencoderTransformer": lambda columns, seed: skae.AutoencoderTransformer(
        max(1, columns // 3), random_state=seed
    ),
    "VAETransformer": lambda columns, seed: skae.VAETransformer(
        max(2, columns // 2), random_state=seed
    ),
    "DenoisingAutoencoder": lambda columns, seed: skae.DenoisingAutoencoder(
        None, random_state=seed
    ),
}

#: Methods whose scores are approximate: their sums over grids are measured.
APPROXIMATE = ("AutoencoderTransformer", "DenoisingAutoencoder")
