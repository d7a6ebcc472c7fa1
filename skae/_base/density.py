"""The abstract density: what the score of rows needs besides the module."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

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
Fitted = TypeVar("Fitted")


class Deferred(Generic[Fitted]):
    """A density, or a part of one, that is fitted when it is first asked for.

    Codes don't need it, and it may take longer than the fit of a small table.

    Parameters
    ----------
    fit : callable
        Returns the density. What it refers to is released afterwards.
    """

    def __init__(self, fit: Callable[[], Fitted]) -> None:
        self._fit: Callable[[], Fitted] | None = fit
        self._fitted: Fitted | None = None
        self._lock = OwnLock()

    @classmethod
    def from_fitted(cls, fitted: Fitted) -> Self:
        """Return what is fitted already, as that of a stored state is."""
        return cls(lambda: fitted)

    def get(self) -> Fitted:
        """Return the density; threads that ask at the same time wait for the first."""
        with self._lock:
            if self._fitted is None and self._fit is not None:
                with isolate_torch():
                    self._fitted = self._fit()
                self._fit = None
        assert self._fitted is not None
        return self._fitted
