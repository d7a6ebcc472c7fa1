"""Networks in plain torch: use them with skorch, or with a loop of your own."""

from .architectures import (
    Architecture,
    MLPArchitecture,
    ParametrizedArchitecture,
)
from .autoencoder import (
    Autoencoder,
    make_autoencoder,
    mlp_autoencoder,
    set_dropout_generator,
)
from .bypass import Bypass
from .convolutional import ConvolutionalArchitecture, TemporalConvolutionArchitecture
from .denoisers import (
    CodeDenoiser,
    Denoiser,
    NoiseLevels,
    RowDenoiser,
    make_code_denoiser,
    make_row_denoiser,
)
from .encoder_decoder import EncoderDecoder
from .layers import ACTIVATIONS, Dropout, set_weight
from .mlp import MLP, TransposedMLP
from .recurrent import RecurrentArchitecture
from .variational import VariationalAutoencoder, make_variational
from .wiener_filter import WienerFilter

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Architecture",
    "Autoencoder",
    "Bypass",
    "CodeDenoiser",
    "ConvolutionalArchitecture",
    "Denoiser",
    "Dropout",
    "EncoderDecoder",
    "MLPArchitecture",
    "NoiseLevels",
    "ParametrizedArchitecture",
    "RecurrentArchitecture",
    "RowDenoiser",
    "TemporalConvolutionArchitecture",
    "TransposedMLP",
    "VariationalAutoencoder",
    "WienerFilter",
    "make_autoencoder",
    "make_code_denoiser",
    "make_row_denoiser",
    "make_variational",
    "mlp_autoencoder",
    "set_dropout_generator",
    "set_weight",
]
