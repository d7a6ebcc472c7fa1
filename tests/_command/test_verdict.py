"""What the command concludes from the figures."""

from dataclasses import replace

import numpy as np
import pytest

from skae._command.comparison import Measurement, Pair
from skae._command.verdict import reach_verdict

NOISE = np.random.default_rng(0).normal(size=(2, 100))


def measure(error, density, n_epochs=5):
    """Return the measurement of a model whose rows scatter around an error and a density."""
    return Measurement(
        explained_variance=1 - error,
        log_likelihood=density,
        kmeans_agreement=None,
        neighbour_accuracy=None,
        fit_seconds=1.0,
        n_epochs=n_epochs,
        codes=np.zeros((100, 1)),
        errors=error * (1 + 0.01 * NOISE[0]),
        log_densities=None if density is None else density + 0.01 * NOISE[1],
    )


def conclude(**sizes):
    """Return the verdict on sizes given as `k2=((error, density), (error, density))`."""
    return reach_verdict(
        {
            int(size[1:]): Pair(pca=measure(*pca), autoencoder=measure(*autoencoder))
            for size, (pca, autoencoder) in sizes.items()
        }
    )


# With real rows -----------------------------------------------------------------------


def test_curve_is_worth_an_autoencoder(record, tmp_path):
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 400)
    X = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    np.save(tmp_path / "t.npy", X + 0.05 * np.random.default_rng(1).normal(size=X.shape))
    verdict = record(tmp_path / "t.npy", "--components", 2)["verdict"]
    assert verdict["unexplained_ratio"] < 0.8
    assert "use PCA" not in verdict["text"]
    assert f"leaves {verdict['unexplained_ratio']:.2f} of what PCA leaves" in verdict["text"]


def test_plane_is_not(report, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(100, 6))
    np.save(tmp_path / "plane.npy", X)
    out = report(tmp_path / "plane.npy", "--components", 2)
    assert out.endswith("training found nothing beyond PCA; use PCA.\n")


# One number of components -------------------------------------------------------------


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
        ((0.5, 0.0), "of the variance): PCA is as good; use PCA."),
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
        # A difference must be a twentieth of the error, or of a nat, to matter.
        ((0.477, 1.0), "PCA is as good; use PCA."),
        ((0.473, 1.0), "of the variance)."),
        ((0.523, 1.0), "PCA is as good; use PCA."),
        ((0.527, 1.0), "PCA is better; use PCA."),
        ((0.2, 1.04), "of the variance)."),
        ((0.2, 1.06), "and its log-likelihood is 0.1 nats a row higher."),
    ],
)
def test_one_size(autoencoder, ending):
    found = conclude(k3=((0.5, 1.0), autoencoder))
    assert found.text.startswith("At 3 components the autoencoder leaves ")
    assert found.text.endswith(ending)
    assert found.unexplained_ratio == pytest.approx(autoencoder[0] / 0.5)


def test_one_component_is_singular():
    assert conclude(k1=((0.5, 1.0), (0.2, 2.0))).text.startswith("At 1 component the")


def test_nothing_left_by_pca():
    found = conclude(k2=((1e-9, None), (1e-7, 1.0)))
    assert found.unexplained_ratio is None
    assert found.text == "At 2 components PCA leaves nothing unexplained; use PCA."


def test_small_errors_are_compared():
    assert conclude(k2=((1e-5, 1.0), (2e-5, 1.0))).unexplained_ratio == pytest.approx(2)


def test_rows_without_variance_have_no_shares():
    pca, autoencoder = (
        replace(found, explained_variance=None) for found in (measure(0.5, 1.0), measure(0.2, 1.0))
    )
    text = reach_verdict({2: Pair(pca, autoencoder)}).text
    assert text.endswith("0.40 of what PCA leaves unexplained.")


def gains_of(mean, error):
    """Return 100 differences with that mean and that standard error of the mean."""
    gains = np.tile([1.0, -1.0], 50)
    return mean + 10 * error * gains / gains.std(ddof=1)


@pytest.mark.parametrize(("error", "is_sure"), [(0.0999, True), (0.1001, False)])
def test_gain_must_be_two_standard_errors(error, is_sure):
    pca, autoencoder = measure(0.5, 1.0), measure(0.5, 1.0)
    errors = np.full(100, 0.5)
    autoencoder = replace(autoencoder, errors=errors - gains_of(0.2, error))
    pair = Pair(replace(pca, errors=errors), autoencoder)
    assert reach_verdict({2: pair}).text.endswith("PCA is as good; use PCA.") != is_sure


@pytest.mark.parametrize(("error", "is_sure"), [(0.999, True), (1.001, False)])
def test_density_gain_must_be_two_standard_errors(error, is_sure):
    pca, autoencoder = measure(0.5, 1.0), measure(0.2, 1.0)
    densities = np.zeros(100)
    autoencoder = replace(autoencoder, log_densities=densities + gains_of(2.0, error))
    pair = Pair(replace(pca, log_densities=densities), autoencoder)
    assert ("2.0 nats a row higher" in reach_verdict({2: pair}).text) == is_sure


def test_single_row_says_nothing():
    pca, autoencoder = (
        replace(found, errors=found.errors[:1], log_densities=found.log_densities[:1])
        for found in (measure(0.5, 1.0), measure(0.2, 2.0))
    )
    assert reach_verdict({1: Pair(pca, autoencoder)}).text.endswith("PCA is as good; use PCA.")


# Several numbers of components --------------------------------------------------------


def test_network_that_stayed_pca_is_not_praised_for_its_density():
    untrained = Pair(measure(0.5, 1.0), measure(0.5, 9.0, n_epochs=0))
    found = reach_verdict({2: untrained})
    assert found.text.endswith(": training found nothing beyond PCA; use PCA.")
    found = reach_verdict({1: Pair(measure(0.7, 1.0), measure(0.5, 2.0)), 2: untrained})
    assert found.text.endswith(
        ": training found nothing beyond PCA there. At 1 component the autoencoder explains more."
    )


def test_size_of_the_best_density_is_spoken_of():
    better, same = ((0.5, 1.0), (0.2, 2.0)), ((0.3, 3.0), (0.3, 3.0))
    found = conclude(k1=better, k2=better, k4=same)
    assert found.n_components == 4
    assert found.text.endswith(
        "PCA is as good there. At 1 and 2 components the autoencoder explains more."
    )


def test_advice_is_final_if_pca_is_no_worse_anywhere():
    found = conclude(k2=((0.5, 1.0), (0.9, 1.0)), k4=((0.3, 3.0), (0.3, 3.0)))
    assert found.n_components == 4
    assert found.text.endswith("PCA is as good; use PCA.")


def test_best_density_may_be_of_pca():
    found = conclude(k1=((0.5, 4.0), (0.2, 2.0)), k2=((0.5, 1.0), (0.2, 3.0)))
    assert found.n_components == 1


def test_sizes_without_both_densities_are_not_chosen():
    found = conclude(k1=((0.5, 1.0), (0.2, 2.0)), k2=((0.5, None), (0.2, 9.0)))
    assert found.n_components == 1


@pytest.mark.parametrize(("error", "words"), [(0.5, "as good"), (0.9, "as good or better")])
def test_sizes_where_pca_is_no_worse_are_named(error, words):
    found = conclude(k2=((0.5, 1.0), (error, 1.0)), k4=((0.3, 1.0), (0.1, 9.0)))
    assert found.n_components == 4
    assert found.text.endswith(f" nats a row higher. At 2 components PCA is {words}.")


@pytest.mark.parametrize(("sizes", "middle"), [((1, 2, 4), 2), ((1, 2, 4, 8), 2), ((8, 4), 4)])
def test_missing_densities_leave_the_middle(sizes, middle):
    pair = ((0.5, None), (0.2, None))
    found = conclude(**{f"k{size}": pair for size in sizes})
    assert found.n_components == middle
    assert found.text.endswith("of the variance).")


def test_density_of_the_autoencoder_counts_where_pca_has_none():
    own = {1: 3.0, 2: 1.0, 4: 9.0, 8: 2.0}
    found = conclude(**{f"k{size}": ((0.5, None), (0.2, value)) for size, value in own.items()})
    assert found.n_components == 4
    assert found.text.endswith("of the variance).")
