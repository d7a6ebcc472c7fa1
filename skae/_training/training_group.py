"""The processes that train an estimator together, as one of them sees the others."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from time import monotonic, sleep
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import distributed_c10d

from .._environment import RandomSource, RandomStreams

Value = TypeVar("Value")

# How long a process waits for all others together to say why a fit ended: those that live and are
# not busy answer at once.
_SECONDS_TO_ANSWER = 10.0
_SECONDS_BETWEEN_LOOKS = 0.05

# Arrays differ if a number does by more than rounding on unlike processors.
_TOLERANCE = 1e-6


class TrainingGroup:
    """The processes that train together, over gloo, as one of them sees them.

    All of them must call the same methods in the same order. A process that leaves a fit writes why
    to the key-value store of the default process group, and closes its connections. The others
    learn of it from those, and find the reason however late they are.

    Parameters
    ----------
    timeout : float
        Seconds after which a process that does not answer is taken to be dead.
    """

    def __init__(self, timeout: float) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._timeout = timedelta(seconds=timeout)
        self._store = distributed_c10d._get_default_store()
        self._channel: Any = None
        self._connect()
        self._depth = 0
        self._has_left = False  # the fit that runs
        self._is_lost = False

    def _connect(self) -> None:
        self._channel = dist.new_group(backend="gloo", timeout=self._timeout)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def close(self) -> None:
        """Close all connections."""
        if self._channel is not None:
            dist.destroy_process_group(self._channel)
        self._channel = None

    def add(self, vector: Tensor) -> None:
        """Replace a vector by the sum of all processes'."""
        self._call(dist.all_reduce, vector)

    def take_first(self, value: Value) -> Value:
        """Return the first process's value."""
        values = [value]
        self._call(dist.broadcast_object_list, values, src=0)
        return values[0]

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Set tensors to those of the first process."""
        with torch.no_grad():
            for tensor in tensors:
                whole = tensor.detach().contiguous()
                self._call(dist.broadcast, whole, src=0)
                tensor.copy_(whole)

    def check_alike(self, parts: Mapping[str, Any]) -> None:
        """Raise if a part of what a fit depends on is another in another process.

        Arrays may differ by 1e-6, in numbers that are larger than one by this share of them.
        """
        found: list[Any] = [None] * self.size
        self._call(dist.all_gather_object, found, dict(parts))
        for rank, theirs in enumerate(found):
            odd = [name for name in found[0] if not _equal(found[0][name], theirs.get(name))]
            if odd:
                raise ValueError(
                    f"processes that train together must fit the same estimator to the same table, "
                    f"and {', '.join(odd)} of process {rank} differs from that of process 0: give "
                    "all processes the whole table and the same parameters"
                )

    def wait_for_others(self) -> None:
        """Return once all processes have come here, and raise if one of them has left the fit."""
        self._call(dist.all_reduce, torch.zeros(1))

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Let the others know if this process leaves a fit with an error."""
        if self._depth == 0:
            self._begin_fit()
        self._depth += 1
        try:
            yield
        except BaseException as error:
            if self._depth == 1 and not self._has_left:
                self._leave(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._depth -= 1

    def _begin_fit(self) -> None:
        self._has_left = False
        if self._channel is not None:
            return
        try:
            if not self._is_lost:
                self._connect()  # anew, as a process has left the last fit
        except RuntimeError:
            self._is_lost = True
        if self._is_lost:
            raise ConnectionError(
                "the processes lost each other in an earlier fit: start all of them again"
            )

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        try:
            function(*args, group=self._channel, **kwargs)
        except RuntimeError as error:
            # torch closes connections when the last reference is gone: also that of the traceback.
            error.__traceback__ = None
            answers = self._leave("")
            self._is_lost = None in answers.values()
            raise ConnectionError(_describe_end(answers, self.size, str(error))) from None

    def _leave(self, reason: str) -> dict[int, str | None]:
        """Write why this process leaves a fit, and close the channel.

        Return why each other process left; None is no answer.
        """
        self._has_left = True
        channel, self._channel = self._channel, None
        name = str(channel.group_name)
        answers: dict[int, str | None] = dict.fromkeys(range(self.size))
        del answers[self.rank]
        with suppress(RuntimeError):  # the process that keeps the store may be gone
            self._read_answers(name, answers)  # first: it may end once this one has answered
            self._store.set(_name_answer(name, self.rank), reason)
        dist.destroy_process_group(channel)
        del channel
        end = monotonic() + _SECONDS_TO_ANSWER
        with suppress(RuntimeError):
            while None in answers.values() and monotonic() < end:
                sleep(_SECONDS_BETWEEN_LOOKS)
                self._read_answers(name, answers)
        return answers

    def _read_answers(self, name: str, answers: dict[int, str | None]) -> None:
        for rank in [rank for rank, answer in answers.items() if answer is None]:
            key = _name_answer(name, rank)
            if self._store.check([key]):
                answers[rank] = self._store.get(key).decode()


_current: ContextVar[TrainingGroup | None] = ContextVar("training group", default=None)


def find_group() -> TrainingGroup | None:
    """Return the processes that train together here, None if this one trains alone."""
    return _current.get()


@contextmanager
def enter_group(group: TrainingGroup) -> Iterator[None]:
    """Train together with other processes while the context lasts."""
    token = _current.set(group)
    try:
        yield
    finally:
        _current.reset(token)
        group.close()


@contextmanager
def take_part() -> Iterator[None]:
    """Let the processes that fit together with this one know if it leaves with an error."""
    group = find_group()
    if group is None:
        yield
        return
    with group.fitting():
        yield


def wait_for_others() -> None:
    """Return once all processes that fit together have come here, and raise if one has failed."""
    group = find_group()
    if group is not None:
        group.wait_for_others()


def refuse_group(what: str) -> None:
    """Raise if this process trains together with others."""
    if find_group() is not None:
        raise ValueError(f"{what} cannot be shared by processes: call it outside of share_training")


def find_seed(random_state: RandomSource) -> RandomSource:
    """Return a source of random numbers that is the same in all processes."""
    group = find_group()
    if group is None or random_state is not None:
        return random_state
    return group.take_first(RandomStreams(None).draw_seed())


def _equal(value: Any, other: Any) -> bool:
    if isinstance(value, np.ndarray) and isinstance(other, np.ndarray):
        is_alike = value.shape == other.shape
        return is_alike and np.allclose(value, other, _TOLERANCE, _TOLERANCE, equal_nan=True)
    return type(value) is type(other) and bool(value == other)


def _name_answer(channel: str, rank: int) -> str:
    return f"skae/{channel}/{rank}"


def _describe_end(answers: Mapping[int, str | None], size: int, cause: str) -> str:
    """Return why a fit ended, by what the other processes say."""
    gone = [f"process {rank} ended or did not answer" for rank in answers if answers[rank] is None]
    failed = [f"process {rank} raised {text}" for rank, text in answers.items() if text]
    reasons = gone + failed or [f"a message between them was lost ({cause})"]
    return (
        f"a fit that {size} processes (0 to {size - 1}) share has ended, because "
        f"{' and '.join(reasons)}: look at its output, and start all of them again"
    )
