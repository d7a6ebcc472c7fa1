"""The imputer."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from .._base.dask_support import DaskSupportMixin, by_blocks
from .._base.documentation import DOC_LINK_TEMPLATE
from .._base.drafts import copy_shallow, replace_when_done
from .._base.imputation import check_interval, show_limits
from .._base.parameters import (
    SHARED_CONSTRAINTS,
    Constraints,
    find_output,
    validate_parameters,
)
from .._base.seal import is_sealed, open_sealed, seal
from .._data import (
    AnyTable,
    ColumnChoice,
    RowShape,
    TrainingTable,
    check_sample_weight,
    encode_table,
    fill_table,
    find_row_shape,
    measure_columns,
    merge_copies,
    read_table,
    sum_weights,
    to_pandas,
)
from .._environment import RandomSource, RandomStreams, isolate_torch
from .._processes import refuse_group
from .fitted import FittedImputer


class AEImputer(DaskSupportMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill the missing cells of tables with numbers, categories and dates.

    A missing cell becomes what is expected of it given the observed cells of its row, and a
    category the likeliest of its labels. Observed cells stay as they are. A table with columns that
    aren't numbers comes out in its own form and types.

    Parameters
    ----------
    categorical_features : "from_dtype", None, or array-like of bool, int or str, \
default="from_dtype"
        Which columns hold categories: with "from_dtype" those whose types are categories or text,
        with None no column, else those of a mask, of indices, or of names.
    max_categories : int or None, default=50
        Number of indicators that stand for a category at most: its infrequent levels share one.
        None has one for each level.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of the cells that are hidden in training. An instance is advanced, so that a second fit
        differs; None takes fresh entropy. The global random states of NumPy and torch are neither
        read nor changed.

    Attributes
    ----------
    relative_errors_ : ndarray of shape (n_features_in_,)
        Root mean square error of what fills a column, as a share of linear regression's, on cells
        hidden from rows that were held out. 1 is a column that is filled by linear regression;
        NaN is one that stays missing: without any observed cell, or with a label for nearly every
        row. Numbers are not yet cut to what their column holds.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    AutoencoderTransformer : Its `impute` fills cells alike, after a fit on a table with gaps.
    VAETransformer : Its `impute` draws cells from a generative model.
    sklearn.impute.KNNImputer : Means of the nearest rows, for numbers.
    sklearn.impute.IterativeImputer : A regression for each column, for numbers.

    Notes
    -----
    It is a masked autoencoder: cells of the training rows are hidden at random, and the model
    learns to tell them from those that are left. What is expected of a cell is the sum of

    1. its mean given the observed cells under a normal distribution, fitted to all observed cells
       by expectation maximization [1]_: linear regression on whichever cells are observed;
    2. the step from there to the mean of that cell in similar rows, found by attention to up to
       4,096 training rows [2]_, and what linear regression misses in these rows. Which columns
       make two rows similar is learnt, for each column that is filled.

    Rows that were held out decide, for each column, how much of the second part is best. Of that, a
    share is added to the first, the same for all columns: two standard errors less than what is
    best for all cells together. Where they can't tell, linear regression is all there is. Numbers
    go at most a tenth of their column's range beyond its values, and not beyond zero, or an end
    that many rows share, where none of these does. Dates have no zero, and trends go on in rows
    with an observed number further out than that.

    The transformers of skae need no imputer before them: they count observed cells only. Their
    `impute` needs missing cells in `fit`; this estimator learns from complete tables too.

    References
    ----------
    .. [1] Little and Rubin (2002), "Statistical analysis with missing data", section 11.2.
    .. [2] Kossen, Band, Lyle, Gomez, Rainforth and Gal (2021), "Self-attention between
       datapoints: going beyond individual input-output pairs in deep learning", NeurIPS,
       section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skae import AEImputer
    >>> iris = load_iris(as_frame=True)
    >>> table = iris.data.assign(species=iris.target_names[iris.target])
    >>> gaps = table.mask(np.random.default_rng(0).random(table.shape) < 0.1)
    >>> filled = AEImputer(random_state=0).fit_transform(gaps)
    >>> print(gaps.isna().sum().sum(), filled.isna().sum().sum())
    66 0
    >>> bool((filled == table)["species"].mean() > 0.98)
    True
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "categorical_features": SHARED_CONSTRAINTS["categorical_features"],
        "max_categories": SHARED_CONSTRAINTS["max_categories"],
        "random_state": SHARED_CONSTRAINTS["random_state"],
    }
    _doc_link_module: ClassVar = "skae"
    _doc_link_template: ClassVar = DOC_LINK_TEMPLATE
    _fitted: FittedImputer

    def __init__(
        self,
        *,
        categorical_features: Any = "from_dtype",
        max_categories: int | None = 50,
        random_state: RandomSource = None,
    ) -> None:
        self.categorical_features = categorical_features
        self.max_categories = max_categories
        self.random_state = random_state

    @validate_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn what cells say of each other.

        Parameters
        ----------
        X : array-like, frame or store of shape (n_samples, n_features)
            The rows, complete or with missing cells; frames and stores as in
            `AutoencoderTransformer`.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts.

        Returns
        -------
        self : object
            The fitted imputer.

        Raises
        ------
        ValueError
            If `X` has infinite values or no observed cell, or if a column holds prose. The
            imputer is then as it was.
        TypeError
            If `X` is no table, or if a column holds other things, such as lists.
        """
        refuse_group("fit of AEImputer")
        with replace_when_done(self) as draft:
            draft._fitted = draft._fit(X, sample_weight)
        return self

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> FittedImputer:
        choice = ColumnChoice(self.categorical_features, self.max_categories)
        table, columns, row_shape, _ = read_table(self, X, choice, sample_weight)
        _check_flat(row_shape)
        weight = check_sample_weight(sample_weight, len(table))
        total = float(len(table) if weight is None else sum_weights(weight))
        rows = merge_copies(TrainingTable(table, weight)).set_total(total)
        owner = None if columns is None else columns.owner
        moments = measure_columns(self, rows, float(len(rows)), owner)
        return FittedImputer.fit(rows, columns, moments, RandomStreams(self.random_state))

    def transform(self, X: ArrayLike) -> Any:
        """Return a table with its missing cells filled.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        X_imputed : ndarray or frame of shape (n_samples, n_features)
            The rows: in the form and the types of `X` if the table of `fit` had columns that
            aren't numbers, else an array, or what `set_output` asks for. Still missing are labels
            of columns whose labels identify rows, and columns that had no observed cell in `fit`.
        """
        table, fitted = self._read(X)
        values = fitted.clip(table, fitted.expect(table)).astype(table.dtype)
        if fitted.columns is None:
            return values
        filled = fill_table(X, values, fitted.columns)
        # scikit-learn makes objects of the columns, or cannot read them.
        return to_pandas(filled) if find_output(self) == "pandas" else filled

    @by_blocks
    def impute(self, X: ArrayLike, *, interval: float | None = None) -> Any:
        """Return a table with its missing cells filled, and limits of them.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            The rows.
        interval : float, default=None
            Also return limits that a missing number is within with this probability, in (0, 1).

        Returns
        -------
        X_imputed : array or frame of shape (n_samples, n_features)
            The rows as `transform` fills them, in the form and the types of `X`, numbers too.
        low, high : array or frame of shape (n_samples, n_features)
            With `interval`: the limits of numbers and dates that are missing in `X`, missing for
            all other cells, and where too few cells were hidden to tell. They are as far below
            the estimate as above it, which may lie outside of what its column holds and is cut to
            that in `X_imputed`. They are calibrated on cells hidden at random from held-out rows.

        Raises
        ------
        ValueError
            If `interval` is out of its bounds.
        """
        check_interval(interval)
        table, fitted = self._read(X)
        expected = fitted.expect(table)
        values = fitted.clip(table, expected)
        filled = fill_table(X, values.astype(table.dtype), fitted.columns)
        if interval is None:
            return filled
        half_widths = fitted.find_half_widths(float(interval))
        low, high = show_limits(X, table, values, expected, half_widths, fitted.columns)
        return filled, low, high

    @property
    def relative_errors_(self) -> np.ndarray:
        """Error of what fills each column, as a share of linear regression's."""
        check_is_fitted(self)
        return self._fitted.compare_errors(self.n_features_in_)

    def _read(self, X: ArrayLike) -> tuple[AnyTable, FittedImputer]:
        """Return a checked table and what fills it, both of one moment.

        Another thread may fit the imputer anew in the meantime.
        """
        now = copy_shallow(self)
        check_is_fitted(now)
        fitted = now._fitted
        _check_flat(find_row_shape(X))
        return encode_table(now, X, fitted.columns), fitted

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_fitted" not in state:
            return state
        with isolate_torch():
            return seal({**state, "_fitted": state["_fitted"].get_state()})

    def __setstate__(self, state: dict[str, Any]) -> None:
        if is_sealed(state) or "_fitted" in state:
            state = open_sealed(self, state)
            with isolate_torch():
                state = {**state, "_fitted": FittedImputer.from_state(state["_fitted"])}
        super().__setstate__(state)


def _check_flat(row_shape: RowShape) -> None:
    if row_shape is not None:
        raise ValueError(
            f"X must have rows and columns, got rows of the shape {row_shape}: reshape X, or use "
            "impute of AutoencoderTransformer"
        )
