"""Anomalies of a series, by time step."""

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from .._base.documentation import DOC_LINK_TEMPLATE
from .._base.drafts import copy_shallow, replace_when_done
from .._base.parameters import Constraints, validate_meta_parameters
from .._detection import AEAnomalyDetector
from .._detection.anomaly_score import score_at_share
from .._detection.calibration import count_calibration_rows
from .._detection.conformal import conformal_threshold, warn_of_few
from .._detection.detector import check_threshold
from .._environment import RandomSource
from .._processes import refuse_group
from .overlaps import average_overlaps, count_overlapping, find_starts
from .recordings import read_recordings
from .windows import Windows

# Blocks of time that calibrate, each of which takes a fit. On the series of water circuits of
# docs/benchmarks/series.py, eight find as much as four, and three a little less.
_N_BLOCKS = 4

# A block in the middle leaves rows to train on, and to hold out, if there are so many times as many
# windows as overlap one of them. In a shorter series the last windows calibrate, and raise several
# times as many false alarms.
_FEWEST_OVERLAPS = 5


class SeriesAnomalyDetector(OutlierMixin, MetaEstimatorMixin, BaseEstimator):
    """Anomalies of a series, by time step.

    The windows of the series are the rows of an `AEAnomalyDetector`, whose threshold is calibrated
    by scores of windows that overlap none that trained. The score of a time step is the mean score
    of the windows that have it.

    Parameters
    ----------
    estimator : object, default=None
        As in `AEAnomalyDetector`.
    length : int, default=32
        Time steps of a window: as long as what is to be recognized, such as a period.
    step : int, default=1
        Time steps from one window to the next. Training and scoring take a `step`-th of the time,
        and anomalies are found to within as many time steps.
    contamination : "auto" or float, default="auto"
        Share of anomalous time steps in the series that the detector is fitted on, in (0, 0.5].
        With "auto" the share need not be known, and `alpha` sets the threshold.
    alpha : float, default=0.01
        False-alarm rate: the share of the time steps that calibrate below the threshold, with
        `contamination="auto"`.
    calibration_fraction : "auto" or float, default="auto"
        With "auto" all time steps train, and all calibrate, by cross-fitting: each of four blocks
        of the windows is scored by a detector that is fitted to the others, less those that
        overlap the block. A number is the share of the windows that calibrate, the last ones, in
        (0, 1), of which none trains; it takes one fit in place of five. In a series of less than
        some six times `length`, "auto" is a number as well, that of `AEAnomalyDetector`.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of an estimator whose `random_state` is None.

    Attributes
    ----------
    detector_ : AEAnomalyDetector
        The fitted detector of windows; its `explain` names their cells.
    windows_ : Windows
        What cuts series into windows.
    offset_ : float
        The threshold: `decision_function` is `score_samples` minus this.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the time steps that calibrate, in increasing order.
    labels_ : ndarray of shape (n_times,), or list of them
        What `fit_predict` returned: -1 for outliers, +1 for inliers.
    n_features_in_ : int
        Number of channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the channels, if all of them are strings.

    See Also
    --------
    Windows : The windows alone, as a step of a pipeline.
    skae.AEAnomalyDetector : The detector of rows.

    Notes
    -----
    The mean over windows is what `Windows.inverse_transform` does with values. An anomaly of few
    time steps has its lowest mean in its middle, where all windows have the whole of it; the
    lowest score instead of the mean would mark up to `length` time steps on either side alike.

    The guarantee of `AEAnomalyDetector` needs rows that are exchangeable, and time steps are not:
    neighbours are alike, and the future drifts. `alpha` is the rate on time steps that were scored
    by detectors that had not seen them: cross-conformal prediction [1]_, with the blocks of time
    of blocked cross-validation [2]_. The detector that scores is fitted to more than they were, so
    that its scores are rather higher. For a stationary series whose dependence fades, the rate
    tends to `alpha` as the series grows [3]_. For a series that drifts nothing is promised. There
    are no p-values for the same reason.

    References
    ----------
    .. [1] Vovk (2015), "Cross-conformal predictors", Annals of Mathematics and Artificial
       Intelligence 74. For exchangeable rows, Barber, Candès, Ramdas and Tibshirani (2021),
       "Predictive inference with the jackknife+", Annals of Statistics 49, bound the rate.
    .. [2] Bergmeir and Benítez (2012), "On the use of cross-validation for time series predictor
       evaluation", Information Sciences 191.
    .. [3] Chernozhukov, Wüthrich and Zhu (2018), "Exact and robust conformal inference methods for
       predictive machine learning with dependent data", COLT.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.series import SeriesAnomalyDetector
    >>> time = np.arange(600)
    >>> series = np.sin(time / 5) + 0.1 * np.random.default_rng(0).normal(size=600)
    >>> detector = SeriesAnomalyDetector(length=20, random_state=0).fit(series[:500])
    >>> series[540:550] = 0.0
    >>> scores = detector.score_samples(series)
    >>> bool(535 <= scores.argmin() < 555)
    True
    """

    _doc_link_module: ClassVar = "skae"
    # scikit-learn would name the file's module, and the page has the folder's.
    _doc_link_template: ClassVar = DOC_LINK_TEMPLATE.replace("{estimator_module}", "skae.series")

    _parameter_constraints: ClassVar[Constraints] = {
        **{
            name: AEAnomalyDetector._parameter_constraints[name]
            for name in (
                "estimator",
                "contamination",
                "alpha",
                "calibration_fraction",
                "random_state",
            )
        },
        **Windows._parameter_constraints,
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        length: int = 32,
        step: int = 1,
        contamination: float | str = "auto",
        alpha: float = 0.01,
        calibration_fraction: float | str = "auto",
        random_state: RandomSource = None,
    ) -> None:
        self.estimator = estimator
        self.length = length
        self.step = step
        self.contamination = contamination
        self.alpha = alpha
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    @validate_meta_parameters
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the detector to the windows of a series, and calibrate the threshold.

        Parameters
        ----------
        X : array-like or frame of shape (n_times, n_channels) or (n_times,), or list of them
            The series, of numbers, in the order of time. The elements of a list of arrays or
            frames are recordings.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError
            If a recording is shorter than a window, if too few windows are left to train on, or
            as in `AEAnomalyDetector`.
        """
        refuse_group("fit of SeriesAnomalyDetector")
        with replace_when_done(self) as draft:
            draft._fit(X)
        return self

    def _fit(self, X: Any) -> None:
        length, step = int(self.length), int(self.step)
        read = read_recordings(self, X, length, reset=True)
        self.windows_ = Windows._fit_on(read, self, length, step)
        gap = count_overlapping(length, step)
        self.detector_ = AEAnomalyDetector(
            self.estimator,
            contamination=self.contamination,
            alpha=self.alpha,
            calibration_fraction=self.calibration_fraction,
            gap=gap,
            random_state=self.random_state,
        )
        rows = self.windows_._cut(read)
        n_last = count_calibration_rows(len(rows), self.calibration_fraction, self.alpha)
        if len(rows) - n_last - gap < 1:
            raise ValueError(
                f"the series must have windows to train on that overlap none of those that "
                f"calibrate, got {sum(read.lengths)} time steps with length={length}: fit to a "
                "longer series, or choose a smaller length or calibration_fraction"
            )
        is_long = len(rows) >= _FEWEST_OVERLAPS * gap
        is_cross_fitted = is_long and isinstance(self.calibration_fraction, str)
        known = self.detector_._fit(rows, None, _N_BLOCKS if is_cross_fitted else None)
        self.__dict__.pop("labels_", None)  # those of another fit
        starts = find_starts(read.lengths, length, step)
        averaged = self._average(known, starts[-len(known) :])
        self.calibration_scores_ = self._scored = np.sort(averaged)
        if isinstance(self.contamination, str):
            self.set_threshold(alpha=self.alpha)
        else:
            scores, _ = self.detector_._scored
            self._scored = self._average(scores, starts)
            self.set_threshold(contamination=self.contamination)

    def _warn_of_few(self, alpha: float) -> None:
        """Warn if the calibration windows that do not overlap are too few for `alpha`.

        The lowest score of `n` of them is no rare one: a further window's is lower with a
        probability of one over `n + 1`.
        """
        n_times = len(self.calibration_scores_)
        n_apart = n_times // int(self.length)
        is_cross_fitted = isinstance(self.calibration_fraction, str)
        more = "" if is_cross_fitted else 'calibration_fraction="auto" or '
        warn_of_few(
            alpha,
            1 / (n_apart + 1),
            f"{n_times} time steps that calibrate, those of {n_apart} windows that do not overlap",
            "usual time steps",
            f"Fit to a longer series, choose {more}a smaller length",
        )

    def fit_predict(self, X: Any, y: Any = None) -> Any:
        """Fit on a series and return which time steps are outliers, as `labels_` too.

        Parameters
        ----------
        X : array-like or frame of shape (n_times, n_channels) or (n_times,), or list of them
            The series, as in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        labels : ndarray of shape (n_times,), or list of them
            -1 for outliers, +1 for inliers.
        """
        self.fit(X, y)
        self.labels_: Any = self._label(self._decide(self._score(X, warns=False)))
        return self.labels_

    def set_threshold(
        self, *, alpha: float | None = None, contamination: float | None = None
    ) -> Self:
        """Move the threshold of the fitted detector, without another fit.

        The parameters of the same names stay as they are: they are those of the next fit.

        Parameters
        ----------
        alpha : float, default=None
            Share of the time steps that calibrate below the threshold, in (0, 1).
        contamination : float, default=None
            Share of anomalous time steps, in (0, 0.5], in the series of the fit if it was scored
            then, which a number for the parameter `contamination` does, else among those that
            calibrate.

        Returns
        -------
        self : object
            The detector.

        Raises
        ------
        ValueError
            If not exactly one of the two is given, or if it is out of its bounds.
        """
        check_is_fitted(self)
        check_threshold(alpha, contamination)
        if alpha is not None:
            self._warn_of_few(alpha)
            threshold = conformal_threshold(self.calibration_scores_, None, alpha)
        elif contamination is not None:
            threshold = score_at_share(self._scored, None, contamination)
        self.offset_ = float(threshold - self.detector_._find_rounding(threshold))
        return self

    def score_samples(self, X: Any) -> Any:
        """Return the score of each time step; lower is more anomalous.

        Parameters
        ----------
        X : array-like or frame of shape (n_times, n_channels) or (n_times,), or list of them
            The series, at least as long as a window.

        Returns
        -------
        scores : ndarray of shape (n_times,), or list of them
            The mean score of the windows that have it, in nats; for a list, one array for each
            recording.
        """
        return self._score(X)

    def _score(self, X: Any, *, warns: bool = True) -> Any:
        now = copy_shallow(self)
        check_is_fitted(now)
        read = read_recordings(now, X, int(now.length), reset=False, warns=warns)
        scores = now.detector_.score_samples(now.windows_._cut(read))
        return now.windows_.spread(scores, read.lengths if read.is_list else read.lengths[0])

    def decision_function(self, X: Any) -> Any:
        """Return `score_samples` minus the threshold; below 0 is an outlier.

        Parameters
        ----------
        X : array-like or frame of shape (n_times, n_channels) or (n_times,), or list of them
            The series, at least as long as a window.

        Returns
        -------
        decision : ndarray of shape (n_times,), or list of them
            In nats.
        """
        return self._decide(self.score_samples(X))

    def _decide(self, scores: Any) -> Any:
        """Return how far scores of time steps, or of each recording's, are above the threshold."""
        if isinstance(scores, list):
            return [self._decide(each) for each in scores]
        return scores - self.offset_

    def predict(self, X: Any) -> Any:
        """Return -1 for the time steps that are outliers, and +1 for the others.

        Parameters
        ----------
        X : array-like or frame of shape (n_times, n_channels) or (n_times,), or list of them
            The series, at least as long as a window.

        Returns
        -------
        is_inlier : ndarray of shape (n_times,), or list of them
            -1 for outliers, +1 for inliers.
        """
        return self._label(self.decision_function(X))

    @staticmethod
    def _label(decision: Any) -> Any:
        """Return -1 or +1 for the decisions of time steps, or of each recording's."""
        if isinstance(decision, list):
            return [np.where(each >= 0, 1, -1) for each in decision]
        return np.where(decision >= 0, 1, -1)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        estimator = getattr(self, "detector_", AEAnomalyDetector(self.estimator))
        tags.input_tags.allow_nan = get_tags(estimator).input_tags.allow_nan
        tags.input_tags.sparse = True
        return tags

    def _average(self, scores: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return the scores of the time steps that are in windows with these first ones."""
        each = np.repeat(scores[:, None], int(self.length), axis=1)
        first = starts[0]
        averaged = average_overlaps(each, starts - first, starts[-1] + int(self.length) - first)
        return averaged[~np.isnan(averaged)]
