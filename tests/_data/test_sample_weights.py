"""Weights: checked, normalized, trimmed, and quantiles under them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae._data import (
    check_sample_weight,
    normalize_weight,
    trim_weight,
    trim_weight_array,
    weighted_quantile,
)
from skae._data.sample_weights import scale_weight


def test_one_number_is_a_weight_for_all():
    assert check_sample_weight(2, 3).tolist() == [2.0, 2.0, 2.0]
    assert check_sample_weight(None, 3) is None


@pytest.mark.parametrize("factor", [2.0**-1022, 2.0**-40, 1.0, 2.0**1000])
def test_scaled_weights_are_exactly_proportional(factor):
    weight = np.array([3.0, 1.0, 0.0, 7.0])
    scaled = scale_weight(weight * factor)
    np.testing.assert_array_equal(scaled, weight / 8)
    assert np.isfinite(scaled.sum())


def test_weights_that_are_nothing_beside_others_become_zero():
    np.testing.assert_array_equal(scale_weight(np.array([1e300, 1e268, 1e275])) > 0, [1, 0, 1])
    np.testing.assert_array_equal(scale_weight(np.full(2, 5e-324)), [0.5, 0.5])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, 2.0], r"a value for each row, shape \(3,\); got .*\(2,\)"),
        (np.ones((3, 1)), r"a value for each row, shape \(3,\); got .*\(3, 1\)"),
        ([1.0, -0.5, 1.0], "finite and not negative, got -0.5 for row 1"),
        ([1.0, np.inf, 1.0], "finite and not negative"),
        ([1.0, np.nan, 1.0], "finite and not negative, got nan for row 1"),
        ([1.0, "b", "c"], "a number for each row, got 'b' for row 1: give each row the number"),
        ([None, {}, 1.0], "a number for each row"),
        ([0.0, 0.0, 0.0], "positive for one row at least"),
    ],
)
def test_other_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        check_sample_weight(weight, 3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_shares_sum_to_one_over_the_blocks(dtype):
    X, weight = np.zeros((10, 2)), np.arange(10).astype(dtype)
    for known, expected in ((weight, np.arange(10) / 45), (None, np.full(10, 0.1))):
        share = normalize_weight(X, known)
        found = np.concatenate([share(slice(0, 7)), share(slice(7, 10))])
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected)


def test_the_total_of_many_single_weights_is_exact():
    """A sum in single precision would be off in the eighth digit."""
    weight = np.full(10**6, 0.1, dtype=np.float32)
    share = normalize_weight(weight[:, None], weight)
    assert share(slice(0, 1))[0] == pytest.approx(1e-6, rel=1e-12, abs=0)


@settings(deadline=None, derandomize=True)
@given(
    losses=st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    fraction=st.floats(0, 0.49),
    data=st.data(),
)
def test_trimming_takes_a_share_of_weight_from_the_top(losses, fraction, data):
    weight = data.draw(st.lists(st.integers(1, 5), min_size=len(losses), max_size=len(losses)))
    losses, weight = torch.tensor(losses).double(), torch.tensor(weight).double()
    left = trim_weight(losses, weight, fraction)
    assert (left >= 0).all()
    assert (left <= weight).all()
    assert left.sum().item() == pytest.approx((1 - fraction) * weight.sum().item())
    touched = losses[left < weight]
    untouched = losses[left > 0]
    if len(touched) and len(untouched):
        assert touched.min() >= untouched.max()
    # A row of weight w is w rows.
    repeated = trim_weight(losses.repeat_interleave(weight.long()), None, fraction)
    kept = (losses.repeat_interleave(weight.long()) * repeated).sum()
    torch.testing.assert_close((losses * left).sum(), kept)


def test_trimming_arrays_is_trimming_tensors():
    rng = np.random.default_rng(0)
    losses, weight = rng.exponential(size=50), rng.uniform(size=50)
    expected = trim_weight(torch.from_numpy(losses), torch.from_numpy(weight), 0.2).numpy()
    np.testing.assert_array_equal(trim_weight_array(losses, weight, 0.2), expected)
    np.testing.assert_array_equal(trim_weight_array(losses, None, 0.0), np.ones(50))
    np.testing.assert_array_equal(trim_weight_array(losses, weight, 0.0), weight)


@given(
    values=st.lists(st.integers(-3, 3), min_size=1, max_size=20),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_a_weighted_quantile_is_the_quantile_of_copies(values, share, data):
    weight = data.draw(st.lists(st.integers(1, 4), min_size=len(values), max_size=len(values)))
    values = np.array(values, dtype=float)
    copies = np.repeat(values, weight)
    found = weighted_quantile(values, share, np.array(weight, dtype=float))
    # Least value with at least that share at or below it, up to rounding of the share.
    shares = {v: (copies <= v).mean() for v in np.unique(copies)}
    assert shares[float(found)] >= share - 1e-9
    below = [v for v in shares if v < found]
    assert all(shares[v] <= share + 1e-9 for v in below)


def test_quantiles_of_columns():
    values = np.array([[1.0, 30.0], [3.0, 10.0], [2.0, 20.0]])
    found = weighted_quantile(values, np.array([0.3, 1.0]), None)
    assert found.tolist() == [[1.0, 10.0], [3.0, 30.0]]
