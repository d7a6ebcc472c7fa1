"""The abstract density: what the score of rows needs besides the module."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from torch import Tensor

from .._data import Batch
from .._training import Module

#: Least variance of a cell's noise at which networks may compute in float32, whose rounding of a
#: cell is some 1e-6: its square, relative to the noise, is what it changes a log-density by.
SINGLE_VARIANCE = 1e-4


class Density(ABC, Generic[Module]):
    """Abstract: the log-density of scaled rows under a fitted module."""

    @abstractmethod
    def log_density(self, module: Module, batch: Batch) -> Tensor:
        """Return the log-density of each row's observed cells, in nats."""

    @abstractmethod
    def block_length(self) -> int:
        """Return how many rows to score at a time."""

    def tolerates_single(self, module: Module) -> bool:
        """Whether networks in float32 change log-densities by no more than 1e-3 nats."""
        return False

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays, which any pickler can store."""


DensityT = TypeVar("DensityT", bound=Density[Any])
