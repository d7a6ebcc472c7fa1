"""Hidden cells of training rows, filled: skae and the imputers of scikit-learn and hyperimpute."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from _report import markdown_table
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

import skae

from ._encoding import Encoding
from ._forest import fill_by_trees
from ._parts import Bar, Cell, Figures, Method, Part
from ._tables import Hidden, hide_at_random, hide_by_others, list_categories

_SETTINGS = ("20 % at random", "50 % at random", "20 % by another column")
_FLOOR = "Gaussian conditional mean"
_TREES = "IterativeImputer, extra trees"
# HyperImpute's, without logistic regression: it has a parameter that scikit-learn 1.8 removed.
_CLASSIFIERS = ["random_forest", "xgboost", "catboost"]
# A method is a rival if it takes at most so many times our time.
_MOST_TIMES = 10
_TOLERANCE = 0.01
_MARGIN = 0.15


def _make_task(frame: pd.DataFrame, setting: str, seed: int) -> Hidden:
    generator = np.random.default_rng([seed, _SETTINGS.index(setting)])
    if setting == "20 % by another column":
        return hide_by_others(frame, 0.2, generator)
    return hide_at_random(frame, 0.2 if setting.startswith("20") else 0.5, generator)


def _measure(method: Method, task: Hidden, seed: int) -> Cell:
    began = time.perf_counter()
    filled = method.run(task.given, seed)
    cell = {"seconds": time.perf_counter() - began}
    squares, hits = [], []
    for index, name in enumerate(task.truth):
        rows = task.where[:, index]
        if not rows.any():
            continue
        truth, guess = task.truth[name][rows], filled[name].iloc[np.flatnonzero(rows)]
        if name in list_categories(task.truth):
            hits.append(truth.astype(object).to_numpy() == guess.astype(object).to_numpy())
        else:
            scale = float(task.truth[name].std(ddof=0)) or 1.0
            squares.append(((truth.to_numpy(float) - guess.to_numpy(float)) / scale) ** 2)
    if squares:
        cell["rmse"] = float(np.sqrt(np.concatenate(squares).mean()))
    if hits:
        cell["wrong"] = 1 - float(np.concatenate(hits).mean())
    if not all(np.isfinite(value) for value in cell.values()):
        raise ValueError("cells are left missing")
    return cell


def _behind_encoding(
    make: Callable[[int], Any], regresses: bool = False
) -> Callable[..., pd.DataFrame]:
    """Return a function that fills a frame by what fills the encoded table.

    Parameters
    ----------
    make : callable
        Creates the imputer from the seed.
    regresses : bool, default=False
        Whether it regresses columns on others: it then sees one indicator less a category.
    """

    def run(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        encoding = Encoding(frame)
        values = encoding.encode(frame)
        given = encoding.drop_last(values) if regresses else values
        filled = np.asarray(make(seed).fit_transform(given), dtype=np.float64)
        return encoding.decode(encoding.restore_last(filled) if regresses else filled)

    return run


def _run_gaussian(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    encoding = Encoding(frame)
    return encoding.decode(encoding.complete(encoding.encode(frame)))


def _make_hyperimpute(name: str, **settings: Any) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from hyperimpute.plugins.imputers import Imputers

        return _Frames(Imputers().get(name, random_state=seed, **settings))

    return make


class _Frames:
    """An imputer of frames that takes arrays."""

    def __init__(self, imputer: Any) -> None:
        self.imputer = imputer

    def fit_transform(self, values: np.ndarray) -> np.ndarray:
        frame = pd.DataFrame(values, columns=[f"x{index}" for index in range(values.shape[1])])
        return np.asarray(self.imputer.fit_transform(frame))


def _run_hyperimpute(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Fill a frame in which labels are whole numbers: HyperImpute finds columns of categories."""
    labels = list_categories(frame)
    codes = frame.copy()
    for name in labels:
        codes[name] = frame[name].cat.codes.replace(-1, np.nan).astype(float)
    filled = _make_hyperimpute("hyperimpute", classifier_seed=_CLASSIFIERS)(seed).fit_transform(
        codes.to_numpy(float)
    )
    out = pd.DataFrame(filled, columns=frame.columns)
    for name in labels:
        known = frame[name].cat.categories.to_numpy(dtype=object)
        out[name] = known[np.clip(np.rint(out[name]), 0, len(known) - 1).astype(int)]
    return out


def _run_skae(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    filled = skae.AEImputer(random_state=seed).fit_transform(frame)
    return pd.DataFrame(filled, columns=frame.columns)


_METHODS = {
    "SimpleImputer": Method(_behind_encoding(lambda seed: SimpleImputer())),
    _FLOOR: Method(_run_gaussian),
    "KNNImputer": Method(_behind_encoding(lambda seed: KNNImputer())),
    "IterativeImputer": Method(
        _behind_encoding(lambda seed: IterativeImputer(random_state=seed), regresses=True)
    ),
    _TREES: Method(
        _behind_encoding(
            lambda seed: IterativeImputer(
                ExtraTreesRegressor(random_state=seed), random_state=seed
            ),
            regresses=True,
        )
    ),
    "missForest": Method(fill_by_trees, needs_labels=True),
    "MIWAE": Method(_behind_encoding(_make_hyperimpute("miwae")), "hyperimpute"),
    "GAIN": Method(_behind_encoding(_make_hyperimpute("gain")), "hyperimpute"),
    "HyperImpute": Method(_run_hyperimpute, "hyperimpute"),
    "AEImputer": Method(_run_skae, "skae"),
}

_FIELDS = {"rmse": "RMSE", "wrong": "wrong labels"}


def _show(figures: Figures) -> Iterable[str]:
    yield (
        "RMSE is the root of the mean squared error of all hidden numbers, in standard deviations "
        "of their columns; wrong labels are a share of the hidden ones. Ranks are means over "
        "tables and both figures. Means, ranks and seconds (totals) are of the tables on which "
        "all methods with a rank have results; a method that ran out of time on a table has no "
        "rank, and its ratio to the Gaussian conditional mean is that of its own tables. "
        "HyperImpute runs without logistic regression, which fails in this scikit-learn. "
        "IterativeImputer sees one indicator less a category: with all, each would be a sum of "
        "others, and stay at its mean. missForest runs on tables with labels; its trees see them "
        "as codes, where others fill one-hot columns."
    )
    for setting in _SETTINGS:
        methods = figures.list_methods(setting)
        if not methods:
            continue
        yield f"### {setting}"
        ranked = _find_complete(figures, setting, methods)
        ranks = _rank(figures, setting, ranked)
        rows = []
        for method in methods:
            line = [method]
            for field in _FIELDS:
                tables, values = figures.gather(setting, ranked, field)
                known = method in ranked and len(tables)
                line.append(f"{values[:, ranked.index(method)].mean():.3f}" if known else "")
                line.append(_show_ratio(figures, setting, method, field))
            line.append(f"{ranks[ranked.index(method)]:.2f}" if method in ranked else "")
            line.append(f"{_add_seconds(figures, setting, method):.1f}")
            line.append(str(len(_list_own(figures, setting, method))))
            rows.append(line)
        header = ["method", "RMSE", "ratio", "wrong labels", "ratio", "rank", "s", "tables"]
        yield markdown_table(header, rows)
        for field, title in _FIELDS.items():
            yield markdown_table(
                [f"table, {title}", *methods], _list_lines(figures, setting, methods, field)
            )


def _list_lines(
    figures: Figures, setting: str, methods: list[str], field: str
) -> Iterable[list[str]]:
    for table in figures.cells[setting]:
        values = [figures.find(setting, table, method, field) for method in methods]
        known = [value for value in values if value is not None]
        if known:
            best = min(known)
            yield [
                table,
                *("" if v is None else f"**{v:.3f}**" if v == best else f"{v:.3f}" for v in values),
            ]


def _list_own(figures: Figures, setting: str, method: str) -> list[str]:
    return figures.list_tables(setting, [method], "seconds")


def _add_seconds(figures: Figures, setting: str, method: str) -> float:
    tables = _list_own(figures, setting, method)
    return sum(figures.find(setting, table, method, "seconds") or 0.0 for table in tables)


def _show_ratio(figures: Figures, setting: str, method: str, field: str) -> str:
    if _FLOOR not in figures.list_methods(setting):
        return ""
    tables, values = figures.gather(setting, [method, _FLOOR], field)
    return f"{values[:, 0].mean() / values[:, 1].mean():.3f}" if len(tables) else ""


def _find_complete(figures: Figures, setting: str, methods: list[str]) -> list[str]:
    """Return the methods that have a result on every table that any has."""
    most = max(len(_list_own(figures, setting, method)) for method in methods)
    return [m for m in methods if len(_list_own(figures, setting, m)) == most and most]


def _rank(figures: Figures, setting: str, methods: list[str]) -> np.ndarray:
    """Return mean ranks over tables and both figures."""
    lines = [figures.gather(setting, methods, field)[1] for field in _FIELDS]
    values = np.concatenate(lines)
    return rankdata(values, axis=1).mean(axis=0) if len(values) else np.full(len(methods), np.nan)


def _find_bars(figures: Figures) -> list[Bar]:
    bars = []
    for setting in _SETTINGS:
        for ours in figures.list_ours(setting):
            bars += _find_own_bars(figures, setting, ours)
    return bars


def _find_own_bars(figures: Figures, setting: str, ours: str) -> list[Bar]:
    bars = []
    start = f"{setting}, {ours}"
    own = set(_list_own(figures, setting, ours))
    rivals = []
    for peer in figures.list_peers(setting):
        seconds = figures.gather(setting, [ours, peer], "seconds")[1].sum(axis=0)
        is_complete = own <= set(_list_own(figures, setting, peer))
        if own and is_complete and seconds[1] <= _MOST_TIMES * seconds[0]:
            rivals.append(peer)
    if rivals:
        ranks = _rank(figures, setting, [ours, *rivals])
        best = [ours, *rivals][int(np.argmin(ranks))]
        text = f"first in mean rank over {len(own)} tables of those within {_MOST_TIMES} times"
        bars.append(Bar(f"{start}, {text} its time: the first is {best}", best == ours))
    if _FLOOR in figures.list_methods(setting):
        worse = []
        for field in _FIELDS:
            tables, values = figures.gather(setting, [ours, _FLOOR], field)
            gaps = values[:, 0] - values[:, 1]
            worse += [
                f"{t} by {g:.3f}" for t, g in zip(tables, gaps, strict=True) if g > _TOLERANCE
            ]
        text = f"never worse than the {_FLOOR} by more than {_TOLERANCE}; worse on"
        known = len(figures.list_tables(setting, [ours, _FLOOR], "seconds"))
        if known:
            found = f"{text} {', '.join(worse) or 'none'} of {known} tables"
            bars.append(Bar(f"{start}, {found}", not worse))
    if _TREES in figures.list_methods(setting):
        tables, values = figures.gather(setting, [ours, _TREES], "rmse")
        seconds = figures.gather(setting, [ours, _TREES], "seconds")[1].sum(axis=0)
        if len(tables):
            ratio = values[:, 0].mean() / values[:, 1].mean()
            share = seconds[0] / seconds[1]
            text = f"mean RMSE within {_MARGIN:.0%} of extra trees' at a tenth of their time"
            found = f"{ratio:.3f} at {share:.3f} on {len(tables)} tables"
            bars.append(Bar(f"{start}, {text}: {found}", ratio <= 1 + _MARGIN and share <= 0.1))
    return bars


PART = Part(
    title="Imputation",
    settings=dict.fromkeys(_SETTINGS, ("mixed", "numbers")),
    methods=_METHODS,
    make_task=_make_task,
    measure=_measure,
    show=_show,
    find_bars=_find_bars,
)
