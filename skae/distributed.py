"""Fits that several processes share, on one machine or on many."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["share_training"]


@contextmanager
def share_training(*, timeout: float = 1800.0) -> Iterator[None]:
    """Let several processes train each estimator that is fitted in this context together.

    Each process runs the same script, as `torchrun` starts it, and gives `fit` the same table.
    Each step is taken on one batch, of which every process computes a part, from rows of its own
    shard of the table; gradients are averaged with `torch.distributed` over gloo. All processes
    end with the same fitted estimator.

    Parameters
    ----------
    timeout : float, default=1800.0
        Seconds to wait for a process that does not answer. One that has ended is noticed at once.

    Raises
    ------
    ValueError
        If there are no other processes to be found, or in the context already.

    See Also
    --------
    skae.AutoencoderTransformer : Its parameter `checkpoint` lets a fit go on after a process died.

    Notes
    -----
    A process group of `torch.distributed` is used if there is one, whatever its backend. Otherwise
    one is made from the environment variables that `torchrun` sets, and destroyed at the end.

    The context holds for fits in the thread that enters it. In a fit, an error in one process ends
    the fit in the others too, with a `ConnectionError` that names the process.

    Examples
    --------
    In a file `train.py`, run by `torchrun --nproc-per-node 2 train.py`::

        import numpy as np
        from skae import AutoencoderTransformer
        from skae.distributed import share_training

        X = np.load("table.npy", mmap_mode="r")
        with share_training():
            model = AutoencoderTransformer(8, random_state=0).fit(X)
    """
    import torch.distributed as dist

    from ._training.training_group import TrainingGroup, enter_group, find_group

    if find_group() is not None:
        raise ValueError("share_training must be entered once, and this is a context of it already")
    is_own = not (dist.is_available() and dist.is_initialized())
    if is_own:
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= set(os.environ):
            raise ValueError(
                "share_training requires processes that share the work, and this one is alone: "
                "start the script with torchrun, or call torch.distributed.init_process_group"
            )
        dist.init_process_group("gloo")
    try:
        if dist.get_world_size() == 1:
            yield
        else:
            with enter_group(TrainingGroup(timeout)):
                yield
    finally:
        if is_own:
            dist.destroy_process_group()
