"""What `DenoisingAutoencoder` makes of its parameters: noise, network and objective."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_array
from torch import Tensor

from ._corruption import NOISES, Corruption
from ._covariance import n_axes_for
from ._environment import RandomStreams, resolve_device
from ._intake import AnyTable
from ._parameters import coded_blueprint, network_blueprint, refuse
from ._scaling import Scaling
from ._training import (
    WORTH_NATS,
    CodePenalty,
    DenoisingObjective,
    Objective,
    PairObjective,
)
from .modules import NoiseLevels

_AUTO_SCALES = (0.02, 3.0)
_AUTO_SHARES = (0.2, 0.2)


def noise_range(noise: str | Callable, noise_level: Any) -> tuple[float, float]:
    """Return the lowest and the highest level; zeros for a callable."""
    if callable(noise):
        if noise_level != "auto":
            raise ValueError(
                f'noise_level={noise_level!r} with a callable noise was got, expected "auto": '
                "the callable knows its own level"
            )
        return 0.0, 0.0
    if isinstance(noise_level, str):
        return _AUTO_SCALES if noise == "gaussian" else _AUTO_SHARES
    levels = (noise_level,) * 2 if np.isscalar(noise_level) else tuple(noise_level)
    are_numbers = len(levels) == 2 and all(isinstance(level, Real) for level in levels)
    largest = np.finfo(np.float32).max if noise == "gaussian" else 1.0
    if not are_numbers or not 0 < levels[0] <= levels[1] <= largest:
        kind = "finite numbers" if noise == "gaussian" else "shares of the cells, up to 1"
        raise ValueError(
            f"noise_level={noise_level!r} was got, expected one positive number or "
            f"(low, high) with 0 < low <= high, {kind}"
        )
    return float(levels[0]), float(levels[1])


def checked_level(levels: NoiseLevels, noise_level: float | None, unit: float) -> float | None:
    """Return a level that a user named in the units that the network knows."""
    if noise_level is None:
        return None
    if not levels.is_told:
        raise ValueError(
            f"noise_level={noise_level!r} was got, expected None: the network was not told "
            "levels in training, for which noise_level=(low, high) is needed"
        )
    low, high = unit * float(levels.low), unit * float(levels.high)
    slack = 1 + 1e-6  # the network holds the range in float32
    if not low / slack <= noise_level <= high * slack:
        raise ValueError(
            f"noise_level={noise_level!r} was got, expected a value of the range that the "
            f"network was trained on, {low:g} to {high:g}"
        )
    return noise_level / unit


def joined_with_target(table: AnyTable, y: Any) -> AnyTable:
    """Return noisy rows with their clean ones in columns beside them, if there are any.

    Pairs are loaded, also where the noisy rows are a stored table.
    """
    if y is None:
        return table
    shape = tuple(y.shape) if hasattr(y, "shape") else np.asarray(y).shape
    if shape == table.shape[:1]:  # labels, which a Pipeline passes to every step
        return table
    if shape != table.shape:
        raise ValueError(
            f"y of shape {shape} was got, expected the clean rows behind X, of shape "
            f"{table.shape}, or None"
        )
    return np.hstack([table[:], check_array(y, dtype=table.dtype, input_name="y")])


def denoiser_blueprint(estimator: Any, n_features: int, has_target: bool) -> dict[str, Any]:
    """Return what the module is built from."""
    low, high = noise_range(estimator.noise, estimator.noise_level)
    is_gaussian = estimator.noise == "gaussian" and not has_target
    own = {"is_told": low < high and not has_target, "is_paired": has_target}
    n_axes = n_axes_for(n_features)
    if estimator.n_components is not None:
        coded = coded_blueprint(estimator, n_features)
        return {**coded, **own, "n_axes": n_axes if is_gaussian else 0}
    refuse(estimator, ("penalty", "tied_weights", "pretrain"), "a code: n_components is None")
    rest = {"n_axes": n_axes, "is_gaussian": is_gaussian}
    return {**network_blueprint(estimator, n_features), **own, **rest}


def denoising_objective(
    estimator: Any, blueprint: dict[str, Any], scaling: Scaling, streams: RandomStreams
) -> Objective:
    """Return what training minimises."""
    penalty = CodePenalty(estimator.penalty, estimator.alpha)
    if blueprint["is_paired"]:
        return PairObjective(penalty, estimator.trim_fraction)
    low, high = noise_range(estimator.noise, estimator.noise_level)
    in_table_units = not estimator.standardize and estimator.noise == "gaussian"
    if in_table_units and estimator.noise_level != "auto":
        low, high = low / scaling.scale[0], high / scaling.scale[0]
    noise = estimator.noise
    is_range = blueprint["is_told"] and estimator.noise == "gaussian"
    return DenoisingObjective(
        Corruption(_OwnNoise(noise, scaling) if callable(noise) else NOISES[noise], low, high),
        streams.torch_generator(resolve_device(estimator.device)),
        penalty,
        estimator.trim_fraction,
        is_range,
        WORTH_NATS if is_range and "n_components" not in blueprint else None,
    )


@dataclass(frozen=True)
class _OwnNoise:
    """A user's noise, which knows rows in the units of the table only."""

    noise: Callable[[Tensor, torch.Generator | None], Tensor]
    scaling: Scaling

    def __call__(self, rows: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
        mean = torch.as_tensor(self.scaling.mean, dtype=rows.dtype, device=rows.device)
        scale = torch.as_tensor(self.scaling.scale, dtype=rows.dtype, device=rows.device)
        noisy = self.noise(rows * scale + mean, generator)
        if not isinstance(noisy, Tensor) or noisy.shape != rows.shape:
            got = tuple(noisy.shape) if isinstance(noisy, Tensor) else type(noisy).__name__
            raise ValueError(
                f"noise returned {got}, expected a tensor of shape {tuple(rows.shape)}"
            )
        return ((noisy - mean) / scale).to(rows.dtype)
