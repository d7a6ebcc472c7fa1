"""Autoencoders and variational ones as parts of a graph."""

from torch import nn

from ..modules import Autoencoder, Bypass, VariationalAutoencoder
from ..modules.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    DiscreteLikelihood,
    GaussianLikelihood,
    Likelihood,
)
from ..modules.mixed_likelihood import MixedLikelihood
from ..modules.variational import LinearPosterior
from .arrays import Array, concatenate, exp, sigmoid
from .networks import Networks, apply_affine, read


class AutoencoderGraph:
    """An autoencoder's functions of scaled rows, in float64.

    Parameters
    ----------
    module : Autoencoder
        The autoencoder, in float64.
    networks : Networks
        The networks of the graph.
    """

    def __init__(self, module: Autoencoder, networks: Networks) -> None:
        self.module = module
        self.networks = networks

    def encode(self, rows: Array) -> Array:
        """Return the codes of rows."""
        return self.activate_code(self.networks.apply_path(self.module.encoder, rows))

    def activate_code(self, codes: Array) -> Array:
        """Return the encoder's output as codes."""
        return sigmoid(codes) if isinstance(self.module.code_activation, nn.Sigmoid) else codes

    def decode(self, codes: Array) -> Array:
        """Return the rows that codes decode to."""
        return self.networks.apply_path(self.module.decoder, codes)


class VariationalGraph:
    """A variational autoencoder's functions of scaled rows, in float64.

    Parameters
    ----------
    module : VariationalAutoencoder
        The autoencoder, in float64.
    n_components : int
        Size of its codes.
    networks : Networks
        The networks of the graph.
    """

    def __init__(
        self, module: VariationalAutoencoder, n_components: int, networks: Networks
    ) -> None:
        self.module = module
        self.n_components = n_components
        self.networks = networks

    def encode(self, rows: Array) -> Array:
        """Return the posterior means of the codes."""
        encoder = self.module.encoder
        if not isinstance(encoder, Bypass):
            return self.networks.apply(encoder, rows).take(0, self.n_components)
        assert isinstance(encoder.linear, LinearPosterior)
        mean = apply_affine(encoder.linear.mean, rows)
        added = self.networks.apply_gated(encoder, rows)
        if added is None:
            return mean
        return mean + added.take(0, self.n_components)

    def decode(self, codes: Array) -> Array:
        """Return the expected rows given codes."""
        output = self.networks.apply_path(self.module.decoder, codes)
        return _find_mean(self.module.likelihood, output)


def _find_mean(likelihood: Likelihood, output: Array) -> Array:
    """Return the expected rows given a decoder's output, scaled."""
    if isinstance(likelihood, GaussianLikelihood):
        return output
    if isinstance(likelihood, BernoulliLikelihood):
        return _scale_rows(likelihood, sigmoid(output))
    if isinstance(likelihood, CategoricalLikelihood):
        parts, first = [], 0
        for size in likelihood.sizes:
            logits = output.take(first, first + size)
            odds = exp(logits - logits.max(axis=1, keepdims=True))
            parts.append(odds / odds.sum(axis=1, keepdims=True))
            first += size
        return _scale_rows(likelihood, concatenate(parts))
    if isinstance(likelihood, MixedLikelihood):
        columns, first, means = likelihood.columns.tolist(), 0, []
        for part, width in zip(likelihood.parts, likelihood.widths, strict=True):
            means.append(_find_mean(part, output.gather(columns[first : first + width])))
            first += width
        return concatenate(means).gather(likelihood.places.tolist())
    raise TypeError(f"a likelihood must be one of skae's, got {type(likelihood).__name__}")


def _scale_rows(likelihood: DiscreteLikelihood, probabilities: Array) -> Array:
    shift, scale = (read(likelihood.get_buffer(name)) for name in ("shift", "scale"))
    return (probabilities - shift) / scale
