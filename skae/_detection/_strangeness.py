"""How strange rows are to a denoiser: by its errors, and by the rows that it was shown."""

from dataclasses import dataclass

import numpy as np

from .._blocks import row_blocks
from .._denoising import DenoisingAutoencoder
from .._intake import AnyTable
from .._scaling import Scaling
from ._conformal import score_at_share
from ._memory import Memory
from ._surprise import Surprise

# Share of the rows that are remembered, the strangest by their errors, of which a row's fifth
# neighbour must not be one: anomalies among the training rows are near each other.
_UNUSUAL = 0.3

# Rows whose errors are held at a time.
_BLOCK_ROWS = 65_536


@dataclass(frozen=True)
class Strangeness:
    """Three views of a row, in nats: its errors, its nearest row, and its usual ones.

    The errors know what the columns have to do with each other, and forget a rare kind of
    row; the nearest row is the finest resolution there is, at which anomalies in training
    rows hide each other; the fifth of the usual rows is robust, and coarse.

    Attributes
    ----------
    by_error : Surprise
        Tails of the errors at each level, as the rows that are remembered had them.
    memory : Memory
        These rows.
    by_distance : Surprise
        Tails of the distances of these rows to each other.
    """

    by_error: Surprise
    memory: Memory
    by_distance: Surprise

    @classmethod
    def of(
        cls, denoiser: DenoisingAutoencoder, rows: np.ndarray, weight: np.ndarray | None
    ) -> "Strangeness":
        """Learn what training rows are like that a fitted denoiser was shown."""
        errors = denoiser.denoising_errors(rows)
        by_error = Surprise.of(errors, weight)
        nats = by_error(errors)
        scaled = _scaled(denoiser, rows)
        memory = Memory.of(scaled, nats <= score_at_share(nats, weight, 1 - _UNUSUAL))
        return cls(by_error, memory, Surprise.of(memory.distances(scaled), weight))

    def __call__(self, denoiser: DenoisingAutoencoder, rows: AnyTable) -> np.ndarray:
        """Return the mean of the three for each row."""
        parts = [self._of(denoiser, rows[b]) for b in row_blocks(rows, _BLOCK_ROWS)]
        return np.concatenate(parts)

    def _of(self, denoiser: DenoisingAutoencoder, rows: np.ndarray) -> np.ndarray:
        errors = self.by_error(denoiser.denoising_errors(rows))
        distances = self.by_distance(self.memory.distances(_scaled(denoiser, rows)))
        return (errors + 2 * distances) / 3


def _scaled(denoiser: DenoisingAutoencoder, rows: np.ndarray) -> np.ndarray:
    return Scaling(denoiser.mean_, denoiser.scale_).forward(rows, np.float64)
