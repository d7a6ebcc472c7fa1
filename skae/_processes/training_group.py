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
from .heartbeat import Heartbeat

Value = TypeVar("Value")

# How long a process that knows why a fit ended waits for the others to learn it too: those that
# are not busy answer at once.
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
        self._store = _find_store()
        self._channel: Any = None
        self._connect()
        self._heartbeat = Heartbeat(self._store, self._name_key(), self.rank, self.size)
        self._depth = 0

    def _connect(self) -> None:
        self._channel = dist.new_group(backend="gloo", timeout=self._timeout)
        self._name = str(self._channel.group_name)  # the same in all processes

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    @property
    def is_fitting(self) -> bool:
        """Whether a fit runs, in which the others call the same methods."""
        return self._depth > 0

    def close(self) -> None:
        """Close all connections."""
        self._heartbeat.stop()
        if self._channel is not None:
            dist.destroy_process_group(self._channel)
        self._channel = None

    def add(self, vector: Tensor) -> None:
        """Replace a vector by the sum of all processes'."""
        self._call(dist.all_reduce, vector)

    def maximize(self, vector: Tensor) -> None:
        """Replace a vector by the elementwise maximum of all processes'."""
        self._call(dist.all_reduce, vector, op=dist.ReduceOp.MAX)

    def take_first(self, value: Value) -> Value:
        """Return the first process's value."""
        values = [value]
        self._call(dist.broadcast_object_list, values, src=0)
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, in their order."""
        values: list[Any] = [None] * self.size
        self._call(dist.all_gather_object, values, value)
        return values

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
        found = self.gather(dict(parts))
        for rank, theirs in enumerate(found):
            odd = [name for name in found[0] if not _equal(found[0][name], theirs.get(name))]
            if odd:
                *others, last = odd
                what = f"{', '.join(others)} and {last}" if others else last
                verb = "differ from those" if others else "differs from that"
                raise ValueError(
                    f"processes that train together must fit the same estimator to the same table; "
                    f"{what} of process {rank} {verb} of process 0: give all processes the whole "
                    "table and the same parameters"
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
            if self._depth == 1:
                self.leave(error)
            raise
        finally:
            self._depth -= 1

    def _begin_fit(self) -> None:
        if self._channel is not None:
            return
        try:
            lost = self._meet_again()
            if not lost:
                self._connect()
                return
            cause = f"{_name_processes(lost)} ended or did not answer"
        except RuntimeError as error:
            cause = _shorten(error)
        raise ConnectionError(
            f"the processes lost each other in an earlier fit ({cause}): start all of them again"
        )

    def _meet_again(self) -> list[int]:
        """Wait for the others to begin another fit too; return those that never will."""
        self._store.set(self._name_key("return", self.rank), "")
        awaited = [rank for rank in range(self.size) if rank != self.rank]
        end = monotonic() + self._timeout.total_seconds()
        while True:
            awaited = [r for r in awaited if not self._store.check([self._name_key("return", r)])]
            lost = self._heartbeat.find_silent().intersection(awaited)
            if lost or not awaited:
                return sorted(lost)
            if monotonic() > end:
                return awaited
            sleep(_SECONDS_BETWEEN_LOOKS)

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        began = monotonic()
        try:
            function(*args, group=self._channel, **kwargs)
        except RuntimeError as error:
            # torch closes connections when the last reference is gone: also that of the traceback.
            error.__traceback__ = None
            reasons = self._find_reasons(self._leave(""), began + self._timeout.total_seconds())
            why = " and ".join(reasons or [f"a message between them was lost ({_shorten(error)})"])
            raise ConnectionError(
                f"a fit that {self.size} processes (0 to {self.size - 1}) share has ended, because "
                f"{why}: look at its output, and start all of them again"
            ) from None

    def leave(self, error: BaseException) -> None:
        """Let the others know which error ends this process's part, unless it has left before.

        It may keep the store, and end then. So those that are not busy have time to read it.
        """
        if self._channel is not None:
            self._find_reasons(self._leave(f"{type(error).__name__}: {error}"), monotonic())

    def _leave(self, reason: str) -> dict[int, str | None]:
        """Write why this process leaves a fit, and close the channel.

        Return why the others left so far: None is no answer, and nothing no reason of their own.
        """
        answers: dict[int, str | None] = dict.fromkeys(range(self.size))
        del answers[self.rank]
        with suppress(RuntimeError):  # the process that keeps the store may be gone
            self._read_answers(answers)  # first: it may end once this one has answered
            self._store.set(self._name_key("end", self.rank), reason)
        channel, self._channel = self._channel, None
        dist.destroy_process_group(channel)
        return answers

    def _find_reasons(self, answers: dict[int, str | None], end: float) -> list[str]:
        """Return why others left a fit, as far as they say so or have ended by the time `end`.

        A process that is busy says so later, and is none of them.
        """
        silent: set[int] = set()
        enough = monotonic() + _SECONDS_TO_ANSWER
        try:
            while True:
                self._read_answers(answers)
                unknown = {rank for rank, answer in answers.items() if answer is None}
                silent = self._heartbeat.find_silent() & unknown
                is_known = bool(silent) or any(answers.values())
                if unknown == silent or monotonic() > (enough if is_known else max(end, enough)):
                    return _describe_ends(answers, silent)
                sleep(_SECONDS_BETWEEN_LOOKS)
        except RuntimeError:
            return _describe_ends(answers, silent, is_store_gone=True)

    def _read_answers(self, answers: dict[int, str | None]) -> None:
        for rank in [rank for rank, answer in answers.items() if answer is None]:
            key = self._name_key("end", rank)
            if self._store.check([key]):
                answers[rank] = self._store.get(key).decode()

    def _name_key(self, *parts: Any) -> str:
        return "/".join(["skae", self._name, *map(str, parts)])


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
    except BaseException as error:
        group.leave(error)
        raise
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


def _find_store() -> distributed_c10d.Store:
    """Return the store of the default process group."""
    world: Any = dist.group.WORLD
    if hasattr(world, "get_group_store"):
        return world.get_group_store()
    return distributed_c10d._get_default_store()  # older torch has no public way


def _shorten(error: RuntimeError) -> str:
    """Return torch's message without its stack of calls."""
    return str(error).partition("\n")[0]


def _describe_ends(
    answers: Mapping[int, str | None], silent: set[int], is_store_gone: bool = False
) -> list[str]:
    """Return why processes left a fit, by what they say and which of them are silent."""
    raised = [f"process {rank} raised {text}" for rank, text in answers.items() if text]
    if is_store_gone and not raised:
        return ["the process that keeps what they share has ended: torchrun, or else process 0"]
    if not (silent or raised):  # they live, and the time in which they could answer is over
        silent = {rank for rank, answer in answers.items() if answer is None}
    gone = [f"{_name_processes(sorted(silent))} ended or did not answer"] if silent else []
    return gone + raised


def _name_processes(ranks: list[int]) -> str:
    *others, last = [f"process {rank}" for rank in ranks]
    return f"{', '.join(others)} and {last}" if others else last
