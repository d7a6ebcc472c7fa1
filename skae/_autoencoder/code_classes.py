"""Classes of codes fitted to rows: expectation maximization over weighted draws of codes."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from .._linear import SMALLEST_VARIANCE
from ..modules.jacobian import Decoder
from .code_integral import draw_codes
from .mixed_cells import CellMap, CellTensors, CodeClasses, Decoded

# Rounds of new draws, and steps of expectation maximization with the same ones.
_N_ROUNDS = 2
_N_STEPS = 4

# Draws that all rows share, fewer than in scores: each costs as much as a row's own here.
_N_SHARED = 32

# Steps towards the likeliest odds, within a step of expectation maximization, and before the first.
_N_ODDS_STEPS = 1
_N_FIRST_STEPS = 10

# Weights, in rows: of all rows' moments in those of a class's codes, of the frequencies of all
# rows in those of its levels, of all rows' variance in that of its numbers, and of lines that don't
# depend on the decoder.
_CODE_ROWS = 1.0
_LEVEL_ROWS = 1.0
_VARIANCE_ROWS = 0.1
_FLAT_ROWS = 1.0

# A steepness near one is expected, and none beyond these bounds.
_STEEPNESS_ROWS = 1.0
_STEEPEST = 4.0

# Added to variances of codes, which may not vary in some direction, as a share of the largest one.
_LEAST_SPREAD = 1e-6


class CodeRows(NamedTuple):
    """Rows that classes are fitted to.

    Attributes
    ----------
    cells : CellTensors
        Their cells.
    code : Tensor of shape (n_rows, n_components)
        Their codes.
    weight : Tensor of shape (n_rows,)
        How often each counts.
    mass : Tensor of shape (n_levels,)
        How frequent each level is in all rows.
    """

    cells: CellTensors
    code: Tensor
    weight: Tensor
    mass: Tensor


def fit_code_classes(
    rows: CodeRows, share: Tensor, decode: Decoder, cell_map: CellMap
) -> CodeClasses:
    """Return classes of codes.

    Parameters
    ----------
    rows : CodeRows
        Training rows.
    share : Tensor of shape (n_rows, n_classes)
        Probabilities that each belongs to each class, to begin with.
    decode : callable
        The decoder.
    cell_map : CellMap
        Which of its outputs belong to which cells.
    """
    decoded = cell_map.read(decode(rows.code))
    one = Decoded(decoded.numbers.unsqueeze(1), decoded.scores.unsqueeze(1))
    weight = (share * rows.weight.unsqueeze(1)).unsqueeze(1)
    n_classes = share.shape[1]
    bias = rows.mass.log().expand(n_classes, -1)
    steepness = torch.ones(len(cell_map.sizes)).to(rows.code)
    classes = _maximize(
        rows, rows.code.unsqueeze(1), one, weight, (bias, steepness), cell_map, _N_FIRST_STEPS
    )
    for _ in range(_N_ROUNDS):
        draws = draw_codes(
            classes, rows.cells, rows.code, decode, cell_map, _N_SHARED, rows_differ=True
        )
        code, decoded = draws.expand()
        for _ in range(_N_STEPS):
            log_weight = draws.log_weight(classes, rows.cells, cell_map)
            weight = log_weight.flatten(1).softmax(dim=1).view_as(log_weight)
            weight = weight * rows.weight[:, None, None]
            odds = classes.bias, classes.steepness
            classes = _maximize(rows, code, decoded, weight, odds, cell_map, _N_ODDS_STEPS)
    return classes


def _maximize(
    rows: CodeRows,
    code: Tensor,
    decoded: Decoded,
    weight: Tensor,
    odds: tuple[Tensor, Tensor],
    cell_map: CellMap,
    n_odds_steps: int,
) -> CodeClasses:
    """Return the likeliest classes given weights `(n_rows, n_draws, n_classes)` of draws."""
    total = weight.sum(dim=(0, 1))
    mean, covariance = _measure_codes(code, weight)
    intercept, slope, variance = _fit_lines(rows, decoded.numbers, weight)
    for _ in range(n_odds_steps):
        odds = _improve_odds(rows, decoded.scores, weight, odds, cell_map)
    kept = total + _CODE_ROWS
    centred = rows.code - (rows.weight @ rows.code) / rows.weight.sum()
    skewness = rows.weight @ centred**3
    orientation = torch.where(skewness < 0, -1.0, 1.0).to(skewness)
    return CodeClasses(
        (kept / kept.sum()).log(), mean, covariance, intercept, slope, variance, *odds, orientation
    )


def _measure_codes(code: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return means and covariances of codes, to which those of all classes add a little."""
    flat, size = code.flatten(0, 1), code.shape[2]
    each = weight.flatten(0, 1)
    means, covariances = [], []
    all_rows = each.sum(dim=1)
    centre = (all_rows @ flat) / all_rows.sum()
    whole = ((flat - centre).mT * all_rows) @ (flat - centre) / all_rows.sum()
    least = (_LEAST_SPREAD * whole.diagonal().max()).clamp_min(SMALLEST_VARIANCE)
    whole = whole + least * torch.eye(size).to(whole)
    for own in each.unbind(1):
        total = own.sum() + _CODE_ROWS
        mean = (own @ flat + _CODE_ROWS * centre) / total
        left = flat - mean
        squares = (left.mT * own) @ left + _CODE_ROWS * whole
        means.append(mean)
        covariances.append(squares / total)
    return torch.stack(means), torch.stack(covariances)


def _fit_lines(rows: CodeRows, numbers: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return intercepts, slopes and variances of numbers around lines in the decoded ones."""
    cells = rows.cells
    known, given = cells.is_known.unsqueeze(1), cells.numbers.unsqueeze(1)

    def sum_up(values: Tensor) -> Tensor:
        return torch.einsum("ndk,ndj->kj", weight, values.expand(*weight.shape[:2], -1))

    shown = numbers * known
    total = sum_up(known)
    sums = (sum_up(shown), sum_up(given), sum_up(shown.square()), sum_up(given.square()))
    x, y, xx, yy = sums
    xy = sum_up(shown * given)
    # With the moments of all classes as a few more rows of each.
    known_rows = total.sum(dim=0).clamp_min(1e-12)
    centre = y.sum(dim=0) / known_rows
    spread = yy.sum(dim=0) / known_rows - centre.square()
    decoded = x.sum(dim=0) / known_rows
    decoded_spread = xx.sum(dim=0) / known_rows - decoded.square()
    safe = total.clamp_min(1e-12)
    x, y = x / safe, y / safe
    xx, yy, xy = xx - safe * x.square(), yy - safe * y.square(), xy - safe * x * y
    slope = xy / (xx + _FLAT_ROWS * decoded_spread).clamp_min(SMALLEST_VARIANCE)
    left = (yy - 2 * slope * xy + slope.square() * xx).clamp_min(0)
    variance = (left + _VARIANCE_ROWS * spread) / (total + _VARIANCE_ROWS)
    pull = total / (total + _VARIANCE_ROWS)
    # A class without rows is like all rows.
    intercept = pull * y + (1 - pull) * centre - slope * (pull * x + (1 - pull) * decoded)
    return intercept, slope, variance.clamp_min(SMALLEST_VARIANCE)


def _improve_odds(
    rows: CodeRows, scores: Tensor, weight: Tensor, odds: tuple[Tensor, Tensor], cell_map: CellMap
) -> tuple[Tensor, Tensor]:
    """Return odds that are likelier: a step of the biases, then one of the steepness."""
    cells, (bias, steepness) = rows.cells, odds
    per_row = weight.sum(dim=1)
    counts = per_row.mT @ cells.levels
    flat = weight.flatten(0, 1)
    biases, steeps = [], []
    for index, own in enumerate(cell_map.blocks):
        seen = (weight * cells.is_seen[:, index, None, None]).flatten(0, 1)
        score = scores[..., own].flatten(0, 1)
        shares = (score * steepness[index]).exp()
        above = bias[:, own].exp()
        expected = above * ((seen / (shares @ above.T)).T @ shares)
        prior = _LEVEL_ROWS * rows.mass[own]
        above = above * (counts[:, own] + prior) / (expected + prior)
        biases.append(above.log() - above.log().mean(dim=1, keepdim=True))
        total = shares @ above.T
        first = ((shares * score) @ above.T) / total
        second = ((shares * score.square()) @ above.T) / total
        chosen = (scores[..., own] * cells.levels[:, None, own]).sum(dim=2).flatten()
        gradient = flat.sum(dim=1) @ chosen - (seen * first).sum()
        gradient = gradient - _STEEPNESS_ROWS * (steepness[index] - 1)
        curvature = (seen * (second - first.square())).sum() + _STEEPNESS_ROWS
        steeps.append((steepness[index] + gradient / curvature).clamp(0, _STEEPEST))
    if not biases:
        return odds
    return torch.cat(biases, dim=1), torch.stack(steeps)


def widen(classes: CodeClasses, factor: float) -> CodeClasses:
    """Return classes whose decoder is trusted less: by a factor of its squared errors."""
    return replace(
        classes,
        variance=classes.variance * factor,
        steepness=classes.steepness / factor**0.5,
    )
