"""What the command concludes from the figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skae._command.measurement import Measurement, Pair
from skae._command.models import fit_autoencoder
from skae._command.verdict import find_praised_size, reach_verdict

NOISE = np.random.default_rng(0).normal(size=(2, 100))
NOISE -= NOISE.mean(axis=1, keepdims=True)


def measure(error, density, n_epochs=5):
    """Return the measurement of a model whose rows scatter around an error and a density."""
    return Measurement(
        explained_variance=1 - error,
        log_likelihood=density,
        kmeans_agreement=None,
        neighbour_accuracy=None,
        fit_seconds=1.0,
        n_epochs=n_epochs,
        loss_curve=(),
        held_out_curve=(),
        codes=np.zeros((100, 1)),
        errors=error * (1 + 0.01 * NOISE[0]),
        squares=np.ones(100),
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
    found = record(tmp_path / "t.npy", "--components", 2)
    verdict, (figures,) = found["verdict"], found["results"]
    assert verdict["unexplained_ratio"] < 0.8
    assert verdict["model"] == "autoencoder"
    assert verdict["n_components"] == 2
    assert verdict["is_size_advised"]
    assert verdict["finds_structure"] is True
    assert verdict["text"] == " ".join(verdict["sentences"])
    assert verdict["text"].startswith("Use the autoencoder with 2 components. On the 100 rows ")
    shares = [100 * figures[name]["explained_variance"] for name in ("PCA", "autoencoder")]
    assert (
        f"explains {shares[0]:.1f}% of the variance and the autoencoder {shares[1]:.1f}%: "
        f"{shares[1] - shares[0]:.1f} percentage points more (95% interval"
    ) in verdict["text"]


def test_plane_is_not(report, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(100, 6))
    np.save(tmp_path / "plane.npy", X)
    advice, grounds = report(tmp_path / "plane.npy", "--components", 2).splitlines()[-2:]
    assert advice == "Use PCA with 2 components."
    assert grounds.startswith(
        "On the 25 rows held out of training, PCA with 2 components explains "
    )
    assert grounds.endswith(
        "; training found nothing that is surely better, so the autoencoder is PCA."
    )


# One number of components -------------------------------------------------------------

AUTOENCODER = "Use the autoencoder with 3 components."
PCA = "Use PCA with 3 components."
EACH = "Use {} with 3 components to compress rows, and {} to score how probable they are."


@pytest.mark.parametrize(
    ("autoencoder", "advice", "difference", "density"),
    [
        ((0.2, 5.0), AUTOENCODER, "80.0%: 30.0 percentage points more", "more, 4.0, higher"),
        ((0.2, 1.0), AUTOENCODER, "80.0%: 30.0 percentage points more", None),
        (
            (0.2, -2.0),
            EACH.format("the autoencoder", "PCA"),
            "80.0%: 30.0 percentage points more",
            "less, 3.0, lower",
        ),
        ((0.5, 1.0), PCA, "as much", None),
        ((0.5, 0.0), PCA, "as much", "less, 1.0, lower"),
        (
            (0.5, 3.0),
            EACH.format("PCA", "the autoencoder"),
            "as much",
            "more, 2.0, higher",
        ),
        (
            (0.9, 3.0),
            EACH.format("PCA", "the autoencoder"),
            "10.0%: 40.0 percentage points less",
            "more, 2.0, higher",
        ),
        ((0.9, 0.0), PCA, "10.0%: 40.0 percentage points less", "less, 1.0, lower"),
        # A difference must be a twentieth of the error, or of a nat, to matter.
        ((0.477, 1.0), PCA, "52.3%: 2.3 percentage points more, too little to matter", None),
        ((0.473, 1.0), AUTOENCODER, "52.7%: 2.7 percentage points more", None),
        ((0.523, 1.0), PCA, "47.7%: 2.3 percentage points less, too little to matter", None),
        ((0.527, 1.0), PCA, "47.3%: 2.7 percentage points less", None),
        ((0.2, 1.04), AUTOENCODER, "80.0%: 30.0 percentage points more", None),
        ((0.2, 1.06), AUTOENCODER, "80.0%: 30.0 percentage points more", "more, 0.06, higher"),
    ],
)
def test_one_size(autoencoder, advice, difference, density):
    found = conclude(k3=((0.5, 1.0), autoencoder))
    assert found.sentences[0] == advice
    assert found.sentences[1].startswith(
        "On the 100 rows held out of training, PCA with 3 components explains 50.0% of the variance"
    )
    interval = "." if difference == "as much" else " (95% interval of the difference: "
    assert f"and the autoencoder {difference}{interval}" in found.text
    assert len(found.sentences) == 2 + (density is not None)
    if density is not None:
        more, gain, higher = density.split(", ")
        assert found.sentences[2].startswith(
            f"The autoencoder finds these rows {more} probable: its log-likelihood is {gain} nats "
            f"a row {higher} (95% interval of the difference: "
        )
    assert found.unexplained_ratio == pytest.approx(autoencoder[0] / 0.5)
    assert found.model == ("PCA" if advice.startswith("Use PCA") else "autoencoder")
    assert found.is_size_advised


def test_one_component_is_singular():
    found = conclude(k1=((0.5, 1.0), (0.2, 2.0)))
    assert found.text.startswith("Use the autoencoder with 1 component. On the 100 rows")


def test_nothing_left_by_pca():
    found = conclude(k2=((1e-9, None), (1e-7, 1.0)))
    assert found.unexplained_ratio is None
    assert found.text == (
        "Use PCA with 2 components. On the 100 rows held out of training, PCA with 2 components "
        "explains all of the variance."
    )


def test_small_errors_are_compared():
    assert conclude(k2=((1e-5, 1.0), (2e-5, 1.0))).unexplained_ratio == pytest.approx(2)


@pytest.mark.parametrize(
    ("errors", "texts"),
    [
        ((0.0004, 0.0001), ["99.96%", "99.99%", "0.03 percentage"]),
        ((0.5, 0.0004), ["50.00%", "99.96%", "49.96 percentage"]),
        ((0.00004, 0.00001), ["99.996%", "99.999%", "0.003 percentage"]),
    ],
)
def test_shares_have_the_decimals_that_tell_them_apart(errors, texts):
    found = conclude(k2=((errors[0], 1.0), (errors[1], 1.0)))
    assert [text for text in texts if text not in found.text] == []


def test_rows_without_variance_have_no_shares():
    pca, autoencoder = (
        replace(found, explained_variance=None) for found in (measure(0.5, 1.0), measure(0.2, 1.0))
    )
    assert reach_verdict({2: Pair(pca, autoencoder)}).sentences[1] == (
        "The 100 rows held out of training do not vary; the autoencoder's squared error with 2 "
        "components is 0.40 of PCA's."
    )


def gains_of(mean, error):
    """Return 100 differences with that mean and that standard error of the mean."""
    gains = np.tile([1.0, -1.0], 50)
    return mean + 10 * error * gains / gains.std(ddof=1)


@pytest.mark.parametrize(("error", "is_sure"), [(0.0999, True), (0.1001, False)])
def test_gain_must_be_two_standard_errors(error, is_sure):
    pca, autoencoder = measure(0.5, 1.0), measure(0.3, 1.0)
    errors = np.full(100, 0.5)
    autoencoder = replace(autoencoder, errors=errors - gains_of(0.2, error))
    found = reach_verdict({2: Pair(replace(pca, errors=errors), autoencoder)})
    assert (found.model == "autoencoder") == is_sure
    low, high = max(0.0, 20 - 200 * error), 20 + 200 * error
    doubt = "" if is_sure else ", which may be chance"
    assert found.sentences[1].endswith(
        f"20.0 percentage points more{doubt} (95% interval of the difference: {low:.1f} to "
        f"{high:.1f})."
    )


@pytest.mark.parametrize(("error", "is_sure"), [(0.999, True), (1.001, False)])
def test_density_gain_must_be_two_standard_errors(error, is_sure):
    pca, autoencoder = measure(0.5, 1.0), measure(0.2, 1.0)
    densities = np.zeros(100)
    autoencoder = replace(autoencoder, log_densities=densities + gains_of(2.0, error))
    pair = Pair(replace(pca, log_densities=densities), autoencoder)
    assert ("2.0 nats a row higher" in reach_verdict({2: pair}).text) == is_sure


def test_single_row_says_nothing():
    pca, autoencoder = (
        replace(
            found,
            errors=found.errors[:1],
            squares=found.squares[:1],
            log_densities=found.log_densities[:1],
        )
        for found in (measure(0.5, 1.0), measure(0.2, 2.0))
    )
    found = reach_verdict({1: Pair(pca, autoencoder)})
    assert found.sentences[0] == "Use PCA with 1 component."
    assert found.sentences[1].startswith("On the single row held out of training, PCA with 1 ")
    assert found.sentences[1].endswith(" percentage points more, which may be chance.")


@pytest.mark.parametrize(
    ("losses", "held_out", "reason"),
    [
        ((0.5, 0.499, 0.498), (), "training the autoencoder did not leave PCA in 3 epochs"),
        (
            (0.5, 0.45),
            (),
            "training found nothing that is surely better, so the autoencoder is PCA",
        ),
        (
            (0.5, 0.5),
            (0.6, 0.7, 0.7),
            "training found nothing that is surely better, so the autoencoder is PCA",
        ),
        ((0.5, 70), (0.6, 80, 70), "training the autoencoder raised its loss from 0.5 to 70"),
        ((), (), "there are too few rows to train the autoencoder on"),
    ],
)
def test_network_that_stayed_pca_is_not_praised_for_its_density(losses, held_out, reason):
    stayed = measure(0.5, 9.0, n_epochs=0)
    stayed = replace(stayed, loss_curve=losses, held_out_curve=held_out)
    assert reach_verdict({2: Pair(measure(0.5, 1.0), stayed)}).text == (
        "Use PCA with 2 components. On the 100 rows held out of training, PCA with 2 components "
        f"explains 50.0% of the variance; {reason}."
    )


def test_the_losses_on_held_out_rows_are_those_of_the_fit():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=list("abc"))
    model = fit_autoencoder(frame, 1, seed=0)
    assert len(model.held_out_curve) == len(model.loss_curve) + 1


def test_total_variance_is_a_sample_too():
    rng = np.random.default_rng(0)
    squares = rng.lognormal(size=100)
    # Shares that hardly vary from row to row: only the rows' norms do.
    pca, autoencoder = (
        replace(
            measure(share, 1.0),
            errors=squares * (share + 0.01 * rng.normal(size=100)),
            squares=squares,
        )
        for share in (0.5, 0.3)
    )
    draws = rng.integers(100, size=(2_000, 100))
    gains = (pca.errors - autoencoder.errors)[draws].sum(axis=1) / squares[draws].sum(axis=1)
    sentence = reach_verdict({2: Pair(pca, autoencoder)}).sentences[1]
    low, high = map(float, sentence.split("difference: ")[1].rstrip(").").split(" to "))
    np.testing.assert_allclose([low, high], 100 * np.quantile(gains, [0.025, 0.975]), atol=0.15)


def test_an_interval_of_nothing_is_left_out():
    pca, autoencoder = measure(0.5, 1.0), measure(0.5, 1.0)
    errors = autoencoder.errors + gains_of(0.0, 1e-5)
    found = reach_verdict({2: Pair(pca, replace(autoencoder, errors=errors))})
    assert found.sentences[1].endswith("50.0% of the variance, and the autoencoder as much.")
    errors = autoencoder.errors - gains_of(0.0055, 0.0029)
    found = reach_verdict({2: Pair(pca, replace(autoencoder, errors=errors))})
    assert found.sentences[1].endswith(
        "(95% interval of the difference: 0.0 to 1.1 percentage points)."
    )


def test_an_infinite_error():
    autoencoder = replace(measure(0.5, 1.0), explained_variance=None, errors=np.full(100, np.inf))
    found = reach_verdict({2: Pair(measure(0.5, 1.0), autoencoder)})
    assert found.model == "PCA"
    assert found.unexplained_ratio is None
    assert found.text == (
        "Use PCA with 2 components. On the 100 rows held out of training, PCA with 2 components "
        "explains 50.0% of the variance. The autoencoder's error with 2 components is infinite."
    )


def test_an_infinite_density_says_nothing():
    autoencoder = replace(measure(0.2, None), log_densities=np.full(100, -np.inf))
    found = reach_verdict({2: Pair(measure(0.5, 1.0), autoencoder)})
    assert found.sentences[0] == "Use the autoencoder with 2 components."


# Several numbers of components --------------------------------------------------------


def test_reasons_of_the_size():
    better = ((0.5, 1.0), (0.2, 2.0))
    best = conclude(k1=better, k2=better, k4=((0.3, 3.0), (0.1, 3.0)))
    assert best.sentences[-1] == (
        "Of the numbers of components compared (1, 2 and 4), 4 has the highest log-likelihood; "
        "more were not compared."
    )
    fewer = conclude(k1=better, k2=((0.3, 3.0), (0.1, 3.0)), k4=better)
    assert fewer.sentences[-1] == (
        "Of the numbers of components compared (1, 2 and 4), 2 has the highest log-likelihood."
    )
    as_good = conclude(k2=better, k4=((0.3, 1.0), (0.1, 2.04)))
    assert as_good.sentences[0] == "Use the autoencoder with 2 components."
    assert as_good.sentences[-1] == (
        "Of the numbers of components compared (2 and 4), 2 is the smallest whose log-likelihood "
        "is not surely below the highest, that of 4."
    )
    exact = conclude(k2=((0.5, 9.0), (0.5, 9.0)), k4=((1e-9, None), (1e-9, 1.0)))
    assert exact.sentences[-1] == (
        "Of the numbers of components compared (2 and 4), 4 is the smallest with which PCA makes "
        "no error."
    )


def test_log_likelihood_is_the_autoencoders_where_pca_has_none():
    found = conclude(k2=((0.5, None), (0.2, 2.0)), k4=((0.3, None), (0.1, 3.0)))
    assert found.sentences[-1] == (
        "Of the numbers of components compared (2 and 4), 4 has the highest log-likelihood of the "
        "autoencoder; more were not compared."
    )


def test_few_rows_are_no_advice():
    few = {}
    for size, (error, density) in {1: (0.27, -8.9), 2: (0.03, -5.4), 3: (0.01, -5.6)}.items():
        found = measure(error, density)
        few[size] = replace(
            found,
            errors=found.errors[:3],
            squares=found.squares[:3],
            log_densities=density + size * np.array([-2.0, 0.0, 2.0]),
        )
    found = reach_verdict({size: Pair(model, model) for size, model in few.items()})
    assert not found.is_size_advised
    assert found.sentences[0] == "Use PCA."
    assert found.sentences[-1] == (
        "How many components to take, these figures don't tell: 3 held-out rows are too few to "
        "tell whether 1 would do. Take the fewest that explain enough of the variance; 2 is an "
        "example."
    )


@pytest.mark.parametrize(
    ("density", "reason"),
    [
        (None, "neither model has a log-likelihood of these rows"),
        (
            1.0,
            "the log-likelihood of the autoencoder is the same with 1, 2 and 4, as the density "
            "describes these rows without the codes",
        ),
    ],
)
def test_no_size_is_advised_if_nothing_tells(density, reason):
    pair = ((0.5, None), (0.2, density))
    found = conclude(k1=pair, k2=pair, k4=pair)
    assert not found.is_size_advised
    size = 2 if density is None else 1
    assert found.n_components == size
    assert found.sentences[0] == "Use the autoencoder."
    assert found.sentences[2] == (
        f"How many components to take, these figures don't tell: {reason}. Take the fewest that "
        f"explain enough of the variance; {size} is an example."
    )
    assert found.sentences[3:] == (
        ()
        if density is None
        else ("That codes explain variance does not show that columns tell each other.",)
    )


def test_models_by_size_if_none_is_advised():
    found = conclude(
        k1=((0.5, None), (0.2, None)),
        k2=((0.4, None), (0.4, None)),
        k4=((0.3, None), (0.1, None)),
        k8=((0.2, None), (0.9, None)),
    )
    assert found.sentences[0] == "Use the autoencoder with 1 or 4 components, and PCA with 2 or 8."
    # The example is one for which the first model is the better one.
    assert found.model == "autoencoder"
    assert found.n_components == 1
    assert found.sentences[1].startswith("On the 100 rows held out of training, PCA with 1 comp")
    assert len(found.sentences) == 3


def test_example_is_one_of_the_best_if_it_can_be():
    found = conclude(
        k2=((0.5, None), (0.2, 1.0)), k4=((0.4, None), (0.4, 5.0)), k8=((0.3, None), (0.1, 5.0))
    )
    assert found.sentences[0] == "Use the autoencoder with 2 or 8 components, and PCA with 4."
    assert found.n_components == 8


def test_sizes_where_the_autoencoder_is_better_are_named():
    better, same = ((0.5, 1.0), (0.2, 2.0)), ((0.3, 3.0), (0.3, 3.0))
    found = conclude(k1=better, k2=better, k4=same)
    assert found.sentences[0] == "Use PCA with 4 components."
    assert found.sentences[-1] == (
        "With 1 and 2 components the autoencoder explains more than PCA."
    )


def test_sizes_where_codes_may_only_be_packed_are_told_apart():
    """On independent columns the autoencoder explains more, and finds no row more probable."""
    packed, better, same = ((0.5, 1.0), (0.2, 1.0)), ((0.4, 1.5), (0.2, 2.0)), ((0.3, 3.0),) * 2
    found = conclude(k1=packed, k2=better, k4=same)
    assert found.sentences[-2:] == (
        "With 2 components the autoencoder explains more than PCA.",
        "With 1 component the autoencoder explains more than PCA, but does not find these rows "
        "more probable: its codes may only pack the values of several columns into one number.",
    )
    found = conclude(k1=((0.5, None), (0.2, None)), k4=((0.3, 3.0), (0.3, 3.0)))
    assert found.sentences[-1].startswith("With 1 component the autoencoder explains more than")
    assert "does not find these rows more probable" in found.sentences[-1]


def test_advice_is_final_if_pca_is_no_worse_anywhere():
    found = conclude(k2=((0.5, 1.0), (0.9, 1.0)), k4=((0.3, 3.0), (0.3, 3.0)))
    assert found.sentences[0] == "Use PCA with 4 components."
    assert "the autoencoder explains more" not in found.text


@pytest.mark.parametrize(
    ("error", "words"),
    [(0.5, "the autoencoder does not surely explain more"), (0.9, "PCA is as good or better")],
)
def test_sizes_where_pca_is_no_worse_are_named(error, words):
    found = conclude(k2=((0.5, 1.0), (error, 1.0)), k4=((0.3, 1.0), (0.1, 9.0)))
    assert found.sentences[0] == "Use the autoencoder with 4 components."
    assert found.sentences[-1] == f"With 2 components {words}."


# A copy of the table whose columns tell nothing of each other ----------------------------

LIMIT = "; these figures do not show that columns tell of each other."


def shuffle(pca, autoencoder):
    return Pair(pca=measure(*pca), autoencoder=measure(*autoencoder))


@pytest.mark.parametrize(
    ("pca", "autoencoder", "finds_structure"),
    [
        # As much of independent columns, by every figure.
        ((0.5, 1.0), (0.2, 1.0), False),
        # By the autoencoder's errors alone, which differ from one training to the next.
        ((0.5, 1.0), (0.3, 1.0), False),
        ((0.6, 1.0), (0.2, 1.0), True),
        ((0.51, 1.0), (0.2, 1.0), False),  # too little to matter
        ((0.5, 1.0), (0.2, 0.9), True),
        ((0.5, 0.9), (0.2, 1.0), True),
        ((0.5, 0.97), (0.2, 0.97), False),
        ((0.4, 2.0), (0.1, 2.0), False),
        # Without densities all errors tell.
        ((0.5, None), (0.2, None), False),
        ((0.5, None), (0.3, None), True),
    ],
)
def test_structure_is_more_than_independent_columns_have(pca, autoencoder, finds_structure):
    densities = (None, None) if pca[1] is None else (1.0, 1.0)
    pair = Pair(pca=measure(0.5, densities[0]), autoencoder=measure(0.2, densities[1]))
    found = reach_verdict({3: pair}, shuffle(pca, autoencoder))
    assert found.finds_structure is finds_structure
    assert found.model == "autoencoder"
    if finds_structure:
        assert found == replace(reach_verdict({3: pair}), finds_structure=True)
        return
    assert found.sentences[0] == f"Use the autoencoder with 3 components to compress rows{LIMIT}"
    explained = [f"{100 * (1 - error):.1f}%" for error, _ in (pca, autoencoder)]
    assert found.sentences[2] == (
        "With each column shuffled, so that none tells of another, PCA explains "
        f"{explained[0]} and the autoencoder {explained[1]}: codes that pack the values of several "
        "columns into one number explain variance, and are no sign of structure."
    )


def test_a_few_rows_are_no_sure_sign_of_structure():
    pair, other = shuffle((0.5, None), (0.2, None)), shuffle((0.6, None), (0.2, None))
    pca = replace(other.pca, errors=0.6 * (1 + 5 * NOISE[0]))
    assert reach_verdict({3: pair}, replace(other, pca=pca)).finds_structure is False


def test_what_is_not_advised_is_not_compared_with_independent_columns():
    results = {3: shuffle((0.5, 1.0), (0.5, 1.0))}
    assert find_praised_size(results) is None
    assert reach_verdict(results).finds_structure is None
    assert find_praised_size({3: shuffle((0.5, 1.0), (0.2, 1.0))}) == 3


def test_advice_for_compression_may_name_several_numbers_and_both_models():
    lead, none = ((0.5, None), (0.2, None)), ((0.5, None), (0.5, None))
    results = {2: shuffle(*none), 4: shuffle(*lead), 8: shuffle(*lead)}
    size = find_praised_size(results)
    assert reach_verdict(results, results[size]).sentences[0] == (
        f"Use the autoencoder with 4 or 8 components, and PCA with 2, to compress rows{LIMIT}"
    )
    pair = shuffle((0.5, 1.0), (0.2, 0.0))
    assert reach_verdict({3: pair}, pair).sentences[0] == (
        EACH.format("the autoencoder", "PCA")[:-1] + LIMIT
    )


def test_independent_labels_are_compressed_and_no_more(record, tmp_path):
    labels = np.random.default_rng(0).choice(list("ab"), size=(200, 6))
    pd.DataFrame(labels).add_prefix("c").to_csv(tmp_path / "coins.csv", index=False)
    verdict = record(tmp_path / "coins.csv", "--components", 2)["verdict"]
    assert verdict["model"] == "autoencoder"
    assert verdict["finds_structure"] is False
    assert verdict["sentences"][0].endswith(LIMIT)
