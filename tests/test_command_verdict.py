"""`python -m skae`: what it says of figures."""

import numpy as np
import pytest

from skae._command._comparison import Measured
from skae._command._verdict import verdict_of

NOISE = np.random.default_rng(0).normal(size=(2, 100))


def measured(error, density, n_epochs=5):
    """Return what a model measured, with rows around a mean error and log-density."""
    errors = error * (1 + 0.01 * NOISE[0])
    densities = None if density is None else density + 0.01 * NOISE[1]
    return Measured(
        explained_variance=1 - error,
        log_likelihood=density,
        kmeans_agreement=None,
        neighbour_accuracy=None,
        fit_seconds=1.0,
        n_epochs=n_epochs,
        codes=np.zeros((100, 1)),
        errors=errors,
        log_densities=densities,
    )


def verdict(**sizes):
    """Return the verdict on sizes given as `k2=((error, density), (error, density))`."""
    return verdict_of(
        {
            int(size[1:]): {"PCA": measured(*pca), "autoencoder": measured(*autoencoder)}
            for size, (pca, autoencoder) in sizes.items()
        }
    )


@pytest.mark.parametrize(
    ("autoencoder", "ending"),
    [
        (
            (0.2, 5.0),
            "0.40 of what PCA leaves unexplained (0.2 against 0.5 of the variance), "
            "and its log-likelihood is 4.0 nats a row higher.",
        ),
        ((0.2, 1.0), "of the variance)."),
        ((0.2, -2.0), "of the variance), but its log-likelihood is 3.0 nats a row lower."),
        ((0.5, 1.0), "of the variance): PCA is as good; use PCA."),
        ((0.49, 0.5), "of the variance): PCA is as good; use PCA."),
        (
            (0.5, 3.0),
            "of the variance): PCA explains as much, but the autoencoder's "
            "log-likelihood is 2.0 nats a row higher.",
        ),
        (
            (0.9, 3.0),
            "of the variance): PCA explains more, but the autoencoder's "
            "log-likelihood is 2.0 nats a row higher.",
        ),
        (
            (0.9, 0.0),
            "1.80 of what PCA leaves unexplained (0.9 against 0.5 of the variance): "
            "PCA is better; use PCA.",
        ),
    ],
)
def test_one_size(autoencoder, ending):
    found = verdict(k3=((0.5, 1.0), autoencoder))
    assert found.text.startswith("At 3 components the autoencoder leaves ")
    assert found.text.endswith(ending)
    assert found.unexplained_ratio == pytest.approx(autoencoder[0] / 0.5)


def test_gain_within_the_noise_is_none():
    pair = {"PCA": measured(0.5, 1.0), "autoencoder": measured(0.4, 1.0)}
    pair["autoencoder"].errors[0] -= 10.0  # a mean that one row makes is not to be trusted
    pair["autoencoder"].errors[1:] += 0.15
    assert verdict_of({2: pair}).text.endswith("PCA is as good; use PCA.")


def test_network_that_stayed_pca_is_not_praised_for_its_density():
    untrained = {"PCA": measured(0.5, 1.0), "autoencoder": measured(0.5, 9.0, n_epochs=0)}
    found = verdict_of({2: untrained})
    assert found.text.endswith(": training found nothing beyond PCA; use PCA.")
    trained = {"PCA": measured(0.7, 1.0), "autoencoder": measured(0.5, 2.0)}
    found = verdict_of({1: trained, 2: untrained})
    assert found.text.endswith(
        ": training found nothing beyond PCA there. At 1 component the autoencoder explains more."
    )


def test_single_row_says_nothing():
    pair = {"PCA": measured(0.5, 1.0), "autoencoder": measured(0.2, 2.0)}
    for part in pair.values():
        object.__setattr__(part, "errors", part.errors[:1])
        object.__setattr__(part, "log_densities", part.log_densities[:1])
    assert verdict_of({1: pair}).text.endswith("use PCA.")


def test_size_of_the_best_density_is_spoken_of():
    better, same = ((0.5, 1.0), (0.2, 2.0)), ((0.3, 3.0), (0.3, 3.0))
    found = verdict(k1=better, k2=better, k4=same)
    assert found.n_components == 4
    assert found.text.endswith(
        "PCA is as good there. At 1 and 2 components the autoencoder explains more."
    )


@pytest.mark.parametrize(("error", "words"), [(0.5, "as good"), (0.9, "as good or better")])
def test_sizes_where_pca_is_no_worse_are_named(error, words):
    found = verdict(k2=((0.5, 1.0), (error, 1.0)), k4=((0.3, 1.0), (0.1, 9.0)))
    assert found.n_components == 4
    assert found.text.endswith(f" nats a row higher. At 2 components PCA is {words}.")


def test_missing_densities_leave_the_middle():
    pair = ((0.5, None), (0.2, 1.0))
    found = verdict(k1=pair, k2=pair, k4=pair)
    assert found.n_components == 2
    assert found.text.endswith("of the variance).")


def test_one_component_is_singular():
    assert verdict(k1=((0.5, 1.0), (0.2, 2.0))).text.startswith("At 1 component the")


def test_nothing_left_by_pca():
    found = verdict(k2=((1e-9, None), (1e-7, 1.0)))
    assert found.unexplained_ratio is None
    assert found.text == "At 2 components PCA leaves nothing unexplained; use PCA."
