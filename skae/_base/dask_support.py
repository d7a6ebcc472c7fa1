"""Methods on dask collections: lazy, block by block.

Dask is imported only where a collection of its has already brought it in.
"""

from collections.abc import Callable
from functools import wraps
from inspect import unwrap
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._data import is_dask_array, is_dask_frame, join_columns
from .drafts import copy_shallow

Method = TypeVar("Method", bound=Callable[..., Any])


def by_blocks(method: Method) -> Method:
    """Make a method of rows lazy on dask collections; each block becomes its result.

    Of a frame results are frames and series with its index, whatever `set_output` says.
    """

    @wraps(method)
    def wrapper(estimator: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        is_frame = is_dask_frame(X)
        if not is_frame and not is_dask_array(X):
            return method(estimator, X, *args, **kwargs)
        check_is_fitted(estimator)
        # As it is now: it may be fitted again before the result is computed.
        now, name = copy_shallow(estimator), method.__name__

        def apply(fitted: Any, rows: Any) -> Any:
            return unwrap(getattr(type(fitted), name))(fitted, rows, *args, **kwargs)

        return _map_frame(now, apply, X, name) if is_frame else _map_array(now, apply, X, name)

    return cast(Method, wrapper)


class DaskSupportMixin:
    """Keeps `transform` and `fit_transform` lazy: scikit-learn's wrappers around them load."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "transform" in vars(cls):
            cls.transform = by_blocks(cls.transform)  # type: ignore[attr-defined]

    @wraps(TransformerMixin.fit_transform)
    def fit_transform(self: Any, X: Any, y: Any = None, **fit_params: Any) -> Any:
        if is_dask_frame(X) or is_dask_array(X):
            return self.fit(X, y, **fit_params).transform(X)
        return TransformerMixin.fit_transform(self, X, y, **fit_params)


def _map_array(estimator: Any, apply: Callable[..., Any], X: Any, name: str) -> Any:
    from dask import delayed

    X = join_columns(X)
    rows = np.zeros((1, *X.shape[1:]), X.dtype)
    if rows.dtype == object:  # of what kind their columns are, no type says
        rows[:] = None
    example = apply(estimator, rows)
    if not isinstance(example, np.ndarray):
        raise TypeError(
            f"{name} of this estimator must be given a dask frame or a table in memory, "
            f"got a dask array, for whose blocks it returns {_describe(example)}: pass "
            "dask.dataframe.from_dask_array(X), or a block at a time"
        )
    empty = example[:0]

    def apply_to_block(block: Any, fitted: Any) -> Any:
        return apply(fitted, np.asarray(block)) if len(block) else empty

    ndim = example.ndim
    return X.map_blocks(
        apply_to_block,
        fitted=delayed(estimator),
        dtype=example.dtype,
        chunks=(X.chunks[0], *((length,) for length in example.shape[1:])),
        drop_axis=list(range(ndim, X.ndim)),
        new_axis=list(range(X.ndim, ndim)),
        meta=np.empty((0,) * ndim, example.dtype),
    )


def _map_frame(estimator: Any, apply: Callable[..., Any], X: Any, name: str) -> Any:
    from dask import delayed
    from dask.dataframe.utils import meta_nonempty

    columns = None
    if name == "transform":
        columns = estimator.get_feature_names_out()
    elif name == "inverse_transform":
        columns = getattr(estimator, "feature_names_in_", None)

    def apply_to_rows(fitted: Any, rows: pd.DataFrame) -> Any:
        return _wrap(apply(fitted, rows), rows, columns)

    rows = meta_nonempty(X._meta)
    example = apply_to_rows(estimator, rows)
    if not isinstance(example, pd.DataFrame | pd.Series):
        raise TypeError(
            f"{name} with these parameters must be given a table in memory, got a dask "
            f"frame, for whose partitions it returns {_describe(example)}: pass a partition at a "
            "time, such as X.get_partition(0).compute()"
        )
    empty = example.iloc[:0]

    def apply_to_partition(partition: pd.DataFrame, fitted: Any) -> Any:
        return apply_to_rows(fitted, partition) if len(partition) else empty

    return X.map_partitions(apply_to_partition, delayed(estimator), meta=empty)


def _wrap(result: Any, rows: pd.DataFrame, columns: Any) -> Any:
    """Return an array with the index of rows; all else as it is."""
    if not isinstance(result, np.ndarray):
        return result
    if result.ndim == 1:
        return pd.Series(result, rows.index)
    if columns is None and result.shape[1] == rows.shape[1]:
        columns = rows.columns
    return pd.DataFrame(result, rows.index, columns)


def _describe(result: Any) -> str:
    return f"a {type(result).__name__}"
