"""Anomalies of categorical tables, and cells that were taken from another row."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from _report import markdown_table
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import skae

from ._encoding import Encoding
from ._parts import Bar, Cell, Figures, Method, Part
from ._tables import LABEL, list_numbers
from ._walks import score_by_walks

_LABELLED, _PLANTED = "labelled", "planted cells"
_OURS = "AEAnomalyDetector"
# Share of the rows that get a cell from another.
_SHARE = 0.05
_BAR = 0.9
# Rows whose reasons are asked for, at random: each takes some thousand evaluations of the score.
_MOST_REASONS = 30


@dataclass(frozen=True)
class Task:
    """Rows, which of them are anomalies, and the column of each planted cell.

    Attributes
    ----------
    rows : DataFrame
        All are fitted, and all are scored.
    y : ndarray of bool
        Which are anomalies.
    column : ndarray of int or None
        Index of the column whose cell was planted; only of rows with one it means anything.
    """

    rows: pd.DataFrame
    y: np.ndarray
    column: np.ndarray | None


class Scores(NamedTuple):
    """Scores of rows.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        Higher is more anomalous.
    find_reasons : callable or None
        Returns the index of the column that is the first reason, of each of some rows.
    """

    rows: np.ndarray
    find_reasons: Callable[[np.ndarray], np.ndarray] | None = None

    @classmethod
    def from_cells(cls, cells: np.ndarray) -> "Scores":
        """Return the sums of the cells' scores."""
        return cls(cells.sum(axis=1), lambda rows: cells[rows].argmax(axis=1))


def _make_task(frame: pd.DataFrame, setting: str, seed: int) -> Task:
    if setting == _LABELLED:
        return Task(frame.drop(columns=LABEL), frame[LABEL].to_numpy() == 1, None)
    return plant_cells(frame, np.random.default_rng(seed))


def plant_cells(frame: pd.DataFrame, generator: np.random.Generator) -> Task:
    """Give rows a cell of another row, of a value that differs."""
    frame = frame.loc[:, frame.nunique() > 1]
    y = np.zeros(len(frame), dtype=bool)
    y[generator.permutation(len(frame))[: max(1, round(_SHARE * len(frame)))]] = True
    column = np.zeros(len(frame), dtype=int)
    codes = [pd.factorize(frame[name])[0] for name in frame]
    source = np.arange(len(frame))
    for row in np.flatnonzero(y):
        column[row] = generator.choice([i for i, own in enumerate(codes) if own[row] >= 0])
        own = codes[column[row]]
        source[row] = generator.choice(np.flatnonzero((own >= 0) & (own != own[row])))
    out = frame.copy()
    for index in range(frame.shape[1]):
        given = np.where(y & (column == index), source, np.arange(len(frame)))
        out.isetitem(index, frame.iloc[given, index].reset_index(drop=True))
    return Task(out, y, column)


def _measure(method: Method, task: Task, seed: int) -> Cell:
    began = time.perf_counter()
    scores = method.run(task.rows, seed)
    seconds = time.perf_counter() - began
    rows = np.asarray(scores.rows, dtype=np.float64)
    cell = {"auroc": float(roc_auc_score(task.y, rows)), "seconds": seconds}
    if task.column is not None and scores.find_reasons is not None:
        most = np.argsort(-rows, kind="stable")[: task.y.sum()]
        found = np.random.default_rng(seed).permutation(most[task.y[most]])[:_MOST_REASONS]
        right = 0
        if len(found):
            right = int(np.sum(scores.find_reasons(found) == task.column[found]))
        cell |= {"found": len(found), "right": right}
    return cell


def _on_encoded(score: Callable[[np.ndarray, int], np.ndarray]) -> Callable[..., Scores]:
    """Return what scores the encoded table, whose gaps are filled by means."""

    def run(frame: pd.DataFrame, seed: int) -> Scores:
        return Scores(score(np.nan_to_num(Encoding(frame).encode(frame)), seed))

    return run


def _run_pyod(module: str, name: str) -> Callable[..., Scores]:
    def score(X: np.ndarray, seed: int) -> np.ndarray:
        from importlib import import_module

        return getattr(import_module(f"pyod.models.{module}"), name)().fit(X).decision_scores_

    return _on_encoded(score)


def _run_ecod(frame: pd.DataFrame, seed: int) -> Scores:
    from pyod.models.ecod import ECOD

    encoding = Encoding(frame)
    model = ECOD().fit(np.nan_to_num(encoding.encode(frame)))
    cells = np.maximum.reduceat(model.O, encoding.starts, axis=1)
    return Scores(model.decision_scores_, lambda rows: cells[rows].argmax(axis=1))


def _score_by_forest(X: np.ndarray, seed: int) -> np.ndarray:
    return -IsolationForest(random_state=seed).fit(X).score_samples(X)


def _score_by_neighbours(X: np.ndarray, seed: int) -> np.ndarray:
    return NearestNeighbors(n_neighbors=5).fit(X).kneighbors()[0][:, -1]


def _run_pca(frame: pd.DataFrame, seed: int) -> Scores:
    encoding = Encoding(frame)
    values = encoding.encode(frame)
    filled = encoding.complete(values)
    model = PCA(0.9, svd_solver="full").fit(filled)
    errors = np.nan_to_num(values - model.inverse_transform(model.transform(filled))) ** 2
    return Scores.from_cells(encoding.add_by_column(errors))


def _run_frequencies(frame: pd.DataFrame, seed: int) -> Scores:
    """Score by the log frequency of labels (Aryal, Ting and Haffari 2016), and Gaussian tails."""
    cells = np.zeros(frame.shape)
    for index, name in enumerate(frame):
        known = frame[name].notna().to_numpy()
        if name in list_numbers(frame):
            values = frame[name].astype(float)
            spread = values.std(ddof=0) or 1.0
            tail = norm.logsf(np.abs(values - values.mean()) / spread) + np.log(2)
            cells[known, index] = -tail[known]
        else:
            counts = frame[name].value_counts()
            share = (counts + 1) / (counts.sum() + len(counts))
            cells[known, index] = -np.log(share.loc[frame[name][known]].to_numpy())
    return Scores.from_cells(cells)


def _run_walks(frame: pd.DataFrame, seed: int) -> Scores:
    """Score by walks between values: numbers are those of their tenths."""
    binned = frame.copy()
    for name in list_numbers(frame):
        binned[name] = pd.qcut(frame[name].astype(float), 10, labels=False, duplicates="drop")
    return Scores.from_cells(score_by_walks(binned))


def _run_skae(frame: pd.DataFrame, seed: int) -> Scores:
    detector = skae.AEAnomalyDetector(random_state=seed).fit(frame)

    def find_reasons(rows: np.ndarray) -> np.ndarray:
        reasons = detector.explain(frame.iloc[rows])["contribution"].to_numpy(dtype=float)
        return reasons.reshape(len(rows), frame.shape[1]).argmax(axis=1)

    return Scores(-np.asarray(detector.score_samples(frame)), find_reasons)


_METHODS = {
    _OURS: Method(_run_skae, "skae"),
    "IsolationForest": Method(_on_encoded(_score_by_forest)),
    "kNN distance": Method(_on_encoded(_score_by_neighbours)),
    "PCA errors": Method(_run_pca),
    "frequencies": Method(_run_frequencies),
    "CBRW": Method(_run_walks),
    "PyOD ECOD": Method(_run_ecod, "pyod"),
    "PyOD HBOS": Method(_run_pyod("hbos", "HBOS"), "pyod"),
    "PyOD COPOD": Method(_run_pyod("copod", "COPOD"), "pyod"),
}


def _show(figures: Figures) -> Iterable[str]:
    yield (
        "All rows are fitted and scored. IsolationForest, kNN, PCA and the detectors of PyOD see "
        "the encoded table, with gaps filled by means (PCA: by the Gaussian conditional mean). "
        "`frequencies` adds up negative log frequencies of labels, as SPAD does, and of Gaussian "
        "tails of numbers; `CBRW` is an implementation of coupled biased random walks (Pang, Cao "
        "and Chen 2016), on tenths of numbers. Figures are AUROC in percent."
    )
    for setting in (_LABELLED, _PLANTED):
        methods = figures.list_methods(setting)
        if not methods:
            continue
        yield f"### {setting.capitalize()}"
        if setting == _PLANTED:
            yield (
                f"{_SHARE:.0%} of the rows get one cell of another row, whose value differs. The "
                "found are the planted rows among as many of the highest scores, at most "
                f"{_MOST_REASONS} at random; a first reason is right if it is the planted cell."
            )
        tables, values = figures.gather(setting, methods, "auroc")
        rows = []
        for index, method in enumerate(methods):
            seconds = figures.gather(setting, [method], "seconds")[1].sum()
            line = [method, f"{100 * values[:, index].mean():.2f}" if len(tables) else ""]
            if setting == _PLANTED:
                right, found = _count_reasons(figures, method)
                line.append(f"{100 * right / found:.1f} ({found:.0f})" if found else "")
            rows.append([*line, f"{seconds:.1f}"])
        extra = ["first reason right, % (of)"] if setting == _PLANTED else []
        yield markdown_table(["method", "mean AUROC", *extra, "s"], rows)
        lines = [
            [table, *(f"**{100 * v:.1f}**" if v == line.max() else f"{100 * v:.1f}" for v in line)]
            for table, line in zip(tables, values, strict=True)
        ]
        yield markdown_table(["table", *methods], lines)


def _count_reasons(figures: Figures, method: str) -> tuple[float, float]:
    """Return how many first reasons are right, and of how many rows, over tables."""
    both = [figures.gather(_PLANTED, [method], field)[1].sum() for field in ("right", "found")]
    return float(both[0]), float(both[1])


def _find_bars(figures: Figures) -> list[Bar]:
    bars = []
    for setting in (_LABELLED, _PLANTED):
        methods = figures.list_methods(setting)
        if _OURS not in methods or len(methods) < 2:
            continue
        tables, values = figures.gather(setting, methods, "auroc")
        if len(tables):
            best = methods[int(values.mean(axis=0).argmax())]
            mean = 100 * values.mean(axis=0)
            text = f"{setting}, first in mean AUROC over {len(tables)} tables: the first is {best}"
            found = f"{text} with {mean.max():.2f}, ours has {mean[methods.index(_OURS)]:.2f}"
            bars.append(Bar(found, best == _OURS))
    right, found = _count_reasons(figures, _OURS)
    if found:
        text = f"first reason right in {_BAR:.0%} of the found: {100 * right / found:.1f} %"
        bars.append(Bar(text, right >= _BAR * found))
    return bars


PART = Part(
    title="Anomalies",
    settings={_LABELLED: ("categorical",), _PLANTED: ("mixed",)},
    methods=_METHODS,
    make_task=_make_task,
    measure=_measure,
    show=_show,
    find_bars=_find_bars,
)
