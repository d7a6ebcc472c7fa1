"""Windows of a series as rows of a table."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted

from .._base.documentation import DOC_LINK_TEMPLATE
from .._base.drafts import copy_shallow, replace_when_done
from .._base.parameters import Constraints, Interval, validate_parameters
from .._environment import check_memory
from .overlaps import average_overlaps, find_starts
from .recordings import Recordings, read_recordings

_SIZE = Interval(Integral, 1, None, closed="left")


def check_step(length: int, step: int) -> None:
    """Raise if time steps would lie between two windows."""
    if step > length:
        raise ValueError(
            f"step must be at most length, so that each time step is in a window, got step={step} "
            f"and length={length}"
        )


class Windows(TransformerMixin, BaseEstimator):
    """Cut a series into overlapping windows, one a row.

    Estimators for tables then take the series, and `inverse_transform` puts windows together
    again.

    Parameters
    ----------
    length : int, default=32
        Time steps of a window: as long as what is to be recognized, such as a period.
    step : int, default=1
        Time steps from one window to the next. With a step of `length` the windows tile the
        series.

    Attributes
    ----------
    lengths_ : list of int
        Time steps of each recording of `fit`.
    n_features_in_ : int
        Number of channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the channels, if all of them are strings.

    See Also
    --------
    SeriesAnomalyDetector : Anomalies by time step, from the windows of a series.
    numpy.lib.stride_tricks.sliding_window_view : Windows of an array, as views of it.

    Notes
    -----
    Windows that overlap are nearly copies of each other. An estimator that holds rows out at
    random has seen the greater part of each such row in training; `gap` of the estimators holds
    rows out in time instead. With `gap=ceil(length / step)` no time step is on both sides.

    Where `step` does not divide the series, the last window lies nearer to the one before, so
    that each time step is in a window.

    A step of a `sklearn.pipeline.Pipeline` may change the number of rows if no `y` with one label
    a row follows: in front of transformers and outlier detectors.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.series import Windows
    >>> series = np.arange(6.0)
    >>> windows = Windows(4, step=2)
    >>> windows.fit_transform(series)
    array([[0., 1., 2., 3.],
           [2., 3., 4., 5.]])
    >>> windows.inverse_transform([[0, 1, 2, 3], [4, 5, 6, 7]])
    array([0., 1., 3., 4., 6., 7.])
    """

    _doc_link_module: ClassVar = "skae"
    # scikit-learn would name the file's module, and the page has the folder's.
    _doc_link_template: ClassVar = DOC_LINK_TEMPLATE.replace("{estimator_module}", "skae.series")

    _parameter_constraints: ClassVar[Constraints] = {"length": [_SIZE], "step": [_SIZE]}

    def __init__(self, length: int = 32, *, step: int = 1) -> None:
        self.length = length
        self.step = step

    @validate_parameters
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the channels of a series, and its length.

        Parameters
        ----------
        X : array-like or frame of shape (n_times, n_channels) or (n_times,), or list of them
            The series, of numbers; NaN is a missing cell. The elements of a list of arrays or
            frames are recordings, and no window reaches from one into another.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If `step` is larger than `length`, if a recording is shorter than a window, or if
            values are infinite or no numbers.
        """
        check_step(self.length, self.step)
        with replace_when_done(self) as draft:
            draft._learn(read_recordings(draft, X, int(self.length), reset=True))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Learn the channels of a series, and return its windows.

        Parameters
        ----------
        X : array-like or frame of shape (n_times, n_channels) or (n_times,), or list of them
            The series, as in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        X_windows : ndarray or frame of shape (n_windows, length * n_channels)
            The windows, as of `transform`.
        """
        return self.fit(X, y)._transform(X, warns=False)

    def transform(self, X: Any) -> Any:
        """Return the windows of a series.

        Parameters
        ----------
        X : array-like or frame of shape (n_times, n_channels) or (n_times,), or list of them
            The series, as in `fit`.

        Returns
        -------
        X_windows : ndarray or frame of shape (n_windows, length * n_channels)
            The windows, in order; a row has the first time step's channels first. A frame for
            frames of pandas or polars; of pandas, with the index of each window's last time step.

        Raises
        ------
        MemoryError
            If the windows are larger than this machine's memory.
        """
        return self._transform(X)

    def _transform(self, X: Any, *, warns: bool = True) -> Any:
        now = copy_shallow(self)
        check_is_fitted(now)
        read = read_recordings(now, X, int(now.length), reset=False, warns=warns)
        return now._cut(read)

    def inverse_transform(self, X: ArrayLike, lengths: int | Sequence[int] | None = None) -> Any:
        """Return the series that windows are of; where they overlap, their mean.

        Parameters
        ----------
        X : array-like of shape (n_windows, length * n_channels)
            The windows, in order.
        lengths : int or sequence of int, default=None
            Time steps of the series, or of each recording; None takes those of `fit`.

        Returns
        -------
        X_original : ndarray of shape (n_times, n_channels) or (n_times,), or list of them
            The series, in the shape and as many recordings as `fit` was given, or as `lengths`
            says.

        Raises
        ------
        ValueError
            If series of these lengths have another number of windows.
        """
        check_is_fitted(self)
        rows = check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
        n_channels, length = self.n_features_in_, int(self.length)
        if rows.shape[1] != length * n_channels:
            raise ValueError(
                f"X must have {length * n_channels} columns, length={length} times "
                f"{n_channels} channels, as transform gives them; got {rows.shape[1]}"
            )
        shape = (len(rows), length) if self._is_flat else (len(rows), length, n_channels)
        return self._average(rows.reshape(shape), lengths)

    def spread(self, scores: ArrayLike, lengths: int | Sequence[int] | None = None) -> Any:
        """Return a score for each time step: the mean score of the windows that have it.

        Parameters
        ----------
        scores : array-like of shape (n_windows,)
            A number for each window, in order, such as `score_samples` of an outlier detector.
        lengths : int or sequence of int, default=None
            Time steps of the series, or of each recording; None takes those of `fit`.

        Returns
        -------
        scores_in_time : ndarray of shape (n_times,), or list of them
            A number for each time step of the series, or of each recording.

        Raises
        ------
        ValueError
            If series of these lengths have another number of windows.
        """
        check_is_fitted(self)
        each = check_array(scores, dtype=np.float64, ensure_2d=False, input_name="scores")
        if each.ndim != 1:
            raise ValueError(f"scores must be one for each window, got shape {each.shape}")
        return self._average(np.repeat(each[:, None], int(self.length), axis=1), lengths)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of a window's cells: those of channels and time steps.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the channels, if `fit` was given none.

        Returns
        -------
        names : ndarray of object
            Such as `"temperature[0]"`, of the window's first time step.
        """
        channels = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        names = [f"{channel}[{time}]" for time in range(int(self.length)) for channel in channels]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @classmethod
    def _fit_on(cls, read: Recordings, fitted: BaseEstimator, length: int, step: int) -> Self:
        """Return windows fitted to recordings that another estimator has read."""
        check_step(length, step)
        windows = cls(length, step=step)
        windows._learn(read)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fitted, name):
                setattr(windows, name, getattr(fitted, name))
        return windows

    def _learn(self, read: Recordings) -> None:
        self.lengths_, self._is_list, self._is_flat = read.lengths, read.is_list, read.is_flat

    def _cut(self, read: Recordings) -> Any:
        """Return the windows of recordings, one a row, in the kind of their frames."""
        return self._wrap(self._cut_rows(read), read)

    def _cut_rows(self, read: Recordings) -> np.ndarray:
        """Return the windows of recordings as an array."""
        length = int(self.length)
        starts = find_starts(read.lengths, length, int(self.step))
        cells = len(starts) * length * read.n_channels
        check_memory(
            cells * max(part.dtype.itemsize for part in read.values),
            f"to cut {len(starts):,} windows of {length} time steps",
            "choose a larger step or a smaller length",
        )
        parts, first = [], 0
        for part in read.values:
            is_own = (starts >= first) & (starts < first + len(part))
            views = sliding_window_view(part, length, axis=0)[starts[is_own] - first]
            parts.append(views.swapaxes(1, 2).reshape(len(views), -1))
            first += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _wrap(self, rows: np.ndarray, read: Recordings) -> Any:
        """Return windows in the kind of the frames that they are of."""
        if read.library == "pandas" and read.times is not None:
            ends = find_starts(read.lengths, int(self.length), int(self.step)) + self.length - 1
            names = self.get_feature_names_out()
            return pd.DataFrame(rows, index=read.times[ends], columns=names, copy=False)
        if read.library == "polars":
            import polars

            return polars.DataFrame(rows, schema=list(self.get_feature_names_out()))
        return rows

    def _average(self, windows: np.ndarray, lengths: int | Sequence[int] | None) -> Any:
        """Return what windows say of time steps, averaged, as recordings of these lengths."""
        is_list = self._is_list if lengths is None else np.ndim(lengths) > 0
        if lengths is None:
            lengths = self.lengths_
        each = _check_lengths(lengths, int(self.length))
        starts = find_starts(each, int(self.length), int(self.step))
        if len(starts) != len(windows):
            raise ValueError(
                f"series of {', '.join(map(str, each))} time steps have {len(starts)} windows, "
                f"got {len(windows)}: pass the lengths of the series that they are of as lengths"
            )
        averaged = average_overlaps(windows, starts, sum(each)).astype(windows.dtype)
        return np.split(averaged, np.cumsum(each)[:-1]) if is_list else averaged


def _check_lengths(lengths: Any, shortest: int) -> list[int]:
    """Return the lengths of recordings as integers."""
    given = np.atleast_1d(lengths)
    if given.ndim != 1 or given.dtype.kind not in "iu" or (given < shortest).any():
        raise ValueError(
            f"lengths must be integers, each as many time steps as a window, {shortest}, or more; "
            f"got {lengths!r}"
        )
    return [int(each) for each in given]
