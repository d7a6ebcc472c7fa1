"""Log-density of held-out rows: skae, latent classes, and columns on their own."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from _report import markdown_table
from sklearn.mixture import GaussianMixture

import skae

from ._parts import Bar, Cell, Figures, Method, Part
from ._tables import list_categories, list_numbers, pool_labels, split

_SETTING = "held out"
_CLASSES = "latent classes"
_SINGLE = ("independent Gaussians", "independent mixtures")
# The best of ours is above both on so many of twelve tables.
_BAR = 10 / 12

#: Standard deviation of the noise that is added to scaled numbers.
DITHER = 0.05

#: Numbers of classes, and of Gaussians of a column, that the criterion chooses from.
N_CLASSES = (1, 2, 3, 4, 6, 8, 12, 16, 24)
N_GAUSSIANS = (1, 2, 4, 8, 12)

# Added to the variances of a column's Gaussians: no column is narrower than its noise.
_LEAST_VARIANCE = DITHER**2

# Share of the one Gaussian, or class, in a mixture: else values beyond all others, and labels that
# no class has with others, ruin a table.
_SHARE = 0.01


@dataclass(frozen=True)
class Task:
    """Rows to fit, and others to score."""

    train: pd.DataFrame
    held_out: pd.DataFrame


def _make_task(frame: pd.DataFrame, setting: str, seed: int) -> Task:
    """Return scaled and dithered numbers, and labels that all training rows know of."""
    generator = np.random.default_rng(seed)
    train, held_out = split(pool_labels(frame))
    parts = [train.copy(), held_out.copy()]
    for name in list_numbers(train):
        mean, scale = train[name].mean(), train[name].std(ddof=0) or 1.0
        for part in parts:
            noise = DITHER * generator.normal(size=len(part))
            part[name] = (part[name].astype(float) - mean) / scale + noise
    for name in list_categories(train):
        seen = train[name].cat.remove_unused_categories().cat.categories
        for part in parts:
            part[name] = part[name].cat.set_categories(seen)
    return Task(*parts)


def _measure(method: Method, task: Task, seed: int) -> Cell:
    began = time.perf_counter()
    score = method.run(task.train, seed)
    fitted = time.perf_counter()
    nats = float(np.mean(score(task.held_out)))
    ended = time.perf_counter()
    if not np.isfinite(nats):
        raise ValueError("a log-density isn't finite")
    return {"nats": nats, "fit_seconds": fitted - began, "seconds": ended - began}


Score = Callable[[pd.DataFrame], np.ndarray]


def _run_independent(fit: Callable[[np.ndarray, int], Score]) -> Callable[..., Score]:
    """Return what scores each column by itself: numbers by a density, labels by frequencies."""

    def run(train: pd.DataFrame, seed: int) -> Score:
        scores: dict[str, Score] = {}
        for name in list_numbers(train):
            scores[name] = fit(train[name].dropna().to_numpy()[:, None], seed)
        shares = {
            name: np.log(train[name].value_counts(normalize=True))
            for name in list_categories(train)
        }

        def score(frame: pd.DataFrame) -> np.ndarray:
            total = np.zeros(len(frame))
            for name in train:
                known = frame[name].notna().to_numpy()
                if not known.any():
                    continue
                if name in shares:
                    total[known] += shares[name].loc[frame[name][known]].to_numpy()
                else:
                    total[known] += scores[name](frame[name][known].to_numpy()[:, None])
            return total

        return score

    return run


def _fit_gaussian(X: np.ndarray, seed: int) -> Score:
    return GaussianMixture(1, reg_covar=_LEAST_VARIANCE).fit(X).score_samples


def _fit_mixture(X: np.ndarray, seed: int) -> Score:
    fits = [
        GaussianMixture(size, reg_covar=_LEAST_VARIANCE, random_state=seed).fit(X)
        for size in N_GAUSSIANS
        if size <= len(X)
    ]
    best, wide = min(fits, key=lambda mixture: mixture.bic(X)), fits[0]
    return lambda values: np.logaddexp(
        np.log(1 - _SHARE) + best.score_samples(values),
        np.log(_SHARE) + wide.score_samples(values),
    )


def _run_classes(train: pd.DataFrame, seed: int) -> Score:
    """Fit latent classes of independent columns, with gaps, as many as the criterion takes."""
    from stepmix import StepMix
    from stepmix.utils import get_mixed_descriptor

    numbers, labels = list_numbers(train), list_categories(train)

    def prepare(frame: pd.DataFrame) -> tuple[pd.DataFrame, Any]:
        codes = frame.copy()
        for name in labels:
            codes[name] = frame[name].cat.codes.replace(-1, np.nan).astype(float)
        given = {"continuous_nan": numbers, "categorical_nan": labels}
        return get_mixed_descriptor(codes, **{key: names for key, names in given.items() if names})

    rows, descriptor = prepare(train)
    best, one, least = None, None, np.inf
    for size in N_CLASSES:
        if size > len(train):
            break
        model = StepMix(
            size, measurement=descriptor, random_state=seed, progress_bar=0, verbose=0
        ).fit(rows)
        one = one or model
        criterion = model.bic(rows)
        # The criterion has one minimum, and larger fits are slow. It is NaN if a class has no rows.
        if not criterion < least:
            break
        best, least = model, criterion

    def score(frame: pd.DataFrame) -> np.ndarray:
        # There is a score of a table alone, and none of rows.
        table = prepare(frame)[0]
        each = [table.iloc[[row]] for row in range(len(table))]
        scores = [[model.score(row) for row in each] for model in (best, one)]
        return np.logaddexp(
            np.log(1 - _SHARE) + np.array(scores[0]), np.log(_SHARE) + np.array(scores[1])
        )

    return score


def _run_skae(make: Callable[[int, int], Any]) -> Callable[..., Score]:
    return lambda train, seed: make(train.shape[1], seed).fit(train).score_samples


_METHODS = {
    _SINGLE[0]: Method(_run_independent(_fit_gaussian)),
    _SINGLE[1]: Method(_run_independent(_fit_mixture)),
    _CLASSES: Method(_run_classes, "stepmix"),
    "AutoencoderTransformer": Method(
        _run_skae(
            lambda columns, seed: skae.AutoencoderTransformer(
                max(1, columns // 3), random_state=seed
            )
        ),
        "skae",
    ),
    "VAETransformer": Method(
        _run_skae(
            lambda columns, seed: skae.VAETransformer(max(2, columns // 2), random_state=seed)
        ),
        "skae",
    ),
    "DenoisingAutoencoder": Method(
        _run_skae(lambda columns, seed: skae.DenoisingAutoencoder(None, random_state=seed)), "skae"
    ),
}


def _show(figures: Figures) -> Iterable[str]:
    yield (
        "Nats are the mean log-density of a held-out row's observed cells: density of numbers, in "
        "units of their standard deviations, times mass of labels; higher is better. Normal noise "
        f"of {DITHER} standard deviations is added to numbers: otherwise repeated values would "
        "make densities infinite. Labels beyond the fiftieth of a column are pooled beforehand, "
        "and a label that no training row has is a missing cell. Seconds are totals over tables; "
        "they are longer where other processes ran beside."
    )
    methods = figures.list_methods(_SETTING)
    rows = []
    for method in methods:
        tables, nats = figures.gather(_SETTING, [method], "nats")
        _, seconds = figures.gather(_SETTING, [method], "seconds")
        rows.append(
            [method, f"{nats.mean():.3f}", str(len(tables)), f"{seconds.sum():.1f}"]
            if len(tables)
            else [method, "", "0", ""]
        )
    yield markdown_table(["method", "nats a row", "tables", "s"], rows)
    lines = []
    for table in figures.cells.get(_SETTING, {}):
        values = [figures.find(_SETTING, table, method, "nats") for method in methods]
        known = [value for value in values if value is not None]
        if known:
            shown = [
                "" if v is None else f"**{v:.3f}**" if v == max(known) else f"{v:.3f}"
                for v in values
            ]
            lines.append([table, *shown])
    yield markdown_table(["table", *methods], lines)


def _find_bars(figures: Figures) -> list[Bar]:
    ours = figures.list_ours(_SETTING)
    bars = []
    floors = [name for name in _SINGLE if name in figures.list_peers(_SETTING)]
    if not ours or not floors:
        return bars
    for label, each in (*((name, [name]) for name in ours), ("the best of ours", ours)):
        for floor in floors:
            tables, nats = figures.gather(_SETTING, [*each, floor], "nats")
            if not tables:
                continue
            gaps = nats[:, -1] - nats[:, :-1].max(axis=1)
            below = [f"{t} by {g:.2f}" for t, g in zip(tables, gaps, strict=True) if g >= 0]
            text = f"{label} above {floor} on all; below on {', '.join(below) or 'none'}"
            bars.append(Bar(f"{text} of {len(tables)}", not below))
    if _CLASSES in figures.list_peers(_SETTING):
        peers = [_CLASSES, *floors]
        best = [figures.gather(_SETTING, [one, *peers], "nats") for one in ours]
        winner = max(best, key=lambda each: np.sum(each[1][:, 0] > each[1][:, 1:].max(axis=1)))
        wins = int(np.sum(winner[1][:, 0] > winner[1][:, 1:].max(axis=1)))
        total = len(winner[0])
        name = ours[[each is winner for each in best].index(True)]
        text = "above all others on ten of twelve tables, the best of our estimators"
        bars.append(Bar(f"{text}: {name} on {wins} of {total}", wins >= _BAR * total))
    return bars


PART = Part(
    title="Density",
    settings={_SETTING: ("mixed",)},
    methods=_METHODS,
    make_task=_make_task,
    measure=_measure,
    show=_show,
    find_bars=_find_bars,
)
