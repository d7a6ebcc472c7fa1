"""One method on one task: the quality of its scores, and its time."""

import contextlib
import io
import time
import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from ._data import Task
from ._methods import METHODS, Method


@dataclass(frozen=True)
class Cell:
    """The measured figures.

    Attributes
    ----------
    auroc, ap : float
        Area under the ROC curve, and average precision, with anomalies as the positive class.
    fit_seconds, score_seconds : float
        Wall times.
    n_nonfinite : int, default=0
        Number of scores that are not finite.
    error : str or None, default=None
        The error that the method raised, if any.
    """

    auroc: float
    ap: float
    fit_seconds: float
    score_seconds: float
    n_nonfinite: int = 0
    error: str | None = None


def measure(name: str, task: Task, seed: int) -> Cell:
    """Fit a method and score; an error counts as random scores."""
    began = time.perf_counter()
    try:
        with _silence():
            return _measure(METHODS[name], task, seed)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        seconds = time.perf_counter() - began
        return Cell(0.5, float(task.y.mean()), seconds, 0.0, error=text)


def _measure(method: Method, task: Task, seed: int) -> Cell:
    # Create the detector right before the fit: PyOD seeds torch in the constructor.
    model = method.make(seed, task.train.shape[1], task.novelty)
    began = time.perf_counter()
    model.fit(task.train)
    fitted = time.perf_counter()
    scores = method.score(model, task.test, task.novelty)
    ended = time.perf_counter()
    n_nonfinite = int((~np.isfinite(scores)).sum())
    scores = np.nan_to_num(scores)
    return Cell(
        float(roc_auc_score(task.y, scores)),
        float(average_precision_score(task.y, scores)),
        fitted - began,
        ended - fitted,
        n_nonfinite,
    )


def warm_up(names: list[str]) -> None:
    """Run each method once, so that loading at first use is not measured."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(128, 6)), np.arange(128) % 8 == 0
    for name in names:
        measure(name, Task(X, X, y, novelty=False), 0)
        measure(name, Task(X[~y], X, y, novelty=True), 0)


@contextlib.contextmanager
def _silence():
    """Suppress warnings and prints of the methods."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
