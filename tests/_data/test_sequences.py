"""Sequences of unequal length as padded rows, and back."""

import numpy as np
import pytest
import torch

from skae._data.row_shapes import RowForm
from skae._data.sequences import (
    find_padding,
    find_sequence_form,
    fit_sequences,
    make_length_form,
    measure_lengths,
    pad_target,
    read_sequences,
)

NAN = np.nan
FLAT = [np.array([1.0, 2.0]), np.array([3.0]), np.array([4.0, 5.0, 6.0])]
PADDED = np.array([[1.0, 2.0, NAN], [3.0, NAN, NAN], [4.0, 5.0, 6.0]])
WIDE = [np.stack([own, -own], axis=1) for own in FLAT]
WIDE_PADDED = np.stack([PADDED, -PADDED], axis=2)


def make_objects(rows):
    out = np.empty(len(rows), dtype=object)
    out[:] = rows
    return out


def are_equal(ours, theirs):
    return ours.dtype == theirs.dtype and np.array_equal(ours, theirs, equal_nan=True)


@pytest.mark.parametrize(
    "make",
    [list, tuple, make_objects, lambda rows: [torch.from_numpy(row) for row in rows]],
    ids=["list", "tuple", "objects", "tensors"],
)
@pytest.mark.parametrize("are_sequences", [True, None])
@pytest.mark.parametrize(("rows", "padded"), [(FLAT, PADDED), (WIDE, WIDE_PADDED)])
def test_a_list_is_padded_to_its_longest(make, are_sequences, rows, padded):
    found, has_sequences = read_sequences(make(rows), are_sequences)
    assert has_sequences
    assert are_equal(found, padded)


def test_nested_lists_are_sequences_where_rows_must_be():
    for rows, padded in ((FLAT, PADDED), (WIDE, WIDE_PADDED)):
        nested = [row.tolist() for row in rows]
        assert are_equal(read_sequences(nested, True)[0], padded)
        assert read_sequences(nested, None) == (nested, False)


def test_single_precision_is_kept_and_integers_are_doubles():
    assert read_sequences([row.astype(np.float32) for row in FLAT], True)[0].dtype == np.float32
    mixed = [FLAT[0].astype(np.float32), FLAT[1].astype(int)]
    assert read_sequences(mixed, True)[0].dtype == np.float64


@pytest.mark.parametrize(
    "X",
    [
        list(PADDED),
        PADDED.tolist(),
        PADDED[:, :, None],
        [np.array(["a", "b"]), np.array(["c", "d"])],
        [1.0, 2.0],
        [],
        None,
        "abc",
    ],
)
def test_other_tables_stay_as_they_are(X):
    for are_sequences in (False, None):
        found, has_sequences = read_sequences(X, are_sequences)
        assert found is X
        assert not has_sequences


def test_lists_are_left_alone_where_rows_are_no_sequences():
    found, has_sequences = read_sequences(FLAT, False)
    assert found is FLAT
    assert not has_sequences


def test_steps_that_no_row_has_are_dropped():
    longer = np.pad(PADDED, ((0, 0), (0, 2)), constant_values=NAN)
    for X in (longer, torch.from_numpy(longer), longer.tolist(), list(longer)):
        assert are_equal(read_sequences(X, True)[0], PADDED)
    wide = np.stack([longer, -longer], axis=2)
    assert are_equal(read_sequences(wide, True)[0], WIDE_PADDED)
    objects = longer.astype(object)
    objects[0, 3] = None
    assert read_sequences(objects, True)[0].shape == (3, 3)
    assert read_sequences(longer, None)[0] is longer
    none = np.full((2, 3), NAN)
    assert read_sequences(none, True)[0].shape == (2, 1)  # which is an error later


def test_rows_of_weight_zero_have_no_say_in_the_longest():
    for X in (FLAT, PADDED):
        assert are_equal(read_sequences(X, True, [1.0, 1.0, 0.0])[0], PADDED[:, :2])
    with pytest.raises(ValueError, match="sample_weight must have a value for each row"):
        read_sequences(FLAT, True, [1.0, 1.0])


WRONG = {
    "features": ([WIDE[0], WIDE[1][:, :1]], r"same features, got one of the shape \(1, 1\) in row"),
    "axes": ([WIDE[0], FLAT[1]], r"same features, got one of the shape \(1,\) in row 1 and \(2, 2"),
    "images": ([np.ones((2, 2, 2)), np.ones((3, 2, 2))], r"got one of the shape \(2, 2, 2\) in ro"),
    "empty": ([FLAT[0], np.array([])], r"got one of the shape \(0,\) in row 1: .* leave it out"),
    "no features": ([WIDE[0], np.ones((3, 0))], r"of the shape \(3, 0\) in row 1"),
}


@pytest.mark.parametrize("are_sequences", [True, None])
@pytest.mark.parametrize(("rows", "message"), WRONG.values(), ids=WRONG)
def test_wrong_sequences_are_named(are_sequences, rows, message):
    with pytest.raises(ValueError, match=message):
        read_sequences(rows, are_sequences)


def test_sequences_have_numbers():
    with pytest.raises(TypeError, match=r"sequences of numbers, .* got <U1 in row 1: turn it into"):
        read_sequences([FLAT[0], np.array(["a"])], True)
    with pytest.raises(ValueError, match="got one in row 1 that is none"):
        read_sequences([[1.0, 2.0], [[1.0], [2.0, 3.0], 4.0]], True)


@pytest.mark.parametrize(("rows", "padded"), [(FLAT, PADDED), (WIDE, WIDE_PADDED)])
def test_sequences_get_the_length_of_the_fit(rows, padded):
    shape = (4, *padded.shape[2:])
    longer = np.full((3, *shape), NAN)
    longer[:, :3] = padded
    assert are_equal(fit_sequences(rows, shape).rows, longer)
    again = np.concatenate([longer, np.full_like(longer, NAN)], axis=1)
    assert are_equal(fit_sequences(again, shape).rows, longer)
    assert fit_sequences(longer, shape).rows is longer
    flat = longer.reshape(3, -1)
    assert fit_sequences(flat, shape).rows is flat


def test_what_is_no_table_of_sequences_stays():
    for X in (PADDED[:, :2], np.ones((3, 3, 5)), np.ones(3), np.ones((2, 3, 2, 2)), None, [[]]):
        assert fit_sequences(X, (3,)) is None


@pytest.mark.parametrize("X", [FLAT, PADDED, [row.tolist() for row in FLAT]])
def test_a_longer_sequence_is_named(X):
    with pytest.raises(ValueError, match=r"at most 2 steps, as many as .* got 3 in row 2: cut it"):
        fit_sequences(X, (2,))


def test_other_features_are_an_error():
    with pytest.raises(ValueError, match="sequences of 3 features, as in fit, got 2: pass the"):
        fit_sequences(WIDE, (3, 3))
    with pytest.raises(ValueError, match="sequences of 1 features, as in fit, got 2"):
        fit_sequences(WIDE, (3,))


def test_lengths_end_at_the_last_observed_cell():
    inside = np.array([[1.0, NAN, 3.0, NAN], [NAN, NAN, NAN, NAN], [NAN, 2.0, 3.0, 4.0]])
    assert measure_lengths(inside).tolist() == [3, 0, 4]
    half = np.stack([inside, np.full_like(inside, NAN)], axis=2)
    assert measure_lengths(half).tolist() == [3, 0, 4]
    assert measure_lengths(np.ones((2, 3), dtype=np.uint8)).tolist() == [3, 3]
    assert find_padding(inside)[0].tolist() == [False, False, False, True]


def test_results_have_the_lengths_of_what_entered():
    values = np.arange(12.0).reshape(3, 4)
    ours = find_sequence_form(FLAT, (4,)).restore(values)
    for own, row, given in zip(ours, values, FLAT, strict=True):
        assert are_equal(own, row[: len(given)])
    single = find_sequence_form(FLAT, (4,)).restore(values.astype(np.float32))
    assert {own.dtype for own in single} == {np.dtype(np.float32)}
    expected = np.where(np.isnan(PADDED), NAN, values[:, :3])
    assert are_equal(find_sequence_form(PADDED, (3,)).restore(values[:, :3]), expected)
    longer = np.pad(PADDED, ((0, 0), (0, 2)), constant_values=NAN)
    expected = np.pad(expected, ((0, 0), (0, 2)), constant_values=NAN)
    for X in (longer, torch.from_numpy(longer), longer.tolist()):
        assert are_equal(find_sequence_form(X, (3,)).restore(values[:, :3]), expected)
    assert np.isfinite(values).all()


def test_features_come_out_beside_each_other():
    values = np.arange(18.0).reshape(3, 6)
    ours = find_sequence_form(WIDE, (3, 2)).restore(values)
    assert [own.tolist() for own in ours[:2]] == [[[0.0, 1.0], [2.0, 3.0]], [[6.0, 7.0]]]
    steps = find_sequence_form(WIDE_PADDED, (3, 2)).restore(values)
    assert are_equal(steps, np.where(np.isnan(WIDE_PADDED), NAN, values.reshape(3, 3, 2)))
    flat = find_sequence_form(WIDE_PADDED.reshape(3, 6), (3, 2)).restore(values)
    assert are_equal(flat, steps.reshape(3, 6))


def test_missing_steps_at_the_end_of_a_listed_sequence_are_padding_too():
    rows = [np.array([1.0, NAN, 3.0, NAN, NAN]), np.array([1.0, 2.0])]
    ours = find_sequence_form(rows, (3,)).restore(np.arange(6.0).reshape(2, 3))
    assert are_equal(ours[0], np.array([0.0, 1.0, 2.0, NAN, NAN]))
    assert are_equal(ours[1], np.array([3.0, 4.0]))


def test_complete_rows_are_not_copied():
    values = np.ones((3, 3))
    form = find_sequence_form(np.ones((3, 3)), (3,))
    assert np.shares_memory(form.restore(values), values)
    assert form.restore("a frame") == "a frame"


@pytest.mark.parametrize("lengths", [[1, 3], np.array([1, 3]), (np.int8(1), 3)])
def test_decoded_rows_have_given_lengths(lengths):
    values = np.arange(6.0).reshape(2, 3)
    ours = make_length_form(lengths, 2, (3,), None).restore(values)
    assert are_equal(ours, np.array([[0.0, NAN, NAN], [3.0, 4.0, 5.0]]))
    wide = make_length_form(1, 2, (3, 2), (3, 2)).restore(np.ones((2, 6)))
    assert np.isnan(wide).all(axis=2).tolist() == [[False, True, True]] * 2
    assert make_length_form(None, 2, (3,), (3, 1)) == RowForm((3, 1))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([0, 3], "whole numbers from 1 to 3, one for each row or for all, got 0 for row 0"),
        ([1, 4], "got 4 for row 1"),
        (9, "got 9 for row 0"),
        ([1, 2, 3], r"got \[1, 2, 3\] for 2 rows"),
        ([[1, 2]], r"got \[\[1, 2\]\] for 2 rows"),
        ([[1], [1, 2]], "for 2 rows"),
        ([], r"got \[\] for 2 rows"),
    ],
)
def test_wrong_lengths_are_refused(lengths, message):
    with pytest.raises(ValueError, match=message):
        make_length_form(lengths, 2, (3,), None)


@pytest.mark.parametrize("lengths", [[1.0, 2.0], "ab", [True, True], True, ["a", "b"]])
def test_lengths_are_integers(lengths):
    with pytest.raises(TypeError, match="lengths must be whole numbers from 1 to 3"):
        make_length_form(lengths, 2, (3,), None)


def test_other_rows_have_no_lengths():
    with pytest.raises(ValueError, match="lengths must be None, as rows were no sequences in fit"):
        make_length_form([1, 1], 2, None, None)


@pytest.mark.parametrize("y", [FLAT, PADDED])
def test_targets_are_zero_beyond_the_end(y):
    assert pad_target(y, PADDED).tolist() == [[1, 2, 0], [3, 0, 0], [4, 5, 6]]


def test_targets_have_the_lengths_of_their_rows():
    with pytest.raises(ValueError, match=r"y must have sequences as long .* a longer one in row 1"):
        pad_target([FLAT[0], FLAT[2], FLAT[2]], PADDED)
    with pytest.raises(ValueError, match="a longer one in row 2"):
        pad_target([*FLAT[:2], np.ones(4)], PADDED)
    shorter = pad_target([*FLAT[:2], np.ones(2)], PADDED)
    assert np.isnan(shorter).tolist() == [[False] * 3, [False] * 3, [False, False, True]]


@pytest.mark.parametrize(
    "y", [[0, 1, 0], np.array([0, 1, 0]), ["a", "b", "c"], FLAT[:2], np.ones((3, 1), int)]
)
def test_labels_are_no_targets(y):
    assert pad_target(y, PADDED) is y
