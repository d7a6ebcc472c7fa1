"""Processes of Dask's workers, which share fits."""

import math
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from .sharing import check_timeout, share_training

if TYPE_CHECKING:
    from distributed import Client

Value = TypeVar("Value")
Future = Any  # of Dask, which has no types
Store = Any  # a TCPStore of torch, which doesn't export its type

_SECONDS_BETWEEN_LOOKS = 1.0

# How long the processes have to join the group. All but the first wait in vain if one is lost
# before, and Dask can't stop them.
_SECONDS_TO_JOIN = 60.0

# How long the processes have to find out that one of them has ended, and to leave the fit.
_SECONDS_TO_END = 60.0


def run_on_workers(
    client: "Client",
    function: Callable[[], Value],
    *,
    workers: Sequence[str] | None = None,
    timeout: float = 1800.0,
) -> Value:
    """Call a function once in each of Dask's workers, which share the fits in it.

    The workers' processes form a process group over gloo, and the function is called within
    `share_training`. It opens the table in each worker, and fits.

    Parameters
    ----------
    client : distributed.Client
        The client of a cluster whose workers have skae installed.
    function : callable
        Takes no argument. It must do the same in all processes.
    workers : sequence of str, default=None
        Addresses of the workers, of which the first writes the file of `checkpoint`. None is all
        workers that there are, in the order of their addresses.
    timeout : float, default=1800.0
        As in `share_training`.

    Returns
    -------
    value : object
        What the function returns in the first process.

    Raises
    ------
    ValueError
        If there is no worker, if one of `workers` is none, if several are in one process, or if
        `timeout` is not positive.
    ConnectionError
        If a worker ends before the function does, with its address.

    See Also
    --------
    share_training : For processes that torchrun starts.

    Notes
    -----
    An error of the function, in whichever process, is raised here.

    The first worker listens at a free port, which the others must be able to reach. All have a
    minute, or `timeout` if that is shorter, to join it: they must be free of other tasks.

    Dask can't stop a call that runs. Where a worker has ended, the others' calls end within that
    minute if they have not joined yet, and after some 15 seconds in a shared fit. If the function
    waits for the others elsewhere, such as in collectives of its own, a call takes up to `timeout`,
    and its worker is blocked for so long.

    Examples
    --------
    With a file that all workers can read::

        import numpy as np
        from dask.distributed import Client
        from skae import AutoencoderTransformer
        from skae.distributed import run_on_workers

        def train():
            X = np.load("/shared/table.npy", mmap_mode="r")
            return AutoencoderTransformer(8, random_state=0).fit(X)

        model = run_on_workers(Client("scheduler:8786"), train)
    """
    check_timeout(timeout)
    known = sorted(client.nthreads())
    addresses = known if workers is None else list(workers)
    strange = [address for address in addresses if address not in known]
    if strange or not addresses:
        raise ValueError(
            f"workers must be addresses of the client's workers, {known}, got {workers!r}: choose "
            "some of these, or start workers"
        )
    processes = client.run(_name_process, workers=addresses)
    if len(set(processes.values())) < len(addresses):
        raise ValueError(
            "workers must be processes of their own, got several in one process: start the cluster "
            "with processes=True, and name each worker once"
        )
    host = urlsplit(addresses[0]).hostname or "127.0.0.1"
    seconds_to_join = min(timeout, _SECONDS_TO_JOIN)
    opened = client.run(_open_store, host, len(addresses), seconds_to_join, workers=addresses[:1])
    port = opened[addresses[0]]
    futures = [
        client.submit(
            _call_in_group,
            function,
            _Place(host, port, rank, len(addresses), seconds_to_join),
            timeout,
            workers=[address],
            pure=False,
        )
        for rank, address in enumerate(addresses)
    ]
    try:
        lost = _wait_for_all(client, dict(zip(addresses, futures, strict=True)))
        _raise_first(futures, lost)
        return futures[0].result()
    finally:
        client.cancel(futures)


def _name_process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


@dataclass(frozen=True)
class _Place:
    """A process's place in the group, whose store the first process keeps."""

    host: str
    port: int
    rank: int
    size: int
    seconds_to_join: float

    def find_store(self) -> Store:
        """Return the store, which the first process has open."""
        if self.rank == 0:
            return _open_stores.pop(self.port)
        return _make_store(self.host, self.port, self.size, self.seconds_to_join)

    def join(self) -> Store:
        """Return the store once all processes have come here; raise if one has not."""
        keys = [f"joined/{rank}" for rank in range(self.size)]
        try:
            store = self.find_store()
            store.set(keys[self.rank], "")
            store.wait(keys, timedelta(seconds=self.seconds_to_join))
        except RuntimeError as error:  # of torch's stores
            raise ConnectionError(
                f"workers that share a fit must join within {self.seconds_to_join:g} s, and one "
                "did not: see that all are free of other tasks, have the function's packages, and "
                f"reach {self.host}:{self.port}"
            ) from error
        return store


#: Stores that this process keeps for groups which it has not joined yet, by port.
_open_stores: dict[int, Store] = {}


def _open_store(host: str, size: int, seconds: float) -> int:
    """Open a store at a port that is free, and return the port."""
    store = _make_store(host, 0, size, seconds, is_master=True)
    _open_stores[store.port] = store
    port: int = store.port
    return port


def _make_store(host: str, port: int, size: int, seconds: float, is_master: bool = False) -> Store:
    import torch.distributed as dist

    limit = timedelta(seconds=seconds)
    open_store = dist.TCPStore  # type: ignore[attr-defined]
    return open_store(host, port, size, is_master, limit, wait_for_workers=False)


def _call_in_group(function: Callable[[], Any], place: _Place, timeout: float) -> Any:
    """Return what the function returns in the first process."""
    import torch.distributed as dist

    store, limit = place.join(), timedelta(seconds=timeout)
    store.set_timeout(limit)
    dist.init_process_group(
        "gloo", store=store, rank=place.rank, world_size=place.size, timeout=limit
    )
    try:
        with share_training(timeout=timeout):
            value = function()
        return value if place.rank == 0 else None
    finally:
        dist.destroy_process_group()


def _wait_for_all(client: "Client", futures: dict[str, Future]) -> list[str]:
    """Wait until all calls have ended; return the addresses of workers that ended before.

    A call fails soon if another has, but that of a worker that has ended waits for it to return.
    """
    from distributed import wait

    def wait_some(left: list[Future], seconds: float, until: str) -> None:
        try:
            wait(left, timeout=seconds, return_when=until)
        except TimeoutError:
            return

    end = math.inf
    while True:
        living = client.nthreads()
        left = {name: own for name, own in futures.items() if not own.done()}
        rest = [own for name, own in left.items() if name in living]
        if end == math.inf and (
            len(rest) < len(left) or any(own.status == "error" for own in futures.values())
        ):
            end = monotonic() + _SECONDS_TO_END
        if not rest or monotonic() > end:
            return [name for name in left if name not in living]
        wait_some(rest, _SECONDS_BETWEEN_LOOKS, "FIRST_COMPLETED")


def _raise_first(futures: list[Future], lost: list[str]) -> None:
    """Raise the error that ended the calls, if one did."""
    errors = [future.exception() for future in futures if future.status == "error"]
    causes = [error for error in errors if not isinstance(error, ConnectionError)]
    if causes:
        raise causes[0]
    if lost:
        raise ConnectionError(
            f"a fit that workers share has ended, because {' and '.join(lost)} ended: look at its "
            "log, and call run_on_workers again"
        ) from (errors[0] if errors else None)
    if errors:
        raise errors[0]
