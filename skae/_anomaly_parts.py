"""What `AEAnomalyDetector` asks of its estimator."""

import math
from typing import Any

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from ._denoising import DenoisingAutoencoder
from ._environment import RandomStreams
from ._immse import knows_density
from ._surprise import Surprise

# How the default is trained: chosen on the tables of docs/benchmarks/adbench.py, all together.
_BATCH, _STEPS, _MOST_STEPS = 128, 9, 1500

# Rows whose errors are remembered, and rows whose errors are held at a time.
_KNOWN_ROWS = 1_000
_BLOCK_ROWS = 65_536


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


def tails_of(estimator: Any, rows: np.ndarray, weight: np.ndarray | None) -> Surprise | None:
    """Return the tails of an estimator's errors on rows, if it has errors by level."""
    if not _knows_errors(estimator):
        return None
    places = np.linspace(0, len(rows) - 1, min(len(rows), _KNOWN_ROWS)).astype(int)
    return Surprise.of(
        estimator.denoising_errors(rows[places]), None if weight is None else weight[places]
    )


def score_of(estimator: Any, tails: Surprise | None, rows: np.ndarray) -> np.ndarray:
    """Return the score of each row; lower is stranger."""
    if tails is None:
        return estimator.score_samples(rows)
    blocks = range(0, len(rows), _BLOCK_ROWS)
    parts = [-tails(estimator.denoising_errors(rows[b : b + _BLOCK_ROWS])) for b in blocks]
    return np.concatenate(parts)


def _knows_errors(estimator: Any) -> bool:
    return isinstance(estimator, DenoisingAutoencoder) and knows_density(estimator.module_)
