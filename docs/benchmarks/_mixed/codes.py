"""Held-out rows from 2 and 8 numbers each: skae, PCA and factor analysis of mixed data."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _report import markdown_table
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

import skae

from ._encoding import Encoding
from ._parts import Bar, Cell, Figures, Method, Part
from ._tables import list_categories, split

_SIZES = {"2 numbers": 2, "8 numbers": 8}
_FLOOR = "PCA"
_OURS = "AutoencoderTransformer"
# Highest share of PCA's unexplained variance, as the geometric mean over tables.
_BARS = {"2 numbers": 0.65, "8 numbers": 0.25}
_TOLERANCE = 0.002
# A table of which PCA leaves less has no ratio: all of it fits into the numbers.
_LEAST = 1e-6


class Reconstruction(NamedTuple):
    """Rows encoded and decoded.

    Attributes
    ----------
    errors : ndarray of shape (n_rows, n_columns)
        Squared error of each cell in units of its column's variance; NaN if it is missing.
    frame : DataFrame
        The decoded rows.
    """

    errors: np.ndarray
    frame: pd.DataFrame


@dataclass(frozen=True)
class Task:
    """Rows to fit, and others to reconstruct."""

    train: pd.DataFrame
    held_out: pd.DataFrame
    encoding: Encoding
    size: int


def _make_task(frame: pd.DataFrame, setting: str, seed: int) -> Task:
    train, held_out = split(frame)
    encoding = Encoding(train)
    width = encoding.encode(train[:1]).shape[1]
    return Task(train, held_out, encoding, min(_SIZES[setting], width, len(train)))


def _measure(method: Method, task: Task, seed: int) -> Cell:
    began = time.perf_counter()
    reconstruct = method.run(task, seed)
    fitted = time.perf_counter()
    errors, frame = reconstruct(task.held_out)
    ended = time.perf_counter()
    observed = task.held_out.notna().to_numpy()
    squares = task.encoding.encode(task.held_out) ** 2
    total = np.nansum(np.where(observed, task.encoding.add_by_column(squares), 0.0), axis=0)
    left = np.nansum(np.where(observed, errors, 0.0), axis=0)
    is_number = np.array([name in task.encoding.numbers for name in task.encoding.names])
    cell = {
        "unexplained": left.sum() / total.sum(),
        "fit_seconds": fitted - began,
        "seconds": ended - began,
    }
    if total[is_number].sum() > 0:
        cell["r2"] = 1 - left[is_number].sum() / total[is_number].sum()
    hits = [
        np.mean((frame[name].astype(object) == truth.astype(object))[truth.notna()].to_numpy())
        for name in list_categories(task.train)
        if (truth := task.held_out[name]).notna().any()
    ]
    if hits:
        cell["accuracy"] = float(np.mean(hits))
    return cell


def _from_encoded(
    task: Task, reconstruct: Callable[[pd.DataFrame, np.ndarray], np.ndarray]
) -> Callable[[pd.DataFrame], Reconstruction]:
    """Return what reconstructs a frame from a function of encoded rows."""

    def run(frame: pd.DataFrame) -> Reconstruction:
        values = task.encoding.encode(frame)
        decoded = reconstruct(frame, values)
        errors = task.encoding.add_by_column((values - decoded) ** 2)
        return Reconstruction(errors, task.encoding.decode(decoded))

    return run


def _run_pca(fill: Callable[[Encoding, np.ndarray], np.ndarray]) -> Callable[..., Any]:
    def run(task: Task, seed: int) -> Any:
        encoding = task.encoding
        model = PCA(task.size, random_state=seed).fit(fill(encoding, encoding.encode(task.train)))
        return _from_encoded(
            task,
            lambda frame, values: model.inverse_transform(model.transform(fill(encoding, values))),
        )

    return run


def _run_famd(task: Task, seed: int) -> Any:
    """Return FAMD's codes, decoded by least squares: it has no decoder of its own."""
    from prince import FAMD

    complete = task.encoding.complete

    def prepare(frame: pd.DataFrame) -> pd.DataFrame:
        filled = task.encoding.decode(complete(task.encoding.encode(frame)))
        return filled.astype(dict.fromkeys(list_categories(task.train), "object"))

    train = prepare(task.train)
    model = FAMD(n_components=task.size, random_state=seed, handle_unknown="ignore").fit(train)
    codes = model.row_coordinates(train)
    decoder = LinearRegression().fit(codes.to_numpy(), complete(task.encoding.encode(task.train)))
    return _from_encoded(
        task,
        lambda frame, values: decoder.predict(model.row_coordinates(prepare(frame)).to_numpy()),
    )


def _run_skae(task: Task, seed: int) -> Any:
    model = skae.AutoencoderTransformer(task.size, random_state=seed).fit(task.train)

    def run(frame: pd.DataFrame) -> Reconstruction:
        errors = np.asarray(model.reconstruction_error(frame, per_cell=True))
        return Reconstruction(errors, model.reconstruct(frame))

    return run


_METHODS = {
    "PCA": Method(_run_pca(Encoding.complete)),
    "PCA, means": Method(_run_pca(lambda encoding, values: np.nan_to_num(values))),
    "FAMD": Method(_run_famd, "prince"),
    _OURS: Method(_run_skae, "skae"),
}

_FIELDS = {"unexplained": "unexplained", "r2": "R2 of numbers", "accuracy": "accuracy of labels"}


def _show(figures: Figures) -> Iterable[str]:
    yield (
        "Unexplained is the share of the held-out rows' variance in the encoded table that a "
        "reconstruction leaves; the ratio is its geometric mean over tables, to PCA's, without "
        "tables of which PCA leaves nothing. R2 is that of all numeric columns together, accuracy "
        "the mean over columns of labels. Seconds are totals over tables."
    )
    for setting in _SIZES:
        methods = figures.list_methods(setting)
        if not methods:
            continue
        yield f"### {setting}"
        tables, left = figures.gather(setting, methods, "unexplained")
        rows = []
        for index, method in enumerate(methods):
            line = [method, _show_number(left[:, index].mean())]
            ratio = ""
            if _FLOOR in methods and len(tables):
                ratio = f"{_find_ratio(left[:, index], left[:, methods.index(_FLOOR)]):.3f}"
            for field in ("r2", "accuracy"):
                values = figures.gather(setting, methods, field)[1]
                line.append(_show_number(values[:, index].mean()) if len(values) else "")
            seconds = figures.gather(setting, methods, "seconds")[1]
            rows.append([*line[:2], ratio, *line[2:], f"{seconds[:, index].sum():.1f}"])
        yield markdown_table(
            ["method", "unexplained", "ratio", *list(_FIELDS.values())[1:], "s"], rows
        )
        yield markdown_table(
            ["table, unexplained", *methods],
            [[name, *(f"{v:.3f}" for v in line)] for name, line in zip(tables, left, strict=True)],
        )


def _find_ratio(left: np.ndarray, floor: np.ndarray) -> float:
    """Return the geometric mean over tables of shares that are left, relative to the floor's."""
    counts = floor > _LEAST
    return float(np.exp(np.log(left[counts] / floor[counts]).mean()))


def _show_number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _find_bars(figures: Figures) -> list[Bar]:
    bars = []
    for setting, most in _BARS.items():
        methods = figures.list_methods(setting)
        if _OURS not in methods or _FLOOR not in methods:
            continue
        tables, left = figures.gather(setting, [_OURS, _FLOOR], "unexplained")
        if not tables:
            continue
        gaps = left[:, 0] - left[:, 1]
        below = [f"{t} by {g:.4f}" for t, g in zip(tables, gaps, strict=True) if g > _TOLERANCE]
        text = f"{setting}, never below PCA by more than {_TOLERANCE}; below on"
        bars.append(Bar(f"{text} {', '.join(below) or 'none'} of {len(tables)}", not below))
        ratio = _find_ratio(left[:, 0], left[:, 1])
        text = f"{setting}, unexplained share at most {most} of PCA's: {ratio:.3f}"
        bars.append(Bar(text, ratio <= most))
    return bars


PART = Part(
    title="Codes",
    settings=dict.fromkeys(_SIZES, ("mixed",)),
    methods=_METHODS,
    make_task=_make_task,
    measure=_measure,
    show=_show,
    find_bars=_find_bars,
)
