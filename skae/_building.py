"""Modules built from an estimator's parameters, and put where training begins."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from scipy.special import logit
from torch import nn

from ._environment import RandomStreams, seeded_default_generator
from ._losses import TARGET_ACTIVITY
from ._pca import PrincipalAxes
from .modules import (
    Autoencoder,
    Denoiser,
    EncoderDecoder,
    MLPArchitecture,
    make_autoencoder,
    make_code_denoiser,
    make_row_denoiser,
    own_dropout,
    set_weight,
)

Module = TypeVar("Module", bound=EncoderDecoder)


def build_autoencoder(blueprint: dict[str, Any], seed: int) -> Autoencoder:
    """Return the autoencoder of a blueprint.

    Parameters
    ----------
    blueprint : dict
        The arguments of `skae.modules.make_autoencoder`; `architecture` is "mlp" or a
        callable, and "mlp" takes `hidden_layer_sizes`, `activation` and `dropout`.
    seed : int
        What random weights are drawn from.
    """
    return assembled(make_autoencoder, blueprint, seed)


def build_denoiser(blueprint: dict[str, Any], seed: int) -> Denoiser:
    """Return the denoiser of a blueprint.

    Parameters
    ----------
    blueprint : dict
        The arguments of `skae.modules.make_code_denoiser` or, if it has no `n_components`,
        of `skae.modules.make_row_denoiser`; for the architecture see `build_autoencoder`.
    seed : int
        What random weights are drawn from.
    """
    parts = {name: value for name, value in blueprint.items() if name != "is_paired"}
    if "n_components" in parts:
        return assembled(make_code_denoiser, parts, seed)
    return assembled(make_row_denoiser, parts, seed)


def assembled(make: Callable[..., Module], blueprint: dict[str, Any], seed: int) -> Module:
    """Return what `make` makes of a blueprint, whose `architecture` may be "mlp"."""
    parts = dict(blueprint)
    sizes, activation, dropout = (
        parts.pop(name) for name in ("hidden_layer_sizes", "activation", "dropout")
    )
    generator = torch.Generator().manual_seed(seed)
    if parts["architecture"] == "mlp":
        parts["architecture"] = MLPArchitecture(sizes, activation, dropout, generator)
        return make(**parts, generator=generator)
    with seeded_default_generator(seed):  # the only one that a user's modules know
        return make(**parts, generator=generator)


def check_same_network(built_from: dict[str, Any], blueprint: dict[str, Any]) -> None:
    """Raise unless training can go on with a network built from another blueprint."""
    changed = sorted(k for k, v in blueprint.items() if built_from.get(k) != v)
    if changed:
        raise ValueError(
            f"another {', '.join(changed)} than the fitted network has was got, expected the "
            "same network to go on with; fit with warm_start=False for a new one"
        )


def ready_to_train(
    module: EncoderDecoder, device: torch.device, streams: RandomStreams
) -> EncoderDecoder:
    """Return `module` on a device, its dropout drawn from a generator of the fit's own."""
    module = module.to(device)
    own_dropout(module, streams.torch_generator(device))
    return module.train()


def start_at_pca(module: Autoencoder, axes: PrincipalAxes) -> None:
    """Make the linear paths the PCA solution; with the gates closed the module is PCA."""
    encoder, decoder = module.linear_layers
    components = torch.from_numpy(axes.components).float()
    mean = torch.from_numpy(axes.mean).float()
    with torch.no_grad():
        set_weight(encoder, components)
        encoder.bias.copy_(-components @ mean)
        if isinstance(decoder, nn.Linear):  # and not the encoder's own, transposed
            set_weight(decoder, components.T)
        decoder.bias.copy_(mean)


def start_at_rare_codes(
    module: Autoencoder, axes: PrincipalAxes, X: np.ndarray, weight: np.ndarray | None
) -> None:
    """Start logistic codes at the target activity, with the best linear decoder for them.

    The units see the whitened principal components, offset so that a unit's activity is
    the target; what the decoder makes of them is least squares.
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
        slope, offset = _least_squares(codes, X, weight)
        set_weight(decoder, torch.from_numpy(slope.T).float())
        decoder.bias.copy_(torch.from_numpy(offset))


def _least_squares(
    codes: np.ndarray, X: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    centre_in = np.average(codes, axis=0, weights=weight)
    centre_out = np.average(X, axis=0, weights=weight)
    root = 1.0 if weight is None else np.sqrt(weight)[:, None]
    slope = np.linalg.lstsq(root * (codes - centre_in), root * (X - centre_out), rcond=1e-6)[0]
    return slope, centre_out - centre_in @ slope
