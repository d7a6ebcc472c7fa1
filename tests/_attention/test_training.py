"""What attention learns from: copies of rows, weights that are no counts, and hidden cells."""

import numpy as np
import pytest

from skae._attention import training
from skae._attention.linear_answer import LinearAnswer
from skae._attention.training import KnownRows, train_attention

CELLS = (slice(0, 1), slice(1, 2))
ROWS = np.array([[0.0, 1.0], [2.0, np.nan], [3.0, 4.0]])


def know(weight):
    return KnownRows(ROWS, np.array(weight), CELLS, LinearAnswer(None))


@pytest.mark.parametrize("scale", [1.0, 1 / 7])
def test_counts_are_written_out(scale):
    written = know([scale, 3 * scale, 2 * scale]).write_out(100, np.random.default_rng(0))
    in_order = written.rows[np.argsort(written.rows[:, 0])]
    np.testing.assert_array_equal(in_order, ROWS[[0, 1, 1, 1, 2, 2]])
    np.testing.assert_array_equal(written.weight, 1)


def test_no_more_copies_are_written_out_than_asked_for():
    written = know([1.0, 8.0, 2.0]).write_out(5, np.random.default_rng(0))
    assert len(written) == len(written.weight) == 5


@pytest.mark.parametrize(
    "weight", [[0.5, 1.2, 0.7], [1.0, 1.0, 40.0], [1e-320, 1.0, 1.0], [2.0, 2.0, 2.0]]
)
def test_other_weights_stay(weight):
    known = know(weight)
    assert known.write_out(100, np.random.default_rng(0)) is known


@pytest.mark.parametrize(("n_columns", "n_filled"), [(8, 200), (192, 80), (320, 40)])
def test_rows_of_a_wide_table_are_filled_for_several_steps(n_columns, n_filled, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(30, n_columns))
    cells = tuple(slice(index, index + 1) for index in range(n_columns))
    known, filled = KnownRows(rows, np.ones(30), cells, LinearAnswer(None)), []
    fill = LinearAnswer.fill

    def count(self, gapped):
        filled.append(len(gapped))
        return fill(self, gapped)

    monkeypatch.setattr(LinearAnswer, "fill", count)
    rates = []
    monkeypatch.setattr(training, "_set_rate", lambda _, done: rates.append(done))
    train_attention(known, np.random.default_rng(0))
    assert len(rates) == 200
    assert max(rates) < 1
    assert sum(filled[1:]) == 10 * n_filled  # the first are the remembered rows
