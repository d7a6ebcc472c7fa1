"""The anomaly detector."""

import math
import os
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._base import BaseAutoencoder
from .._base.blueprints import find_sequences
from .._base.callback_support import CallbackSupportMixin, begin_tasks, pass_tasks_on
from .._base.dask_support import by_blocks
from .._base.documentation import DOC_LINK_TEMPLATE
from .._base.drafts import copy_shallow, replace_when_done
from .._base.estimator import fit_within
from .._base.fingerprint import describe_fit
from .._base.parameters import (
    RANDOM_STATE,
    Constraints,
    HasMethods,
    Interval,
    StrOptions,
    validate_meta_parameters,
    validate_parameter_constraints,
)
from .._base.seal import is_sealed, open_sealed, seal
from .._base.sharing import check_same_estimator
from .._data import (
    AnyTable,
    ColumnChoice,
    Columns,
    ReadTable,
    RowShape,
    TrainingTable,
    check_has_rows,
    check_row_shape,
    check_sample_weight,
    encode_table,
    flatten_rows,
    keep_order,
    load_dask,
    measure_columns,
    read_table,
    row_blocks,
    subsample_indices,
    subsample_store,
    take_rows,
    validate_table,
    write_out_copies,
)
from .._data.cells import find_cell
from .._denoising import DenoisingAutoencoder
from .._denoising.density import has_score_by_errors
from .._environment import RandomSource, RandomStreams
from .._linear import ROWS_A_COLUMN
from .._processes import find_seed, take_part, wait_for_others
from .._training import Checkpoint, open_checkpoint
from .anomaly_score import AnomalyScore, is_known_by_heart, score_at_share
from .calibration import (
    LARGEST_SHARE,
    CalibrationSplit,
    count_calibration_rows,
    cut_blocks,
    make_split_generator,
)
from .conformal import (
    conformal_p_values,
    conformal_threshold,
    least_p_value,
    warn_of_few,
    warn_of_none,
)
from .explanation import (
    CellChoice,
    choose_candidates,
    choose_encoded_candidates,
    find_counterfactual,
    list_reasons,
)
from .gaps import GapScore
from .labels import UNSEEN, SeenLabels, hide_unseen

# Training of the default: chosen on the tables of docs/benchmarks/adbench.py, all together.
_BATCH, _STEPS, _MOST_STEPS = 128, 9, 1500

# Reference rows of the anomaly score: twice as many gave the same figures on those tables.
_REFERENCE_ROWS = 2_000

_ALPHA = Interval(Real, 0, 1, closed="neither")
_CONTAMINATION = Interval(Real, 0, 0.5, closed="right")
_THRESHOLDS: Constraints = {"alpha": [_ALPHA, None], "contamination": [_CONTAMINATION, None]}
_DISCOVERIES: Constraints = {"false_discovery_rate": [_ALPHA]}
_EXPLAIN: Constraints = {"feature_names": ["array-like", None]}

# The share of the calibration rows that score lower than a typical row.
_TYPICAL = 0.25

# Scores as near as this are equal: a threshold is the score of a row, whose copies are no outliers
# whatever their rounding. In nats for anomaly scores and log-densities; for other estimators it is
# measured, within these bounds, relative to the score.
_SCORE_ROUNDING = 1e-3
_DENSITY_ROUNDING = 1e-4
_LEAST_ROUNDING, _MOST_ROUNDING = 1e-9, 1e-3


def check_threshold(alpha: float | None, contamination: float | None) -> None:
    """Raise unless exactly one of what `set_threshold` takes is given, within its bounds."""
    given = {"alpha": alpha, "contamination": contamination}
    validate_parameter_constraints(_THRESHOLDS, given, caller_name="set_threshold")
    if (alpha is None) == (contamination is None):
        raise ValueError(
            "set_threshold takes either alpha or contamination, "
            f"got alpha={alpha!r} and contamination={contamination!r}"
        )


class AEAnomalyDetector(CallbackSupportMixin, OutlierMixin, MetaEstimatorMixin, BaseEstimator):
    """Anomaly detection with conformal thresholds, p-values and reasons.

    The detector learns what most rows have in common, and scores rows by how well they fit.
    Calibration rows, which take no part in training, give the threshold, and p-values that
    are valid however good the score is [1]_. `explain` names the cells that make a row
    anomalous.

    Parameters
    ----------
    estimator : object, default=None
        Any estimator with `fit` and `score_samples`, of skae or not; its parameters are set
        as `estimator__...`. None is
        `DenoisingAutoencoder(hidden_layer_sizes=(192, 192), noise_level=(0.1, 5.0),
        n_draws=2, stacking=False, lr=0.008, batch_size=128, trim_fraction=0.04,
        early_stopping=False)`, whose epochs make 9 optimizer steps times the root of the number
        of rows, and at most 1,500 steps. An estimator of skae takes tables of numbers,
        categories, booleans and dates, with missing cells, and its `categorical_features` and
        `max_categories` say what columns hold; others take numbers.
    contamination : "auto" or float, default="auto"
        Share of anomalies in the rows that the detector is fitted on, in (0, 0.5]: the threshold
        is such that `predict` labels this share of them -1. With "auto" the share need not be
        known, and `alpha` sets the threshold, as if the rows were clean: set a number, even a
        rough one, if they aren't.
    alpha : float, default=0.01
        False-alarm rate: the expected share of clean rows that `predict` labels -1. Without
        effect if `contamination` is a number.
    calibration_fraction : "auto" or float, default="auto"
        Share of the rows that calibrates, in (0, 1). "auto" is a tenth, or the `1 / alpha - 1`
        rows that `alpha` needs if they are more, but at most a fifth of the rows.
    gap : int or None, default=None
        For rows in the order of time, such as windows of a series, of which neighbours overlap:
        the last rows calibrate then, and so many rows before them neither train nor calibrate, as
        in `sklearn.model_selection.TimeSeriesSplit`. It is also the `gap` of an estimator of skae
        that has none. None takes rows to be in no order, and draws calibration rows at random.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of the calibration split, and of an estimator whose `random_state` is None.
    checkpoint : str or path-like, default=None
        File in which `fit` stores its progress as it trains, for estimators of skae, in place
        of a `checkpoint` of their own. If it is killed or interrupted, the next `fit` with the
        same table, parameters and versions goes on from there, and ends with the same result
        to the last bit. The file is removed at the end. Each fit needs a path of its own.

    Attributes
    ----------
    estimator_ : object
        The fitted estimator.
    offset_ : float
        The threshold: `decision_function` is `score_samples` minus this.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the calibration rows, in increasing order.
    labels_ : ndarray of shape (n_samples,)
        What `fit_predict` returned: -1 for outliers, +1 for inliers. `fit` alone does not score
        all of its rows, and leaves no labels.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    DenoisingAutoencoder : The default estimator.
    sklearn.ensemble.IsolationForest : Outliers by random trees.
    sklearn.covariance.EllipticEnvelope : Outliers of a robust Gaussian.

    Notes
    -----
    The guarantee of the threshold and of `p_values`: if the calibration rows and a fresh row
    are exchangeable, as draws from one source are, then the fresh row is an outlier with a
    probability of at most `alpha`. The probability is over the calibration rows too; given
    these, the rate varies around it [1]_. With too few calibration rows for `alpha`, it is at
    most one over one more than their number; a warning says so where that is larger by 0.04 or
    more, as with the default `alpha` below 93 rows. Nothing is assumed of the estimator. Anomalies
    with low scores among the calibration rows lower the threshold: fewer outliers are found,
    and the guarantee for clean rows holds. If more than a share of `alpha` of the rows of `fit`
    are anomalies, `predict` may find none, however well `score_samples` ranks them: set
    `contamination`, or fit on clean rows. With `gap` rows are in the order of time, and not
    exchangeable: then `alpha` and the p-values are aims, not guarantees.

    A `DenoisingAutoencoder` that is conditioned on a range of Gaussian noise gives three
    views of a row: its denoising errors at three noise levels; its distance to the nearest of
    up to 2,000 reference rows, a sample of the training rows; and its distance to the fifth
    nearest of the usual ones, the 70 % of them with the smallest errors. Each view is
    compared with that of the reference rows: its tail surprisal is minus the logarithm of the
    share of them whose value is as large, in nats, and that of the errors is averaged over
    the levels. Beyond twice the logarithm of their number it grows with the logarithm of the
    value. The score is minus the mean of the three. Values that differ by no more than
    float32's rounding of a column, or by 1e-7 of its range, are the same to the score, and
    scores within 1e-3 nats of each other are equal to the threshold and the p-values.

    If the network lowers the errors of its linear path by less than 6 % at both of the lower
    levels, on at least ten training rows a column, the rows are linear: their distances say
    little, and the errors count eight times as much as each. This holds for
    `estimator=None` without a `gap`, and for tables of numbers.

    If the rows that train are fewer than the columns, the network knows them by heart, and
    its errors on them say nothing of other rows. The score is then minus the tail surprisal of one
    error: the squared Mahalanobis distance from the reference rows, whose covariance is shrunk
    towards a multiple of the identity [5]_ and leaves out one copy of the row, if it is a
    reference row. This holds for the same estimator and tables.

    In tables with categories or booleans the errors are those at the lower half of the noise
    levels, beyond which labels can't be told apart, and count four times as much as each
    distance. A wrong label is worth many times the error of most rows, so the tails are counted
    up to the largest value, and grow with the logarithm beyond.

    Of a row with missing cells, errors and distances are those of its observed cells. Its score
    is compared with those of training rows whose cells are hidden at random until as many
    columns are observed, after what each observed column adds to the score on average, and is
    the one that is as rare among complete rows (or among the training rows, if they have missing
    cells themselves). So rows with few observed cells are outliers as often as others, if cells
    are missing at random; a row without any has the median score. With other estimators of skae
    the log-density of the observed cells is compared alike.

    A label that no training row has is infrequent where the column has infrequent labels, see
    `max_categories`. Elsewhere it is a missing cell that adds its own surprisal to the score, by
    the share of the column's labels that a single row has [4]_, and more than the column's two
    rarest labels add in 80 training rows. This holds for calibration rows as for fresh ones, so
    that the guarantee does too.

    The denoiser's log-density is the sum of the same errors with weights that fall with the
    noise [2]_; the anomaly score counts all resolutions, from that of a single row's
    neighbourhood [3]_ to that of the table. Other estimators keep their own score, which for
    those of skae is a log-density.

    References
    ----------
    .. [1] Bates, Candès, Lei, Romano and Sesia (2023), "Testing for outliers with conformal
       p-values", Annals of Statistics 51.
    .. [2] Kong, Brekelmans and Ver Steeg (2023), "Information-theoretic diffusion", ICLR,
       equation 8.
    .. [3] Ramaswamy, Rastogi and Shim (2000), "Efficient algorithms for mining outliers
       from large data sets", SIGMOD.
    .. [4] Good (1953), "The population frequencies of species and the estimation of population
       parameters", Biometrika 40.
    .. [5] Chen, Wiesel, Eldar and Hero (2010), "Shrinkage algorithms for MMSE covariance
       estimation", IEEE Transactions on Signal Processing 58.

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

    _doc_link_module: ClassVar = "skae"
    _doc_link_template: ClassVar = DOC_LINK_TEMPLATE
    # Not in detectors that earlier versions stored.
    _labels: SeenLabels | None = None
    _gap_score: GapScore | None = None
    _row_shape: RowShape = None
    _has_sequences: bool = False

    _parameter_constraints: ClassVar[Constraints] = {
        "estimator": [HasMethods(["fit", "score_samples"]), None],
        "contamination": [StrOptions({"auto"}), _CONTAMINATION],
        "alpha": [_ALPHA],
        "calibration_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "gap": [Interval(Integral, 0, None, closed="left"), None],
        "random_state": RANDOM_STATE,
        "checkpoint": [str, os.PathLike, None],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        contamination: float | str = "auto",
        alpha: float = 0.01,
        calibration_fraction: float | str = "auto",
        gap: int | None = None,
        random_state: RandomSource = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        self.estimator = estimator
        self.contamination = contamination
        self.alpha = alpha
        self.calibration_fraction = calibration_fraction
        self.gap = gap
        self.random_state = random_state
        self.checkpoint = checkpoint

    @take_part()
    @validate_meta_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the estimator, and calibrate the threshold.

        Parameters
        ----------
        X : array-like, frame or store of shape (n_samples, n_features)
            The rows; some may be anomalies. Frames, stores, arrays of more axes and lists of
            sequences as in `AutoencoderTransformer`; an estimator that isn't of skae takes numbers
            in rows and columns, and stores are loaded for it.
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
            If values are infinite, or missing where the estimator takes none, if fewer than two
            rows have a positive weight, if weights are given to an estimator that takes none, or
            if `checkpoint` is another fit's.
        """
        tasks = begin_tasks(self, X, y, max_subtasks=1)
        with tasks, replace_when_done(self) as draft:
            draft._fit(X, sample_weight)
            if isinstance(self.contamination, str):
                draft._warn_of_few(self.alpha)
            wait_for_others()
        return self

    def _fit(
        self, X: ArrayLike, sample_weight: ArrayLike | None, n_blocks: int | None = None
    ) -> np.ndarray:
        """Return the scores of the calibration rows, in their order.

        With blocks all rows train, and all calibrate, see `_fit_in_blocks`.
        """
        own_gap = self.estimator.gap if isinstance(self.estimator, BaseAutoencoder) else None
        if self.gap is None and own_gap is not None:
            raise ValueError(
                f"gap={own_gap!r} of the estimator says that rows are in the order of time, and "
                "calibration rows would be drawn at random: set gap of the detector"
            )
        check_same_estimator(self, is_continued=False)
        table, columns, row_shape, self._has_sequences = self._read_new(X, sample_weight)
        weight = check_sample_weight(sample_weight, len(table))
        if weight is not None and self.estimator is not None:
            _check_takes_weights(self.estimator)
        prepare = write_out_copies if self.gap is None else keep_order
        rows, self._row_shape = prepare(TrainingTable(table, weight)), row_shape
        if len(rows) < 2:
            raise ValueError(f"X must have two rows of positive weight at least, got {len(rows)}")
        if self.checkpoint is None:
            seed = find_seed(self.random_state)
            return self._fit_rows(rows, columns, seed, None, n_blocks)
        fingerprint = describe_fit(
            self, rows, self._find_device(), columns=columns, row_shape=row_shape
        )
        with open_checkpoint(self.checkpoint, fingerprint) as checkpoint:
            seed = checkpoint.seed if self.random_state is None else self.random_state
            return self._fit_rows(rows, columns, seed, checkpoint)

    def _read_new(self, X: ArrayLike, sample_weight: ArrayLike | None) -> ReadTable:
        """Return a table to fit as numbers; an estimator that isn't of skae takes them alone."""
        own = DenoisingAutoencoder() if self.estimator is None else self.estimator
        if isinstance(own, BaseAutoencoder):
            choice = ColumnChoice(own.categorical_features, own.max_categories)
            are_sequences = find_sequences(own.architecture)
            return read_table(self, X, choice, sample_weight, 2, are_sequences)
        flat, row_shape = flatten_rows(X)
        table = validate_table(self, flat, reset=True, min_rows=2, allow_nan=_takes_gaps(own))
        _check_takes_gaps(own, table, flat)
        return ReadTable(table, None, row_shape)

    def _find_device(self) -> str:
        """Return the device of an estimator that can have a checkpoint, or raise."""
        if self.estimator is None:
            return "auto"
        if not isinstance(self.estimator, BaseAutoencoder):
            raise ValueError(
                "checkpoint must be None for an estimator that is not one of skae's, got "
                f"{self.checkpoint!r} with {type(self.estimator).__name__}: set a checkpoint of "
                "the estimator's own if it has any"
            )
        if self.estimator.checkpoint is not None:
            raise ValueError(
                f"checkpoint must be set once, got {self.checkpoint!r} and the estimator's "
                f"{self.estimator.checkpoint!r}: set estimator__checkpoint=None"
            )
        return self.estimator.device

    def _fit_rows(
        self,
        rows: TrainingTable,
        columns: Columns | None,
        random_state: RandomSource,
        checkpoint: Checkpoint | None,
        n_blocks: int | None = None,
    ) -> np.ndarray:
        streams = RandomStreams(random_state)
        estimator = self._make_estimator(len(rows), streams)
        if n_blocks is not None:
            return self._fit_in_blocks(estimator, rows, columns, n_blocks)
        n_calibration = count_calibration_rows(len(rows), self.calibration_fraction, self.alpha)
        generator = make_split_generator(rows.X, streams.draw_seed())
        if self.gap is None:
            split = CalibrationSplit.draw(rows, n_calibration, generator)
        else:
            split = CalibrationSplit.take_last(rows, n_calibration, self.gap)
        return self._fit_split(estimator, rows, columns, split, checkpoint)

    def _fit_in_blocks(
        self, estimator: Any, rows: TrainingTable, columns: Columns | None, n_blocks: int
    ) -> np.ndarray:
        """Fit to all rows, in the order of time, and calibrate by cross-fitting.

        Each of the blocks is scored by an estimator that is fitted to the others, less `gap` rows
        on either side of it.
        """
        scores, gap = [], self.gap or 0
        for indices in cut_blocks(len(rows), n_blocks, gap):
            split = CalibrationSplit.take_block(rows, indices, gap)
            fold = copy_shallow(self)
            fold.contamination = "auto"  # its threshold is not used
            scores.append(fold._fit_split(clone(estimator), rows, columns, split, None))
        # Rounding is measured on the rows of the last block.
        whole = replace(split, train=rows, indices=np.arange(len(rows)))
        return self._fit_split(estimator, rows, columns, whole, None, np.concatenate(scores))

    def _fit_split(
        self,
        estimator: Any,
        rows: TrainingTable,
        columns: Columns | None,
        split: CalibrationSplit,
        checkpoint: Checkpoint | None,
        known: np.ndarray | None = None,
    ) -> np.ndarray:
        """Fit to the rows that train, and return the scores of the others, if not known."""
        if isinstance(estimator, BaseAutoencoder) and columns is None:
            # Which would not know the columns' names.
            measure_columns(self, split.train, float(len(split.train)))
        with pass_tasks_on(self, estimator):
            fitted = _fit_on(
                estimator,
                split.train,
                columns,
                self._row_shape,
                self._has_sequences,
                checkpoint,
            )
        return self._set_fitted(fitted, rows, columns, split, known)

    def _make_estimator(self, n_rows: int, streams: RandomStreams) -> Any:
        """Return an unfitted estimator, with a seed and a gap if it takes and has none."""
        own = self.estimator
        estimator = make_default_estimator(n_rows) if own is None else clone(own)
        if estimator.get_params().get("random_state", 0) is None:
            estimator.set_params(random_state=streams.draw_seed())
        if isinstance(estimator, BaseAutoencoder) and estimator.gap is None:
            estimator.set_params(gap=self.gap)
        return estimator

    def _set_fitted(
        self,
        estimator: Any,
        rows: TrainingTable,
        columns: Columns | None,
        split: CalibrationSplit,
        known: np.ndarray | None,
    ) -> np.ndarray:
        """Score and calibrate, set the fitted attributes, and return the calibration scores."""
        self.estimator_ = estimator
        # Rows in the order of time overlap, and another estimator knows what its rows are.
        is_default = self.estimator is None and self.gap is None
        self._anomaly_score = _fit_anomaly_score(estimator, split.train, is_default)
        self._labels, self._gap_score = None, None
        self.__dict__.pop("labels_", None)  # those of another fit
        if isinstance(estimator, BaseAutoencoder):
            self._gap_score = _make_gap_score(split.train, columns)
        known_rows, known_weight = _load_known(split.train)
        if columns is None:
            self._candidates = choose_candidates(known_rows)
        else:
            labels = SeenLabels.from_rows(columns, known_rows, known_weight)
            self._candidates = choose_encoded_candidates(known_rows, columns, labels)
            self._labels = labels.compare(self._score_block, known_rows)
        share = None if isinstance(self.contamination, str) else self.contamination
        if known is not None and share is None:
            scores = known
        else:
            scored = split.calibration if share is None else rows.X
            scores = self._score(self._mark_unseen(scored))
        if known is None:
            known = scores if share is None else scores[split.indices]
        in_order, order = known, known.argsort()
        known, known_weight = known[order], None
        if rows.weight is not None:
            known_weight = rows.weight[split.indices[order]]
        self._rounding = _LEAST_ROUNDING
        if not isinstance(estimator, BaseAutoencoder):
            self._rounding = _measure_score_rounding(estimator, split.calibration, self._row_shape)
        self.calibration_scores_, self._calibration_weight = known, known_weight
        self._scored = (known, known_weight) if share is None else (scores, rows.weight)
        self._move_threshold(self.alpha if share is None else None, share)
        return in_order

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        estimator = getattr(self, "estimator_", self.estimator)  # what was fitted decides
        is_own = estimator is None or isinstance(estimator, BaseAutoencoder)
        tags.input_tags.allow_nan = is_own or _takes_gaps(estimator)
        tags.input_tags.string = tags.input_tags.categorical = is_own
        return tags

    @by_blocks
    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the score of each row; lower is more anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In nats: see the notes of the class.
        """
        now, table = self._read(X)
        return now._score(table)

    @by_blocks
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return `score_samples` minus the threshold; below 0 is an outlier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            In nats.
        """
        now, table = self._read(X)
        return now._score(table) - now.offset_

    @by_blocks
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return -1 for outliers and +1 for inliers.

        Each row is compared with the threshold alone, so that a share of `alpha` of many
        clean rows are outliers. `discoveries` compares the rows of a batch, so that few of
        those that it finds are clean.

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

    def fit_predict(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> np.ndarray:
        """Fit on rows and return which of them are outliers, as `labels_` too.

        With a number for `contamination` as many are. With "auto" about a share of `alpha` is,
        whatever the rows hold.

        Parameters
        ----------
        X : array-like, frame or store of shape (n_samples, n_features)
            The rows, as in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.
        """
        self.labels_: np.ndarray = np.asarray(self.fit(X, y, sample_weight).predict(X))
        return self.labels_

    def set_threshold(
        self, *, alpha: float | None = None, contamination: float | None = None
    ) -> Self:
        """Move the threshold of the fitted detector, without another fit.

        The parameters of the same names stay as they are: they are those of the next fit.

        Parameters
        ----------
        alpha : float, default=None
            False-alarm rate, in (0, 1), with the guarantee of the notes of the class.
        contamination : float, default=None
            Share of anomalies, in (0, 0.5], in the rows of the fit if they were scored then,
            which a number for the parameter `contamination` does, else in the calibration rows.

        Returns
        -------
        self : object
            The detector.

        Raises
        ------
        ValueError
            If not exactly one of the two is given, or if it is out of its bounds.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from skae import AEAnomalyDetector
        >>> wine = load_wine(as_frame=True).data
        >>> detector = AEAnomalyDetector(contamination=0.02, random_state=0).fit(wine)
        >>> print((detector.predict(wine) == -1).sum())
        3
        >>> detector = detector.set_threshold(contamination=0.1)
        >>> print((detector.predict(wine) == -1).sum())
        17
        """
        check_is_fitted(self)
        check_threshold(alpha, contamination)
        if alpha is not None:
            self._warn_of_few(alpha)
        self._move_threshold(alpha, contamination)
        return self

    def _move_threshold(self, alpha: float | None, contamination: float | None = None) -> None:
        if alpha is not None:
            known, weight = self.calibration_scores_, self._calibration_weight
            threshold = conformal_threshold(known, weight, alpha)
        elif contamination is not None:
            scores, weight = self._scored
            threshold = score_at_share(scores, weight, contamination)
        self.offset_ = float(threshold - self._find_rounding(threshold))

    def _warn_of_few(self, alpha: float) -> None:
        """Warn if the calibration rows are too few for `alpha`, by far."""
        known, share = self.calibration_scores_, self.calibration_fraction
        n_rows = math.ceil((1 / alpha - 1) / (LARGEST_SHARE if isinstance(share, str) else share))
        warn_of_few(
            alpha,
            least_p_value(known, self._calibration_weight),
            f"{len(known)} rows that calibrate",
            "clean rows",
            f"Fit to {n_rows} rows or more",
        )

    @by_blocks
    def p_values(self, X: ArrayLike) -> np.ndarray:
        """Return the probability that an inlier scores as low as each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            Conformal p-values: that of a fresh inlier is at most `a` with a probability of at
            most `a`. None is below one over one more than the number of calibration rows.
        """
        now, table = self._read(X)
        scores = now._score(table)
        scores += now._find_rounding(scores)
        return conformal_p_values(scores, now.calibration_scores_, now._calibration_weight)

    def discoveries(self, X: ArrayLike, *, false_discovery_rate: float = 0.1) -> np.ndarray:
        """Return which rows of a batch are anomalies, at a false-discovery rate.

        The procedure of Benjamini and Hochberg (1995) on `p_values`, for which it controls
        the rate. It needs p-values as small as the rate times the share of anomalies, so with
        few calibration rows it finds none: to find `k` of `n` rows, there must be
        `n / (k * false_discovery_rate) - 1` of them. A warning says so if none can be found, or if
        none is although more rows than by chance score below all calibration rows. Anomalies
        among the rows of `fit` hide others: fit on clean rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        false_discovery_rate : float, default=0.1
            Expected share of inliers among the rows that are found, in (0, 1).

        Returns
        -------
        found : ndarray of bool of shape (n_samples,)
            Which rows are anomalies.
        """
        given = {"false_discovery_rate": false_discovery_rate}
        validate_parameter_constraints(_DISCOVERIES, given, caller_name="discoveries")
        p_values = np.asarray(self.p_values(X))
        found = false_discovery_control(p_values) <= false_discovery_rate
        if not found.any():
            least = least_p_value(self.calibration_scores_, self._calibration_weight)
            warn_of_none(p_values, false_discovery_rate, least)
        return found

    def explain(self, X: ArrayLike, *, feature_names: ArrayLike | None = None) -> pd.DataFrame:
        """Return the cells that make rows anomalous, and their expected values.

        Each row is changed into a counterfactual: one cell after the other, the one that
        gains most first, is set to its best value, until the score is typical, in the upper
        three quarters of the calibration rows, or no change gains any more. A cell's
        contribution is the gain of its change. Missing cells are not changed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows. Each takes some `64 * n_features` evaluations of the score, and 256 more for
            each cell that is changed; a category takes one for each of its labels, up to 100.
        feature_names : array-like of shape (n_features,), default=None
            Names of the columns, such as `pipeline[:-1].get_feature_names_out()` for a detector
            at the end of a pipeline. None is their names in the table, or numbers.

        Returns
        -------
        reasons : pandas.DataFrame
            A line for each row and column of `X`: its "value", the "expected" value given the
            changed row's other cells, and its "contribution" in nats, 0 for cells that were
            not changed. A row's contributions add up to the score of the changed row minus
            its own. Values are those of the table, such as labels and dates; a missing cell
            stays so.

        Raises
        ------
        ValueError
            If there is not a name for each column.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from skae import AEAnomalyDetector
        >>> age = np.random.default_rng(0).uniform(15, 90, size=300)
        >>> job = pd.cut(age, [0, 25, 65, 99], labels=["student", "worker", "retired"])
        >>> people = pd.DataFrame({"age": age, "job": job})
        >>> detector = AEAnomalyDetector(random_state=0).fit(people)
        >>> odd = pd.DataFrame({"age": [74.0], "job": ["student"]})
        >>> detector.explain(odd)["expected"].loc[0, "job"]
        'retired'
        """
        given = {"feature_names": feature_names}
        validate_parameter_constraints(_EXPLAIN, given, caller_name="explain")
        X = load_dask(X)
        now, whole = self._read(X)
        table, columns = whole[:], now._columns
        index = X.index if isinstance(X, pd.DataFrame) else range(len(table))
        names: Any = getattr(now, "feature_names_in_", range(now.n_features_in_))
        if feature_names is not None:
            names = _check_names(feature_names, now.n_features_in_)
        elif columns is not None:
            names = columns.names
        enough = float(np.quantile(now.calibration_scores_, _TYPICAL))
        choices = CellChoice.from_candidates(now._candidates, columns)
        found = [find_counterfactual(now._score, row, choices, enough) for row in table]
        value: Any = table.ravel()
        expected: Any = np.concatenate([each.expected for each in found])
        gains = np.concatenate([each.gains for each in found])
        if columns is not None:
            value, expected, gains = list_reasons(X, table, columns, found)
        return pd.DataFrame(
            {"value": value, "expected": expected, "contribution": gains},
            index=pd.MultiIndex.from_product([index, names], names=["row", "column"]),
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return seal(state) if "estimator_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        is_fitted = is_sealed(state) or "estimator_" in state
        super().__setstate__(open_sealed(self, state) if is_fitted else state)

    def _read(self, X: ArrayLike) -> tuple[Self, AnyTable]:
        """Return the detector as it is now, and a checked table.

        Another thread may fit the detector anew in the meantime.
        """
        now = copy_shallow(self)
        check_is_fitted(now)
        if not isinstance(now.estimator_, BaseAutoencoder):
            check_has_rows(X, now._row_shape)
            flat, given = flatten_rows(X)
            check_row_shape(given, now._row_shape, now.n_features_in_)
            allow_nan = _takes_gaps(now.estimator_)
            table = validate_table(now, flat, reset=False, allow_nan=allow_nan)
            _check_takes_gaps(now.estimator_, table, flat)
            return now, table
        state = now.estimator_._state
        table = encode_table(
            now, state.fit_sequences(X), now._columns, UNSEEN, state.expected_shape
        )
        return now, now._mark_unseen(table)

    @property
    def _columns(self) -> Columns | None:
        """What the columns of encoded rows stand for; None if they are the table's own."""
        own = isinstance(self.estimator_, BaseAutoencoder)
        return self.estimator_._state.columns if own else None

    def _mark_unseen(self, table: AnyTable) -> AnyTable:
        """Return rows in which labels that training has not seen are marked."""
        if self._labels is None or not isinstance(table, np.ndarray):
            return table
        return self._labels.mark(table)

    def _score(self, rows: AnyTable) -> np.ndarray:
        """Return the score of each row; lower is more anomalous."""
        if isinstance(rows, np.ndarray):
            return self._score_block(rows)
        return np.concatenate([self._score_block(rows[block]) for block in row_blocks(rows)])

    def _score_block(self, marked: np.ndarray) -> np.ndarray:
        if self._gap_score is None:
            return self._score_as_they_are(marked)
        rows = marked if self._labels is None else hide_unseen(marked)
        has_gaps = self._gap_score.find_gaps(rows)
        if not has_gaps.any():
            scores = self._score_as_they_are(rows)
        else:
            scores = np.empty(len(rows))
            if not has_gaps.all():
                scores[~has_gaps] = self._score_as_they_are(rows[~has_gaps])
            scores[has_gaps] = self._gap_score.measure(
                self.estimator_, self._anomaly_score, self._score_as_they_are, rows[has_gaps]
            )
        return scores if self._labels is None else scores - self._labels.measure(marked)

    def _score_as_they_are(self, rows: np.ndarray) -> np.ndarray:
        return _score_rows(self.estimator_, self._anomaly_score, rows, self._row_shape)

    def _find_rounding(self, scores: float | np.ndarray) -> float | np.ndarray:
        """Return by how much the scores of equal rows may differ."""
        if self._anomaly_score is not None:
            return _SCORE_ROUNDING
        if isinstance(self.estimator_, BaseAutoencoder):
            return _DENSITY_ROUNDING
        return self._rounding * np.maximum(1.0, np.abs(scores))


def make_default_estimator(n_rows: int) -> DenoisingAutoencoder:
    """Return the denoiser that finds anomalies by default.

    The number of optimizer steps grows with the root of the number of rows: longer training
    finds finer structure in clean rows, and memorizes the anomalies among others.
    """
    n_batches = math.ceil(n_rows / _BATCH)
    n_steps = min(_STEPS * math.sqrt(n_rows), _MOST_STEPS)
    return DenoisingAutoencoder(
        hidden_layer_sizes=(192, 192),
        noise_level=(0.1, 5.0),
        n_draws=2,
        stacking=False,  # for `score_samples`, which it does not use
        max_epochs=math.ceil(n_steps / n_batches),
        lr=0.008,
        batch_size=_BATCH,
        trim_fraction=0.04,
        early_stopping=False,
    )


def _check_names(feature_names: ArrayLike, n_features: int) -> np.ndarray:
    """Return names of all columns."""
    names = np.asarray(feature_names, dtype=object)
    if names.shape != (n_features,):
        raise ValueError(
            f"feature_names must have a name for each of the {n_features} columns, got an array of "
            f"shape {names.shape}: take get_feature_names_out of the step before the detector"
        )
    for name in names:
        if not isinstance(name, str) or (names == name).sum() > 1:
            raise ValueError(
                f"feature_names must be different texts, got {name!r}"
                f"{' twice' if isinstance(name, str) else ''}: take get_feature_names_out of the "
                "step before the detector"
            )
    return names


def _load_known(table: TrainingTable) -> tuple[np.ndarray, np.ndarray | None]:
    """Return rows, or the subsample that represents stored ones, and their weights."""
    if isinstance(table.X, np.ndarray):
        return table.X, table.weight
    indices, rows = subsample_store(table.X)
    return rows, None if table.weight is None else table.weight[indices]


def _check_takes_weights(estimator: Any) -> None:
    if not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            f"sample_weight must be None: fit of {type(estimator).__name__} takes no weights"
        )


def _takes_gaps(estimator: Any) -> bool:
    return bool(get_tags(estimator).input_tags.allow_nan)


def _check_takes_gaps(estimator: Any, table: AnyTable, X: Any) -> None:
    """Raise if an estimator that isn't of this package is given missing cells it doesn't take."""
    if _takes_gaps(estimator):
        return
    for rows in row_blocks(table):
        if np.isnan(table[rows]).any():
            cell = find_cell(X if isinstance(table, np.ndarray) else table[rows])
            raise ValueError(cell.describe("X") if cell else "X must have no missing cells")


def _make_gap_score(train: TrainingTable, columns: Columns | None) -> GapScore:
    rows, weight = _load_known(train)
    owner = np.arange(rows.shape[1]) if columns is None else columns.owner
    return GapScore.from_rows(rows, weight, owner)


def _fit_on(
    estimator: Any,
    table: TrainingTable,
    columns: Columns | None,
    row_shape: RowShape,
    has_sequences: bool,
    checkpoint: Checkpoint | None,
) -> Any:
    """Return an estimator fitted to rows, which are loaded if it isn't of this package."""
    rows: Any = table.X
    if not isinstance(estimator, BaseAutoencoder):
        rows = _restore_shape(estimator, rows[:], row_shape)
    elif (
        columns is not None
        or row_shape is not None
        or has_sequences
        or (isinstance(rows, np.ndarray) and np.isnan(rows).any())
    ):
        # As it was read: a column of which training sees no cell stays one.
        rows = ReadTable(rows, columns, row_shape, has_sequences)
    if checkpoint is not None:
        return fit_within(estimator, checkpoint, rows, table.weight)
    if table.weight is None:
        return estimator.fit(rows)
    return estimator.fit(rows, sample_weight=table.weight)


def _restore_shape(estimator: Any, rows: np.ndarray, row_shape: RowShape) -> np.ndarray:
    """Return rows in the shape that they were given, if an estimator takes such."""
    first = estimator
    while isinstance(first, Pipeline):
        first = next(step for _, step in first.steps if step not in (None, "passthrough"))
    if row_shape is None or not getattr(get_tags(first).input_tags, "three_d_array", False):
        return rows
    return rows.reshape(len(rows), *row_shape)


def _fit_anomaly_score(
    estimator: Any, table: TrainingTable, is_default: bool
) -> AnomalyScore | None:
    """Return the anomaly score of a denoiser whose errors are a density, None for others.

    The default one's depends on how many rows train it.
    """
    if not isinstance(estimator, DenoisingAutoencoder):
        return None
    if not has_score_by_errors(estimator.module_):
        return None
    indices = subsample_indices(len(table), _REFERENCE_ROWS)
    weight = None if table.weight is None else table.weight[indices]
    n_rows, n_features = len(table), table.X.shape[1]
    leaves_out = is_default and is_known_by_heart(n_rows, n_features)
    asks_linear = is_default and n_rows >= ROWS_A_COLUMN * n_features
    rows = take_rows(table.X, indices)
    return AnomalyScore.fit(estimator, rows, weight, leaves_out, asks_linear)


def _measure_score_rounding(estimator: Any, rows: np.ndarray, row_shape: RowShape) -> float:
    """Return by how much the rounding of rows changes scores, relative to them.

    The change is that of float32, and of noise of 1e-7 of a column's range.
    """
    scores = _score_rows(estimator, None, rows, row_shape)
    ranges = np.fmax.reduce(rows, axis=0) - np.fmin.reduce(rows, axis=0)
    noise = np.random.default_rng(0).uniform(-1e-7, 1e-7, rows.shape) * np.nan_to_num(ranges)
    rounded = [rows.astype(np.float32).astype(rows.dtype), (rows + noise).astype(rows.dtype)]
    found = [np.abs(_score_rows(estimator, None, each, row_shape) - scores) for each in rounded]
    change = np.max(found, axis=0) / np.maximum(1.0, np.abs(scores))
    largest = change[np.isfinite(change)].max(initial=0.0)
    return float(np.clip(4 * largest, _LEAST_ROUNDING, _MOST_ROUNDING))


def _wrap(estimator: Any, rows: np.ndarray, row_shape: RowShape) -> Any:
    """Return rows as an estimator takes them; one of skae takes encoded ones."""
    if isinstance(estimator, BaseAutoencoder):
        return ReadTable(rows, None)
    return _restore_shape(estimator, rows, row_shape)


def _ask_scores(estimator: Any, rows: np.ndarray, row_shape: RowShape) -> np.ndarray:
    """Return the scores that an estimator gives to rows, checked."""
    given = estimator.score_samples(_wrap(estimator, rows, row_shape))
    try:
        scores = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        scores = np.empty(0)
    if scores.shape != (len(rows),):
        raise ValueError(
            f"score_samples of {type(estimator).__name__} must give a number for each row, got "
            f"{type(given).__name__} of shape {np.shape(given)} for {len(rows)} rows"
        )
    return scores


def _score_rows(
    estimator: Any, score: AnomalyScore | None, rows: AnyTable, row_shape: RowShape
) -> np.ndarray:
    """Return the score of each row; lower is more anomalous."""
    if score is not None:
        scores = -score.measure(estimator, rows)
    elif isinstance(rows, np.ndarray):
        scores = _ask_scores(estimator, rows, row_shape)
    else:
        blocks = (rows[block] for block in row_blocks(rows))
        scores = np.concatenate([_ask_scores(estimator, block, row_shape) for block in blocks])
    missing = np.flatnonzero(np.isnan(scores))
    if len(missing):
        raise ValueError(
            f"score_samples of {type(estimator).__name__} must give numbers, got NaN for "
            f"{len(missing)} of {len(scores)} rows, the first of which is row {missing[0]}: such "
            "rows can't be judged; scale the columns, or choose another estimator"
        )
    return scores
