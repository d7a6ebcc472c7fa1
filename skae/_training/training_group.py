"""The processes that train an estimator together, as one of them sees the others."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from .._environment import RandomSource, RandomStreams

Value = TypeVar("Value")

# How long a process waits for the others to say why a fit ended: those that live answer at once.
_SECONDS_TO_ANSWER = 10.0

# What a process says of its end, cut to this many bytes.
_ANSWER_BYTES = 400

# Tables differ if a column's mean or scale does by more than rounding on unlike processors.
_TOLERANCE = 1e-6


class TrainingGroup:
    """The processes that train together, over gloo, as one of them sees them.

    All of them must call the same methods in the same order. If one of them leaves, the others
    learn of it from the connections that it closes, and ask each other who is gone.

    Parameters
    ----------
    timeout : float
        Seconds after which a process that does not answer is taken to be dead.
    """

    def __init__(self, timeout: float) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._timeout = timedelta(seconds=timeout)
        self._channel: Any = self._connect()
        # Apart from the first, whose connections are closed to make the others notice.
        self._roll: Any = self._connect()
        self._depth = 0
        self._has_parted = False  # in the fit that runs

    def _connect(self) -> Any:
        return dist.new_group(backend="gloo", timeout=self._timeout)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def close(self) -> None:
        """Close all connections."""
        for group in filter(None, (self._channel, self._roll)):
            dist.destroy_process_group(group)
        self._channel = self._roll = None

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
        """Raise if a part of what a fit depends on is another in another process."""
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

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Let the others know if this process leaves a fit with an error."""
        if self._channel is None:
            raise ConnectionError(
                "the processes lost each other in an earlier fit: start all of them again"
            )
        if self._depth == 0:
            self._has_parted = False
        self._depth += 1
        try:
            yield
        except BaseException as error:
            if self._depth == 1 and not self._has_parted:
                self._part(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._depth -= 1

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        try:
            function(*args, group=self._channel, **kwargs)
        except RuntimeError as error:
            # torch closes connections when the last reference is gone: also that of the traceback.
            error.__traceback__ = None
            answers = self._part("")
            raise ConnectionError(_describe_end(answers, self.size, str(error))) from None

    def _part(self, reason: str) -> dict[int, str | None]:
        """Close the channel, and return what each other process says; None is no answer."""
        self._has_parted = True
        channel, self._channel = self._channel, None
        dist.destroy_process_group(channel)
        del channel
        answers = self._call_the_roll(reason)
        if None not in answers.values():  # nobody is gone: another fit may begin
            self._channel = self._connect()
        return answers

    def _call_the_roll(self, reason: str) -> dict[int, str | None]:
        own = _encode(reason)
        answers: dict[int, str | None] = {}
        pending = {}
        for rank in range(self.size):
            if rank == self.rank:
                continue
            answers[rank] = None
            room = torch.zeros_like(own)
            try:
                sent = dist.isend(own, rank, group=self._roll)
                pending[rank] = room, [sent, dist.irecv(room, rank, group=self._roll)]
            except RuntimeError:
                continue
        wait = timedelta(seconds=_SECONDS_TO_ANSWER)
        for rank, (room, works) in pending.items():
            try:
                for work in filter(None, works):
                    work.wait(wait)
                answers[rank] = _decode(room)
            except RuntimeError:
                continue
        return answers


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
def take_part() -> Iterator[TrainingGroup | None]:
    """Fit together with the processes that this one trains with, if there are any."""
    group = find_group()
    if group is None:
        yield None
        return
    with group.fitting():
        yield group


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
        return is_alike and np.allclose(value, other, rtol=_TOLERANCE, atol=0, equal_nan=True)
    return bool(value == other)


def _encode(text: str) -> Tensor:
    given = text.encode()[:_ANSWER_BYTES]
    return torch.tensor(list(given.ljust(_ANSWER_BYTES, b"\0")), dtype=torch.uint8)


def _decode(answer: Tensor) -> str:
    return bytes(answer.tolist()).rstrip(b"\0").decode(errors="replace")


def _describe_end(answers: Mapping[int, str | None], size: int, cause: str) -> str:
    """Return why a fit ended, by what the other processes say."""
    gone = [f"process {rank} ended or did not answer" for rank in answers if answers[rank] is None]
    failed = [f"process {rank} raised {text}" for rank, text in answers.items() if text]
    reasons = gone + failed or [f"a message between them was lost ({cause})"]
    return (
        f"a fit that {size} processes (0 to {size - 1}) share has ended, because "
        f"{' and '.join(reasons)}: look at its output, and start all of them again"
    )
