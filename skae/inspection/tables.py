"""Tables as displays read them."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def read_numbers(X: ArrayLike) -> np.ndarray | None:
    """Return rows as floats, or None if a column holds something else."""
    frame = read_frame(X)
    if not all(is_number(frame[name]) for name in frame):
        return None
    return frame.to_numpy(dtype=np.float64, na_value=np.nan)


def read_frame(X: Any) -> pd.DataFrame:
    """Return a table as a frame of pandas with distinct column names; images become rows."""
    if hasattr(type(X), "to_pandas"):
        X = X.to_pandas()
    if hasattr(type(X), "toarray"):
        X = X.toarray()
    if not isinstance(X, pd.DataFrame):
        rows = np.asarray(X)
        X = pd.DataFrame(rows.reshape(len(rows), -1) if rows.ndim > 2 and len(rows) else rows)
    frame: pd.DataFrame = X
    return frame if frame.columns.is_unique else frame.set_axis(range(frame.shape[1]), axis=1)


def read_column(frame: pd.DataFrame, place: int) -> np.ndarray:
    """Return a column of numbers as floats, NaN where a cell is missing."""
    column: Any = frame.iloc[:, place]
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def is_number(column: "pd.Series[Any]") -> bool:
    """Whether a column is drawn on a scale."""
    kinds = pd.api.types
    return kinds.is_numeric_dtype(column.dtype) and not kinds.is_bool_dtype(column.dtype)


def find_scaling(estimator: Any, n_features: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the means and scales of columns, None for an estimator that has none of them.

    Those of encoded columns are not of the table's.
    """
    center: Any = getattr(estimator, "mean_", None)
    scale: Any = getattr(estimator, "scale_", None)
    if np.shape(center) != (n_features,) or np.shape(scale) != (n_features,):
        return None
    return np.asarray(center), np.asarray(scale)


def check_image_shape(image_shape: tuple[int, ...], n_features: int) -> tuple[int, ...]:
    """Return the shape of an image, of rows and columns and at most three colours."""
    shape = tuple(int(size) for size in image_shape)
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (3, 4)):
        raise ValueError(
            f"image_shape must be (height, width) or (height, width, 3), got {image_shape}"
        )
    if np.prod(shape) != n_features:
        raise ValueError(
            f"image_shape must have as many cells as rows have columns, got {image_shape}, "
            f"which has {np.prod(shape)}, for {n_features} columns"
        )
    return shape
