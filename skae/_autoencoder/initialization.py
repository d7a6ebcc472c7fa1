"""Autoencoders initialized at PCA."""

import numpy as np
import torch
from scipy.special import logit
from torch import nn

from .._linear import PrincipalAxes
from ..modules import Autoencoder, set_weight
from .penalties import TARGET_ACTIVITY


def initialize_at_pca(module: Autoencoder, axes: PrincipalAxes) -> None:
    """Set the linear paths to PCA; while the gates are closed the module is PCA."""
    encoder, decoder = module.linear_layers
    components = torch.from_numpy(axes.components).float()
    mean = torch.from_numpy(axes.mean).float()
    with torch.no_grad():
        set_weight(encoder, components)
        encoder.bias.copy_(-components @ mean)
        if isinstance(decoder, nn.Linear):  # otherwise it is the encoder's, transposed
            set_weight(decoder, components.T)
        decoder.bias.copy_(mean)


def initialize_sparse_codes(
    module: Autoencoder, axes: PrincipalAxes, X: np.ndarray, weight: np.ndarray | None
) -> None:
    """Set logistic codes to the target activity, and the linear decoder to the best for them.

    The units see the whitened principal components, with an offset that makes a unit's
    activity the target. The decoder is the least-squares one.
    """
    encoder, decoder = module.linear_layers
    scores = (X - axes.mean) @ axes.components.T
    spread = np.sqrt(np.average(np.square(scores), axis=0, weights=weight))
    spread[spread < 1e-6] = 1.0
    whitening = torch.from_numpy(axes.components / spread[:, None]).float()
    with torch.no_grad():
        set_weight(encoder, whitening)
        encoder.bias.copy_(
            float(logit(TARGET_ACTIVITY)) - whitening @ torch.from_numpy(axes.mean).float()
        )
        if not isinstance(decoder, nn.Linear):
            return
        codes = module.code_activation(encoder(torch.from_numpy(X))).double().numpy()
        slope, offset = _fit_least_squares(codes, X, weight)
        set_weight(decoder, torch.from_numpy(slope.T).float())
        decoder.bias.copy_(torch.from_numpy(offset))


def _fit_least_squares(
    codes: np.ndarray, X: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    centre_in = np.average(codes, axis=0, weights=weight)
    centre_out = np.average(X, axis=0, weights=weight)
    root = 1.0 if weight is None else np.sqrt(weight)[:, None]
    slope = np.linalg.lstsq(root * (codes - centre_in), root * (X - centre_out), rcond=1e-6)[0]
    return slope, centre_out - centre_in @ slope
