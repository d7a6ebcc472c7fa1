"""Greedy layerwise pretraining of a stack of layers."""

from dataclasses import replace
from typing import cast

import torch
from torch import nn

from .._environment import RandomStreams
from ..modules import MLP, Autoencoder, TransposedMLP
from ._loop import Training, run
from ._objective import ReconstructionObjective
from ._rows import Rows


def pretrain_layerwise(
    encoder: MLP,
    decoder: MLP | TransposedMLP,
    rows: Rows,
    training: Training,
    streams: RandomStreams,
) -> None:
    """Train each layer and its mirror image to reconstruct what the layer is given.

    From the input on, layer `i` and the decoder's layer that undoes it are trained as an
    autoencoder of one hidden layer on the outputs of layer `i - 1` (Bengio et al. 2007,
    section 3; Hinton and Salakhutdinov 2006 with restricted Boltzmann machines in its
    place). The layers are trained where they are; all of them together take as many
    epochs as the training that follows.

    Parameters
    ----------
    encoder, decoder : MLP, MLP or TransposedMLP
        Mirror images of each other.
    rows : Rows
        What the first layer is given.
    training : Training
        How to train.
    streams : RandomStreams
        Where shuffles are drawn.
    """
    n_layers = len(encoder.layers)
    simple = replace(
        training,
        objective=ReconstructionObjective(trim_fraction=training.objective.trim_fraction),
        callbacks=[],
        compile=False,
        max_epochs=max(1, training.n_epochs(len(rows)) // n_layers),
    )
    undoing = list(reversed(decoder.layers))
    for i, (layer, undo) in enumerate(zip(encoder.layers, undoing, strict=True)):
        # The outermost layer reconstructs values of any size, the code may have any.
        reconstruct = undo if i == 0 else nn.Sequential(undo, decoder.activation)
        # Of what the first layer is told beside the row, it is told nothing here.
        n_told = cast(nn.Linear, layer).in_features - rows.n_features
        encode = nn.Sequential(nn.ConstantPad1d((0, n_told), 0.0), layer) if n_told else layer
        encode = encode if i == n_layers - 1 else nn.Sequential(encode, encoder.activation)
        pair = Autoencoder(encode, reconstruct).to(rows.X.device)
        net = run(simple, pair, rows, None, streams, f"layer {i + 1}/{n_layers}")
        if net.stop_reason_ == "interrupted":  # which ends the pretraining, not the fit
            return
        with torch.no_grad():
            rows = Rows(pair.eval().encode(rows.X), rows.weight)
