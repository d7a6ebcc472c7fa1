"""A fit in one of the processes that share it: run by `torchrun`, with JSON."""

import json
import os
import sys
import time

import numpy as np
import torch.distributed as dist
from _report import limit_threads

from skae import AutoencoderTransformer
from skae.distributed import share_training


def main() -> None:
    """Print the seconds of a fit, those of this processor's work, and the held-out losses."""
    given = json.loads(sys.argv[1])
    limit_threads(1)
    dist.init_process_group("gloo")
    shape = (given["rows"], given["columns"])
    X = np.memmap(given["path"], dtype=np.float32, mode="r", shape=shape)
    with share_training():
        fit(np.random.default_rng(0).normal(size=(600, 8)), 2, 1, "auto")  # a warm-up
        dist.barrier()
        began, work_began = time.perf_counter(), time.process_time()
        model = fit(X, given["n_components"], given["epochs"], given["batch_size"])
        seconds, work = time.perf_counter() - began, time.process_time() - work_began
    losses = model.validation_scores_
    # In one piece: processes write to the same pipe.
    line = json.dumps({"seconds": seconds, "work": work, "losses": losses}) + "\n"
    os.write(sys.stdout.fileno(), line.encode())
    dist.destroy_process_group()


def fit(
    X: np.ndarray, n_components: int, epochs: int, batch_size: int | str
) -> AutoencoderTransformer:
    """Return a fitted estimator."""
    estimator = AutoencoderTransformer(
        n_components, max_epochs=epochs, batch_size=batch_size, device="cpu", random_state=0
    )
    return estimator.fit(X)


if __name__ == "__main__":
    main()
