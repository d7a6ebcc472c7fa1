"""Draws of missing cells, given the observed ones."""

import torch
from torch import Tensor

from .._data import Batch
from ..modules import VariationalAutoencoder
from ..modules.likelihoods import Bounds
from .density import weigh_codes_given_observed

# Codes that a row's draws are chosen from, and how many of them for each draw.
_LEAST_CODES = 100
_CODES_PER_DRAW = 20


def draw_missing(
    module: VariationalAutoencoder,
    batch: Batch,
    n_draws: int,
    generator: torch.Generator,
    bounds: Bounds | None = None,
) -> Tensor:
    """Return rows `(n_rows, n_draws, n_features)` with draws of their missing cells.

    Sampling importance resampling: a code is chosen by its weight, and cells are drawn given it
    (Mattei and Frellsen 2019, section 3.3).

    Parameters
    ----------
    module : VariationalAutoencoder
        The model.
    batch : Batch
        Completed rows, and which of their cells are observed.
    n_draws : int
        How many of each row.
    generator : torch.Generator
        Source of codes and cells, on the rows' device.
    bounds : Bounds or None, default=None
        Between which values drawn numbers lie.
    """
    rows, mask = batch.input, batch.mask
    if mask is None:
        return rows.unsqueeze(1).expand(-1, n_draws, -1)
    size = (count_codes(n_draws), _count_components(module))
    normal = torch.empty(size, dtype=rows.dtype, device=rows.device).normal_(generator=generator)
    code, log_weight = weigh_codes_given_observed(module, rows, mask, normal, generator)
    chosen = torch.multinomial(
        log_weight.softmax(dim=1), n_draws, replacement=True, generator=generator
    )
    code = code.gather(1, chosen.unsqueeze(2).expand(-1, -1, code.shape[2]))
    output = module.decoder(code.flatten(0, 1)).unflatten(0, code.shape[:2])
    drawn = module.likelihood.draw(output, generator, bounds)
    return torch.where(mask.unsqueeze(1), rows.unsqueeze(1), drawn)


def count_codes(n_draws: int) -> int:
    """Return how many codes a row's draws are chosen from."""
    return max(_LEAST_CODES, _CODES_PER_DRAW * n_draws)


def _count_components(module: VariationalAutoencoder) -> int:
    return module.mixture().mean.shape[1]
