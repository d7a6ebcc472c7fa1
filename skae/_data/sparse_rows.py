"""Sparse rows, made dense as they are read."""

from typing import Any, final

import numpy as np

from .._environment import check_memory


@final
class SparseRows:
    """A sparse matrix whose slices of rows are dense arrays, as those of a store are.

    Parameters
    ----------
    matrix : sparse matrix or array of shape (n_rows, n_columns)
        In the CSR format.
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        self.shape: tuple[int, int] = (int(matrix.shape[0]), int(matrix.shape[1]))

    def __getitem__(self, rows: slice) -> np.ndarray:
        first, last, _ = rows.indices(self.shape[0])
        n_rows = max(last - first, 0)
        check_memory(
            n_rows * self.shape[1] * self.matrix.dtype.itemsize,
            f"a dense array of {n_rows} rows and {self.shape[1]} columns",
            "reduce the columns first, with sklearn.decomposition.TruncatedSVD, or choose some "
            "with sklearn.feature_selection.VarianceThreshold",
        )
        return self.matrix[first:last].toarray()
