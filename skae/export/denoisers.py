"""Denoisers, and the errors that they make, as parts of a graph."""

import numpy as np
import torch

from .._denoising.density import N_ERROR_LEVELS, ErrorPlan, draw_common_noise
from ..modules import Bypass, CodeDenoiser, Denoiser, RowDenoiser, WienerFilter
from .arrays import Array, concatenate, constant, log, sqrt, square
from .autoencoders import AutoencoderGraph
from .networks import Networks, apply_affine, read

# Levels that the likeliest one is looked for among, as `Denoiser.choose_level` does.
_N_LEVELS = 32


class DenoiserGraph:
    """A denoiser's functions of scaled rows, in float64.

    A level is an array that broadcasts to one number a row.

    Parameters
    ----------
    module : Denoiser
        The denoiser, in float64.
    networks : Networks
        The networks of the graph.
    """

    def __init__(self, module: Denoiser, networks: Networks) -> None:
        self.module = module
        self.networks = networks
        self.filter = FilterGraph(module.filter)
        self.lowest = constant(read(module.levels.low).reshape(1, 1))

    def encode(self, rows: Array, level: Array | None = None) -> Array:
        """Return the codes of rows (n_rows, n_features); without a level, at the lowest."""
        level = self.lowest if level is None else level
        module, conditioned = self.module, self._condition(rows, level)
        if isinstance(module, CodeDenoiser):
            encoder = module.autoencoder.encoder
            if not isinstance(encoder, Bypass):
                return self._halves.activate_code(self.networks.apply(encoder, conditioned))
            shrunk = apply_affine(encoder.linear, rows) / (
                1 + square(level) * read(module.precisions)
            )
            return self._halves.activate_code(
                _add(shrunk, self.networks.apply_gated(encoder, conditioned))
            )
        assert isinstance(module, RowDenoiser)
        path = module.path
        if not isinstance(path, Bypass):
            return self.networks.apply(path, conditioned)
        if not module.is_gaussian:
            return self.networks.apply_path(path, rows, conditioned)
        added = self.networks.apply_gated(path, conditioned)
        filtered = self.filter.apply(rows, level)
        return filtered if added is None else filtered + added * self.filter.find_unit(level)

    def decode(self, codes: Array) -> Array:
        """Return the rows that codes decode to."""
        return self._halves.decode(codes) if isinstance(self.module, CodeDenoiser) else codes

    def denoise(self, rows: Array) -> Array:
        """Return the clean rows behind noisy ones, at the level that `denoise` chooses."""
        levels = self.module.levels
        if not levels.noise_conditional:
            return self.decode(self.encode(rows))
        if self.module.is_gaussian:
            level = self.filter.find_likeliest_level(rows, read(levels.grid(_N_LEVELS)))
        else:
            level = constant(read((levels.low * levels.high).sqrt()).reshape(1, 1))
        return self.decode(self.encode(rows, level))

    def measure_errors(
        self, rows: Array, n_draws: int, plan: ErrorPlan, seen: Array | None = None
    ) -> Array:
        """Return the expected squared error (n_rows, n_levels) of each row, see `measure_errors`.

        Parameters
        ----------
        rows : Array of shape (n_rows, n_features)
            The rows, without noise.
        n_draws : int
            Draws of noise at each level.
        plan : ErrorPlan
            The levels.
        seen : Array of shape (n_rows, n_features) or None, default=None
            1 for observed cells, which alone count, 0 for others; None counts all.
        """
        module, n_features = self.module, self.module.filter.n_features
        index, n_whole, n_levels = list(plan.levels), plan.n_whole, len(plan.levels)
        levels = module.levels.grid(N_ERROR_LEVELS)[index]
        drawn, mirrored = draw_common_noise(n_draws, n_features)[index].chunk(2, dim=1)
        # Both halves of the draws, one after the other, and then the levels with one half.
        which = np.r_[:n_whole, :n_levels]
        noise = torch.cat([mirrored[:n_whole], drawn]) * levels[which].view(-1, 1, 1)
        n_each, column = noise.shape[1], levels[which].view(-1, 1, 1)
        moved = module.filter(module.filter.mean + noise, column) - module.filter.mean
        filtered = self.filter.apply(
            rows.reshape(-1, 1, n_features), constant(read(levels).reshape(-1, 1))
        )
        each = np.repeat(which, n_each)  # the level of each draw
        estimate = filtered.gather(each) + read(moved).reshape(-1, n_features)
        noisy = rows.reshape(-1, 1, n_features) + read(noise).reshape(-1, n_features)
        squares = square(rows.reshape(-1, 1, n_features) - filtered)
        squares = squares + read(module.filter.cell_noise(levels.view(-1, 1)))
        known = None if seen is None else seen.reshape(-1, 1, n_features)
        errors = (squares if known is None else squares * known).sum(axis=2).gather(which)
        steps = self._find_steps(noisy, read(levels)[each].reshape(-1, 1), estimate)
        if steps is not None:
            steps = steps if known is None else steps * known
            left = rows.reshape(-1, 1, n_features) - estimate
            gain = (steps * (steps - 2.0 * left)).sum(axis=2)
            errors = errors + gain.reshape(-1, len(which), n_each).sum(axis=2) / n_each
        both = errors.take(0, n_whole) + errors.take(n_whole, 2 * n_whole)
        return concatenate([both * 0.5, errors.take(2 * n_whole, n_levels + n_whole)])

    def _find_steps(self, noisy: Array, levels: np.ndarray, estimate: Array) -> Array | None:
        """Return by how much posterior means differ from the filter's estimates; None is not."""
        module, (n_each, n_features) = self.module, (len(levels), self.module.filter.n_features)
        rows = noisy.reshape(-1, n_features)
        level = (noisy.take(0, 1, axis=2) * 0.0 + levels).reshape(-1, 1)
        if isinstance(module, RowDenoiser) and isinstance(module.path, Bypass):
            added = self.networks.apply_gated(module.path, self._condition(rows, level))
            if added is None:
                return None
            return (added * self.filter.find_unit(level)).reshape(-1, n_each, n_features)
        kept = self.decode(self.encode(rows, level))
        if isinstance(module, CodeDenoiser):
            kept = kept + FilterGraph(module.residual_filter).apply(rows - kept, level)
        return kept.reshape(-1, n_each, n_features) - estimate

    def _condition(self, rows: Array, level: Array) -> Array:
        """Return a network's input: rows of unit scale and, if it is conditional, their level."""
        levels, scaled = self.module.levels, rows / sqrt(1 + square(level))
        if not levels.noise_conditional:
            return scaled
        low, high = read(levels.low), read(levels.high)
        position = log(level / np.sqrt(low * high)) / (0.5 * np.log(high / low))
        return concatenate([scaled, rows.take(0, 1) * 0.0 + position])

    @property
    def _halves(self) -> AutoencoderGraph:
        assert isinstance(self.module, CodeDenoiser)
        return AutoencoderGraph(self.module.autoencoder, self.networks)


class FilterGraph:
    """A Wiener filter.

    Parameters
    ----------
    filter : WienerFilter
        The filter, in float64.
    """

    def __init__(self, filter: WienerFilter) -> None:
        self.filter = filter
        self.mean, self.axes = read(filter.mean), read(filter.axes)
        self.variances, self.remainder = read(filter.variances), read(filter.remainder)

    def apply(self, noisy: Array, level: Array) -> Array:
        """Return the best linear estimates of rows from noisy ones."""
        centred = noisy - self.mean
        along, across = self._find_kept(level)
        beyond = ((centred @ self.axes.T) * (along - across)) @ self.axes
        return self.mean + across * centred + beyond

    def find_unit(self, level: Array) -> Array:
        """Return the root of the expected squared error of a cell."""
        along, across = self._find_kept(level)
        error = (self.variances * (1 - along)).sum(axis=-1, keepdims=True)
        error = error + float(self.filter.n_left * self.remainder) * (1 - across)
        return sqrt(error / self.filter.n_features)

    def find_likeliest_level(self, noisy: Array, levels: np.ndarray) -> Array:
        """Return the level (n_rows, 1) under which each row is likeliest."""
        centred = noisy - self.mean
        scores = square(centred @ self.axes.T)
        along = self.variances + np.square(levels)[:, None]
        across = self.remainder + np.square(levels)
        n_left = self.filter.n_left
        penalty = np.log(along).sum(axis=1) + n_left * np.log(across)
        distance = scores @ (1 / along).T + penalty
        if n_left:
            left = square(centred).sum(axis=1, keepdims=True) - scores.sum(axis=1, keepdims=True)
            distance = distance + left.clip(0.0, None) / across
        return constant(levels).gather((0.0 - distance).argmax(keepdims=True), axis=0)

    def _find_kept(self, level: Array) -> tuple[Array, Array]:
        """Return the shares kept along each axis, and in all other directions."""
        power = square(level)
        return self.variances / (self.variances + power), self.remainder / (self.remainder + power)


def _add(linear: Array, nonlinear: Array | None) -> Array:
    return linear if nonlinear is None else linear + nonlinear
