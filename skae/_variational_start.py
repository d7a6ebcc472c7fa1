"""Variational autoencoders built from parameters, and put where training begins."""

from typing import Any, cast

import numpy as np
import torch
from scipy.special import logit

from ._building import assembled
from ._environment import RandomStreams
from ._factor_analysis import factor_analysis
from ._linear_gaussian import LinearGaussian, given_noise, probabilistic_pca
from ._mixture import fitted_mixture, some_rows, spread_rows
from ._training import AnyRows, VariationalObjective
from .modules import VariationalAutoencoder, make_variational
from .modules._gaussians import raw_log_variance
from .modules._likelihoods import BernoulliLikelihood, GaussianLikelihood
from .modules._priors import MixturePrior, VampPrior

# Below this standard deviation of a 0/1 column its logit gets no steeper.
_RARE = 0.2

# Factors of the logits' slopes that are tried.
_SLOPES = (0.125, 0.25, 0.5, 1.0, 2.0)


def build_variational(blueprint: dict[str, Any], seed: int) -> VariationalAutoencoder:
    """Return the variational autoencoder of a blueprint.

    Parameters
    ----------
    blueprint : dict
        The arguments of `skae.modules.make_variational`; `architecture` is "mlp" or a
        callable, and "mlp" takes `hidden_layer_sizes`, `activation` and `dropout`.
    seed : int
        What random weights are drawn from.
    """
    return assembled(make_variational, blueprint, seed)


def start_variational(
    module: VariationalAutoencoder,
    rows: AnyRows,
    objective: VariationalObjective,
    streams: RandomStreams,
) -> None:
    """Put a module, which is on the CPU, where training on `rows` begins."""
    some = rows.some()
    X, weight = some.table, some.weight_array
    if isinstance(module.likelihood, BernoulliLikelihood):
        module.likelihood.scale_as(
            torch.from_numpy(objective.scaling.mean), torch.from_numpy(objective.scaling.scale)
        )
    generator = streams.numpy_generator()
    if module.has_linear_path:
        if isinstance(module.likelihood, BernoulliLikelihood):
            _start_at_linear_logits(module, X, weight, objective, generator)
        else:
            _start_at_probabilistic_pca(module, X, weight, objective, generator)
    _start_prior(module, X, weight, generator)


def _start_at_probabilistic_pca(
    module: VariationalAutoencoder,
    X: np.ndarray,
    weight: np.ndarray | None,
    objective: VariationalObjective,
    generator: np.random.Generator,
) -> None:
    n_components = module.linear_layers[0].out_features
    model = probabilistic_pca(
        X, weight, n_components, objective.beta, objective.trim_fraction, generator
    )
    likelihood = cast(GaussianLikelihood, module.likelihood)
    if len(likelihood.variance) > 1:
        model = factor_analysis(model, X, weight, objective.beta, objective.trim_fraction)
    _set_linear_paths(module, model.components, model)
    likelihood.start_at(torch.as_tensor(model.noise))
    with torch.no_grad():
        module.linear_layers[1].weight.copy_(torch.from_numpy(model.loadings))
        module.linear_layers[1].bias.copy_(torch.from_numpy(model.mean))


def _start_at_linear_logits(
    module: VariationalAutoencoder,
    X: np.ndarray,
    weight: np.ndarray | None,
    objective: VariationalObjective,
    generator: np.random.Generator,
) -> None:
    """Start at the linear model of a Gaussian with the columns' Bernoulli variances.

    To first order around the columns' means, a Bernoulli likelihood is that Gaussian. Logits
    are linear only near there, so their slopes are cut for rare columns, and then
    multiplied by the one of a few factors that gives the best bound.
    """
    mean, scale = objective.scaling.mean, objective.scaling.scale
    n_rows = len(X) if weight is None else weight.sum()
    share = (n_rows * mean + 0.5) / (n_rows + 1)  # a column of zeros may have a one some day
    deviation = np.sqrt(share * (1 - share))
    n_components = module.linear_layers[0].out_features
    model = given_noise(
        (X * (scale / deviation)).astype(np.float32),
        weight,
        n_components,
        objective.beta,
        objective.trim_fraction,
        generator,
    )
    _set_linear_paths(module, model.components * (scale / deviation), model, deviation / scale)
    _, decoder = module.linear_layers
    slopes = torch.from_numpy(model.loadings / np.maximum(deviation, _RARE)[:, None])
    centre = np.clip(model.mean * deviation + mean, 0.5 / (n_rows + 1), 1 - 0.5 / (n_rows + 1))
    some = some_rows(len(X))
    part = torch.from_numpy(X[some])
    known = None if weight is None else torch.from_numpy(weight[some]).float()
    losses = []
    module.eval()
    with torch.no_grad():
        decoder.bias.copy_(torch.from_numpy(logit(centre)))
        for factor in _SLOPES:
            decoder.weight.copy_(factor * slopes)
            each = objective.row_losses(module, part, None)
            losses.append(float(objective.reduce(each, known)))
        decoder.weight.copy_(_SLOPES[int(np.argmin(losses))] * slopes)
    module.train()


def _set_linear_paths(
    module: VariationalAutoencoder,
    components: np.ndarray,
    model: LinearGaussian,
    unit: np.ndarray | float = 1.0,
) -> None:
    """Set the encoder's linear path; `unit` takes the model's mean to the module's columns."""
    encoder, _ = module.linear_layers
    with torch.no_grad():
        encoder.weight.copy_(torch.from_numpy(components))
        encoder.bias.copy_(torch.from_numpy(-components @ (model.mean * unit)))
        log_variance = np.log(np.maximum(model.variance, np.finfo(np.float64).tiny))
        module.set_linear_variance(torch.from_numpy(log_variance))


def _start_prior(
    module: VariationalAutoencoder,
    X: np.ndarray,
    weight: np.ndarray | None,
    generator: np.random.Generator,
) -> None:
    """Fit a mixture to the codes, or choose rows that lie far from each other in it."""
    prior = module.prior
    if not isinstance(prior, MixturePrior | VampPrior):
        return
    some = some_rows(len(X))
    known = np.ones(len(some)) if weight is None else weight[some]
    module.eval()
    with torch.no_grad():
        mean, log_variance = module.posterior(torch.from_numpy(X[some]))
        codes = mean.double().numpy()
        if isinstance(prior, VampPrior):
            chosen = spread_rows(codes, known, len(prior.pseudo_rows), generator)
            prior.pseudo_rows.copy_(torch.from_numpy(X[some][chosen]))
        elif module.has_linear_path:
            variance = log_variance.double().exp().numpy()
            fit = fitted_mixture(codes, variance, known, len(prior.mean), generator)
            prior.logit.copy_(torch.from_numpy(np.log(fit.weight)))
            prior.mean.copy_(torch.from_numpy(fit.mean))
            prior.raw_log_variance.copy_(raw_log_variance(torch.from_numpy(np.log(fit.variance))))
    module.train()
