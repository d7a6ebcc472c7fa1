"""Samples of variational autoencoders of tables, compared with held-out rows.

For each of four tables of scikit-learn, the densities are fitted to three quarters of the rows and
generate 4,000 rows. Each column of these is compared with the held-out quarter by the two-sample
Kolmogorov-Smirnov distance: 0 if both have the same distribution, and 1 if they do not overlap.
The mean over columns measures the margins only. The mean log-density of the held-out rows measures
the density as a whole. No smooth density gets close to columns of whole numbers, such as all
columns of the digits. The page also shows the distance between the training rows and the held-out
rows, the limit set by the number of held-out rows.
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
PLAIN = "VAE, standard prior, one noise"
MIXTURE = "VAE, mixture prior, noise per column"
GAUSSIANS = "GaussianMixture(5)"


@dataclass(frozen=True)
class Quality:
    """Figures of a density.

    Attributes
    ----------
    distance : float
        Kolmogorov-Smirnov distance between its samples and held-out rows, averaged over columns.
    score : float or None
        Mean log-density of the held-out rows with standardized columns, in nats per row.
    seconds : float
        Time of the fit.
    """

    distance: float
    score: float | None
    seconds: float


def estimators(n_columns: int, seed: int) -> dict[str, Any]:
    """Return the densities to compare, by name."""
    n_components = min(8, n_columns)
    fixed = {"device": "cpu", "random_state": seed}
    return {
        PLAIN: VAETransformer(n_components, prior="standard", noise_per_column=False, **fixed),
        MIXTURE: VAETransformer(n_components, prior="mixture", noise_per_column=True, **fixed),
        GAUSSIANS: GaussianMixture(5, random_state=seed),
    }


def compute(context: Context) -> Row:
    """Assess every density on every table, with several seeds."""
    began = time.perf_counter()
    found: dict[str, dict[str, list[Quality]]] = {}
    for name, load in TABLES.items():
        found[name] = {}
        for seed in range(context.seed, context.seed + N_SEEDS):
            for method, quality in assess(load, seed).items():
                found[name].setdefault(method, []).append(quality)
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


def assess(load: Callable[..., Any], seed: int) -> dict[str, Quality]:
    """Fit every density to a split of a table, and assess it."""
    X, _ = load(return_X_y=True)
    train, test = train_test_split(X, test_size=0.25, random_state=seed)
    varying = np.ptp(train, axis=0) > 0
    scaler = StandardScaler().fit(train[:, varying])
    train, test = scaler.transform(train[:, varying]), scaler.transform(test[:, varying])
    qualities = {TRAINING: Quality(distance(train, test), None, 0.0)}
    for name, estimator in estimators(train.shape[1], seed).items():
        began = time.perf_counter()
        estimator.fit(train)
        seconds = time.perf_counter() - began
        drawn = drawn_from(estimator, seed)
        score = float(estimator.score(test))
        qualities[name] = Quality(distance(drawn, test), score, seconds)
    return qualities


def drawn_from(estimator: VAETransformer | GaussianMixture, seed: int) -> np.ndarray:
    """Return rows drawn from a fitted density."""
    if isinstance(estimator, GaussianMixture):
        return estimator.sample(N_DRAWN)[0]
    return estimator.sample(N_DRAWN, random_state=seed)


def distance(drawn: np.ndarray, rows: np.ndarray) -> float:
    """Return the Kolmogorov-Smirnov distance, averaged over columns."""
    each = [ks_2samp(a, b).statistic for a, b in zip(drawn.T, rows.T, strict=True)]
    return float(np.mean(each))


def _result(name: str, methods: dict[str, list[Quality]]) -> Result:
    ours = methods[MIXTURE]
    peer = _mean([quality.distance for quality in methods[GAUSSIANS]])
    return Result(
        name,
        f"Kolmogorov-Smirnov distance, mean of columns and {N_SEEDS} splits",
        f"GaussianMixture(5) {peer:.3f}",
        "measured in the same run",
        _mean([quality.distance for quality in ours]),
        None,
        _mean([quality.seconds for quality in ours]),
        '`VAETransformer(K, prior="mixture", noise_per_column=True)`, where K is the smaller '
        "of 8 and the number of columns",
        notes=(f"Distances: {_distances(methods)}.", f"Nats per held-out row: {_scores(methods)}."),
    )


def _distances(methods: dict[str, list[Quality]]) -> str:
    means = {name: _mean([one.distance for one in many]) for name, many in methods.items()}
    return ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())


def _scores(methods: dict[str, list[Quality]]) -> str:
    means = {name: _mean([one.score for one in many]) for name, many in methods.items()}
    return ", ".join(f"{name} {mean:.1f}" for name, mean in means.items() if not np.isnan(mean))


def _mean(values: list[float | None]) -> float:
    return float(np.mean([np.nan if value is None else value for value in values]))


def _record(found: dict[str, dict[str, list[Quality]]]) -> dict[str, Any]:
    return {
        name: {method: [vars(one) for one in many] for method, many in methods.items()}
        for name, methods in found.items()
    }
