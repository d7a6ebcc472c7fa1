"""Networks in plain torch: use them with skorch, or with a loop of your own."""

from ._abstract import EncoderDecoder
from ._architecture import Architecture, MLPArchitecture
from ._autoencoder import Autoencoder, make_autoencoder, mlp_autoencoder, own_dropout
from ._bypass import Bypass
from ._denoiser import (
    CodeDenoiser,
    Denoiser,
    NoiseLevels,
    RowDenoiser,
    make_code_denoiser,
    make_row_denoiser,
)
from ._filter import WienerFilter
from ._layers import ACTIVATIONS, Dropout, set_weight
from ._mlp import MLP, TransposedMLP
from ._variational import VariationalAutoencoder, make_variational

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Architecture",
    "Autoencoder",
    "Bypass",
    "CodeDenoiser",
    "Denoiser",
    "Dropout",
    "EncoderDecoder",
    "MLPArchitecture",
    "NoiseLevels",
    "RowDenoiser",
    "TransposedMLP",
    "VariationalAutoencoder",
    "WienerFilter",
    "make_autoencoder",
    "make_code_denoiser",
    "make_row_denoiser",
    "make_variational",
    "mlp_autoencoder",
    "own_dropout",
    "set_weight",
]
