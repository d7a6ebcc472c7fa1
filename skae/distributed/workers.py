"""Processes of Dask's workers, which share fits."""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from .sharing import check_timeout, share_training

if TYPE_CHECKING:
    from distributed import Client

Value = TypeVar("Value")
Future = Any  # of Dask, which has no types

_SECONDS_BETWEEN_LOOKS = 1.0

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

    The first worker listens at a free port, which the others must be able to reach.

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
    port = client.submit(_find_free_port, workers=addresses[:1], pure=False).result()
    host = urlsplit(addresses[0]).hostname or "127.0.0.1"
    futures = [
        client.submit(
            _call_in_group,
            function,
            f"tcp://{_bracket(host)}:{port}",
            rank,
            len(addresses),
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


def _find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        port: int = free.getsockname()[1]
        return port


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _call_in_group(
    function: Callable[[], Any], address: str, rank: int, size: int, timeout: float
) -> Any:
    """Return what the function returns in the first process."""
    import torch.distributed as dist

    dist.init_process_group(
        "gloo",
        init_method=address,
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=timeout),
    )
    try:
        with share_training(timeout=timeout):
            value = function()
        return value if rank == 0 else None
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

    while left := [future for future in futures.values() if not future.done()]:
        wait_some(left, _SECONDS_BETWEEN_LOOKS, "FIRST_COMPLETED")
        living = client.nthreads()
        lost = [name for name, own in futures.items() if name not in living and not own.done()]
        if lost or any(future.status == "error" for future in futures.values()):
            rest = [own for name, own in futures.items() if name in living and not own.done()]
            if rest:
                wait_some(rest, _SECONDS_TO_END, "ALL_COMPLETED")
            return lost
    return []


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
