"""What each estimator says for itself: its network, its loss and its density."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from ._environment import RandomStreams
from ._scaling import Scaling
from ._training import AnyRows, Objective, Trained, TrainedModule, Training
from .modules import EncoderDecoder


class NetworkOfItsOwn(ABC):
    """Abstract: what `BaseAutoencoder` asks of an estimator."""

    @abstractmethod
    def _blueprint(self, n_features: int, has_target: bool) -> dict[str, Any]:
        """Return what the module is built from, as values that any pickler can store."""

    @staticmethod
    @abstractmethod
    def _build(blueprint: dict[str, Any], seed: int) -> EncoderDecoder:
        """Return the module of a blueprint, on the CPU, with weights drawn from `seed`."""

    @abstractmethod
    def _start(
        self, blueprint: dict[str, Any], rows: AnyRows, training: Training, streams: RandomStreams
    ) -> EncoderDecoder:
        """Return the module where training on `rows` begins."""

    @abstractmethod
    def _objective(
        self, blueprint: dict[str, Any], scaling: Scaling, streams: RandomStreams
    ) -> Objective:
        """Return what training minimises."""

    @abstractmethod
    def _is_solved_by_start(self, blueprint: dict[str, Any]) -> bool:
        """Whether the start is the optimum, so that there is nothing to train."""

    @abstractmethod
    def _fit_density(
        self, module: TrainedModule, rows: AnyRows, trained: Trained | None, go_on: bool
    ) -> None:
        """Estimate from rows what the score needs; `go_on` adds to what is known."""

    @abstractmethod
    def _log_density(self, module: EncoderDecoder, rows: Tensor) -> Tensor:
        """Return the log-density of scaled rows."""

    @abstractmethod
    def _rows_at_a_time(self) -> int:
        """Return how many rows are scored at a time."""
