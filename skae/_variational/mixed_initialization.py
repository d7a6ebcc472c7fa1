"""The linear model of rows with booleans and categories, where training begins.

To second order around the frequencies, a category's log-mass is that of Gaussian indicators, the
variances of whose noise are the frequencies. So codes are those of factor analysis in which these
are given; the logits that codes are mapped to are then fitted.
"""

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from .._data import Rows, Scaling, subsample_indices
from .._linear import LinearGaussian, Moments, fit_factor_analysis, fit_with_unit_noise
from ..modules import VariationalAutoencoder
from ..modules.cells import CellLayout
from ..modules.mixed_likelihood import MixedLikelihood

# Frequencies below this count as this in the noise: a few rows with rare levels in common would
# otherwise be an axis of the codes.
_RARE = 0.04

# Rows that logits are fitted on, steps of the fit, and the weight, in rows, of codes that say
# nothing: levels that codes separate would have infinite slopes.
_LOGIT_ROWS = 5_000
_LOGIT_STEPS = 30
_LOGIT_PRIOR_ROWS = 1.0


class CellNoise(NamedTuple):
    """Frequencies of encoded columns, and noise of a unit in which they are analysed.

    Attributes
    ----------
    logit : ndarray of shape (n_encoded,)
        Logarithms of the odds of booleans and levels; 0 for numbers.
    unit : ndarray of shape (n_encoded,)
        What to multiply scaled columns by, so that the noise of booleans and levels is 1.
    """

    logit: np.ndarray
    unit: np.ndarray

    @classmethod
    def from_scaling(cls, layout: CellLayout, scaling: Scaling, n_rows: float) -> "CellNoise":
        """Return those of columns with these means; half a row is added to each cell's rows."""
        n_encoded = layout.n_encoded
        logit, variance = np.zeros(n_encoded), np.square(scaling.scale).astype(np.float64)
        own = list(layout.booleans)
        share = (n_rows * scaling.mean[own] + 0.5) / (n_rows + 1)
        logit[own] = np.log(share) - np.log1p(-share)
        variance[own] = np.maximum(share * (1 - share), _RARE * (1 - _RARE))
        for first, end in layout.categories:
            share = n_rows * scaling.mean[first:end].clip(0) + 0.5
            share /= share.sum()
            logit[first:end] = np.log(share)
            variance[first:end] = np.maximum(share, _RARE)
        return cls(logit, scaling.scale / np.sqrt(variance))


def initialize_at_mixed(
    module: VariationalAutoencoder,
    rows: Rows,
    known: Moments | None,
    scaling: Scaling,
    beta: float,
    trim_fraction: float,
    prior_share: float,
    generator: np.random.Generator,
) -> None:
    """Set the linear paths to factor analysis whose logits are fitted.

    Parameters
    ----------
    module : VariationalAutoencoder
        The module.
    rows : Rows
        The rows.
    known : Moments or None
        Their mean and covariance; None if all cells are observed.
    scaling : Scaling
        Their scaling.
    beta : float
        Factor of the divergence.
    trim_fraction : float
        Share of the rows that is left out.
    prior_share : float
        Weight, beside that of all rows, of cells without correlations.
    generator : numpy.random.Generator
        Source of PCA's random axes and of the codes that logits are fitted to.
    """
    likelihood = cast(MixedLikelihood, module.likelihood)
    layout = likelihood.layout
    noise = CellNoise.from_scaling(layout, scaling, float(rows.counts.sum()))
    unit = noise.unit
    X, weight = (rows.table * unit).astype(np.float32), rows.weight_array
    known = None if known is None else known.rescale(unit)
    encoder, decoder = module.linear_layers
    initial = fit_with_unit_noise(
        X, weight, encoder.out_features, beta, trim_fraction, generator, known
    )
    given = np.where(layout.is_number, np.nan, 1.0)
    is_shared = len(likelihood.variance) == 1 and bool(layout.numbers)
    model = fit_factor_analysis(
        initial, X, weight, beta, trim_fraction, prior_share, known, given, is_shared
    )
    set_linear_encoder(module, model.components * unit, model, 1 / unit)
    if likelihood.numbers is not None:
        variance = torch.as_tensor(model.noise)[likelihood.is_number]
        likelihood.numbers.set_variance(variance[:1] if is_shared else variance)
    with torch.no_grad():
        decoder.weight.copy_(torch.from_numpy(model.loadings / unit[:, None]))
        decoder.bias.copy_(torch.from_numpy(model.mean / unit))
    seed = int(generator.integers(2**31))
    _fit_logits(module, rows, noise.logit, torch.Generator().manual_seed(seed))


def set_linear_encoder(
    module: VariationalAutoencoder,
    components: np.ndarray,
    model: LinearGaussian,
    unit: np.ndarray | float = 1.0,
) -> None:
    """Set the encoder's linear path; `unit` converts the model's mean to the module's columns."""
    encoder, _ = module.linear_layers
    with torch.no_grad():
        encoder.weight.copy_(torch.from_numpy(components))
        encoder.bias.copy_(torch.from_numpy(-components @ (model.mean * unit)))
        log_variance = np.log(np.maximum(model.variance, np.finfo(np.float64).tiny))
        module.set_linear_variance(torch.from_numpy(log_variance))


def _fit_logits(
    module: VariationalAutoencoder, rows: Rows, logit: np.ndarray, generator: torch.Generator
) -> None:
    """Fit the decoder's linear path to booleans and categories, given the encoder's.

    It begins at codes that say nothing, and is no worse than these.
    """
    likelihood = cast(MixedLikelihood, module.likelihood)
    sample = rows.take(subsample_indices(len(rows), _LOGIT_ROWS))
    # Several codes of each where rows are few, or few of them are distinct.
    n_draws = -(-_LOGIT_ROWS // len(sample))
    index = torch.arange(len(sample)).repeat(n_draws)
    batch = sample.batch.to(torch.device("cpu")).select(index)
    weight = torch.from_numpy(sample.counts)[index] / n_draws
    decoder = module.linear_layers[1]
    is_number = likelihood.is_number
    module.eval()
    with torch.no_grad():
        mean, log_variance = module.posterior(batch.input)
        noise = torch.empty_like(mean).normal_(generator=generator)
        code = mean + noise * torch.exp(0.5 * log_variance)
        decoder.weight[~is_number] = 0.0
        decoder.bias[~is_number] = torch.from_numpy(logit).to(decoder.bias)[~is_number]
    slopes = torch.zeros_like(decoder.weight).requires_grad_()
    shift = torch.zeros_like(decoder.bias).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [slopes, shift], max_iter=_LOGIT_STEPS, line_search_fn="strong_wolfe"
    )
    total = float(weight.sum())

    def find_loss() -> Tensor:
        optimizer.zero_grad()
        output = torch.nn.functional.linear(code, slopes, decoder.bias.detach() + shift)
        log_mass = likelihood.log_mass(output, batch.input, batch.mask)
        prior = 0.5 * _LOGIT_PRIOR_ROWS * slopes.square().sum()
        loss = (prior - weight.to(log_mass) @ log_mass) / total
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(find_loss)
    with torch.no_grad():
        others = ~is_number
        decoder.weight[others] = slopes[others]
        decoder.bias[others] += shift[others]
    module.train()
