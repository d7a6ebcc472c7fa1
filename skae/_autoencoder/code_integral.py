"""Integrals over codes, by weighted draws around each row's likeliest code."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .._base.draws import draw_normal
from ..modules.jacobian import Decoder, decoder_jacobian
from .mixed_cells import CellMap, CellTensors, CodeClasses, Decoded, Expansion

# Draws of each row's own: around its code in its likeliest class, and in the next.
_OWN_DRAWS = (8, 4)

#: Draws of the codes of all classes that all rows share. They cost little, and find what a row's
#: own draws miss where its code may lie here or there.
N_SHARED = 256

# Steps towards the likeliest code, and the lengths that are tried.
_N_STEPS = 2
_LENGTHS = (1.0, 0.3)

# Standard deviations of the draws, relative to those of the normal approximation: draws that are
# too close to each other would miss a part of the integral now and then.
_SPREAD = 1.2


class CodeDraws(NamedTuple):
    """Draws of rows' codes; the last are shared by all rows.

    Attributes
    ----------
    code : Tensor of shape (n_rows, n_own, n_components)
        Draws of each row's own.
    shared : Tensor of shape (n_shared, n_components)
        Draws that all rows share.
    decoded, decoded_shared : Decoded
        What the decoder says of them.
    log_density : Tensor of shape (n_rows, n_own + n_shared)
        Logarithm of the density of draws, whose integral is their number.
    """

    code: Tensor
    shared: Tensor
    decoded: Decoded
    decoded_shared: Decoded
    log_density: Tensor

    def log_weight(self, classes: CodeClasses, cells: CellTensors, cell_map: CellMap) -> Tensor:
        """Return logarithms of weights `(n_rows, n_draws, n_classes)`, which add up to densities.

        Parameters
        ----------
        classes : CodeClasses
            The classes, which need not be those that the draws were made for.
        cells : CellTensors
            The rows.
        cell_map : CellMap
            Which of the decoder's outputs belong to which cells.
        """
        own = classes.log_likelihood(cells, self.decoded, cell_map) + classes.log_prior(self.code)
        shared = classes.log_likelihood_of_all(cells, self.decoded_shared, cell_map)
        shared = shared + classes.log_prior(self.shared)
        joint = torch.cat([own, shared], dim=1) + classes.log_weight
        return joint - self.log_density.unsqueeze(2)

    def expand(self) -> tuple[Tensor, Decoded]:
        """Return all draws of each row, and what the decoder says of them."""
        size = len(self.code)
        parts = zip((self.code, *self.decoded), (self.shared, *self.decoded_shared), strict=True)
        code, numbers, scores = (
            torch.cat([own, shared.expand(size, *shared.shape)], dim=1) for own, shared in parts
        )
        return code, Decoded(numbers, scores)


class _Proposal(NamedTuple):
    """Normal distributions of each row's code."""

    mean: Tensor
    precision_root: Tensor

    def draw(self, n_draws: int, rows_differ: bool, orientation: Tensor) -> Tensor:
        n_rows, size = self.mean.shape
        noise = draw_normal(n_rows * n_draws if rows_differ else n_draws, size).to(self.mean)
        noise = (noise * orientation).view(-1, n_draws, size).expand(n_rows, -1, -1)
        steps = torch.linalg.solve_triangular(self.precision_root.mT, noise.mT, upper=True)
        return self.mean.unsqueeze(1) + steps.mT

    def log_density(self, code: Tensor) -> Tensor:
        white = (code - self.mean.unsqueeze(1)) @ self.precision_root
        log_volume = self.precision_root.diagonal(dim1=1, dim2=2).log().sum(dim=1, keepdim=True)
        constant = 0.5 * code.shape[-1] * math.log(2 * math.pi)
        return log_volume - 0.5 * white.square().sum(dim=2) - constant


def draw_codes(
    classes: CodeClasses,
    cells: CellTensors,
    code: Tensor,
    decode: Decoder,
    cell_map: CellMap,
    n_shared: int = N_SHARED,
    rows_differ: bool = False,
) -> CodeDraws:
    """Return draws of the codes of rows.

    Parameters
    ----------
    classes : CodeClasses
        The classes of the codes.
    cells : CellTensors
        The rows.
    code : Tensor of shape (n_rows, n_components)
        Where the search for the likeliest code of each row begins, unless a shared draw is better.
    decode : callable
        The decoder.
    cell_map : CellMap
        Which of its outputs belong to which cells.
    n_shared : int, default=N_SHARED
        Number of draws that all rows share.
    rows_differ : bool, default=False
        Whether each row's own draws are others: errors of sums over rows average out, but what is
        found of a row depends on its place among them.
    """
    shared, log_shared = _draw_from_prior(classes, n_shared)
    decoded_shared = cell_map.read(decode(shared))
    code = _choose_start(classes, cells, code, shared, decoded_shared, decode, cell_map)
    for _ in range(_N_STEPS):
        code = _improve(classes, cells, code, decode, cell_map)
    proposals = _approximate(classes, cells, code, decode, cell_map)
    counts = _OWN_DRAWS[: len(proposals)]
    own = torch.cat(
        [
            part.draw(n, rows_differ, classes.orientation)
            for part, n in zip(proposals, counts, strict=True)
        ],
        dim=1,
    )
    everywhere = torch.cat([own, shared.expand(len(own), -1, -1)], dim=1)
    parts = [
        part.log_density(everywhere) + math.log(n)
        for part, n in zip(proposals, counts, strict=True)
    ]
    prior = classes.log_prior(own).logsumexp(dim=2) - math.log(len(classes.mean))
    prior = torch.cat([prior, log_shared.expand(len(own), -1)], dim=1)
    density = torch.stack([*parts, prior + math.log(len(shared))]).logsumexp(dim=0)
    flat = cell_map.read(decode(own.flatten(0, 1)))
    decoded = Decoded(*(part.view(*own.shape[:2], -1) for part in flat))
    return CodeDraws(own, shared, decoded, decoded_shared, density)


def count_cells(n_encoded: int, n_classes: int) -> int:
    """Return how many cells a row needs in the arrays that its integral takes."""
    return sum(_OWN_DRAWS) * n_encoded + N_SHARED * n_classes


def _draw_from_prior(classes: CodeClasses, n_shared: int) -> tuple[Tensor, Tensor]:
    """Return as many draws from each class's codes, and their log-density."""
    n_classes, n_components = classes.mean.shape
    n_each = -(-n_shared // n_classes)
    noise = draw_normal(n_each * n_classes, n_components).to(classes.mean) * classes.orientation
    # Every class has other draws, each of them with its mirror image.
    noise = noise.view(n_classes, n_each, n_components)
    draws = (classes.mean.unsqueeze(1) + noise @ classes.roots.mT).flatten(0, 1)
    return draws, classes.log_prior(draws).logsumexp(dim=1) - math.log(n_classes)


def _choose_start(
    classes: CodeClasses,
    cells: CellTensors,
    code: Tensor,
    shared: Tensor,
    decoded: Decoded,
    decode: Decoder,
    cell_map: CellMap,
) -> Tensor:
    own = _score(classes, cells, code.unsqueeze(1), decode, cell_map)
    others = classes.log_likelihood_of_all(cells, decoded, cell_map) + classes.log_prior(shared)
    others = (others + classes.log_weight).logsumexp(dim=2)
    best, index = others.max(dim=1)
    return torch.where((own[:, 0] >= best).unsqueeze(1), code, shared[index])


def _improve(
    classes: CodeClasses, cells: CellTensors, code: Tensor, decode: Decoder, cell_map: CellMap
) -> Tensor:
    """Return codes that are likelier: by steps of the mean of the classes, or where they are."""
    local = _expand(classes, cells, code, decode, cell_map)
    share = local.value.softmax(dim=1)
    gradient = (share.unsqueeze(2) * local.gradient).sum(dim=1)
    precision = (share[:, :, None, None] * local.precision).sum(dim=1)
    step = torch.cholesky_solve(gradient.unsqueeze(2), torch.linalg.cholesky(precision)).squeeze(2)
    tried = torch.stack([code, *(code + length * step for length in _LENGTHS)], dim=1)
    best = _score(classes, cells, tried, decode, cell_map).argmax(dim=1)
    return tried[torch.arange(len(code), device=code.device), best]


def _approximate(
    classes: CodeClasses, cells: CellTensors, code: Tensor, decode: Decoder, cell_map: CellMap
) -> list[_Proposal]:
    """Return normal approximations of the codes in each row's likeliest classes."""
    local = _expand(classes, cells, code, decode, cell_map)
    root = torch.linalg.cholesky(local.precision)
    step = torch.cholesky_solve(local.gradient.unsqueeze(3), root).squeeze(3)
    volume = root.diagonal(dim1=2, dim2=3).log().sum(dim=2)
    mass = local.value + 0.5 * (step * local.gradient).sum(dim=2) - volume
    order = mass.argsort(dim=1, descending=True)
    index = torch.arange(len(code), device=code.device)
    mean = code.unsqueeze(1) + step
    return [
        _Proposal(mean[index, chosen], root[index, chosen] / _SPREAD)
        for chosen in order[:, : len(_OWN_DRAWS)].unbind(1)
    ]


def _expand(
    classes: CodeClasses, cells: CellTensors, code: Tensor, decode: Decoder, cell_map: CellMap
) -> Expansion:
    output = decode(code)
    jacobian = decoder_jacobian(decode, code, output.shape[1])
    slopes = cell_map.read_jacobian(output, jacobian)
    return classes.expand(cells, code, cell_map.read(output), slopes, cell_map)


def _score(
    classes: CodeClasses, cells: CellTensors, code: Tensor, decode: Decoder, cell_map: CellMap
) -> Tensor:
    """Return log-densities of rows and codes `(n_rows, n_codes, n_components)` together."""
    flat = cell_map.read(decode(code.flatten(0, 1)))
    decoded = Decoded(*(part.view(*code.shape[:2], -1) for part in flat))
    joint = classes.log_likelihood(cells, decoded, cell_map) + classes.log_prior(code)
    return (joint + classes.log_weight).logsumexp(dim=2)
