"""Networks in plain torch: use them with skorch, or with a loop of your own."""

from ._abstract import EncoderDecoder
from ._architecture import Architecture, MLPArchitecture
from ._autoencoder import Autoencoder, make_autoencoder, mlp_autoencoder, own_dropout
from ._bypass import Bypass
from ._gaussians import bounded_log_variance, raw_log_variance
from ._layers import ACTIVATIONS, Dropout, set_weight
from ._likelihoods import BernoulliLikelihood, GaussianLikelihood, Likelihood
from ._mlp import MLP, TransposedMLP
from ._priors import GaussianComponents, MixturePrior, Prior, StandardPrior, VampPrior
from ._variational import LinearPosterior, VariationalAutoencoder, make_variational

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Architecture",
    "Autoencoder",
    "BernoulliLikelihood",
    "Bypass",
    "Dropout",
    "EncoderDecoder",
    "GaussianComponents",
    "GaussianLikelihood",
    "Likelihood",
    "LinearPosterior",
    "MLPArchitecture",
    "MixturePrior",
    "Prior",
    "StandardPrior",
    "TransposedMLP",
    "VampPrior",
    "VariationalAutoencoder",
    "bounded_log_variance",
    "make_autoencoder",
    "make_variational",
    "mlp_autoencoder",
    "own_dropout",
    "raw_log_variance",
    "set_weight",
]
