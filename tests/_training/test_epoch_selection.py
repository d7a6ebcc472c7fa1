"""The choice of the epoch to keep."""

import numpy as np
import pytest
import torch
from torch import nn

from skae import AutoencoderTransformer
from skae._data import Batch, Rows
from skae._environment import RandomStreams
from skae._training import train
from skae._training.epoch_selection import (
    InitialLosses,
    SelectedEpoch,
    SelectionRule,
    has_promise,
    select_epoch,
)
from skae.modules import mlp_autoencoder

from .configs import make_config


def sure_gain(initial, losses, weight, trim_fraction, minimum_improvement=None):
    rule = SelectionRule(trim_fraction, True, minimum_improvement)
    return rule.measure(InitialLosses(initial), losses, weight).merit


def test_a_gain_must_exceed_its_noise():
    rng = np.random.default_rng(0)
    initial = rng.exponential(size=200)
    noise = rng.normal(size=200) * 0.5
    assert sure_gain(initial, initial, None, 0.0) == 0
    assert sure_gain(initial, initial + noise - noise.mean() - 0.01, None, 0.0) == 0
    capped = np.minimum(initial, np.quantile(initial, 0.95)).mean()
    assert sure_gain(initial, initial * 0.5, None, 0.0) == pytest.approx(
        capped - np.minimum(initial * 0.5, np.quantile(initial, 0.95)).mean()
    )
    assert sure_gain(initial, np.full(200, np.nan), None, 0.0) == 0


def test_rows_that_overlap_count_as_one():
    rng = np.random.default_rng(0)
    initial = rng.exponential(size=40)
    losses = initial * rng.uniform(0.4, 1.0, size=40)
    once = SelectionRule(0.0, True).measure(InitialLosses(initial), losses, None)
    five_times = (InitialLosses(np.repeat(initial, 5)), np.repeat(losses, 5), None)
    overlapping = SelectionRule(0.0, True, overlap=4).measure(*five_times)
    assert overlapping.error == pytest.approx(once.error, rel=0.05)  # but for where losses are cut
    assert SelectionRule(0.0, True).measure(*five_times).error < 0.5 * once.error


def test_blocks_of_rows_are_compared():
    def measure(gains, overlap, weight=None):
        rule, initial = SelectionRule(0.0, True, overlap=overlap), np.full(len(gains), 2.0)
        return rule.measure(InitialLosses(initial), initial - gains, weight)

    rng = np.random.default_rng(0)
    alone = rng.uniform(0.5, 1.0, size=400)
    once = measure(alone, 0)
    # Rows that are not alike say as much in blocks; those of a recording say what it does.
    assert measure(alone, 9).error == pytest.approx(once.error, rel=0.3)
    recordings = np.repeat([0.0, 0.6, 1.2], 30)
    assert measure(recordings, 29).error == pytest.approx(0.6 / np.sqrt(3))
    assert measure(recordings, 29).merit == 0 < measure(recordings, 0).merit
    # The second recording does not count.
    weight = np.repeat([1.0, 0.0, 1.0], 30)
    error = np.sqrt(3 / 2 * 2 * 0.3**2)
    assert measure(recordings, 29, weight).error == pytest.approx(error)


def test_a_single_block_can_not_be_sure():
    initial = np.linspace(0.8, 0.9, 90)
    alike = (InitialLosses(initial), initial / 2, None)
    assert SelectionRule(0.0, True).measure(*alike).merit > 0.4
    lone = SelectionRule(0.0, True, overlap=45).measure(*alike)
    assert np.isinf(lone.error)
    assert lone.merit == 0
    assert SelectionRule(0.0, False, overlap=45).measure(*alike).merit < 0


def test_one_row_does_not_decide():
    initial = np.ones(200)
    initial[0] = 1e4
    better_but_for_one = initial * 0.5
    better_but_for_one[0] = 1e4
    assert sure_gain(initial, better_but_for_one, None, 0.0) > 0.4
    worse_on_average = better_but_for_one.copy()
    worse_on_average[0] = 2e4
    assert sure_gain(initial, worse_on_average, None, 0.0) == 0
    assert sure_gain(initial, worse_on_average, None, 0.1) > 0.4


def test_weights_count_in_the_gain():
    rng = np.random.default_rng(0)
    initial = rng.exponential(size=100)
    after = initial * rng.uniform(0.5, 1.0, size=100)
    weight = rng.integers(1, 4, size=100)
    cap = np.quantile(initial, 0.95)
    gains = np.minimum(initial, cap) - np.minimum(after, cap)
    assert sure_gain(initial, after, weight.astype(float), 0.0) == pytest.approx(
        gains.repeat(weight).mean()
    )
    assert SelectionRule(0.0, True).mean(initial, weight.astype(float)) == pytest.approx(
        initial.repeat(weight).mean()
    )


def test_a_trimmed_loss_may_be_infinite():
    losses = np.append(np.arange(9.0), np.inf)
    initial = InitialLosses(losses)
    for weight in (None, np.ones(10)):
        assert SelectionRule(0.1, True).mean(losses, weight) == pytest.approx(4)
        # The network is of no use for that row, so such an epoch is not chosen.
        assert SelectionRule(0.1, False).measure(initial, losses, weight).merit == -np.inf
    assert SelectionRule(0.0, False).measure(initial, losses, None).merit == -np.inf


def test_a_random_initialization_is_not_kept_without_a_sure_gain():
    rng = np.random.default_rng(0)
    initial = rng.exponential(size=100)
    losses = initial * rng.uniform(0.9, 1.09, size=(3, 100))
    means = losses.mean(axis=1)
    for keeps_initialization, best in ((True, 0), (False, 1 + means.argmin())):
        rule = SelectionRule(0.0, keeps_initialization)
        assert select_epoch([[initial, *losses]], [None], rule).epoch == best


def test_a_gain_in_nats_is_absolute_not_relative_to_the_loss():
    initial = np.random.default_rng(0).normal(size=1000)  # a log-likelihood: of either sign
    assert 0.045 < sure_gain(initial, initial - 0.05, None, 0.0, 0.03) < 0.05
    assert sure_gain(initial, initial - 0.02, None, 0.0, 0.03) == 0


def test_best_epoch_over_folds_of_different_length():
    rng = np.random.default_rng(0)
    initial = rng.exponential(size=(2, 100))
    long = [initial[0], initial[0] * 0.8, initial[0] * 0.5, initial[0] * 0.9]
    short = [initial[1], initial[1] * 0.8, initial[1] * 0.6]
    selected = select_epoch(
        [long, short], [None, None], SelectionRule(0.0, keeps_initialization=True)
    )
    means = selected.losses
    assert selected.epoch == 2
    assert len(means) == 4
    assert means[2] == pytest.approx((long[2].mean() + short[2].mean()) / 2)
    assert means[3] == pytest.approx((long[3].mean() + short[2].mean()) / 2)


@pytest.mark.parametrize("n_known", [1, 2, 4])
def test_folds_promise_a_gain_that_would_be_sure_if_the_others_were_like_them(n_known):
    initial = np.full(100, 1.0)
    initial[::10] = 10.0  # so that no other loss is clipped
    gains = np.where(np.arange(100) % 2, 0.4, -0.2) * (initial < 10)
    rule = SelectionRule(0.0, True, minimum_improvement=0.08)
    for less, is_promising in ((0.0, True), (0.02, True), (0.034, False), (0.06, False)):
        losses = initial - gains + less * (initial < 10)
        alone = rule.measure(InitialLosses(initial), losses, None)
        assert alone.merit == 0
        assert (alone.mean - alone.error / np.sqrt(5) > 0.08) == is_promising
        known = [[initial, losses]] * n_known, [None] * n_known
        assert has_promise(*known, rule, n_folds=5) == is_promising


def test_folds_without_a_promise_select_no_epoch():
    rng = np.random.default_rng(0)
    initial = rng.exponential(size=40)
    rule, n_refused = SelectionRule(0.0, keeps_initialization=True), 0
    for share in rng.uniform(0, 0.3, size=200):
        curve = [initial, initial * (1 - share * rng.normal(1, 1, size=40))]
        if not has_promise([curve], [None], rule, n_folds=5):
            n_refused += 1
            assert select_epoch([curve], [None], rule).epoch == 0
    assert 20 < n_refused < 180


def test_folds_count_their_rows_by_weight():
    initial = [np.full(50, 2.0), np.full(50, 2.0)]
    curves = [
        [initial[0], initial[0] * 0.5, initial[0]],
        [initial[1], initial[1], initial[1] * 0.5],
    ]
    rule = SelectionRule(0.0, keeps_initialization=False)
    for heavy, best in ((0, 1), (1, 2)):
        weights = [np.full(50, 3.0 if fold == heavy else 1.0) for fold in (0, 1)]
        selected = select_epoch(curves, weights, rule)
        assert selected.epoch == best
        assert selected.losses[best] == pytest.approx((3 * 1 + 2) / 4)


def test_only_epochs_of_a_finite_loss_can_be_the_best():
    initial = np.ones(100)
    curves = [[initial, np.full(100, np.nan), initial * 0.9, np.full(100, np.inf)]]
    for keeps_initialization in (True, False):
        assert select_epoch(curves, [None], SelectionRule(0.0, keeps_initialization)).epoch == 2


@pytest.mark.parametrize("weight", [None, np.repeat([1.0, 3.0], 200)], ids=["alike", "weighted"])
def test_a_gain_less_two_standard_errors_must_exceed_the_minimum(weight):
    """The textbook error of a mean of paired differences, of which none is clipped."""
    gains = np.tile([0.0, 0.4], 200)  # of standard deviation 0.2
    n_effective = 400 if weight is None else 800**2 / (200 * 1 + 200 * 9)
    error = 0.2 / np.sqrt(n_effective)
    losses = 1 - gains
    for share in (1.9, 2.1):
        found = sure_gain(np.ones(400), losses, weight, 0.0, 0.2 - share * error)
        assert found == pytest.approx(0.0 if share < 2 else 0.2)


def test_the_minimum_is_six_percent_of_the_initial_loss():
    initial = np.full(100, 5.0)
    assert sure_gain(initial, initial * 0.945, None, 0.0) == 0
    assert sure_gain(initial, initial * 0.935, None, 0.0) == pytest.approx(5 * 0.065)
    unlikely = SelectionRule(0.0, True).measure(InitialLosses(initial), initial * 0.945, None)
    assert unlikely.merit == 0


# What is said of it ---------------------------------------------------------------------------


@pytest.mark.parametrize("keeps_initialization", [True, False])
@pytest.mark.parametrize("weight", [None, np.repeat([1.0, 3.0], 200)], ids=["alike", "weighted"])
def test_gains_have_the_textbook_error(weight, keeps_initialization):
    initial, gains = np.ones(400), np.tile([0.0, 0.4], 200)
    curves = [[initial, initial - gains, initial - gains / 2]]
    selected = select_epoch(curves, [weight], SelectionRule(0.0, keeps_initialization))
    n_effective = 400 if weight is None else 800**2 / (200 * 1 + 200 * 9)
    assert selected.epoch == 1
    assert selected.gain == pytest.approx((0.2, 0.2 / np.sqrt(n_effective)))
    assert selected.gains[1] == pytest.approx((0.1, 0.1 / np.sqrt(n_effective)))


def test_the_initialization_gains_nothing():
    initial = np.ones(100)
    selected = select_epoch([[initial, initial * 0.99]], [None], SelectionRule(0.0, True))
    assert selected.epoch == 0
    assert selected.gain == (0.0, 0.0)
    assert selected.gains == [pytest.approx((0.01, 0.0))]


def test_the_line_names_the_epoch_that_is_kept():
    losses, gains = [1.0, 0.8, 0.5], [(0.2, 0.0123), (0.5, 0.0456)]
    assert SelectedEpoch(2, losses, gains).describe() == (
        "kept epoch 2 of 2: it gains 0.5 over the initialization on held-out rows "
        "(standard error 0.046)"
    )


def test_the_line_names_the_epoch_that_comes_nearest_to_one_that_is_kept():
    """The larger of two gains is less sure."""
    gains = [(-0.2, 0.01), (0.02, 0.001), (0.1, 0.2), (np.nan, np.nan)]
    assert SelectedEpoch(0, [1.0] * 5, gains).describe() == (
        "kept the initialization: none of 4 epochs is surely better on held-out rows; epoch 2 "
        "comes nearest, and gains 0.02 (standard error 0.001)"
    )


STUCK = (
    "kept the initialization: training did not leave it in 2 epochs, whose losses are within 0.5% "
    "of the first"
)


@pytest.mark.parametrize(
    ("losses", "held_out"),
    [
        ([1.0, 0.996], [1.0, 1.0, 1.0]),
        ([1.0, 1.004], [2.0, 2.009, 1.991]),
        ([-1.0, -1.004], [-1.0, -0.996, -1.0]),
    ],
)
def test_the_line_of_a_training_that_is_stuck(losses, held_out):
    selected = SelectedEpoch(0, held_out, [(0.0, 0.1)] * 2)
    assert selected.describe(losses) == STUCK


@pytest.mark.parametrize(
    ("losses", "held_out"),
    [
        ([1.0, 0.994], [1.0, 1.0, 1.0]),
        ([1.0, 0.99, 1.2], [1.0, 1.0, 1.0]),
        ([-1.0, -1.006], [1.0, 1.0, 1.0]),
        ([1.0, 1.2], [1.0, 1.0, 1.0]),
        ([1.0, np.nan], [1.0, 1.0, 1.0]),
        ([1.0, 1.0], [1.0, 1.006, 1.0]),  # the fall is within the first epoch, then it overfits
        ([1.0, 1.0], [1.0, np.nan, 1.0]),
        ([1.0, 2.2, 1.0], [1.0, 1.2, 1.3]),  # of a training that is pushed
        ([1.0, 1.2], [1.0, 0.9, 1.3]),
        ([1.0], [1.0, 1.0]),
        ([], [1.0, 1.0]),
    ],
)
def test_the_line_of_a_training_that_is_no_better(losses, held_out):
    selected = SelectedEpoch(0, held_out, [(0.0, 0.1)] * 2)
    assert selected.describe(losses) == selected.describe()
    assert "none of 2 epochs" in selected.describe(losses)


@pytest.mark.parametrize(
    ("losses", "first", "last"), [([2.0, 9.0, 8.0], "2", "8"), ([-1.0, -0.9], "-1", "-0.9")]
)
def test_the_line_of_a_training_whose_loss_rises(losses, first, last):
    selected = SelectedEpoch(0, [1.0, 1.3, 1.2], [(0.0, 0.1)] * 2)
    assert selected.describe(losses) == (
        f"kept the initialization: the training loss rose from {first} to {last} in 2 epochs, and "
        "held-out losses did too: lower lr"
    )


def test_the_line_of_a_rate_that_is_too_high(capsys):
    X = np.random.default_rng(0).normal(size=(600, 6)) ** 3
    AutoencoderTransformer(2, lr=1.0, max_epochs=5, verbose=1, random_state=0).fit(X)
    assert "kept the initialization: the training loss rose from" in capsys.readouterr().out


def test_the_line_of_epochs_whose_losses_are_not_finite():
    gains = [(np.nan, np.nan)]
    for known, number in ((gains, 1), ([], 0)):
        assert SelectedEpoch(0, [1.0], known).describe() == (
            f"kept the initialization: none of {number} epochs is surely better"
        )


def test_a_random_initialization_whose_loss_is_not_finite_has_no_gain():
    initial, losses = np.append(np.ones(99), np.inf), np.ones(100)
    selected = select_epoch([[initial, losses]], [None], SelectionRule(0.1, False))
    assert selected.epoch == 1
    assert np.isnan(selected.gain).all()


# Held-out rows, while training --------------------------------------------------------------


def fit(X, **parameters):
    defaults = {
        "hidden_layer_sizes": (8,),
        "init": "random",
        "optimizer": "sgd",
        "batch_size": 540,
        "max_epochs": 12,
        "random_state": 0,
    }
    return AutoencoderTransformer(2, **{**defaults, **parameters}).fit(X)


@pytest.mark.parametrize("patience", [1, 4])
def test_training_ends_after_as_many_epochs_without_a_lower_loss(curve, patience):
    ours = fit(curve, lr=1e-30, n_iter_no_change=patience)
    assert len(ours.loss_curve_) == patience
    assert len(ours.validation_scores_) == patience + 1


def test_a_lower_loss_starts_the_count_again(curve):
    ours = fit(curve, lr=0.05, n_iter_no_change=2, tol=0.0)
    assert (np.diff(ours.validation_scores_) < 0).all()
    assert len(ours.loss_curve_) == 12


def test_a_loss_is_lower_by_a_share_of_the_lowest(curve):
    """Of two fits that go the same way, the one with a high tolerance ends."""
    patient = fit(curve, lr=0.05, tol=0.0)
    impatient = fit(curve, lr=0.05, tol=0.9, n_iter_no_change=3)
    assert len(impatient.loss_curve_) == 3
    assert impatient.validation_scores_ == patient.validation_scores_[:4]


def test_the_weights_of_the_best_epoch_are_restored():
    X = torch.from_numpy(np.random.default_rng(0).normal(size=(500, 6))).float()
    config = make_config(
        max_epochs=30, lr=0.05, batch_size=5, validation_fraction=0.95, n_iter_no_change=30
    )

    def initialize(rows):
        return mlp_autoencoder(6, 2, (64,), generator=torch.Generator().manual_seed(0))

    result = train(config, initialize, Rows(Batch(X)), RandomStreams(0), False)
    assert 0 < result.n_epochs < 30
    assert result.n_epochs == np.argmin(result.validation_scores)
    with torch.no_grad():
        losses = config.objective.row_losses(result.module.eval(), result.held_out.batch)
    assert losses.mean().item() == pytest.approx(min(result.validation_scores), rel=1e-5)


class NotANumberInEvaluation(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, rows):
        is_checked = self.training or len(rows) <= 3  # a few rows are passed through it beforehand
        return self.layer(rows) * (1.0 if is_checked else torch.nan)


def test_held_out_losses_that_are_never_finite_are_an_error(curve):
    def architecture(role, n_inputs, n_outputs):
        return NotANumberInEvaluation(n_inputs, n_outputs)

    with pytest.raises(ValueError, match="the loss must be finite"):
        fit(curve, architecture=architecture)
