"""A frame as a matrix in which each column counts alike, and back."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from skae._linear.missing_covariance import fill_missing, fit_with_missing

from ._tables import MOST_LABELS, list_categories, list_numbers

# The Gaussian of the columns is fitted to so many rows, and to so many more without correlation.
_MOST_ROWS = 2000
_RIDGE = 5.0
_STEPS = 15


class Encoding:
    """Numbers of variance 1, and indicators of categories whose variances add up to 1.

    Labels beyond the `MOST_LABELS` most frequent are pooled. A missing cell is NaN in all its
    columns, as is a label that the fitted frame doesn't have, if none was pooled.

    Parameters
    ----------
    frame : DataFrame
        Rows that set means and variances. Each column has an observed cell.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.names = list(frame)
        self.numbers = list_numbers(frame)
        self._encoders = {name: _fit_encoder(frame[name]) for name in list_categories(frame)}
        self._pooled = {
            name: _find_pooled(encoder, frame[name]) for name, encoder in self._encoders.items()
        }
        widths = [self._count_columns(name) for name in self.names]
        ends = np.cumsum(widths)
        self.starts = ends - widths
        self._own = {
            name: slice(end - width, end)
            for name, width, end in zip(self.names, widths, ends.tolist(), strict=True)
        }
        raw = self._encode(frame)
        self._mean = np.nanmean(raw, axis=0)
        variance = self.add_by_column(np.nanvar(raw, axis=0)[None])[0]
        self._scale = np.repeat(np.sqrt(np.where(variance > 0, variance, 1.0)), widths)
        self._train = frame

    def _count_columns(self, name: str) -> int:
        encoder = self._encoders.get(name)
        return 1 if encoder is None else len(encoder.get_feature_names_out())

    def _encode(self, frame: pd.DataFrame) -> np.ndarray:
        blocks = []
        for name in self.names:
            encoder = self._encoders.get(name)
            if encoder is None:
                blocks.append(frame[name].to_numpy(dtype=np.float64, na_value=np.nan)[:, None])
                continue
            labels = frame[name].astype(object)
            known = labels.notna().to_numpy()
            block = np.full((len(frame), self._count_columns(name)), np.nan)
            if known.any():
                block[known] = encoder.transform(labels[known].to_numpy()[:, None])
                block[block.sum(axis=1) == 0] = np.nan
            blocks.append(block)
        return np.hstack(blocks)

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the matrix, in float64; NaN is a missing cell."""
        return (self._encode(frame) - self._mean) / self._scale

    def decode(self, values: np.ndarray) -> pd.DataFrame:
        """Return the frame nearest to a matrix without gaps: labels of the largest indicators."""
        raw = values * self._scale + self._mean
        columns = {}
        for name in self.names:
            block = raw[:, self._own[name]]
            if name in self._pooled:
                columns[name] = self._pooled[name][np.argmax(block, axis=1)]
            else:
                columns[name] = block[:, 0]
        return pd.DataFrame(columns)

    def add_by_column(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of the encoded columns of each column."""
        return np.add.reduceat(values, self.starts, axis=1)

    @cached_property
    def _is_last(self) -> np.ndarray:
        """Which encoded columns are the last indicator of a category."""
        lasts = [self._own[name].stop - 1 for name in self._encoders]
        return np.isin(np.arange(len(self._mean)), lasts)

    def drop_last(self, values: np.ndarray) -> np.ndarray:
        """Return a matrix without one indicator of each category, which the others determine.

        A regression of one indicator on all others would find what they were filled with.
        """
        return values[:, ~self._is_last]

    def restore_last(self, values: np.ndarray) -> np.ndarray:
        """Return a matrix with all indicators."""
        whole = np.zeros((len(values), len(self._mean)))
        whole[:, ~self._is_last] = values
        raw = whole * self._scale + self._mean
        for name in self._encoders:
            own = self._own[name]
            raw[:, own.stop - 1] = 1 - raw[:, own.start : own.stop - 1].sum(axis=1)
        return (raw - self._mean) / self._scale

    @cached_property
    def _moments(self) -> Any:
        rows = self.encode(self._train.iloc[:_MOST_ROWS])
        return fit_with_missing(rows, ridge=_RIDGE, max_iter=_STEPS)

    def complete(self, values: np.ndarray) -> np.ndarray:
        """Return a matrix whose gaps are the means given the other cells, of one Gaussian."""
        return fill_missing(values, self._moments) if np.isnan(values).any() else values


def _fit_encoder(column: pd.Series) -> OneHotEncoder:
    labels = column.dropna().astype(object).to_numpy()
    encoder = OneHotEncoder(
        max_categories=MOST_LABELS, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    return encoder.fit(labels[:, None])


def _find_pooled(encoder: OneHotEncoder, column: pd.Series) -> np.ndarray:
    """Return the label of each indicator: of the pooled ones the most frequent."""
    pooled = encoder.infrequent_categories_[0]
    labels = encoder.categories_[0]
    if pooled is None:
        return labels
    frequent = labels[~np.isin(labels, pooled)]
    counts = column.value_counts()
    most = max(pooled, key=lambda label: counts[label])
    return np.array([*frequent, most], dtype=object)
