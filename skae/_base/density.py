"""The abstract density: what the score of rows needs besides the module."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor

from .._data import Batch
from .._environment import OwnLock, isolate_torch
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


class DeferredDensity(Generic[DensityT]):
    """A density that is fitted when it is first asked for: codes don't need it.

    Parameters
    ----------
    fit : callable
        Returns the density. What it refers to is released afterwards.
    """

    def __init__(self, fit: Callable[[], DensityT]) -> None:
        self._fit: Callable[[], DensityT] | None = fit
        self._density: DensityT | None = None
        self._lock = OwnLock()

    def get(self) -> DensityT:
        """Return the density; threads that ask at the same time wait for the first."""
        with self._lock:
            if self._density is None and self._fit is not None:
                with isolate_torch():
                    self._density = self._fit()
                self._fit = None
        assert self._density is not None
        return self._density
