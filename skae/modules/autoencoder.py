"""The autoencoder module: an encoder and a decoder, each with an optional linear path."""

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from .architectures import Architecture, MLPArchitecture, check_network
from .bypass import Bypass
from .encoder_decoder import EncoderDecoder
from .layers import ACTIVATIONS, Dropout, fix_column_norms
from .mlp import MLP, TransposedLinear, TransposedMLP, is_mlp, is_perceptron


class Autoencoder(EncoderDecoder):
    """An encoder and a decoder, called one after the other.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps `(n_rows, n_features)` to `(n_rows, n_components)`.
    decoder : torch.nn.Module
        Maps `(n_rows, n_components)` to `(n_rows, n_features)`.
    code_activation : str, default="identity"
        A key of `skae.modules.ACTIVATIONS`, applied to the encoder's output.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, code_activation: str = "identity"
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.code_activation = ACTIVATIONS[code_activation]()

    def encode(self, input: Tensor) -> Tensor:
        """Return the codes of rows."""
        return self.code_activation(self.encoder(input))

    def decode(self, code: Tensor) -> Tensor:
        """Return the rows that codes decode to."""
        return self.decoder(code)

    @property
    def has_linear_path(self) -> bool:
        """Whether both halves have a linear path beside the nonlinear one."""
        return isinstance(self.encoder, Bypass) and isinstance(self.decoder, Bypass)

    @property
    def linear_layers(self) -> tuple[nn.Linear, nn.Linear | TransposedLinear]:
        """The layers of the encoder's and the decoder's linear path."""
        encoder, decoder = (cast(Bypass, half).linear for half in (self.encoder, self.decoder))
        back = cast(MLP | TransposedMLP, decoder)
        return cast(MLP, encoder).linear_layers[0], back.linear_layers[0]

    @property
    def nonlinear_paths(self) -> tuple[nn.Module | None, nn.Module | None]:
        """The encoder's and the decoder's nonlinear path, None where there is none."""
        if isinstance(self.encoder, Bypass) and isinstance(self.decoder, Bypass):
            return self.encoder.nonlinear, self.decoder.nonlinear
        return self.encoder, self.decoder


def make_autoencoder(
    n_features: int,
    n_components: int,
    architecture: Architecture,
    *,
    linear_path: bool = True,
    tied_weights: bool = False,
    code_activation: str = "identity",
    fixed_code_scale: bool = False,
    n_conditions: int = 0,
    generator: torch.Generator | None = None,
) -> Autoencoder:
    """Assemble an autoencoder from the networks that `architecture` builds.

    Parameters
    ----------
    n_features, n_components : int
        Width of the rows and of the code.
    architecture : callable
        `architecture(role, n_inputs, n_outputs)` returns the module for the role "encoder" or
        "decoder".
    linear_path : bool, default=True
        Give each of them a linear path.
    tied_weights : bool, default=False
        Make the decoder the transpose of the encoder; for multilayer perceptrons.
    code_activation : str, default="identity"
        A key of `skae.modules.ACTIVATIONS`, applied to the encoder's output.
    fixed_code_scale : bool, default=False
        Keep the length of the linear decoder's columns, for penalties on the code.
    n_conditions : int, default=0
        Columns that the nonlinear encoder is given besides the row.
    generator : torch.Generator, default=None
        Source of the linear path's weights; None is torch's global generator.

    Returns
    -------
    autoencoder : Autoencoder
        On the CPU, in float32.
    """
    n_inputs = n_features + n_conditions
    encoder = check_network(
        architecture("encoder", n_inputs, n_components), "encoder", n_inputs, n_components
    )
    if tied_weights:
        decoder: nn.Module = TransposedMLP(_as_mlp(encoder), n_features)
    else:
        decoder = check_network(
            architecture("decoder", n_components, n_features), "decoder", n_components, n_features
        )
    if linear_path:
        linear = MLP(n_features, n_components, generator=generator)
        back: nn.Module = (
            TransposedMLP(linear)
            if tied_weights
            else MLP(n_components, n_features, generator=generator)
        )
        encoder = Bypass(linear, drop_affine(encoder), n_components)
        decoder = Bypass(back, drop_affine(decoder), n_features)
    if fixed_code_scale and not tied_weights:
        _fix_code_scale(decoder)
    return Autoencoder(encoder, decoder, code_activation)


def mlp_autoencoder(
    n_features: int,
    n_components: int,
    hidden_layer_sizes: Sequence[int] = (128, 128),
    activation: str = "silu",
    dropout: float = 0.0,
    linear_path: bool = True,
    tied_weights: bool = False,
    generator: torch.Generator | None = None,
) -> Autoencoder:
    """Return an autoencoder of multilayer perceptrons, for use with plain skorch or torch.

    Parameters
    ----------
    n_features, n_components : int
        Width of the rows and of the code.
    hidden_layer_sizes : sequence of int, default=(128, 128)
        The encoder's hidden layers; the decoder has them in reverse.
    activation : str, default="silu"
        A key of `skae.modules.ACTIVATIONS`.
    dropout : float, default=0.0
        Share of the hidden units that is zeroed while training.
    linear_path : bool, default=True
        Add a linear path to the nonlinear one.
    tied_weights : bool, default=False
        Make the decoder's weights the encoder's, transposed.
    generator : torch.Generator, default=None
        Source of weights and masks; None is torch's global generator.

    Returns
    -------
    autoencoder : Autoencoder
        Its `forward` returns the reconstruction.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetRegressor
    >>> from skae.modules import mlp_autoencoder
    >>> X = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
    >>> net = NeuralNetRegressor(
    ...     mlp_autoencoder, module__n_features=6, module__n_components=2,
    ...     max_epochs=2, verbose=0,
    ... )
    >>> net.fit(X, X).predict(X).shape
    (50, 6)
    """
    return make_autoencoder(
        n_features,
        n_components,
        partial(MLPArchitecture(hidden_layer_sizes, activation, dropout), generator=generator),
        linear_path=linear_path,
        tied_weights=tied_weights,
        generator=generator,
    )


def set_dropout_generator(module: nn.Module, generator: torch.Generator) -> None:
    """Make every dropout in `module` draw from `generator` instead of the global one.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place: each `torch.nn.Dropout` is replaced by a `Dropout`, in all its places.
    generator : torch.Generator
        On the device of the module.
    """
    replacements: dict[nn.Module, Dropout] = {}
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):  # a child may have several names
            if isinstance(child, Dropout):
                child.generator = generator
            elif type(child) is nn.Dropout:
                if child not in replacements:
                    replacements[child] = _replace_dropout(child, generator)
                setattr(parent, name, replacements[child])


def _replace_dropout(dropout: nn.Dropout, generator: torch.Generator) -> Dropout:
    """Return a dropout with the mode and the hooks of torch's."""
    replacement = Dropout(dropout.p)
    replacement.__dict__.update({**vars(dropout), "generator": generator})
    return replacement


def _as_mlp(encoder: nn.Module) -> MLP:
    if not is_mlp(encoder):
        raise ValueError(
            f"tied_weights=True needs an encoder that is an MLP, got {type(encoder).__name__}: use "
            'architecture="mlp"'
        )
    return encoder


def drop_affine(path: nn.Module) -> nn.Module | None:
    """Return None for an affine path, which would add nothing to a linear one."""
    return None if is_perceptron(path) and len(path.layers) == 1 else path


def _fix_code_scale(decoder: nn.Module) -> None:
    paths = [decoder.linear, decoder.nonlinear] if isinstance(decoder, Bypass) else [decoder]
    for path in paths:
        if is_mlp(path):
            fix_column_norms(path.linear_layers[0])
