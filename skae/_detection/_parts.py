"""What `AEAnomalyDetector` asks of its estimator."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from .._base import BaseAutoencoder
from .._blocks import evenly, row_blocks
from .._denoising import DenoisingAutoencoder
from .._environment import RandomStreams
from .._immse import knows_density
from .._intake import AnyTable
from .._stored import TablePart, some_at_most, taken
from ._strangeness import Strangeness

# How the default is trained: chosen on the tables of docs/benchmarks/adbench.py, all together.
_BATCH, _STEPS, _MOST_STEPS = 128, 9, 1500

# Rows that are remembered: with twice as many, figures over those tables were the same.
_KNOWN_ROWS = 2_000

# Rows of a stored table that are kept apart: as many p-values as anybody could tell apart.
_MOST_APART = 100_000


def default_estimator(n_rows: int) -> DenoisingAutoencoder:
    """Return the multi-scale denoiser that finds anomalies by default.

    Optimizer steps go with the root of the number of rows: longer training finds finer
    structure of clean rows, and learns the anomalies of others by heart.
    """
    n_batches = math.ceil(n_rows / _BATCH)
    n_steps = min(_STEPS * math.sqrt(n_rows), _MOST_STEPS)
    return DenoisingAutoencoder(
        None,
        hidden_layer_sizes=(192, 192),
        noise_level=(0.1, 5.0),
        n_draws=2,
        max_epochs=math.ceil(n_steps / n_batches),
        lr=0.008,
        batch_size=_BATCH,
        trim_fraction=0.04,
        early_stopping=False,
    )


def seeded(estimator: Any, streams: RandomStreams) -> None:
    """Give an estimator a seed if it has room for one and none is given."""
    if estimator.get_params().get("random_state", 0) is None:
        estimator.set_params(random_state=streams.seed())


def check_takes_weights(estimator: Any) -> None:
    """Raise if an estimator takes no weights; None stands for the default one."""
    if estimator is not None and not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            f"sample_weight was got, expected None: fit of {type(estimator).__name__} takes none"
        )


def strangeness_of(estimator: Any, rows: AnyTable, weight: np.ndarray | None) -> Strangeness | None:
    """Return how strange rows are to an estimator that has errors by level of noise."""
    if not _knows_errors(estimator):
        return None
    places = evenly(len(rows), _KNOWN_ROWS)
    known = None if weight is None else weight[places]
    return Strangeness.of(estimator, taken(rows, places), known)


def score_of(estimator: Any, strangeness: Strangeness | None, rows: AnyTable) -> np.ndarray:
    """Return the score of each row; lower is stranger."""
    if strangeness is not None:
        return -strangeness(estimator, rows)
    if isinstance(rows, np.ndarray):
        return estimator.score_samples(rows)
    return np.concatenate([estimator.score_samples(rows[b]) for b in row_blocks(rows)])


@dataclass(frozen=True)
class Parting:
    """Rows parted into those that train, and those kept apart to calibrate on.

    Attributes
    ----------
    part : ndarray or TablePart of shape (n_part, n_features)
        The rows that train.
    part_weight : ndarray of shape (n_part,) or None
        How often each of them counts.
    apart : ndarray of shape (n_apart, n_features)
        The rows kept apart.
    numbers : ndarray of shape (n_apart,)
        Their numbers.
    """

    part: AnyTable
    part_weight: np.ndarray | None
    apart: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(
        cls,
        rows: AnyTable,
        weight: np.ndarray | None,
        n_apart: int,
        generator: np.random.Generator,
    ) -> "Parting":
        """Return rows parted at random; of a stored table no more than can be held apart."""
        if isinstance(rows, np.ndarray):
            order = generator.permutation(len(rows))
            numbers, others = order[:n_apart], order[n_apart:]
            known = None if weight is None else weight[others]
            return cls(rows[others], known, rows[numbers], numbers)
        n_apart = min(n_apart, _MOST_APART, some_at_most(rows.shape[1]))
        numbers = generator.choice(len(rows), n_apart, replace=False, shuffle=False)
        numbers.sort()
        known = None if weight is None else np.delete(weight, numbers)
        return cls(TablePart(rows, numbers), known, rows.take(numbers), numbers)


def fitted(estimator: Any, parting: Parting) -> Any:
    """Return an estimator fitted to the rows that train; one that isn't ours has them loaded."""
    rows = parting.part if isinstance(estimator, BaseAutoencoder) else parting.part[:]
    if parting.part_weight is None:
        return estimator.fit(rows)
    return estimator.fit(rows, sample_weight=parting.part_weight)


def _knows_errors(estimator: Any) -> bool:
    return isinstance(estimator, DenoisingAutoencoder) and knows_density(estimator.module_)
