"""The two models, fitted, behind one interface."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from .._autoencoder import AutoencoderTransformer

# Columns are scaled to unit variance, so this residual variance is rounding: the rows lie
# in a plane, where a density is infinite.
_NO_VARIANCE = 1e-12


@dataclass(frozen=True)
class FittedModel:
    """What a fitted model computes of rows, in the units of the table.

    Attributes
    ----------
    encode : callable
        Returns the codes of rows.
    reconstruct : callable
        Returns rows, encoded and decoded.
    score_samples : callable
        Returns the log-density of each row in nats, or None if the model has no density.
    n_epochs : int
        Epochs of training that the weights have seen; with none they are PCA's.
    """

    encode: Callable[[np.ndarray], np.ndarray]
    reconstruct: Callable[[np.ndarray], np.ndarray]
    score_samples: Callable[[np.ndarray], np.ndarray | None]
    n_epochs: int


def fit_pca(X: np.ndarray, n_components: int, seed: int) -> FittedModel:
    """Fit PCA of standardised columns."""
    scaler = StandardScaler()
    pca = PCA(n_components, random_state=seed).fit(scaler.fit_transform(X))

    def encode(rows: np.ndarray) -> np.ndarray:
        codes: np.ndarray = pca.transform(scaler.transform(rows))
        return codes

    def reconstruct(rows: np.ndarray) -> np.ndarray:
        decoded: np.ndarray = scaler.inverse_transform(pca.inverse_transform(encode(rows)))
        return decoded

    def score_samples(rows: np.ndarray) -> np.ndarray | None:
        if not pca.noise_variance_ > _NO_VARIANCE:
            return None
        scaled = pca.score_samples(scaler.transform(rows))
        # The density of raw columns is that of scaled ones over the product of the scales.
        densities: np.ndarray = scaled - np.log(scaler.scale_).sum()
        return densities

    return FittedModel(encode, reconstruct, score_samples, n_epochs=0)


def fit_autoencoder(X: np.ndarray, n_components: int, seed: int) -> FittedModel:
    """Fit the autoencoder, which standardises columns itself."""
    # One Gaussian, as PCA has: a mixture's noise explains columns that codes should explain.
    model = AutoencoderTransformer(n_components, prior="gaussian", random_state=seed).fit(X)
    return FittedModel(model.transform, model.reconstruct, model.score_samples, model.n_iter_)


def warm_up() -> None:
    """Fit both models once: otherwise the first timing would include loading torch's modules."""
    X = np.random.default_rng(0).normal(size=(8, 3))
    fit_pca(X, 1, seed=0)
    AutoencoderTransformer(1, max_epochs=1, early_stopping=False, random_state=0).fit(X)
