"""The sizes of tables, and their synthetic rows."""

from dataclasses import dataclass

import numpy as np
from _report import made_table


@dataclass(frozen=True)
class Size:
    """The shape of a table, with its network and numbers of epochs.

    Attributes
    ----------
    rows, columns : int
        Shape of the training table.
    hidden : tuple of int
        Hidden layers of the encoder; the decoder has them in reverse order.
    code : int
        Size of the code.
    few, many : int
        Epochs of the two fits whose difference gives the cost of an epoch.
    epochs : int
        Epochs after which held-out errors are compared.
    latent : int, default=5
        Dimensions of the surface near the rows.
    seeds : int, default=1
        Number of seeds for this comparison; small tables need more.
    """

    rows: int
    columns: int
    hidden: tuple[int, ...]
    code: int
    few: int
    many: int
    epochs: int
    latent: int = 5
    seeds: int = 1

    @property
    def name(self) -> str:
        """Name on the command line."""
        return f"{self.rows}x{self.columns}"

    @property
    def title(self) -> str:
        """Name on the page."""
        return f"{self.rows:,} x {self.columns}"


SIZES = [
    Size(1_000, 10, (128, 64), 4, few=10, many=110, epochs=10, seeds=3),
    Size(10_000, 30, (128, 64), 8, few=2, many=10, epochs=10, seeds=3),
    Size(100_000, 30, (128, 64), 8, few=1, many=5, epochs=10),
    Size(60_000, 784, (256, 128), 32, few=1, many=3, epochs=3, latent=20),
]
BY_NAME = {size.name: size for size in SIZES}


def titled(name: str) -> str:
    """Return the title of a size by its name, also of a size that is no longer in the list."""
    rows, _, columns = name.partition("x")
    return f"{int(rows):,} x {columns}"


def train_and_test(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Return training rows and a tenth as many test rows, standardized, in float32."""
    X = made_table(size.rows + size.rows // 10, size.columns, n_latent=size.latent)
    train = X[: size.rows]
    X -= train.mean(axis=0)
    X /= train.std(axis=0)
    X = X.astype(np.float32)
    return X[: size.rows], X[size.rows :]
