"""The detectors compared, each with its own defaults."""

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
    """How a detector is made and scored.

    Attributes
    ----------
    make : callable
        From the seed, the number of columns and whether rows to score are others than those
        fitted, to a detector that has `fit`.
    family : {"skae", "PyOD", "scikit-learn"}
        Whose it is.
    new : callable
        From a fitted detector and rows to scores, the higher the stranger.
    seen : callable or None
        The same for the rows that were fitted; None is `new`.
    is_aside : bool
        Whether it is there to compare with one method alone, and counts in no other's rank.
    """

    make: Callable[[int, int, bool], Any]
    family: str
    new: Score
    seen: Score | None = None
    is_aside: bool = False

    def score(self, model: Any, X: np.ndarray, novelty: bool) -> np.ndarray:
        """Return how strange rows are, which `model` was fitted to unless `novelty`."""
        score = self.new if novelty or self.seen is None else self.seen
        return np.asarray(score(model, X), dtype=np.float64).ravel()


def _strangeness(model: Any, X: np.ndarray) -> np.ndarray:
    """Turn scikit-learn's and skae's scores round, which are higher for normal rows."""
    return -model.score_samples(X)


def _fifth_distance(model: Any, X: np.ndarray | None) -> np.ndarray:
    return model.kneighbors(X)[0][:, -1]


def _log_density(model: Any, X: np.ndarray) -> np.ndarray:
    return -model.estimator_.score_samples(X)


def _skae(
    transformer: str | None = None, score: Score = _strangeness, is_aside: bool = False
) -> Method:
    """Return skae's detector, on its default transformer if None."""

    def make(seed: int, n_columns: int, novelty: bool) -> Any:
        # Named late, so that the others run where skae doesn't have it.
        detector = skae.AEAnomalyDetector
        inner = () if transformer is None else (getattr(skae, transformer)(),)
        return detector(*inner, random_state=seed)

    return Method(make, "skae", score, is_aside=is_aside)


def _pyod(module: str, name: str, sized: bool = False, seeded: bool = True) -> Method:
    """Return one of PyOD's detectors, imported when it is made.

    Parameters
    ----------
    module, name : str
        Where its class is.
    sized : bool, default=False
        Whether it has to be told the number of columns.
    seeded : bool, default=True
        Whether it takes a seed and prints its progress unless told not to.
    """

    def make(seed: int, n_columns: int, novelty: bool) -> Any:
        settings: dict[str, Any] = {"n_features": n_columns} if sized else {}
        settings |= {"random_state": seed, "verbose": 0} if seeded else {}
        return getattr(import_module(f"pyod.models.{module}"), name)(**settings)

    return Method(
        make,
        "PyOD",
        new=lambda model, X: model.decision_function(X),
        # PyOD's fit scores the rows that it is given.
        seen=lambda model, X: model.decision_scores_,
    )


def _sklearn(make: Callable[[int], Any]) -> Method:
    return Method(lambda seed, n_columns, novelty: make(seed), "scikit-learn", _strangeness)


#: The methods, in the order of the page.
METHODS: dict[str, Method] = {
    "skae": _skae(),
    # The same denoiser by its log-density, which is what other estimators are scored by.
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
        _strangeness,
        seen=lambda model, X: -model.negative_outlier_factor_,
    ),
    "kNN distance": Method(
        lambda seed, n_columns, novelty: NearestNeighbors(n_neighbors=5),
        "scikit-learn",
        _fifth_distance,
        # Asked for no rows, it gives the neighbours of those fitted, without the row itself.
        seen=lambda model, X: _fifth_distance(model, None),
    ),
    "OneClassSVM": _sklearn(lambda seed: OneClassSVM()),
    "EllipticEnvelope": _sklearn(lambda seed: EllipticEnvelope(random_state=seed)),
    # With all components no noise is left to estimate: the density is degenerate where
    # columns depend on each other, and a plain Gaussian elsewhere, which is there already.
    "PCA likelihood": _sklearn(lambda seed: PCA(0.95, svd_solver="full")),
    "GaussianMixture": _sklearn(lambda seed: GaussianMixture(random_state=seed)),
}


def left_out() -> dict[str, str]:
    """Return why methods can't be run here, by their names."""
    reasons = {}
    if not is_installed("pyod"):
        reasons["PyOD"] = "PyOD is not installed"
    if not hasattr(skae, "AEAnomalyDetector"):
        reasons["skae"] = "this skae has no AEAnomalyDetector"
    return {
        name: reasons[method.family] for name, method in METHODS.items() if method.family in reasons
    }
