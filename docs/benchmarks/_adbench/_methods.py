"""The detectors to compare, with their default parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from _report import is_installed
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

import skae

Score = Callable[[Any, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Method:
    """How a detector is created and scored.

    Attributes
    ----------
    make : callable
        Creates a detector from the seed, the number of columns, and whether the rows to score
        differ from the fitted rows.
    family : {"skae", "PyOD", "scikit-learn"}
        The package of the detector.
    new : callable
        Maps a fitted detector and rows to scores; higher is more anomalous.
    seen : callable or None
        The same for the fitted rows; None is `new`.
    is_aside : bool
        Whether it is compared with one method only, and does not affect the ranks of others.
    """

    make: Callable[[int, int, bool], Any]
    family: str
    new: Score
    seen: Score | None = None
    is_aside: bool = False

    def score(self, model: Any, X: np.ndarray, novelty: bool) -> np.ndarray:
        """Return the anomaly scores of rows, to which `model` was fitted unless `novelty`."""
        score = self.new if novelty or self.seen is None else self.seen
        return np.asarray(score(model, X), dtype=np.float64).ravel()


def _negative_score(model: Any, X: np.ndarray) -> np.ndarray:
    """Negate the scores of scikit-learn and skae, which are higher for normal rows."""
    return -model.score_samples(X)


def _fifth_distance(model: Any, X: np.ndarray | None) -> np.ndarray:
    return model.kneighbors(X)[0][:, -1]


def _log_density(model: Any, X: np.ndarray) -> np.ndarray:
    return -model.estimator_.score_samples(X)


def _skae(
    transformer: str | None = None, score: Score = _negative_score, is_aside: bool = False
) -> Method:
    """Return the detector of skae, with its default estimator if None."""

    def make(seed: int, n_columns: int, novelty: bool) -> Any:
        # Look the class up late, so that the other methods run without it.
        detector = skae.AEAnomalyDetector
        inner = () if transformer is None else (getattr(skae, transformer)(),)
        return detector(*inner, random_state=seed)

    return Method(make, "skae", score, is_aside=is_aside)


def _pyod(module: str, name: str, sized: bool = False, seeded: bool = True) -> Method:
    """Return a detector of PyOD, imported when it is created.

    Parameters
    ----------
    module, name : str
        Module and name of its class.
    sized : bool, default=False
        Whether it needs the number of columns.
    seeded : bool, default=True
        Whether it has the parameters `random_state` and `verbose`.
    """

    def make(seed: int, n_columns: int, novelty: bool) -> Any:
        settings: dict[str, Any] = {"n_features": n_columns} if sized else {}
        settings |= {"random_state": seed, "verbose": 0} if seeded else {}
        return getattr(import_module(f"pyod.models.{module}"), name)(**settings)

    return Method(
        make,
        "PyOD",
        new=lambda model, X: model.decision_function(X),
        # The fit of PyOD scores the fitted rows.
        seen=lambda model, X: model.decision_scores_,
    )


def _sklearn(make: Callable[[int], Any]) -> Method:
    return Method(lambda seed, n_columns, novelty: make(seed), "scikit-learn", _negative_score)


#: The methods, in the order of the page.
METHODS: dict[str, Method] = {
    "skae": _skae(),
    # The same denoiser, scored by its log-density as other estimators are.
    "skae log-density": _skae(score=_log_density, is_aside=True),
    "skae AE": _skae("AutoencoderTransformer"),
    "skae VAE": _skae("VAETransformer"),
    "PyOD AutoEncoder": _pyod("auto_encoder", "AutoEncoder"),
    "PyOD VAE": _pyod("vae", "VAE"),
    "PyOD ECOD": _pyod("ecod", "ECOD", seeded=False),
    "PyOD DeepSVDD": _pyod("deep_svdd", "DeepSVDD", sized=True),
    "IsolationForest": _sklearn(lambda seed: IsolationForest(random_state=seed)),
    "LocalOutlierFactor": Method(
        lambda seed, n_columns, novelty: LocalOutlierFactor(novelty=novelty),
        "scikit-learn",
        _negative_score,
        seen=lambda model, X: -model.negative_outlier_factor_,
    ),
    "kNN distance": Method(
        lambda seed, n_columns, novelty: NearestNeighbors(n_neighbors=5),
        "scikit-learn",
        _fifth_distance,
        # Without rows it returns the neighbours of the fitted rows, excluding the row itself.
        seen=lambda model, X: _fifth_distance(model, None),
    ),
    "OneClassSVM": _sklearn(lambda seed: OneClassSVM()),
    "EllipticEnvelope": _sklearn(lambda seed: EllipticEnvelope(random_state=seed)),
    # With all components no noise remains to be estimated. The density is then degenerate if
    # columns are dependent, and otherwise a plain Gaussian, which is already in the list.
    "PCA likelihood": _sklearn(lambda seed: PCA(0.95, svd_solver="full")),
    "GaussianMixture": _sklearn(lambda seed: GaussianMixture(random_state=seed)),
}


def left_out() -> dict[str, str]:
    """Return the reasons why methods cannot run here, by name."""
    reasons = {}
    if not is_installed("pyod"):
        reasons["PyOD"] = "PyOD is not installed"
    if not hasattr(skae, "AEAnomalyDetector"):
        reasons["skae"] = "this skae has no AEAnomalyDetector"
    return {
        name: reasons[method.family] for name, method in METHODS.items() if method.family in reasons
    }
