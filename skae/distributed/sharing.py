"""The context in which processes share fits."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def share_training(*, timeout: float = 1800.0) -> Iterator[None]:
    """Let several processes train each estimator that is fitted in this context together.

    Each process runs the same script, as `torchrun` starts it, and gives `fit` the same table. Each
    step is taken on one batch, of which every process computes a part, from rows of its own shard
    of the table; gradients are averaged with `torch.distributed` over gloo. All processes end with
    the same fitted estimator.

    Parameters
    ----------
    timeout : float, default=1800.0
        Seconds to wait for a process that does not answer. One that has ended is noticed earlier,
        after some 15 seconds without a sign of life.

    Raises
    ------
    ValueError
        If `timeout` is not positive, if `torch.distributed` has no process group, or in the context
        already.

    See Also
    --------
    run_on_workers : For the workers of a Dask cluster.
    skae.AutoencoderTransformer : Its parameter `checkpoint` lets a fit go on after a process died.

    Notes
    -----
    The processes are those of the default process group, whatever its backend. With one process,
    fits are what they are outside of the context.

    The context holds for fits in the thread that enters it. An error in one process ends the fit in
    the others too, with a `ConnectionError` that names the process and the error.

    Examples
    --------
    In a file `train.py`, run by `torchrun --nproc-per-node 2 train.py`::

        import numpy as np
        import torch.distributed as dist
        from skae import AutoencoderTransformer
        from skae.distributed import share_training

        dist.init_process_group("gloo")
        X = np.load("table.npy", mmap_mode="r")
        with share_training():
            model = AutoencoderTransformer(8, random_state=0).fit(X)
        dist.destroy_process_group()
    """
    import torch.distributed as dist

    from .._processes import TrainingGroup, enter_group, find_group

    check_timeout(timeout)
    if find_group() is not None:
        raise ValueError("share_training must not be entered in itself: leave it first")
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError(
            "share_training requires a process group of torch.distributed, got none: start the "
            'script with torchrun, and call torch.distributed.init_process_group("gloo") in it'
        )
    if dist.get_world_size() == 1:
        yield
        return
    with enter_group(TrainingGroup(timeout)):
        yield


def check_timeout(timeout: float) -> None:
    """Raise unless a process can be waited for so long."""
    if not timeout > 0:
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
