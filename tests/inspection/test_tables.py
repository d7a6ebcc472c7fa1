"""Tables as displays read them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array

from skae.inspection.tables import check_image_shape, read_frame, read_numbers


@pytest.mark.parametrize(
    "table",
    [
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]]),
        csr_array([[1, 2], [3, 4]]),
        np.array([[[1], [2]], [[3], [4]]]),
        pd.DataFrame({"a": [1, 3], "b": [2.0, 4.0]}),
        pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
        pl.DataFrame({"a": [1, 3], "b": [2, 4]}),
    ],
)
def test_numbers(table):
    np.testing.assert_array_equal(read_numbers(table), [[1, 2], [3, 4]])


def test_missing_cells_are_nan():
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    np.testing.assert_array_equal(read_numbers(frame), [[1], [np.nan]])


@pytest.mark.parametrize("column", [["x", "y"], [True, False], pd.to_datetime(["2020", "2021"])])
def test_other_columns_are_no_numbers(column):
    assert read_numbers(pd.DataFrame({"a": column})) is None


def test_names_are_kept():
    assert list(read_frame(pl.DataFrame({"b": [1], "a": [2]})).columns) == ["b", "a"]


@pytest.mark.parametrize("shape", [(3, 4), (2, 2, 3)])
def test_image_shapes(shape):
    assert check_image_shape(shape, 12) == shape


@pytest.mark.parametrize("shape", [(12,), (2, 3, 2), (1, 1, 1, 12)])
def test_shapes_that_are_no_images(shape):
    with pytest.raises(ValueError, match=r"must be \(height, width\)"):
        check_image_shape(shape, 12)


def test_images_of_another_size():
    with pytest.raises(ValueError, match=r"\(3, 3\), which has 9, for 12 columns"):
        check_image_shape((3, 3), 12)
