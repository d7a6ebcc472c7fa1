"""The two models, fitted, behind one interface."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from .._autoencoder import AutoencoderTransformer
from .._linear import Moments, score_observed
from .encoding import Encoding, ignore_reported

# Columns are scaled to unit variance, so this residual variance is rounding: the rows lie
# in a plane, where a density is infinite.
_NO_VARIANCE = 1e-12


@dataclass(frozen=True)
class FittedModel:
    """What a fitted model computes of rows of the table.

    Attributes
    ----------
    encode : callable
        Returns the codes of rows.
    measure_errors : callable
        Returns the squared error of each cell's reconstruction, in columns of unit variance;
        NaN for missing cells.
    score_samples : callable
        Returns the log-density of each row in nats, or None if the model has no density.
    n_epochs : int
        Epochs of training that the weights have seen; with none they are PCA's.
    loss_curve : tuple of float
        Training loss of each epoch that was run.
    held_out_curve : tuple of float
        Loss on the fit's own held-out rows, of PCA and of each epoch.
    """

    encode: Callable[[pd.DataFrame], np.ndarray]
    measure_errors: Callable[[pd.DataFrame], np.ndarray]
    score_samples: Callable[[pd.DataFrame], np.ndarray | None]
    n_epochs: int
    loss_curve: tuple[float, ...] = ()
    held_out_curve: tuple[float, ...] = ()


def fit_pca(frame: pd.DataFrame, n_components: int, seed: int) -> FittedModel:
    """Fit PCA of encoded, standardised and completed columns."""
    encoding = Encoding.fit(frame)
    pca = PCA(n_components, random_state=seed).fit(encoding.complete(frame))

    def encode(rows: pd.DataFrame) -> np.ndarray:
        codes: np.ndarray = pca.transform(encoding.complete(rows))
        return codes

    def measure_errors(rows: pd.DataFrame) -> np.ndarray:
        decoded: np.ndarray = pca.inverse_transform(encode(rows))
        return encoding.sum_cells(np.square(encoding.scale(rows) - decoded))

    def score_samples(rows: pd.DataFrame) -> np.ndarray | None:
        # Of indicators it would be a density, which doesn't compare with the mass of categories.
        if not pca.noise_variance_ > _NO_VARIANCE or not encoding.columns.layout.is_numeric:
            return None
        scaled = encoding.scale(rows)
        observed = ~np.isnan(scaled)
        if observed.all():
            densities: np.ndarray = pca.score_samples(scaled)
        else:
            moments = Moments(float(len(frame)), pca.mean_, pca.get_covariance())
            densities = score_observed(scaled, moments)
        # The density of raw columns is that of scaled ones over the product of the scales.
        return densities - observed @ np.log(encoding.scaling.scale)

    return FittedModel(encode, measure_errors, score_samples, n_epochs=0)


def fit_autoencoder(frame: pd.DataFrame, n_components: int, seed: int) -> FittedModel:
    """Fit the autoencoder, which encodes, standardises and completes columns itself."""
    # One Gaussian, as PCA has: a mixture's noise explains columns that codes should explain.
    model = AutoencoderTransformer(n_components, prior="gaussian", random_state=seed)
    with ignore_reported():
        model.fit(frame)

    def measure_errors(rows: pd.DataFrame) -> np.ndarray:
        return model.reconstruction_error(rows, per_cell=True)

    return FittedModel(
        model.transform,
        measure_errors,
        model.score_samples,
        model.n_iter_,
        tuple(model.loss_curve_),
        tuple(model.validation_scores_ or ()),
    )


def warm_up() -> None:
    """Fit both models once: otherwise the first timing would include loading torch's modules."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(8, 3)), columns=list("abc"))
    fit_pca(frame, 1, seed=0)
    AutoencoderTransformer(1, max_epochs=1, early_stopping=False, random_state=0).fit(frame)
