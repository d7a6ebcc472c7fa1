"""Which number of components is advised, and why."""

from dataclasses import replace

import numpy as np
import pytest

from skae._command.measurement import Measurement, Pair
from skae._command.size_choice import choose_size

NOISE = np.random.default_rng(0).normal(size=100)


def measure(densities, error=0.5):
    known = None if densities is None else np.broadcast_to(densities, 100)
    return Measurement(
        explained_variance=1 - error,
        log_likelihood=None if known is None else float(known.mean()),
        kmeans_agreement=None,
        neighbour_accuracy=None,
        fit_seconds=1.0,
        loss_curve=(),
        held_out_curve=(),
        n_epochs=5,
        codes=np.zeros((100, 1)),
        errors=np.full(100, error),
        squares=np.ones(100),
        log_densities=known,
    )


def choose(sizes, pca_error=0.5):
    """Return the choice among sizes given as `{size: (PCA's densities, the autoencoder's)}`."""
    found = choose_size(
        {
            size: Pair(measure(pca, pca_error), measure(autoencoder))
            for size, (pca, autoencoder) in sizes.items()
        }
    )
    return found.size, found.reason, found.others


def test_best_density_of_either_model():
    assert choose({1: (4.0, 2.0), 2: (1.0, 3.0)}) == (1, "best", ())
    assert choose({1: (4.0, 2.0), 2: (1.0, 5.0)}) == (2, "best", ())


def test_one_size():
    assert choose({3: (None, None)}) == (3, "only", ())


def test_sizes_without_both_densities_are_not_chosen():
    assert choose({1: (1.0, 2.0), 2: (None, 9.0)}) == (1, "best", ())


def test_density_of_the_autoencoder_counts_where_pca_has_none():
    own = {1: 3.0, 2: 1.0, 4: 9.0, 8: 2.0}
    assert choose({size: (None, value) for size, value in own.items()}) == (4, "best", ())


@pytest.mark.parametrize(("gain", "size"), [(0.049, 2), (0.051, 4)])
def test_gain_must_matter(gain, size):
    found = choose({1: (None, 0.0), 2: (None, 1.0), 4: (None, 1.0 + gain)})
    assert found[:2] == (size, "as good" if size == 2 else "best")


@pytest.mark.parametrize(
    ("gain", "error", "found"),
    [
        (0.9, 0.99, (4, "best", ())),
        (0.9, 1.01, (2, "as good", (4,))),
        (1.1, 0.99, (4, "best", ())),
        # More than a nat, which may be chance.
        (1.1, 1.01, (4, "too few", (2,))),
    ],
)
def test_gain_must_be_two_standard_errors(gain, error, found):
    gains = NOISE - NOISE.mean()
    gains = gain + 5 * gain * error * gains / gains.std(ddof=1)
    assert choose({1: (None, -90.0), 2: (None, 0.0), 4: (None, gains)}) == found


def test_a_single_row_is_too_few():
    pairs = {
        size: Pair(*[replace(measure(density), log_densities=np.array([density]))] * 2)
        for size, density in {1: 0.0, 2: 0.5}.items()
    }
    found = choose_size(pairs)
    assert (found.size, found.reason, found.is_advised) == (2, "too few", False)


def test_equal_densities_tell_nothing():
    sizes = {1: (None, NOISE), 2: (None, NOISE - 1), 4: (None, NOISE * (1 + 1e-13)), 8: (None, 0.0)}
    sizes[8] = (None, NOISE - 2)
    assert choose(sizes) == (1, "same density", (1, 4))


def test_example_is_one_of_the_best():
    sizes = {2: (None, NOISE - 3), 4: (None, NOISE - 2), 8: (None, NOISE), 16: (None, NOISE)}
    assert choose(sizes) == (8, "same density", (8, 16))


@pytest.mark.parametrize(("sizes", "middle"), [((1, 2, 4), 2), ((1, 2, 4, 8), 2), ((8, 4), 4)])
def test_missing_densities_leave_the_middle(sizes, middle):
    assert choose(dict.fromkeys(sizes, (None, None))) == (middle, "no density", ())


def test_smallest_size_without_an_error():
    results = {
        size: Pair(measure(None if size > 2 else 9.0, error), measure(1.0))
        for size, error in {2: 0.5, 4: 1e-9, 8: 1e-9}.items()
    }
    found = choose_size(results)
    assert (found.size, found.reason) == (4, "exact")
