"""Greedy layerwise pretraining of a stack of layers."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from .._data import Batch, Rows
from .._environment import RandomStreams
from .._training import TrainingConfig, copy_schedulers, run
from ..modules import Autoencoder
from ..modules.mlp import is_mlp, is_perceptron
from .fast_step import make_fast_step
from .objective import ReconstructionObjective


def pretrain_layerwise(
    autoencoder: Autoencoder,
    rows: Rows,
    config: TrainingConfig[Any],
    streams: RandomStreams,
) -> None:
    """Train each layer and its mirror image to reconstruct the layer's input.

    From the input on, layer `i` and the decoder's layer that mirrors it are trained as an
    autoencoder of one hidden layer on the outputs of layer `i - 1` (Bengio et al. 2007,
    section 3; Hinton and Salakhutdinov 2006, who used restricted Boltzmann machines). The
    layers are trained in place; all of them together take as many epochs as the training that
    follows. A network whose nonlinear paths are not perceptrons is left as it is.

    Parameters
    ----------
    autoencoder : Autoencoder
        Its nonlinear paths are pretrained.
    rows : Rows
        Input of the first layer.
    config : TrainingConfig
        How to train.
    streams : RandomStreams
        Source of shuffles.
    """
    encoder, decoder = autoencoder.to(config.device).nonlinear_paths
    if not (is_mlp(encoder) and is_perceptron(decoder)):
        return
    n_layers = len(encoder.layers)
    plain = _make_plain_config(config, max(1, config.n_epochs(len(rows)) // n_layers))
    for i, (layer, mirror) in enumerate(
        zip(encoder.linear_layers, reversed(decoder.layers), strict=True)
    ):
        # The outermost layer reconstructs values of any size, and the code may have any.
        reconstruct = mirror if i == 0 else nn.Sequential(mirror, decoder.activation)
        encode = _ignore_conditions(layer, rows.n_features)
        encode = encode if i == n_layers - 1 else nn.Sequential(encode, encoder.activation)
        pair = Autoencoder(encode, reconstruct).to(rows.device)
        net = run(plain, pair, rows, None, streams, f"layer {i + 1}/{n_layers}")
        if net.stop_reason_ == "interrupted":  # which ends the pretraining, not the fit
            return
        with torch.no_grad():
            code = pair.eval().encode(rows.batch.input)
            rows = Rows(Batch(code, weight=rows.batch.weight))


def _make_plain_config(config: TrainingConfig[Any], n_epochs: int) -> TrainingConfig[Autoencoder]:
    """Return a configuration for plain autoencoders: of the user's callbacks, schedulers only."""
    objective = ReconstructionObjective(trim_fraction=config.objective.trim_fraction)
    return replace(
        config.without_muon(),
        objective=objective,
        fast_step=make_fast_step,
        callbacks=copy_schedulers(config.callbacks, has_held_out_rows=False),
        compile=False,
        max_epochs=n_epochs,
    )


def _ignore_conditions(layer: nn.Linear, n_features: int) -> nn.Module:
    """Return a layer that is given zeros for all inputs but the row: noise levels, say."""
    n_conditions = layer.in_features - n_features
    if n_conditions == 0:
        return layer
    return nn.Sequential(nn.ConstantPad1d((0, n_conditions), 0.0), layer)
