"""Labels that training has not seen."""

import numpy as np
import pandas as pd
import pytest

from skae._data import Columns
from skae._detection.labels import SeenLabels, hide_unseen


def encode(labels, max_categories=None):
    frame = pd.DataFrame({"x": np.arange(len(labels)), "k": labels})
    columns = Columns.from_table(frame, max_categories=max_categories)
    return columns, columns.encode(frame).values


def test_a_label_of_calibration_rows_counts_as_that_of_fresh_ones():
    columns, rows = encode([*"uuuvvwwz", None])
    seen = SeenLabels.from_rows(columns, rows[:7], None)
    marked = seen.mark(rows)
    np.testing.assert_array_equal(marked[:7], rows[:7])
    fresh = columns.encode(pd.DataFrame({"x": [7], "k": ["new"]}), unseen=np.inf).values
    np.testing.assert_array_equal(marked[7], [7, *[np.inf] * 4])
    np.testing.assert_array_equal(fresh[0], marked[7])
    np.testing.assert_array_equal(hide_unseen(marked)[7:, 1:], np.full((2, 4), np.nan))
    np.testing.assert_array_equal(seen.measure(marked) > 0, np.arange(9) == 7)
    assert rows[7, 4] == 1  # the rows themselves stay as they are


def test_it_is_infrequent_where_others_are():
    columns, rows = encode([*"uuuvvvwwxyz"], max_categories=4)
    assert rows.shape[1] == 5
    absent = np.flatnonzero(rows[:, 3] == 1)  # those of "w"
    seen = SeenLabels.from_rows(columns, np.delete(rows, absent, axis=0), None)
    marked = seen.mark(rows)
    np.testing.assert_array_equal(marked[absent, 1:], [[0, 0, 0, 1]] * len(absent))
    assert not seen.measure(marked).any()


def test_it_is_unseen_where_no_training_row_is_infrequent():
    columns, rows = encode([*"uuuvvvwwxyz"], max_categories=4)
    seen = SeenLabels.from_rows(columns, rows[:8], None)
    assert np.isinf(seen.mark(rows)[8:, 1:]).all()


@pytest.mark.parametrize("weight", [None, np.ones(7), np.array([1, 1, 1, 1, 1, 1, 1.0])])
def test_the_surprisal_of_an_unseen_label_is_that_of_labels_seen_once(weight):
    columns, rows = encode([*"uuuvvwwz"])
    (own,) = SeenLabels.from_rows(columns, rows[:7], weight).categories
    assert own.nats == pytest.approx(np.log(8))  # none of seven labels was seen once
    columns, rows = encode([*"uuuvvwxyz"])
    (own,) = SeenLabels.from_rows(columns, rows[[0, 1, 2, 3, 4, 5, 6]], weight).categories
    assert own.nats == pytest.approx(np.log(8 / 3))


def test_a_weight_of_two_is_two_rows():
    columns, rows = encode([*"uvw"])
    seen = SeenLabels.from_rows(columns, rows, np.array([3.0, 2.0, 1.0]))
    assert seen.categories[0].nats == pytest.approx(np.log(7 / 2))


def test_an_unseen_label_is_unlikelier_than_the_rarest_ones():
    columns, rows = encode([*"uuuuvvvw"])
    seen = SeenLabels.from_rows(columns, rows, None)
    before = seen.categories[0].nats
    given = []

    def score(rows):
        given.append(rows)
        nats = np.array([0.0, 1.0, 9.0]) + rows[:, :1]
        return -np.nansum(nats * rows[:, 1:], axis=1)

    (own,) = seen.compare(score, rows).categories
    assert own.nats == pytest.approx(9 + 7 + np.log(2))  # of the label "w", in the last row
    assert np.isnan(given[0][:, 1:]).all()
    np.testing.assert_array_equal(given[1][:, 1:], [[0, 0, 1]] * 8 + [[0, 1, 0]] * 8)
    assert not np.isnan(rows).any()
    (own,) = seen.compare(lambda rows: np.zeros(len(rows)), rows).categories
    assert own.nats == before > np.log(2)


def test_a_column_with_a_pool_has_no_unseen_labels_to_compare():
    columns, rows = encode([*"uuuvvvwwxyz"], max_categories=4)
    seen = SeenLabels.from_rows(columns, rows, None)
    assert seen.compare(pytest.fail, rows) == seen
