"""The anomaly detector."""

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted

from ._detection import (
    Parting,
    Strangeness,
    candidates_of,
    check_takes_weights,
    conformal_p_values,
    conformal_threshold,
    default_estimator,
    fitted,
    n_kept_apart,
    repaired,
    score_at_share,
    score_of,
    seeded,
    strangeness_of,
)
from ._environment import RandomStreams
from ._intake import AnyTable, copied_rows, validated_table
from ._parameters import DETECTOR_CONSTRAINTS, validates_parameters
from ._stored import held
from ._table import check_sample_weight

# The share of the rows kept apart that score lower than a row that needs no repair.
_TYPICAL = 0.25

# A threshold is the score of a row, which is no outlier whatever rows it is scored beside.
_ROUNDING = 1e-9


class AEAnomalyDetector(OutlierMixin, MetaEstimatorMixin, BaseEstimator):
    """Rows that don't belong, with thresholds and reasons.

    What rows are like is learned, and rows that are unlike are outliers. A part of the
    rows is kept apart from training: their scores give the threshold, and p-values that
    hold whatever the learning is worth [1]_. `explain` says which cells make a row strange.

    Parameters
    ----------
    estimator : object, default=None
        What gives rows their scores: any estimator with `fit` and `score_samples`, of skae
        or not. Its parameters are those of the detector too, as `estimator__...`. None is
        `DenoisingAutoencoder(None, hidden_layer_sizes=(192, 192), noise_level=(0.1, 5.0),
        n_draws=2, lr=0.008, batch_size=128, trim_fraction=0.04, early_stopping=False)`,
        with as many epochs as make nine optimizer steps for the root of the number of
        rows.
    contamination : "auto" or float, default="auto"
        The share of anomalies in the rows that the detector is fitted on, in (0, 0.5]: so
        many of them are outliers. With "auto" it need not be known: the threshold is the
        one of `alpha`.
    alpha : float, default=0.01
        Share of clean rows that may be taken for outliers, with `contamination="auto"`.
    calibration_fraction : "auto" or float, default="auto"
        Share of the rows that is kept apart from training, in (0, 1). "auto" is a tenth, or
        what `alpha` needs, `1 / alpha - 1` rows, but no more than a fifth of the rows.
    random_state : int, RandomState instance or None, default=None
        Fixes which rows are kept apart, and the estimator's `random_state` if it has one
        that is None.

    Attributes
    ----------
    estimator_ : object
        The fitted estimator.
    offset_ : float
        The threshold: `decision_function` is `score_samples` less this.
    calibration_scores_ : ndarray of shape (n_kept_apart,)
        Scores of the rows that were kept apart, in increasing order.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they have names that are all strings.

    See Also
    --------
    DenoisingAutoencoder : The network behind it.
    sklearn.ensemble.IsolationForest : Outliers by random trees.
    sklearn.covariance.EllipticEnvelope : Outliers of a robust Gaussian.

    Notes
    -----
    What is promised of the threshold and of `p_values`: if the rows kept apart and a fresh
    row are exchangeable, as draws from one source are, then the probability that the fresh
    row is an outlier is at most `alpha`, over all of it, the rows kept apart included; given
    these, the rate varies around that [1]_. Where too few rows were kept apart for `alpha`,
    it is at most one over one more than their number. Nothing is assumed of the estimator.
    Anomalies among the rows kept apart, if they score low, make thresholds lower: fewer
    outliers are found, and clean rows are no less safe.

    A `DenoisingAutoencoder` that was told a range of Gaussian noise gives a row three
    numbers: how badly it restores the row from noise, at all levels of it; how far the
    row is from the nearest of up to 2,000 training rows; and how far from the fifth
    nearest of those that are usual, the 70 % whose errors are least. Each is held against
    the same number of these training rows, and the share of them that have one as large,
    in nats, is its surprise, that of the errors a mean over the levels. The score is minus
    the mean of the three surprises. It differs from the denoiser's log-density, which is
    the sum of the same errors with weights that fall with the noise [2]_, in that all
    resolutions have a say, from that of a single row's neighbourhood [3]_ to that of the
    table's. For other estimators, the score is theirs: for skae's a log-density.

    References
    ----------
    .. [1] Bates, Candès, Lei, Romano and Sesia (2023), "Testing for outliers with conformal
       p-values", Annals of Statistics 51.
    .. [2] Kong, Brekelmans and Ver Steeg (2023), "Information-theoretic diffusion", ICLR,
       equation 8.
    .. [3] Ramaswamy, Rastogi and Shim (2000), "Efficient algorithms for mining outliers
       from large data sets", SIGMOD.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skae import AEAnomalyDetector
    >>> wine = load_wine(as_frame=True).data
    >>> detector = AEAnomalyDetector(random_state=0).fit(wine)
    >>> odd = wine.iloc[[0]].assign(ash=24.3)  # a factor of ten
    >>> detector.predict(odd)
    array([-1])
    >>> reasons = detector.explain(odd)
    >>> reasons.loc[0]["contribution"].idxmax()
    'ash'
    """

    _parameter_constraints: ClassVar[dict] = DETECTOR_CONSTRAINTS

    def __init__(
        self,
        estimator: Any = None,
        *,
        contamination: float | str = "auto",
        alpha: float = 0.01,
        calibration_fraction: float | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.contamination = contamination
        self.alpha = alpha
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    @validates_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn what rows are like, and what scores are usual.

        Parameters
        ----------
        X : array-like or store of shape (n_samples, n_features)
            The rows; some may be anomalies. A store as in `AutoencoderTransformer`; an
            estimator that isn't of this package has its rows loaded.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, for an estimator that takes weights.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError
            If values are missing or infinite, fewer than two rows have a positive weight,
            or the estimator takes no weights but some are given.
        """
        table = validated_table(self, X, reset=True, min_rows=2)
        streams = RandomStreams(self.random_state)
        weight = check_sample_weight(sample_weight, len(table))
        own = self.estimator
        if weight is not None:
            check_takes_weights(own)
        rows, weight = copied_rows(table, weight)
        if len(rows) < 2:
            raise ValueError(f"X has {len(rows)} row of positive weight, expected two or more")
        estimator = default_estimator(len(rows)) if own is None else clone(own)
        seeded(estimator, streams)
        n_apart = n_kept_apart(len(rows), self.calibration_fraction, self.alpha)
        parting = Parting.of(rows, weight, n_apart, streams.numpy_generator())
        self._keep(fitted(estimator, parting), rows, weight, parting)
        return self

    def _keep(
        self,
        estimator: Any,
        rows: AnyTable,
        weight: np.ndarray | None,
        parting: Parting,
    ) -> None:
        """Set the fitted attributes, all of them after all that can fail."""
        strangeness = strangeness_of(estimator, parting.part, parting.part_weight)
        share = None if isinstance(self.contamination, str) else self.contamination
        scores = score_of(estimator, strangeness, parting.apart if share is None else rows)
        of_apart = scores if share is None else scores[parting.numbers]
        order = of_apart.argsort()
        apart = parting.numbers[order]
        known, known_weight = of_apart[order], None if weight is None else weight[apart]
        if share is None:
            offset = conformal_threshold(known, known_weight, self.alpha)
        else:
            offset = score_at_share(scores, weight, share)
        self.estimator_, self.offset_ = estimator, offset - _ROUNDING * max(1.0, abs(offset))
        self.calibration_scores_, self._calibration_weight = known, known_weight
        self._strangeness: Strangeness | None = strangeness
        self._candidates = candidates_of(held(parting.part))

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return how usual each row is; lower is stranger.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In nats: see the notes of the class.
        """
        return self._score(self._checked(X))

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return `score_samples` less the threshold; below 0 is an outlier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            In nats.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return which rows are outliers.

        Each row is judged alone: of many clean rows, a share of `alpha` is taken for
        outliers. `discoveries` judges a batch, so that few of what it finds are clean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def p_values(self, X: ArrayLike) -> np.ndarray:
        """Return the probability that an inlier is as strange as each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            Conformal p-values: of a fresh inlier, one is at most `a` with a probability of
            at most `a`. None is below one over one more than the rows kept apart.
        """
        return conformal_p_values(
            self.score_samples(X), self.calibration_scores_, self._calibration_weight
        )

    def discoveries(self, X: ArrayLike, *, false_discovery_rate: float = 0.1) -> np.ndarray:
        """Return which rows of a batch are anomalies, with few false ones among them.

        The procedure of Benjamini and Hochberg (1995) on `p_values`, for which it controls
        the rate. It needs p-values as small as the rate times the share of anomalies:
        with few rows kept apart it finds none.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        false_discovery_rate : float, default=0.1
            The expected share of inliers among the rows found, in (0, 1).

        Returns
        -------
        found : ndarray of bool of shape (n_samples,)
            Which rows are found to be anomalies.
        """
        if not 0 < false_discovery_rate < 1:
            raise ValueError(
                f"false_discovery_rate={false_discovery_rate!r} was got, expected a share in (0, 1)"
            )
        return false_discovery_control(self.p_values(X)) <= false_discovery_rate

    def explain(self, X: ArrayLike) -> pd.DataFrame:
        """Return which cells make rows strange, and what was expected in their place.

        Cells are repaired one after the other, the one that gains most first, until the
        row's score is typical, in the upper three quarters of the rows kept apart, or no
        repair gains any more. A cell's contribution is what its repair gains.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows. Each takes some `32 * n_features` evaluations of the score for each cell
            that is repaired.

        Returns
        -------
        reasons : pandas.DataFrame
            A line for each row and column of `X`: its "value", the one "expected" there
            beside the repaired row's other cells, and its "contribution" in nats, 0 for
            cells that needed no repair. A row's contributions add up to the score it would
            have with the others' expected values in their place, less its own.
        """
        table = self._checked(X)[:]
        index = X.index if isinstance(X, pd.DataFrame) else range(len(table))
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        enough = float(np.quantile(self.calibration_scores_, _TYPICAL))
        repairs = [repaired(self._score, row, self._candidates, enough) for row in table]
        return pd.DataFrame(
            {
                "value": table.ravel(),
                "expected": np.concatenate([repair.expected for repair in repairs]),
                "contribution": np.concatenate([repair.gains for repair in repairs]),
            },
            index=pd.MultiIndex.from_product([index, names], names=["row", "column"]),
        )

    def _checked(self, X: ArrayLike) -> AnyTable:
        check_is_fitted(self)
        return validated_table(self, X, reset=False)

    def _score(self, rows: AnyTable) -> np.ndarray:
        return score_of(self.estimator_, self._strangeness, rows)
