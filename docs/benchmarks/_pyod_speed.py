"""A default fit of skae beside a default fit of PyOD's autoencoder, in one process.

The table is made: 10,000 rows of 30 columns to train on and 2,500 more of the same source to
reconstruct, see `_report.made_table`. Both libraries get it as it is and standardise it
themselves. After a warm-up of each, fits alternate, one of each in turn, and each pair has a
seed of its own; all else is default, but PyOD's `verbose=0`, and skae's `n_components`, which
has the rule of the first part. PyOD's code is wider than the table, so its task is the easier one.
Its fit includes scoring the training rows, as `fit` always does there.

Threads are those of the first part; PyOD was no slower on one than on two when this was written.

Errors are squared, in units of the training columns' variances, and means over all cells.
PyOD has no method that reconstructs rows: its network is run in evaluation mode on rows as
its own preprocessing makes them, and what comes out is put back into the table's units.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _report import made_table, markdown_table
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

N_TRAIN, N_TEST, N_COLUMNS = 10_000, 2_500, 30
N_FITS = 5
HOW_TO_INSTALL = "Not run: PyOD is not installed; `pip install pyod` does that."

SKIPPED = "Not run: `--skip-speed` was given."

Fit = Callable[[int, np.ndarray], Any]


def compare_with_pyod(n_components: int) -> dict[str, Any]:
    """Return times and errors of both libraries, and PCA's error.

    Parameters
    ----------
    n_components : int
        The code of skae and PCA.
    """
    X = made_table(N_TRAIN + N_TEST, N_COLUMNS)
    train, test = X[:N_TRAIN], X[N_TRAIN:]

    def fit_skae(seed: int, X: np.ndarray) -> AutoencoderTransformer:
        return AutoencoderTransformer(n_components, random_state=seed).fit(X)

    contestants: dict[str, tuple[Fit, Callable[[Any, np.ndarray], np.ndarray]]] = {
        "skae": (fit_skae, lambda model, rows: model.reconstruct(rows)),
        "pyod": (fit_pyod, rebuild_with_pyod),
    }
    for fit, _ in contestants.values():
        fit(0, train)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    errors: dict[str, list[float]] = {name: [] for name in contestants}
    for seed in range(N_FITS):
        for name, (fit, rebuild) in contestants.items():
            began = time.perf_counter()
            model = fit(seed, train)
            seconds[name].append(time.perf_counter() - began)
            errors[name].append(standardised_error(rebuild(model, test), test, train))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "n_components": {"skae": n_components, "pyod": model.hidden_neuron_list[-1]},
        "seconds": seconds,
        "median_seconds": medians,
        "pyod_over_skae": medians["pyod"] / medians["skae"],
        "errors": errors,
        "mean_error": {name: statistics.fmean(values) for name, values in errors.items()},
        "pca_error": pca_error(n_components, train, test),
    }


def fit_pyod(seed: int, X: np.ndarray) -> Any:
    """Return PyOD's autoencoder fitted on its defaults."""
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(random_state=seed, verbose=0).fit(X)


def rebuild_with_pyod(detector: Any, X: np.ndarray) -> np.ndarray:
    """Return rows as a fitted PyOD autoencoder reconstructs them, in the units of `X`."""
    from pyod.utils.torch_utility import TorchDataset

    rows = TorchDataset(X, mean=detector.X_mean, std=detector.X_std)
    detector.model.eval()
    with torch.no_grad():
        rebuilt = detector.model(rows[:].to(detector.device)).cpu().double().numpy()
    return rebuilt * (detector.X_std + rows.eps) + detector.X_mean


def pca_error(n_components: int, train: np.ndarray, test: np.ndarray) -> float:
    """Return the error of PCA on standardised columns."""
    scaler = StandardScaler().fit(train)
    pca = PCA(n_components, random_state=0).fit(scaler.transform(train))
    rebuilt = pca.inverse_transform(pca.transform(scaler.transform(test)))
    return standardised_error(scaler.inverse_transform(rebuilt), test, train)


def standardised_error(rebuilt: np.ndarray, test: np.ndarray, train: np.ndarray) -> float:
    """Return the mean squared error of cells, in units of the training columns' variances."""
    return float(np.square((rebuilt - test) / train.std(axis=0)).mean())


def speed_section(speed: dict[str, Any] | None, skipped: bool) -> str:
    """Return this part of the results page, from what was measured, or why nothing was."""
    title = "## A default fit beside PyOD's"
    if speed is None:
        return f"{title}\n\n{SKIPPED if skipped else HOW_TO_INSTALL}"
    table = markdown_table(
        ["", "code", "seconds, median", "least to most", "held-out error"],
        [
            [
                name,
                str(speed["n_components"][name]),
                f"{speed['median_seconds'][name]:.2f}",
                f"{min(seconds):.2f} to {max(seconds):.2f}",
                f"{speed['mean_error'][name]:.4f}",
            ]
            for name, seconds in speed["seconds"].items()
        ],
    )
    errors = speed["mean_error"]
    return (
        f"{title}\n\n"
        f"{N_TRAIN} rows of {N_COLUMNS} made columns, {N_FITS} fits each, alternating, after a "
        f"warm-up; {N_TEST} rows held out. The error is squared, in units of the columns' "
        f"variances; PCA's is {speed['pca_error']:.4f} with skae's code.\n\n{table}\n\n"
        f"PyOD takes {speed['pyod_over_skae']:.2f} times as long, and its error is "
        f"{errors['pyod'] / errors['skae']:.2f} times as large."
    )
