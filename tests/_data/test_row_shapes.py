"""Rows with shapes as flat ones, and back."""

import numpy as np
import pytest
import torch

from skae._data.row_shapes import (
    FlatStore,
    RowForm,
    check_row_shape,
    find_row_shape,
    flatten_rows,
)

X = np.arange(24.0).reshape(2, 3, 4)


class Store:
    """What h5py, zarr and dask have in common."""

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def __getitem__(self, rows):
        return self.values[rows]


@pytest.mark.parametrize(
    "given",
    [X, X.astype(np.uint8), torch.from_numpy(X), X.tolist(), list(X), (X[0], X[1]), Store(X)],
    ids=["array", "integers", "tensor", "lists", "arrays", "tuple", "store"],
)
def test_rows_are_flat_and_their_shape_is_known(given):
    flat, row_shape = flatten_rows(given)
    assert row_shape == find_row_shape(given) == (3, 4)
    assert tuple(flat.shape) == (2, 12)
    assert np.array_equal(flat[0:2], X.reshape(2, 12))
    assert np.array_equal(RowForm(row_shape).restore(np.asarray(flat[0:2])), X)


def test_nothing_is_copied(tmp_path):
    assert np.shares_memory(flatten_rows(X)[0], X)
    mapped = np.memmap(tmp_path / "rows", dtype=float, mode="w+", shape=X.shape)
    assert isinstance(flatten_rows(mapped)[0], np.memmap)
    store = flatten_rows(Store(X))[0]
    assert isinstance(store, FlatStore)
    assert len(store) == 2


@pytest.mark.parametrize(
    "given",
    [X[0], X[0].tolist(), list(X[0]), X[0, 0], [], [[]], "abc", None, [[[1.0], [2.0]], [[1.0]]]],
)
def test_all_else_stays_as_it_is(given):
    flat, row_shape = flatten_rows(given)
    assert flat is given
    assert row_shape is None
    assert RowForm().restore(given) is given


def test_no_rows_have_a_shape():
    assert flatten_rows(X[:0])[0].shape == (0, 12)


def test_shapes_are_compared_up_to_ones():
    for given in (None, (3, 4), (1, 3, 4), (3, 4, 1)):
        check_row_shape(given, (3, 4), 12)
    for expected, known in {(3, 4): "(3, 4)", None: "(12,)"}.items():
        with pytest.raises(ValueError, match="got rows of the shape") as found:
            check_row_shape((4, 3), expected, 12)
        assert f"of the shape {known}, as in fit" in str(found.value)
        assert "(4, 3): reshape X" in str(found.value)
