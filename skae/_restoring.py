"""What a denoising autoencoder can do with rows, beside encoding them."""

from abc import ABC
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from ._base import BaseAutoencoder
from ._denoising_parts import checked_level
from ._density import block_length
from ._immse import (
    Calibration,
    calibrated,
    calibration_rows,
    denoiser_log_density,
    errors_by_level,
    fit_beside,
    knows_density,
    rows_per_block,
)
from ._moments import code_log_density, fitted_code_score
from ._training import AnyRows, Rows, Trained, TrainedModule
from .modules import Denoiser, EncoderDecoder, RowDenoiser


class RestoringAutoencoder(BaseAutoencoder, ABC):
    """Abstract base of estimators around a `Denoiser`.

    A subclass has the parameters that are named here, and those of its base.
    """

    module_: Denoiser
    n_components: int | None
    standardize: bool
    noise: Any
    noise_level: Any
    trim_fraction: float
    n_draws: int
    noise_variance_: float
    _code_score: dict[str, Any]
    _calibration: Calibration

    @property
    def components_(self) -> np.ndarray:
        """Weights of the encoder's linear path."""
        weights = self.module_.linear_weights
        if weights is None:
            raise AttributeError('components_ is the linear path\'s, and init="random" has none')
        return weights.detach().cpu().numpy()

    @property
    def noise_levels_(self) -> tuple[float, float]:
        """The range of noise that training drew from."""
        levels = self.module_.levels
        return self._level_unit * float(levels.low), self._level_unit * float(levels.high)

    @property
    def _level_unit(self) -> float:
        """A level of one, in the units of `noise_level`."""
        in_table_units = self.module_.is_gaussian and not self.standardize
        return float(self.scale_[0]) if in_table_units else 1.0

    def denoise(self, X: ArrayLike, noise_level: float | None = None) -> np.ndarray:
        """Return the clean rows behind noisy ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Noisy rows.
        noise_level : float, default=None
            Their noise, for a network that was told it in training, in the units of the
            parameter of that name. None takes, for Gaussian noise, for each row the level
            at which it is likeliest under the linear path, and for others the geometric
            mean of the range.

        Returns
        -------
        X_denoised : ndarray of shape (n_samples, n_features)
            The rows, in the units of the table.
        """
        rows = self._checked(X)
        level = checked_level(self.module_.levels, noise_level, self._level_unit)

        def denoised(module: EncoderDecoder, part: Tensor) -> Tensor:
            denoiser = cast(Denoiser, module)
            return denoiser.denoise(part, denoiser.assumed_level(part, level))

        return self._trained.apply(denoised, rows, self._scaled, finish=self._scaling.inverse)

    def denoising_errors(self, X: ArrayLike) -> np.ndarray:
        """Return how badly each row is restored from noise, level by level.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, without noise.

        Returns
        -------
        errors : ndarray of shape (n_samples, 12)
            The squared error to be expected, summed over scaled columns, at levels in equal
            ratios from the lowest to the highest of `noise_levels_`.
        """
        rows = self._checked(X)
        if not knows_density(self.module_):
            raise ValueError(
                f"noise={self.noise!r} with noise_level={self.noise_level!r} was got, but "
                'denoising_errors needs noise="gaussian" with a range, noise_level=(low, high), '
                "and no pairs"
            )
        return self._trained.apply(
            lambda module, part: errors_by_level(cast(Denoiser, module), part, self.n_draws),
            rows,
            lambda part: self._scaling.forward(part, np.float64),
            self._rows_at_a_time(),
        )

    def _fit_density(
        self, module: TrainedModule, rows: AnyRows, trained: Trained | None, go_on: bool
    ) -> None:
        some = rows.some()
        own = Rows(some.X[:, : self.n_features_in_], some.weight)
        if knows_density(module.module):
            fit_beside(module, own, self.trim_fraction)
            unseen = trained.valid if trained is not None and trained.valid is not None else own
            some = calibration_rows(unseen, self.n_draws)
            find = partial(calibrated, module, some, self.trim_fraction, self.n_draws)
            self._calibration = Calibration(find)
            return
        if isinstance(module.module, RowDenoiser):  # no code, and no density but a Gaussian
            return
        known = self._code_score if go_on else None
        self._code_score = fitted_code_score(known, own, module, self.trim_fraction, None)
        self.noise_variance_ = self._code_score["variance"]

    def _log_density(self, module: EncoderDecoder, rows: Tensor) -> Tensor:
        if knows_density(module):
            return denoiser_log_density(cast(Denoiser, module), rows, self._calibration.values)
        if isinstance(module, RowDenoiser):
            return module.filter.log_density(rows)
        return code_log_density(self._code_score, module, rows)

    def _rows_at_a_time(self) -> int:
        if knows_density(self.module_) or self.n_components is None:
            return rows_per_block(self.n_features_in_, self.n_draws)
        return block_length(self.n_features_in_, self.n_components_)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_calibration" in state:  # found now, for it holds rows until it is
            state["_calibration"] = self._calibration.values
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_calibration" in state:
            self._calibration = Calibration(partial(dict, state["_calibration"]))
