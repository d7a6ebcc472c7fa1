"""Rows drawn from variational autoencoders of tables, held against rows held out.

For each of four tables of scikit-learn's, three quarters of the rows are fitted, 4,000 rows
are drawn, and each column of them is compared with the quarter held out by the two-sample
Kolmogorov-Smirnov distance: 0 if the two are distributed alike, 1 if they don't overlap.
The mean over columns judges the margins only; the mean log-density of the rows held out
judges the density as a whole. Columns of whole numbers, all of digits', keep any smooth
density away from small distances. Given too is the distance of the training rows from those
held out, which is what the number of the latter allows.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import ks_2samp
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import VAETransformer

from ._row import Context, Result, Row

N_SEEDS = 3
N_DRAWN = 4000
TABLES = {
    "digits": load_digits,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "diabetes": load_diabetes,
}
TRAINING = "training rows"
DEFAULT = "VAE, defaults"
MIXTURE = "VAE, mixture prior, noise per column"
GAUSSIANS = "GaussianMixture(5)"


@dataclass(frozen=True)
class Judgement:
    """How good a density is.

    Attributes
    ----------
    distance : float
        Kolmogorov-Smirnov distance of its draws from rows held out, a mean over columns.
    score : float or None
        Mean log-density of the rows held out, in nats a row of standardised columns.
    seconds : float
        Time of its fit.
    """

    distance: float
    score: float | None
    seconds: float


def estimators(n_columns: int, seed: int) -> dict[str, Any]:
    """Return what is compared, by name."""
    n_components = min(8, n_columns)
    fixed = {"device": "cpu", "random_state": seed}
    return {
        DEFAULT: VAETransformer(n_components, **fixed),
        MIXTURE: VAETransformer(n_components, prior="mixture", noise_per_column=True, **fixed),
        GAUSSIANS: GaussianMixture(5, random_state=seed),
    }


def compute(context: Context) -> Row:
    """Judge every density on every table, with several seeds."""
    began = time.perf_counter()
    found: dict[str, dict[str, list[Judgement]]] = {}
    for name, load in TABLES.items():
        found[name] = {}
        for seed in range(context.seed, context.seed + N_SEEDS):
            for method, judgement in judged(load, seed).items():
                found[name].setdefault(method, []).append(judgement)
        print(f"  {name}: {_distances(found[name])}; {_scores(found[name])}", flush=True)
    seconds = time.perf_counter() - began
    text = (
        "Densities are fitted to three quarters of the rows of four tables of scikit-learn. The "
        f"figure is the Kolmogorov-Smirnov distance between {N_DRAWN} samples and the held-out "
        f"rows, averaged over columns and {N_SEEDS} splits. Columns are standardized by the "
        "training rows, and constant columns are left out. The distance of the training rows shows "
        "what the number of held-out rows allows."
    )
    results = tuple(_result(name, methods) for name, methods in found.items())
    return Row("Samples of tables", text, results, (), {"seconds": seconds, **_record(found)})


def judged(load: Callable[..., Any], seed: int) -> dict[str, Judgement]:
    """Fit every density to a split of a table, and judge it."""
    X, _ = load(return_X_y=True)
    train, test = train_test_split(X, test_size=0.25, random_state=seed)
    varying = np.ptp(train, axis=0) > 0
    scaler = StandardScaler().fit(train[:, varying])
    train, test = scaler.transform(train[:, varying]), scaler.transform(test[:, varying])
    judgements = {TRAINING: Judgement(distance(train, test), None, 0.0)}
    for name, estimator in estimators(train.shape[1], seed).items():
        began = time.perf_counter()
        estimator.fit(train)
        seconds = time.perf_counter() - began
        drawn = drawn_from(estimator, seed)
        score = float(estimator.score(test))
        judgements[name] = Judgement(distance(drawn, test), score, seconds)
    return judgements


def drawn_from(estimator: VAETransformer | GaussianMixture, seed: int) -> np.ndarray:
    """Return rows drawn from a fitted density."""
    if isinstance(estimator, GaussianMixture):
        return estimator.sample(N_DRAWN)[0]
    return estimator.sample(N_DRAWN, random_state=seed)


def distance(drawn: np.ndarray, rows: np.ndarray) -> float:
    """Return the Kolmogorov-Smirnov distance, a mean over columns."""
    each = [ks_2samp(a, b).statistic for a, b in zip(drawn.T, rows.T, strict=True)]
    return float(np.mean(each))


def _result(name: str, methods: dict[str, list[Judgement]]) -> Result:
    ours = methods[MIXTURE]
    peer = _mean([judgement.distance for judgement in methods[GAUSSIANS]])
    return Result(
        name,
        f"Kolmogorov-Smirnov distance, mean of columns and {N_SEEDS} splits",
        f"GaussianMixture(5) {peer:.3f}",
        "measured in the same run",
        _mean([judgement.distance for judgement in ours]),
        None,
        _mean([judgement.seconds for judgement in ours]),
        '`VAETransformer(K, prior="mixture", noise_per_column=True)`, where K is the smaller '
        "of 8 and the number of columns",
        notes=(f"Distances: {_distances(methods)}.", f"Nats per held-out row: {_scores(methods)}."),
    )


def _distances(methods: dict[str, list[Judgement]]) -> str:
    means = {name: _mean([one.distance for one in many]) for name, many in methods.items()}
    return ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())


def _scores(methods: dict[str, list[Judgement]]) -> str:
    means = {name: _mean([one.score for one in many]) for name, many in methods.items()}
    return ", ".join(f"{name} {mean:.1f}" for name, mean in means.items() if not np.isnan(mean))


def _mean(values: list[float | None]) -> float:
    return float(np.mean([np.nan if value is None else value for value in values]))


def _record(found: dict[str, dict[str, list[Judgement]]]) -> dict[str, Any]:
    return {
        name: {method: [vars(one) for one in many] for method, many in methods.items()}
        for name, methods in found.items()
    }
