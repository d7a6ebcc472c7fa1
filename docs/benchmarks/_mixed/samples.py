"""Rows drawn from a model: skae, a Gaussian copula, and two networks of sdv."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from _report import markdown_table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

import skae

from ._encoding import Encoding
from ._parts import Bar, Cell, Figures, Method, Part
from ._tables import list_categories, list_numbers, pool_labels, split

_SETTING = "four tables"
_OURS = "VAETransformer"
_TVAE = "TVAE"
# Highest share of TVAE's time.
_TIME = 0.1


@dataclass(frozen=True)
class Task:
    """Rows to fit, and others to compare the samples with."""

    train: pd.DataFrame
    held_out: pd.DataFrame


def _make_task(frame: pd.DataFrame, setting: str, seed: int) -> Task:
    return Task(*split(pool_labels(frame)))


def _measure(method: Method, task: Task, seed: int) -> Cell:
    began = time.perf_counter()
    drawn = method.run(task.train, seed)
    seconds = time.perf_counter() - began
    drawn = drawn[list(task.train)].reset_index(drop=True)
    for name in list_categories(task.train):
        drawn[name] = pd.Categorical(
            drawn[name].astype(object), categories=task.train[name].cat.categories
        )
    shapes, pairs = _compare(task.held_out, drawn)
    return {
        "shapes": shapes,
        "pairs": pairs,
        "told_apart": _tell_apart(task.held_out, drawn, seed),
        "nearer": _find_nearer(task, drawn),
        "seconds": seconds,
    }


def _compare(real: pd.DataFrame, drawn: pd.DataFrame) -> tuple[float, float]:
    """Return the column shapes and the pair trends of sdmetrics, 1 at best."""
    from sdmetrics.reports.single_table import QualityReport

    labels = set(list_categories(real))
    columns = {name: {"sdtype": "categorical" if name in labels else "numerical"} for name in real}
    frames = [
        frame.astype(dict.fromkeys(labels, object) | dict.fromkeys(list_numbers(real), float))
        for frame in (real, drawn)
    ]
    report = QualityReport()
    report.generate(*frames, {"columns": columns}, verbose=False)
    properties = report.get_properties().set_index("Property")["Score"]
    return float(properties["Column Shapes"]), float(properties["Column Pair Trends"])


def _tell_apart(real: pd.DataFrame, drawn: pd.DataFrame, seed: int) -> float:
    """Return the accuracy of a classifier that tells held-out from drawn rows, 0.5 at best."""
    n_rows = min(len(real), len(drawn))
    both = pd.concat([real[:n_rows], drawn[:n_rows]], ignore_index=True)
    for name in list_categories(real):
        both[name] = both[name].astype(object).astype("category")
    for name in list_numbers(real):
        both[name] = both[name].astype(float)
    y = np.repeat([0, 1], n_rows)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return float(np.mean(cross_val_predict(model, both, y, cv=folds) == y))


def _find_nearer(task: Task, drawn: pd.DataFrame) -> float:
    """Return the share of held-out rows nearer to a drawn than to a training row, 0.5 at best."""
    encoding = Encoding(task.train)
    real, train, own = (
        np.nan_to_num(encoding.encode(frame)) for frame in (task.held_out, task.train, drawn)
    )
    to_train, to_drawn = (
        NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(real)[0][:, 0] for rows in (train, own)
    )
    # Equal distances count as half: rows of labels alone have many.
    return float(np.mean(to_drawn < to_train) + 0.5 * np.mean(to_drawn == to_train))


def _run_sdv(name: str) -> Callable[..., pd.DataFrame]:
    """Return a synthesizer of sdv, which takes no seed but that of the global generators."""

    def run(train: pd.DataFrame, seed: int) -> pd.DataFrame:
        import sdv.single_table
        import torch
        from sdv.metadata import Metadata

        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        labels = list_categories(train)
        columns = {
            name: {"sdtype": "categorical" if name in labels else "numerical"} for name in train
        }
        metadata = Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})
        given = {} if name == "GaussianCopulaSynthesizer" else {"enable_gpu": False}
        model = getattr(sdv.single_table, name)(metadata, **given)
        model.fit({"table": train.astype(dict.fromkeys(labels, object))})
        return model.sample(len(train))["table"]

    return run


def _run_bootstrap(train: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return training rows drawn with replacement: what copying gives."""
    return train.sample(len(train), replace=True, random_state=seed)


def _run_independent(train: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return training rows whose columns are permuted: what single columns give."""
    generator = np.random.default_rng(seed)
    out = train.copy()
    for index in range(train.shape[1]):
        order = generator.permutation(len(train))
        out.isetitem(index, train.iloc[order, index].reset_index(drop=True))
    return out


def _run_skae(train: pd.DataFrame, seed: int) -> pd.DataFrame:
    model = skae.VAETransformer(max(2, train.shape[1] // 2), random_state=seed).fit(train)
    drawn = model.sample(len(train), random_state=seed)
    return drawn if isinstance(drawn, pd.DataFrame) else pd.DataFrame(drawn, columns=train.columns)


_METHODS = {
    "copied rows": Method(_run_bootstrap),
    "permuted columns": Method(_run_independent),
    "Gaussian copula": Method(_run_sdv("GaussianCopulaSynthesizer"), "sdv"),
    "CTGAN": Method(_run_sdv("CTGANSynthesizer"), "sdv"),
    _TVAE: Method(_run_sdv("TVAESynthesizer"), "sdv"),
    _OURS: Method(_run_skae, "skae"),
}

_PEERS = ("Gaussian copula", "CTGAN", _TVAE)
_FIELDS = {
    "shapes": "column shapes",
    "pairs": "pair trends",
    "told_apart": "told apart",
    "nearer": "nearer",
    "seconds": "s",
}


def _show(figures: Figures) -> Iterable[str]:
    yield (
        "As many rows are drawn as are fitted, and compared with held-out rows: by the column "
        "shapes and the pair trends of sdmetrics (1 at best; of the pairs that are correlated or "
        "associated in the held-out rows, by its thresholds), by the accuracy of a gradient "
        "boosting classifier that tells them apart (0.5 at best), and by the share of held-out "
        "rows that are nearer to a drawn row than to a training row: 0.5 if drawn rows are as good "
        "as other real ones. `copied rows` are drawn with replacement, and so leave out a third of "
        "the rows. Labels beyond the fiftieth of a column are pooled beforehand."
    )
    methods = figures.list_methods(_SETTING)
    rows = []
    for method in methods:
        tables = figures.list_tables(_SETTING, [method], "seconds")
        values = [figures.gather(_SETTING, [method], field)[1] for field in _FIELDS]
        means = [f"{v.mean():.3f}" if len(v) else "" for v in values[:-1]]
        rows.append([method, *means, f"{values[-1].sum():.1f}", str(len(tables))])
    yield markdown_table(["method", *_FIELDS.values(), "tables"], rows)
    for field in list(_FIELDS)[:-1]:
        lines = []
        for table in figures.cells.get(_SETTING, {}):
            found = [figures.find(_SETTING, table, method, field) for method in methods]
            lines.append([table, *("" if v is None else f"{v:.3f}" for v in found)])
        yield markdown_table([f"table, {_FIELDS[field]}", *methods], lines)


def _find_bars(figures: Figures) -> list[Bar]:
    if _OURS not in figures.list_methods(_SETTING):
        return []
    bars = []
    for field in ("shapes", "pairs"):
        peers = [name for name in figures.list_methods(_SETTING) if name in _PEERS]
        tables, values = figures.gather(_SETTING, [_OURS, *peers], field)
        if len(tables) and peers:
            mean = values.mean(axis=0)
            best = [_OURS, *peers][int(mean.argmax())]
            shown = ", ".join(
                f"{name} {v:.3f}" for name, v in zip([_OURS, *peers], mean, strict=True)
            )
            bars.append(Bar(f"best in {_FIELDS[field]}: {shown}", best == _OURS))
    tables, seconds = figures.gather(_SETTING, [_OURS, _TVAE], "seconds")
    if len(tables):
        share = float(seconds[:, 0].sum() / seconds[:, 1].sum())
        bars.append(Bar(f"at most {_TIME} of {_TVAE}'s time: {share:.3f}", share <= _TIME))
    return bars


PART = Part(
    title="Samples",
    settings={_SETTING: ("mixed",)},
    methods=_METHODS,
    make_task=_make_task,
    measure=_measure,
    show=_show,
    find_bars=_find_bars,
    only=("adult", "credit", "diamonds", "wage"),
)
