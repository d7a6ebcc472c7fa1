"""The best linear denoiser, and the Gaussian density that belongs to it."""

import math
from typing import Any

import torch
from torch import Tensor, nn


class WienerFilter(nn.Module):
    """The best linear estimate of rows from noisy ones, for Gaussian noise.

    For rows of mean `m` and covariance `C` it is `m + C (C + s^2 I)^-1 (x - m)` at noise
    level `s` (Wiener 1949). `C` is stored by its principal axes; all other directions share
    one small variance. Nothing of it is trained.

    Parameters
    ----------
    n_features : int
        Columns of the rows.
    n_axes : int
        Principal axes, until `resize`.
    """

    mean: Tensor
    axes: Tensor
    variances: Tensor
    remainder: Tensor

    def __init__(self, n_features: int, n_axes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("axes", torch.eye(n_axes, n_features))
        self.register_buffer("variances", torch.ones(n_axes))
        self.register_buffer("remainder", torch.ones(()))

    def resize(self, n_axes: int) -> None:
        """Make room for another number of axes, to be set.

        Parameters
        ----------
        n_axes : int
            That number.
        """
        if n_axes != len(self.axes):
            self.axes = self.axes.new_zeros(n_axes, self.n_features)
            self.variances = self.variances.new_ones(n_axes)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # How many axes there are depends on the rows that the filter was fitted on.
        axes = state_dict.get(f"{prefix}axes")
        if axes is not None and axes.dim() == 2:
            self.resize(len(axes))
        super()._load_from_state_dict(state_dict, prefix, *args)

    @property
    def n_features(self) -> int:
        """Columns of the rows."""
        return self.axes.shape[1]

    @property
    def n_left(self) -> int:
        """Number of directions besides the axes."""
        return self.n_features - len(self.axes)

    def forward(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return the estimate of each row; `level` (n_rows, 1) is the noise's scale."""
        centred = noisy - self.mean
        along, across = self._kept(level)
        return (
            self.mean + across * centred + ((centred @ self.axes.T) * (along - across)) @ self.axes
        )

    def residuals(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return by how much rows differ from their estimates.

        Parameters
        ----------
        noisy : Tensor of shape (n_rows, n_features)
            The rows.
        level : Tensor of shape (n_levels, 1, 1)
            The noise's scale.

        Returns
        -------
        residuals : Tensor of shape (n_levels, n_rows, n_features)
            At each level.
        """
        centred = noisy - self.mean
        along, across = self._kept(level)
        return (1 - across) * centred - (centred @ self.axes.T * (along - across)) @ self.axes

    def expected_error(self, level: Tensor, n_kept: int | None = None) -> Tensor:
        """Return the expected squared error (n_rows, 1), summed over columns.

        With `n_kept`, that of the filter which keeps as many axes and drops the others.
        """
        along, across = self._kept(level)
        errors = self.variances * (1 - along)
        left = self.n_left * self.remainder * (1 - across)
        if n_kept is None:
            return errors.sum(1, keepdim=True) + left
        dropped = self.variances[n_kept:].sum() + self.n_left * self.remainder
        return errors[:, :n_kept].sum(1, keepdim=True) + dropped

    def error(self, clean: Tensor, level: Tensor) -> Tensor:
        """Return each row's expected squared error (n_rows,), summed over columns.

        The expectation is over the noise, with the row fixed.
        """
        centred = clean - self.mean
        scores = (centred @ self.axes.T).square()
        along, across = self._kept(level)
        left = (centred.square().sum(1) - scores.sum(1)).clamp_min(0)
        bias = (scores * (1 - along).square()).sum(1) + left * (1 - across).square().squeeze(1)
        noise = along.square().sum(1) + self.n_left * across.square().squeeze(1)
        return bias + noise * level.square().squeeze(1)

    def cell_errors(self, clean: Tensor, level: Tensor) -> Tensor:
        """Return the expected squared error of each cell.

        Parameters
        ----------
        clean : Tensor of shape (n_rows, n_features)
            Rows without noise.
        level : Tensor of shape (n_rows, 1)
            The noise level of each row.

        Returns
        -------
        errors : Tensor of shape (n_rows, n_features)
            Over draws of the noise.
        """
        return (clean - self(clean, level)).square() + self.cell_noise(level)

    def cell_noise(self, level: Tensor) -> Tensor:
        """Return the part of each cell's expected squared error that the noise makes.

        Parameters
        ----------
        level : Tensor of shape (..., 1)
            Noise levels.

        Returns
        -------
        noise : Tensor of shape (..., n_features)
            Over draws of the noise; it is the same for all rows.
        """
        along, across = self._kept(level)
        kept = (along.square() - across.square()) @ self.axes.square() + across.square()
        return kept * level.square()

    def log_density(self, input: Tensor, level: Tensor | float = 0.0) -> Tensor:
        """Return the log-density of each row under `N(m, C + s^2 I)`, in nats."""
        centred = input - self.mean
        scores = centred @ self.axes.T
        square = torch.as_tensor(level, dtype=input.dtype, device=input.device).square()
        along, across = self.variances + square, self.remainder + square
        left = (centred.square().sum(1) - scores.square().sum(1)).clamp_min(0) / across
        log_determinant = along.log().sum() + self.n_left * across.log()
        distance = (scores.square() / along).sum(1) + (left if self.n_left else 0.0)
        return -0.5 * (self.n_features * math.log(2 * math.pi) + log_determinant + distance)

    def find_likeliest_level(self, noisy: Tensor, levels: Tensor) -> Tensor:
        """Return the one of `levels` (n_rows, 1) under which each row is likeliest."""
        densities = torch.stack([self.log_density(noisy, level) for level in levels], dim=1)
        return levels[densities.argmax(dim=1, keepdim=True)]

    def _kept(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shares kept along each axis, and in all other directions."""
        square = level.square()
        return self.variances / (self.variances + square), self.remainder / (
            self.remainder + square
        )
