"""What "auto" means for a number of rows."""

import math

import pytest

from .configs import make_config


@pytest.mark.parametrize(("batch_size", "lr"), [(256, 0.006), (64, 0.003), (1024, 0.012)])
def test_auto_learning_rate_grows_with_the_root_of_the_batch_length(batch_size, lr):
    config = make_config(batch_size=batch_size)
    assert config.learning_rate(100_000) == pytest.approx(lr)


def test_auto_learning_rate_counts_the_rows_that_a_batch_has():
    assert make_config(batch_size=256).learning_rate(64) == pytest.approx(0.003)


def test_given_values_are_taken_as_they_are():
    config = make_config(lr=0.5, max_epochs=3, batch_size=7)
    assert (config.learning_rate(1000), config.n_epochs(1000), config.batch_length(1000)) == (
        0.5,
        3,
        7,
    )


@pytest.mark.parametrize(
    ("n_rows", "n_steps"), [(20, 150), (149, 150), (400, 400), (1000, 1000), (1500, 1500)]
)
@pytest.mark.parametrize("batch_size", [1, 32, "auto"])
def test_auto_epochs_are_the_fewest_that_make_a_step_for_each_row(n_rows, n_steps, batch_size):
    config = make_config(batch_size=batch_size)
    n_batches = math.ceil(n_rows / config.batch_length(n_rows))
    n_epochs = config.n_epochs(n_rows)
    assert n_epochs * n_batches >= n_steps
    assert n_epochs == 10 or (n_epochs - 1) * n_batches < n_steps


@pytest.mark.parametrize(("n_rows", "n_epochs"), [(5000, 75), (10_000, 38), (1_000_000, 10)])
def test_auto_epochs_of_large_tables_make_1500_steps_or_10_passes(n_rows, n_epochs):
    assert make_config().n_epochs(n_rows) == n_epochs
