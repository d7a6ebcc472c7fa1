"""Signs of life: a process that is busy beats on, and one that has ended does not."""

from contextlib import suppress
from threading import Event, Thread
from time import monotonic

from torch.distributed.distributed_c10d import Store

_SECONDS_BETWEEN_BEATS = 1.0
_SECONDS_WITHOUT_BEAT = 15.0


class Heartbeat:
    """Show the other processes that this one lives, and see which of them do.

    A thread counts in the store that the processes share, whatever else its process does. How long
    a process takes to answer says nothing: its callbacks, and a disk, may be slow.

    Parameters
    ----------
    store : torch.distributed.Store
        What the processes have in common.
    name : str
        Prefix of the keys.
    rank, size : int
        Which of the processes this one is, and how many there are.
    """

    def __init__(self, store: Store, name: str, rank: int, size: int) -> None:
        self._store, self._name, self._rank = store, name, rank
        self._seen = {other: (b"", monotonic()) for other in range(size) if other != rank}
        self._is_stopped = Event()
        self._thread = Thread(target=self._beat, name="skae heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the beats."""
        self._is_stopped.set()
        self._thread.join(_SECONDS_WITHOUT_BEAT)

    def find_silent(self) -> set[int]:
        """Return the processes whose count has stood still since it was first looked at."""
        now = monotonic()
        for rank, (seen, _) in list(self._seen.items()):
            if (beat := self._read(rank)) != seen:
                self._seen[rank] = beat, now
        return {
            rank for rank, (_, since) in self._seen.items() if now - since > _SECONDS_WITHOUT_BEAT
        }

    def _read(self, rank: int) -> bytes:
        key = self._name_key(rank)
        return self._store.get(key) if self._store.check([key]) else b""

    def _beat(self) -> None:
        with suppress(RuntimeError):  # the process that keeps the store may be gone
            # A client of its own: another thread's may be waiting for an answer.
            store = self._store.clone() if hasattr(self._store, "clone") else self._store
            while not self._is_stopped.is_set():
                store.add(self._name_key(self._rank), 1)
                self._is_stopped.wait(_SECONDS_BETWEEN_BEATS)

    def _name_key(self, rank: int) -> str:
        return f"{self._name}/beats/{rank}"
