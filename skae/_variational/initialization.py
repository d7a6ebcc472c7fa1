"""Variational autoencoders initialized at the best linear model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from scipy.special import logit

from .._data import Batch, Rows, Scaling, subsample_indices
from .._environment import RandomStreams
from .._linear import (
    COMPLETION_ROWS,
    WIDEST_COMPLETED,
    Codes,
    Completion,
    Moments,
    choose_mixture,
    choose_spread_rows,
    fit_factor_analysis,
    fit_probabilistic_pca,
    fit_with_missing,
    fit_with_unit_noise,
)
from .._linear.pca import FULL_UP_TO
from ..modules import Bypass, VariationalAutoencoder
from ..modules.likelihoods import BernoulliLikelihood, GaussianLikelihood
from ..modules.linear_mixture import LinearMixture
from ..modules.mixed_floor import MixedFloor
from ..modules.mixed_likelihood import MixedLikelihood
from ..modules.priors import MixturePrior, VampPrior
from .mixed_initialization import CellNoise, initialize_at_mixed, set_linear_encoder

# Below this standard deviation of a 0/1 column its logit gets no steeper.
_RARE = 0.2

# Factors of the logits' slopes that are tried.
_SLOPES = (0.125, 0.25, 0.5, 1.0, 2.0)

# With a mixture prior and a code as wide as the rows: the noise, as a share of the smallest
# variance. As much noise as that leaves a unit of the code without a loading, a saddle that
# training does not leave. So little leaves the density to the mixture.
_FREE_NOISE = 0.002

# With a mixture prior: the weight, in rows, of cells without correlations in factor analysis.
# Without them the noise of a column can vanish, and few rows of a wide table are fitted too well.
_PRIOR_ROWS = 0.25

# Weight, in rows, of the initial model in the density of the trained one, and its largest share.
_FLOOR_ROWS = 10.0
_LARGEST_FLOOR = 0.1

# Share of a single Gaussian in that model where its codes are a mixture.
_SHARE_OF_WHOLE = 0.5

# Rows that slopes are compared and priors fitted on.
_SUBSAMPLE_ROWS = 10_000

#: Returns a module's loss on rows.
Loss = Callable[[VariationalAutoencoder, Batch], float]


def initialize_variational(
    module: VariationalAutoencoder,
    rows: Rows,
    scaling: Scaling,
    beta: float,
    trim_fraction: float,
    loss: Loss,
    streams: RandomStreams,
) -> None:
    """Initialize a module, which is on the CPU, from the rows that it is trained on.

    Parameters
    ----------
    module : VariationalAutoencoder
        The module.
    rows : Rows
        The rows, or a subsample of them.
    scaling : Scaling
        Their scaling.
    beta : float
        Factor of the divergence.
    trim_fraction : float
        Share of the rows that is left out.
    loss : callable
        `loss(module, batch)` compares candidates.
    streams : RandomStreams
        Source of PCA's random axes, and of the prior's first means.
    """
    likelihood = module.likelihood
    generator = streams.make_numpy_generator()
    _set_likelihood_scaling(module, scaling)
    with _leave_out_networks(module):
        if module.has_linear_path:
            known = _measure_moments(rows, trim_fraction)
            if isinstance(likelihood, BernoulliLikelihood):
                _initialize_at_linear_logits(
                    module, rows, known, scaling, beta, trim_fraction, loss, generator
                )
            else:
                _initialize_at_linear_model(
                    module, rows, known, scaling, beta, trim_fraction, generator
                )
        _initialize_prior(module, rows, generator)
        _set_floor(module, rows, scaling)


def find_floor_share(n_rows: float) -> float:
    """Return the share of the linear model in the density of a model of that many rows."""
    return min(_FLOOR_ROWS / n_rows, _LARGEST_FLOOR)


def fit_floor(
    module: VariationalAutoencoder,
    rows: Rows,
    scaling: Scaling,
    beta: float,
    trim_fraction: float,
    seed: int,
) -> LinearMixture | MixedFloor:
    """Return the linear model of rows, by way of a new module whose numbers are Gaussian."""
    generator = np.random.default_rng(seed)
    _set_likelihood_scaling(module, scaling)
    known = _measure_moments(rows, trim_fraction)
    with _leave_out_networks(module):
        _initialize_at_linear_model(module, rows, known, scaling, beta, trim_fraction, generator)
        _initialize_prior(module, rows, generator)
        _set_floor(module, rows, scaling)
    assert module.floor is not None
    return module.floor


@contextmanager
def _leave_out_networks(module: VariationalAutoencoder) -> Iterator[None]:
    """Take out what lies behind a closed gate: it adds nothing, and convolutions take long."""
    paths = [
        path
        for path in (module.encoder, module.decoder)
        if isinstance(path, Bypass) and path.is_closed
    ]
    networks = [path.nonlinear for path in paths]
    for path in paths:
        path.nonlinear = None
    try:
        yield
    finally:
        for path, network in zip(paths, networks, strict=True):
            path.nonlinear = network


def _set_likelihood_scaling(module: VariationalAutoencoder, scaling: Scaling) -> None:
    """Tell the likelihood what 0 and 1 are in scaled rows."""
    shift, scale = torch.from_numpy(scaling.mean), torch.from_numpy(scaling.scale)
    if isinstance(module.likelihood, BernoulliLikelihood | MixedLikelihood):
        module.likelihood.set_scaling(shift, scale)
    if isinstance(module.floor, MixedFloor):
        module.floor.set_scaling(shift, scale)


def _measure_moments(rows: Rows, trim_fraction: float) -> Moments | None:
    """Return the mean and covariance of rows, None of wide ones and of those that are trimmed.

    The covariance of completed rows would be too narrow.
    """
    observed = rows.observed
    if observed is None:
        is_measured = trim_fraction == 0 and rows.n_features <= FULL_UP_TO
        return Moments.from_blocks(rows.table, rows.weight_array) if is_measured else None
    if rows.n_features > WIDEST_COMPLETED:
        return None
    X, weight = np.where(observed, rows.table, np.nan), rows.counts
    indices = subsample_indices(len(X), COMPLETION_ROWS)
    about = Completion.fit(X[indices], weight[indices]).moments
    return fit_with_missing(X, weight, max_iter=1, initial=about)


def _initialize_at_linear_model(
    module: VariationalAutoencoder,
    rows: Rows,
    known: Moments | None,
    scaling: Scaling,
    beta: float,
    trim_fraction: float,
    generator: np.random.Generator,
) -> None:
    """Set the linear paths to the best linear model of numbers, or of mixed rows."""
    if isinstance(module.likelihood, MixedLikelihood):
        prior_share = _share_of_prior(module, rows)
        initialize_at_mixed(
            module, rows, known, scaling, beta, trim_fraction, prior_share, generator
        )
    else:
        _initialize_at_linear_gaussian(module, rows, known, beta, trim_fraction, generator)


def _share_of_prior(module: VariationalAutoencoder, rows: Rows) -> float:
    """Return the weight of cells without correlations in factor analysis."""
    is_mixture = isinstance(module.prior, MixturePrior)
    return _PRIOR_ROWS / float(rows.counts.sum()) if is_mixture else 0.0


def _initialize_at_linear_gaussian(
    module: VariationalAutoencoder,
    rows: Rows,
    known: Moments | None,
    beta: float,
    trim_fraction: float,
    generator: np.random.Generator,
) -> None:
    """Set the linear paths to probabilistic PCA, or to factor analysis."""
    X, weight = rows.table, rows.weight_array
    likelihood = cast(GaussianLikelihood, module.likelihood)
    n_components = module.linear_layers[0].out_features
    free_noise = _FREE_NOISE if isinstance(module.prior, MixturePrior) else 1.0
    model = fit_probabilistic_pca(
        X, weight, n_components, beta, trim_fraction, generator, free_noise, known
    )
    if len(likelihood.variance) > 1:
        prior_share = _share_of_prior(module, rows)
        model = fit_factor_analysis(model, X, weight, beta, trim_fraction, prior_share, known)
    set_linear_encoder(module, model.components, model)
    likelihood.set_variance(torch.as_tensor(model.noise))
    with torch.no_grad():
        module.linear_layers[1].weight.copy_(torch.from_numpy(model.loadings))
        module.linear_layers[1].bias.copy_(torch.from_numpy(model.mean))


def _initialize_at_linear_logits(
    module: VariationalAutoencoder,
    rows: Rows,
    known: Moments | None,
    scaling: Scaling,
    beta: float,
    trim_fraction: float,
    loss: Loss,
    generator: np.random.Generator,
) -> None:
    """Set the linear paths to the model of a Gaussian with the columns' Bernoulli variances.

    A Bernoulli likelihood is that Gaussian to first order around the columns' means. Logits
    are linear only near there, so the slopes of rare columns are bounded, and all slopes are
    multiplied by the one of a few factors with the best bound.
    """
    X, weight = rows.table, rows.weight_array
    mean, scale = scaling.mean, scaling.scale
    n_rows = rows.counts.sum()
    share = (n_rows * mean + 0.5) / (n_rows + 1)  # a column of zeros may yet have a one
    deviation = np.sqrt(share * (1 - share))
    unit = scale / deviation
    model = fit_with_unit_noise(
        (X * unit).astype(np.float32),
        weight,
        module.linear_layers[0].out_features,
        beta,
        trim_fraction,
        generator,
        None if known is None else known.rescale(unit),
    )
    set_linear_encoder(module, model.components * unit, model, deviation / scale)
    _, decoder = module.linear_layers
    slopes = torch.from_numpy(model.loadings / np.maximum(deviation, _RARE)[:, None])
    centre = np.clip(model.mean * deviation + mean, 0.5 / (n_rows + 1), 1 - 0.5 / (n_rows + 1))
    sample = _subsample(rows).batch
    losses = []
    module.eval()
    with torch.no_grad():
        decoder.bias.copy_(torch.from_numpy(logit(centre)))
        for factor in _SLOPES:
            decoder.weight.copy_(factor * slopes)
            losses.append(loss(module, sample))
        decoder.weight.copy_(_SLOPES[int(np.argmin(losses))] * slopes)
    module.train()


def _initialize_prior(
    module: VariationalAutoencoder, rows: Rows, generator: np.random.Generator
) -> None:
    """Fit a mixture to the codes, or choose pseudo-rows whose codes lie far from each other."""
    prior = module.prior
    if not isinstance(prior, MixturePrior | VampPrior):
        return
    sample = _subsample(rows)
    weight = sample.counts
    module.eval()
    with torch.no_grad():
        mean, log_variance = module.posterior(sample.batch.input)
        codes = mean.double().numpy()
        if isinstance(prior, VampPrior):
            chosen = choose_spread_rows(codes, weight, len(prior.pseudo_rows), generator)
            prior.pseudo_rows.copy_(torch.from_numpy(sample.table[chosen]))
        elif module.has_linear_path:
            known = Codes(codes, log_variance.double().exp().numpy(), weight)
            fit = choose_mixture(known, len(prior.mean), prior.is_full, generator)
            prior.set_components(
                torch.from_numpy(fit.weight),
                torch.from_numpy(fit.mean),
                torch.from_numpy(fit.covariance),
            )
    module.train()


def _set_floor(module: VariationalAutoencoder, rows: Rows, scaling: Scaling) -> None:
    """Make the initial model a part of the density, whatever training makes of the network."""
    floor, likelihood = module.floor, module.likelihood
    if floor is None:
        return
    module.eval()
    with torch.no_grad():
        share = find_floor_share(float(rows.counts.sum()))
        layer, codes = module.linear_layers[1], module.mixture()
        if isinstance(module.prior, MixturePrior) and len(codes.mean) > 1:
            # A row far from every Gaussian of a mixture is often not so far from all rows.
            codes = codes.add_whole(_SHARE_OF_WHOLE)
        if isinstance(floor, LinearMixture):
            variance = cast(GaussianLikelihood, likelihood).variance
            floor.set_model(share, layer.weight, layer.bias, variance, codes)
        else:
            mixed = cast(MixedLikelihood, likelihood)
            logit = CellNoise.from_scaling(mixed.layout, scaling, float(rows.counts.sum())).logit
            output = torch.where(
                mixed.is_number, layer.bias, torch.from_numpy(logit).to(layer.bias)
            )
            floor.set_model(share, layer.weight, output, mixed.variance, codes)
    module.train()


def _subsample(rows: Rows) -> Rows:
    """Return some of the rows, on the CPU, where the module is."""
    sample = rows.take(subsample_indices(len(rows), _SUBSAMPLE_ROWS))
    return Rows(sample.batch.to(torch.device("cpu")), sample.unit)
