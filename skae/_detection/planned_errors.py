"""Denoising errors at a few levels, with what all rows have in common computed once."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from .._denoising.density import (
    N_ERROR_LEVELS,
    ErrorPlan,
    draw_planned_noise,
    measure_errors,
)
from ..modules import Bypass, Denoiser
from ..modules.denoisers import RowDenoiser
from ..modules.single_precision import LARGEST, PaddedPerceptron, SinglePrecision

# A table of more columns has products that are long enough for the cost of all else to vanish.
_MOST_COLUMNS = 128

# Rows of a product in float64 must be a multiple of that: others are computed otherwise.
_LEAST_ROWS = 8

# Those of modules that do not change any more, by the draws and the plan.
_known: WeakKeyDictionary[Denoiser, "dict[tuple[int, ErrorPlan], PlannedErrors | None]"]
_known = WeakKeyDictionary()


def measure_planned_errors(
    module: Denoiser, rows: Tensor, n_draws: int, mask: Tensor | None, plan: ErrorPlan
) -> Tensor:
    """Return what `measure_errors` does, of a module whose weights do not change any more."""
    known, key = _known.setdefault(module, {}), (n_draws, plan)
    if key not in known:
        known[key] = PlannedErrors.from_module(module, n_draws, plan)
    planned = known[key]
    if planned is None:
        return measure_errors(module, rows, n_draws, mask, plan)
    return planned.measure(rows, mask)


@dataclass(frozen=True)
class PlannedErrors:
    """The expected squared errors of a perceptron beside the filter, as `measure_errors` has them.

    Rows differ from their draws by noise that is common to all rows, and the first layer is linear:
    its product with a row serves all draws. Products have a fixed number of rows, so that a row's
    errors do not depend on the others.

    Attributes
    ----------
    plan : ErrorPlan
        The levels.
    length : int
        Rows of a product.
    weight : Tensor of shape (n_hidden, n_features)
        The first layer's weights, in float32.
    scale : Tensor of shape (n_draws, 1)
        What a row is multiplied by at the level of each draw, in float32.
    shift : Tensor of shape (n_draws, n_hidden)
        What the first layer returns for the draws of a row of zeros, in float32.
    perceptron : PaddedPerceptron
        All layers.
    unit : Tensor of shape (n_parts, 1, n_features)
        Unit of the network's output. A part is a level with draws, which are those of the plan's
        first levels, mirrored, and of all its levels.
    mean : Tensor of shape (n_features,)
        The filter's mean.
    residual : Tensor of shape (n_features, n_parts * n_features)
        Maps rows, less the mean, to twice their residuals at the level of each part.
    moved : Tensor of shape (n_parts, n_draws_each, n_features)
        Twice the filter's estimates of the draws of noise.
    spread : Tensor of shape (n_levels, n_features)
        The part of the filter's errors that is the same for all rows.
    """

    plan: ErrorPlan
    length: int
    weight: Tensor
    scale: Tensor
    shift: Tensor
    perceptron: PaddedPerceptron
    unit: Tensor
    mean: Tensor
    residual: Tensor
    moved: Tensor
    spread: Tensor

    @classmethod
    def from_module(cls, module: Denoiser, n_draws: int, plan: ErrorPlan) -> "PlannedErrors | None":
        """Return the errors of a module whose network is a perceptron in float32, else None."""
        if type(module) is not RowDenoiser or not module.is_gaussian:
            return None
        filter, path = module.filter, module.path
        if not isinstance(path, Bypass) or path.gate is None:
            return None
        network = path.nonlinear
        if not isinstance(network, SinglePrecision) or filter.n_features > _MOST_COLUMNS:
            return None
        perceptron = network.perceptron
        if perceptron is None or len(perceptron.layers) == 1:
            return None
        known = module.levels.grid(N_ERROR_LEVELS).to(filter.mean)[list(plan.levels)]
        index = [*range(plan.n_whole), *range(len(known))]
        levels = known[index].view(-1, 1)
        noise = draw_planned_noise(n_draws, filter.n_features, plan).to(filter.mean)
        noise = noise * levels.unsqueeze(1)
        zeros = torch.zeros(1, filter.n_features).to(filter.mean)
        inputs = module.levels.condition_draws(zeros, noise, levels).flatten(0, 2)
        weight, bias = (part.double() for part in perceptron.layers[0])
        moved = filter(filter.mean + noise, levels.unsqueeze(1)) - filter.mean
        identity = torch.eye(filter.n_features).to(filter.mean)
        residual = filter.residuals(filter.mean + identity, levels.unsqueeze(1))
        n_rows = SinglePrecision.length // len(inputs)
        return cls(
            plan,
            max(_LEAST_ROWS, n_rows - n_rows % _LEAST_ROWS),
            weight[:, : filter.n_features].float(),
            module.levels.find_scale(levels).repeat_interleave(noise.shape[1], dim=0).float(),
            linear(inputs, weight, bias).float(),
            perceptron,
            (module.find_unit(levels) * path.gate).unsqueeze(1),
            filter.mean,
            2 * residual.transpose(0, 1).flatten(1),
            2 * moved,
            filter.cell_noise(known.view(-1, 1)),
        )

    def measure(self, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the expected squared error (n_rows, n_levels) of each row, see `measure_errors`.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            The rows, without noise, in float64.
        mask : Tensor of bool of shape (n_rows, n_features) or None, default=None
            The observed cells, which alone count; None counts all.
        """
        n_rows, n_whole = len(rows), self.plan.n_whole
        if n_missing := -n_rows % self.length:
            rows = pad(rows, (0, 0, 0, n_missing))
        n_parts, n_each, n_features = self.moved.shape
        residuals = torch.mm(rows - self.mean, self.residual).view(-1, n_parts, 1, n_features)
        steps = self._run_network(rows).view(-1, n_parts, n_each, n_features) * self.unit
        if mask is not None:
            steps[:n_rows] *= mask[:, None, None]
        gain = torch.linalg.vecdot(steps, (steps - residuals).add_(self.moved)).mean(dim=2)
        whole = 0.5 * (gain[:, :n_whole] + gain[:, n_whole : 2 * n_whole])
        gain = torch.cat([whole, gain[:, 2 * n_whole :]], dim=1)[:n_rows]
        squares = residuals[:n_rows, n_whole:].squeeze(2).square() / 4
        errors = squares.sum(dim=2) + self.spread.sum(dim=1)
        if mask is not None:
            # A complete row's is as it is alone, to the last bit.
            cells = (squares + self.spread) * mask.unsqueeze(1)
            errors = torch.where(mask.all(dim=1, keepdim=True), errors, cells.sum(dim=2))
        return errors + gain

    def _run_network(self, rows: Tensor) -> Tensor:
        """Return the network's outputs (n_rows * n_draws, n_features) for all draws of rows."""
        *hidden, (last, bias) = self.perceptron.layers[1:]
        rows = rows.float().clamp_(-LARGEST, LARGEST)
        first = rows.new_empty(self.length, len(self.weight))
        drawn = rows.new_empty(self.length, *self.shift.shape)
        n_products = self.length * len(self.shift)
        memory = [rows.new_empty(n_products, len(own)) for _, own in hidden]
        whole = rows.new_empty(len(rows) * len(self.shift), len(bias))
        for part, out in zip(rows.split(self.length), whole.split(n_products), strict=True):
            torch.mm(part, self.weight.T, out=first)
            found = torch.addcmul(self.shift, first.unsqueeze(1), self.scale, out=drawn)
            found = self.perceptron.activate(found.flatten(0, 1))
            for layer, own in zip(hidden, memory, strict=True):
                product = torch.addmm(layer[1], found, layer[0].T, out=own)
                found = self.perceptron.activate(product)
            torch.addmm(bias, found, last.T, out=out)
        return whole[:, : self.perceptron.n_outputs]
