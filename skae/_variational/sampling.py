"""Rows drawn from the model: a code from the prior, cells given the code, margins of the table."""

import numpy as np
import torch
from torch import Tensor

from .._base.persistence import FittedState
from .._environment import isolate_torch
from ..modules import VariationalAutoencoder
from ..modules.likelihoods import Bounds
from .blueprint import VariationalBlueprint
from .density import VariationalDensity
from .drawn_values import DrawnValues
from .margins import MarginMap, count_draws

# Of the draws that margins are estimated from.
_SEED = 19330401

_State = FittedState[VariationalAutoencoder, VariationalBlueprint, VariationalDensity]


def sample_rows(state: _State, n_rows: int, generator: torch.Generator, noise: bool) -> np.ndarray:
    """Return rows drawn from the model, in the table's units.

    Parameters
    ----------
    state : FittedState
        The model.
    n_rows : int
        How many rows.
    generator : torch.Generator
        Source of the draws, on the module's device.
    noise : bool
        Whether to draw them given their codes; otherwise they are what is expected of these.
    """
    values = DrawnValues.from_state(state)
    bounds = values.make_bounds(generator.device)
    rows = _draw(state, n_rows, generator, bounds, noise)
    if not noise:
        return values.limit(rows)
    quantiles = state.density.quantiles
    if quantiles is not None and not values.is_binary:
        other = torch.Generator(generator.device).manual_seed(_SEED)
        drawn = _draw(state, count_draws(rows.shape[1]), other, bounds, noise)
        rows = MarginMap.fit(drawn, values.finish(drawn), quantiles).apply(rows)
    return values.finish(rows)


def _draw(
    state: _State, n_rows: int, generator: torch.Generator, bounds: Bounds | None, noise: bool
) -> np.ndarray:
    """Return rows, in the table's units, as the model has them."""
    module = state.trained.in_precision(torch.float64)

    def draw(module: VariationalAutoencoder, code: Tensor) -> Tensor:
        output, likelihood = module.decoder(code), module.likelihood
        if noise:
            return likelihood.draw(output, generator, bounds)
        return likelihood.mean(output)

    with isolate_torch(), torch.no_grad():
        codes = module.mixture().draw(n_rows, generator).cpu().numpy()
        floor = module.floor
        if floor is not None:  # before the noise, so that it alone differs
            chance = torch.rand(n_rows, 1, generator=generator, device=generator.device)
            linear = floor.decode(floor.components.draw(n_rows, generator))
        scaled = state.trained.apply(draw, codes)
        if floor is not None:
            linear = floor.add_noise(linear, generator, bounds) if noise else linear
            is_linear = (chance < floor.share).cpu().numpy()
            scaled = np.where(is_linear, linear.cpu().numpy(), scaled)
    rows: np.ndarray = state.scaling.inverse(scaled)
    return rows
