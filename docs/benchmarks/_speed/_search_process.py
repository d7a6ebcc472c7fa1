"""Searches and fits with default numbers of threads: `python -m` this module, with JSON."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from _report import made_table, surroundings
from joblib import Parallel, delayed
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer

from ._fresh import THREAD_VARIABLES
from ._timing import alternate, seconds_of

N_ROWS, N_COLUMNS, EPOCHS = 10_000, 30, 15
GRID = {
    "n_components": [4, 8],
    "hidden_layer_sizes": [(64,), (128, 64)],
    "lr": [0.003, 0.006],
}
PCA_GRID = {"n_components": list(range(2, 10))}
BUSY_EPOCHS = 30

SPIN = (
    "import numpy as np; a = np.random.default_rng(0).normal(size=(300, 300)); "
    "print('ready', flush=True)\nwhile True: a @ a"
)


def main() -> None:
    """Print the seconds of the requested measurement as JSON."""
    given = json.loads(sys.argv[1])
    X = made_table(N_ROWS, N_COLUMNS)
    seconds = {"search": searches, "busy": busy}[given["what"]](X, given["rounds"])
    where = surroundings()
    threads = {name: where[name] for name in ("torch_threads", "blas_threads")}
    print(json.dumps({"seconds": seconds, **threads}))


def searches(X: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return the times of a search with one and two jobs, and of a search with PCA."""
    estimator = AutoencoderTransformer(max_epochs=EPOCHS, device="cpu", random_state=0)

    def search(model: Any, grid: dict[str, list], n_jobs: int) -> None:
        GridSearchCV(model, grid, n_jobs=n_jobs, cv=3).fit(X)

    small = X[:1000]
    estimator.fit(small)
    PCA(2).fit(small)
    Parallel(n_jobs=2)(delayed(estimator.fit)(small) for _ in range(4))  # starts the workers
    calls = {
        "one job": partial(search, estimator, GRID, 1),
        "two jobs": partial(search, estimator, GRID, 2),
        "PCA, one job": partial(search, PCA(), PCA_GRID, 1),
    }
    return alternate({name: partial(seconds_of, call) for name, call in calls.items()}, rounds)


def busy(X: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return the times of a fit next to no, one and two busy processes."""
    estimator = AutoencoderTransformer(
        8, max_epochs=BUSY_EPOCHS, early_stopping=False, device="cpu", random_state=0
    )
    estimator.fit(X[:1000])

    def fit(n_processes: int) -> float:
        with busy_processes(n_processes):
            return seconds_of(partial(estimator.fit, X))

    labels = {"idle": 0, "one busy process": 1, "two busy processes": 2}
    return alternate({name: partial(fit, n) for name, n in labels.items()}, rounds)


@contextlib.contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Run processes that multiply matrices on one thread each."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")}
    spinning = [
        subprocess.Popen([sys.executable, "-c", SPIN], env=environment, stdout=subprocess.PIPE)
        for _ in range(number)
    ]
    try:
        for process in spinning:
            assert process.stdout is not None
            process.stdout.readline()
        time.sleep(0.2)
        yield
    finally:
        for process in spinning:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    main()
