"""Recurrent architectures: sequences read and written one step after the other."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from .architectures import Role, ShapedArchitecture, check_option, is_count
from .grids import Grid, GridToRows, RowsToGrid

_CELLS: dict[str, type[nn.GRU | nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}

# Waves that tell a decoder the time, from half a wave a sequence on.
_N_WAVES = 16


class _Recurrence(nn.Module):
    """A recurrent layer that gives the outputs of all steps and the last state.

    Parameters
    ----------
    cell : {"gru", "lstm"}
        Its kind.
    n_inputs, hidden_size : int
        Number of features and of units.
    is_bidirectional : bool, default=False
        Whether a second one runs backwards beside it.
    """

    def __init__(
        self, cell: str, n_inputs: int, hidden_size: int, is_bidirectional: bool = False
    ) -> None:
        super().__init__()
        self.layer = _CELLS[cell](
            n_inputs, hidden_size, batch_first=True, bidirectional=is_bidirectional
        )

    def forward(self, input: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the outputs `(n_rows, n_steps, n_units)` and the last state `(n_rows, n_units)`.

        Parameters
        ----------
        input : Tensor of shape (n_rows, n_steps, n_inputs)
            The steps.
        state : Tensor of shape (n_rows, hidden_size) or None, default=None
            The first state; None is zero.
        """
        first: Any = None if state is None else state.unsqueeze(0).contiguous()
        if first is not None and isinstance(self.layer, nn.LSTM):
            first = (first, torch.zeros_like(first))
        with self._choose_backend(input, state):
            outputs, last = self.layer(input, first)
        hidden = last[0] if isinstance(last, tuple) else last
        return outputs, hidden.movedim(0, 1).flatten(1)

    def _choose_backend(self, input: Tensor, state: Tensor | None) -> AbstractContextManager[Any]:
        """Return a context without cuDNN where it has no derivatives.

        It has none in evaluation, and no second ones: scores differentiate decoders twice, and
        penalties encoders, which begin without a state.
        """
        is_penalized = state is None and input.requires_grad
        if not input.is_cuda or (self.training and not is_penalized):
            return nullcontext()
        return torch.backends.cudnn.flags(enabled=False)


class RecurrentEncoder(nn.Module):
    """A recurrent layer whose last state determines the code.

    Parameters
    ----------
    cell, hidden_size
        As for `RecurrentArchitecture`.
    grid : Grid
        Where the cells of a row lie.
    n_conditions : int
        Number of inputs behind the cells, which each step is given.
    n_outputs : int
        Number of outputs.
    """

    def __init__(
        self, cell: str, hidden_size: int, grid: Grid, n_conditions: int, n_outputs: int
    ) -> None:
        super().__init__()
        self.to_grid = RowsToGrid(grid, n_conditions)
        self.recurrence = _Recurrence(cell, self.to_grid.n_channels, hidden_size)
        self.end = nn.Linear(hidden_size, n_outputs)

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_inputs)` to `(n_rows, n_outputs)`."""
        _, state = self.recurrence(self.to_grid(input).movedim(1, -1))
        return self.end(state)


class RecurrentDecoder(nn.Module):
    """A recurrent layer that begins with the code, and is given it and the time at each step.

    Parameters
    ----------
    cell, hidden_size
        As for `RecurrentArchitecture`.
    grid : Grid
        Where the cells of a row lie.
    n_inputs : int
        Size of the code.
    """

    waves: Tensor

    def __init__(self, cell: str, hidden_size: int, grid: Grid, n_inputs: int) -> None:
        super().__init__()
        self.begin = nn.Linear(n_inputs, hidden_size)
        self.recurrence = _Recurrence(cell, n_inputs + _N_WAVES, hidden_size)
        self.end = nn.Linear(hidden_size, grid.n_channels)
        self.to_rows = GridToRows(grid)
        self.register_buffer("waves", _make_waves(grid.sizes[0]), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_inputs)` to `(n_rows, n_cells)`."""
        n_rows, n_steps = len(input), len(self.waves)
        codes = input.unsqueeze(1).expand(-1, n_steps, -1)
        steps = torch.cat([codes, self.waves.expand(n_rows, -1, -1)], dim=2)
        outputs, _ = self.recurrence(steps, self.begin(input).tanh())
        return self.to_rows(self.end(outputs).movedim(-1, 1))


class RecurrentDenoiser(nn.Module):
    """Recurrent layers in both directions, whose outputs at each step give its cells.

    Parameters
    ----------
    cell, hidden_size
        As for `RecurrentArchitecture`.
    grid : Grid
        Where the cells of a row lie.
    n_conditions : int
        Number of inputs behind the cells, which each step is given.
    """

    def __init__(self, cell: str, hidden_size: int, grid: Grid, n_conditions: int) -> None:
        super().__init__()
        self.to_grid = RowsToGrid(grid, n_conditions)
        self.recurrence = _Recurrence(
            cell, self.to_grid.n_channels, hidden_size, is_bidirectional=True
        )
        self.end = nn.Linear(2 * hidden_size, grid.n_channels)
        self.to_rows = GridToRows(grid)

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_inputs)` to `(n_rows, n_cells)`."""
        outputs, _ = self.recurrence(self.to_grid(input).movedim(1, -1))
        return self.to_rows(self.end(outputs).movedim(-1, 1))


def _make_waves(n_steps: int) -> Tensor:
    """Return cosines of the time, with half a wave a sequence and multiples of it."""
    time = (torch.arange(n_steps) + 0.5) / n_steps
    return torch.cos(math.pi * time[:, None] * torch.arange(1, _N_WAVES + 1))


class RecurrentArchitecture(ShapedArchitecture):
    """Recurrent networks for sequences.

    The encoder reads a sequence step by step, and its last state gives the code. The decoder
    begins with the code, and is given it and the time at each step [1]_. Without a code, a layer in
    each direction denoises.

    Parameters
    ----------
    cell : {"gru", "lstm"}, default="gru"
        Kind of the layers.
    hidden_size : int, default=64
        Units of each layer.
    shape : tuple of int, default=None
        Shape of a row: `(time,)` or `(time, features)`. None is the shape that rows have in
        `fit`.

    See Also
    --------
    TemporalConvolutionArchitecture : All steps at once, which takes less time.

    References
    ----------
    .. [1] Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation", EMNLP.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import RecurrentArchitecture
    >>> architecture = RecurrentArchitecture(hidden_size=8, shape=(50, 3))
    >>> architecture("decoder", 4, 150)(torch.zeros(2, 4)).shape
    torch.Size([2, 150])
    """

    row_forms: ClassVar[dict[int, str]] = {1: "time", 2: "time, features"}

    def __init__(
        self, cell: str = "gru", hidden_size: int = 64, shape: Sequence[int] | None = None
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.shape = shape

    def _check_parameters(self) -> None:
        """Raise for parameters from which no network can be built."""
        check_option("cell", self.cell, list(_CELLS))
        if not is_count(self.hidden_size):
            raise ValueError(f"hidden_size must be a positive integer, got {self.hidden_size!r}")
        self._check_shape()

    def label_channels(self) -> np.ndarray:
        """Return the channel of each cell of a row.

        Returns
        -------
        channels : ndarray of int of shape (n_cells,)
            From 0 on.
        """
        return self._make_grid().label_channels()

    def _make_grid(self) -> Grid:
        return Grid.from_sequence(self.shape or ())

    def __call__(self, role: Role, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return the network that plays `role`.

        Parameters
        ----------
        role : {"encoder", "decoder", "denoiser", "discriminator"}
            What it is for.
        n_inputs, n_outputs : int
            Number of inputs and outputs. An encoder's or a denoiser's inputs are the cells of a
            row, and maybe one more: a noise level, which each step is given.

        Returns
        -------
        network : torch.nn.Module
            On the CPU, with weights drawn from torch's global generator.
        """
        self._check_parameters()
        cell, size = self.cell, int(self.hidden_size)
        if role in ("decoder", "denoiser"):
            self._check_outputs(n_outputs)
        if role == "decoder":
            return RecurrentDecoder(cell, size, self._make_grid(), n_inputs)
        n_conditions = self._count_conditions(n_inputs)
        if role in ("encoder", "discriminator"):
            return RecurrentEncoder(cell, size, self._make_grid(), n_conditions, n_outputs)
        return RecurrentDenoiser(cell, size, self._make_grid(), n_conditions)
