"""The two models, asked the same questions."""

from abc import ABC, abstractmethod
from typing import final

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from .._autoencoder import AutoencoderTransformer

# Columns have unit variance, so a residual variance like this is rounding: the rows lie
# in a plane, where a density is infinite.
_NO_VARIANCE = 1e-12


class Model(ABC):
    """A model of rows, in the units of the table."""

    @abstractmethod
    def fit(self, X: np.ndarray) -> None:
        """Fit to rows."""

    @abstractmethod
    def codes(self, X: np.ndarray) -> np.ndarray:
        """Return the codes of rows."""

    @abstractmethod
    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return rows encoded and decoded."""

    @abstractmethod
    def log_densities(self, X: np.ndarray) -> np.ndarray | None:
        """Return each row's log-density in nats, or None where there is no density."""

    @abstractmethod
    def n_epochs(self) -> int:
        """Return how many epochs the weights were trained; without any they are PCA's."""


@final
class PcaModel(Model):
    """PCA of standardised columns."""

    def __init__(self, n_components: int, seed: int) -> None:
        self._scaler = StandardScaler()
        self._pca = PCA(n_components, random_state=seed)

    def fit(self, X: np.ndarray) -> None:
        """Fit to rows."""
        self._pca.fit(self._scaler.fit_transform(X))

    def codes(self, X: np.ndarray) -> np.ndarray:
        """Return the codes of rows."""
        return self._pca.transform(self._scaler.transform(X))

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return rows encoded and decoded."""
        return self._scaler.inverse_transform(self._pca.inverse_transform(self.codes(X)))

    def log_densities(self, X: np.ndarray) -> np.ndarray | None:
        """Return each row's log-density in nats, or None where there is no density."""
        if not self._pca.noise_variance_ > _NO_VARIANCE:
            return None
        scaled = self._pca.score_samples(self._scaler.transform(X))
        # A density of scaled columns is one of raw columns times the scales.
        return scaled - np.log(self._scaler.scale_).sum()

    def n_epochs(self) -> int:
        """Return how many epochs the weights were trained; without any they are PCA's."""
        return 0


@final
class AutoencoderModel(Model):
    """The autoencoder with its defaults, which standardises inside."""

    def __init__(self, n_components: int, seed: int) -> None:
        self._autoencoder = AutoencoderTransformer(n_components, random_state=seed)

    def fit(self, X: np.ndarray) -> None:
        """Fit to rows."""
        self._autoencoder.fit(X)

    def codes(self, X: np.ndarray) -> np.ndarray:
        """Return the codes of rows."""
        return self._autoencoder.transform(X)

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return rows encoded and decoded."""
        return self._autoencoder.reconstruct(X)

    def log_densities(self, X: np.ndarray) -> np.ndarray | None:
        """Return each row's log-density in nats, or None where there is no density."""
        return self._autoencoder.score_samples(X)

    def n_epochs(self) -> int:
        """Return how many epochs the weights were trained; without any they are PCA's."""
        return self._autoencoder.n_iter_


def warm_up() -> None:
    """Fit both once, so that the first fit that is timed doesn't load torch's modules."""
    X = np.random.default_rng(0).normal(size=(8, 3))
    PcaModel(1, seed=0).fit(X)
    AutoencoderTransformer(1, max_epochs=1, early_stopping=False, random_state=0).fit(X)
