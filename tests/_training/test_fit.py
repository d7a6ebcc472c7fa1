"""Training to the selected epoch: by held-out rows, by folds, or to the end."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._data import Batch, Rows
from skae._environment import RandomStreams
from skae._training import train
from skae._training.fit import _average_curves
from skae.modules import mlp_autoencoder

from .configs import make_config, make_recording_optimizer

SMALL = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)


class Sizes(Callback):
    """Record how many rows each epoch trains on and how many are held out."""

    def __init__(self):
        self.sizes = set()

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        n_held_out = None if dataset_valid is None else len(dataset_valid)
        self.sizes.add((len(dataset_train), n_held_out))


# How rows are held out --------------------------------------------------------------------


@pytest.mark.parametrize(("n_rows", "expected"), [(499, (499, None)), (500, (450, 50))])
def test_rows_are_held_out_from_500_on_and_by_folds_below(curve, n_rows, expected):
    sizes = Sizes()
    ours = clone(SMALL).set_params(init="random", lr=0.05, callbacks=[sizes]).fit(curve[:n_rows])
    assert sizes.sizes == {expected}
    assert len(ours.validation_scores_) == 5
    assert ours.validation_scores_[ours.n_iter_] < ours.validation_scores_[0]


def test_folds_are_of_ten_rows_or_more(curve):
    """With fewer rows PCA is kept; without PCA, there is nothing to keep."""
    few, more = curve[:9], curve[:10]
    kept = clone(SMALL).fit(few)
    assert kept.n_iter_ == 0
    assert kept.loss_curve_ == []
    assert kept.validation_scores_ is None
    assert len(clone(SMALL).fit(more).validation_scores_) == 5
    trained = clone(SMALL).set_params(init="random").fit(few)
    assert trained.n_iter_ == len(trained.loss_curve_) == 4
    assert trained.validation_scores_ is None
    assert clone(SMALL).set_params(init="random").fit(more).validation_scores_ is not None


def test_to_the_end_without_early_stopping(curve):
    sizes = Sizes()
    ours = clone(SMALL).set_params(early_stopping=False, callbacks=[sizes]).fit(curve)
    assert sizes.sizes == {(600, None)}
    assert ours.n_iter_ == len(ours.loss_curve_) == 4
    assert ours.validation_scores_ is None


def run_train(X, keeps_initialization=True, **parameters):
    """The result of `train`, and the rows that each module was initialized from."""
    seen = []

    def initialize(rows):
        seen.append(rows.table)
        generator = torch.Generator().manual_seed(0)
        return mlp_autoencoder(X.shape[1], 2, (8,), generator=generator)

    rows = Rows(Batch(torch.from_numpy(X.astype(np.float32))))
    config = make_config(**{"max_epochs": 5, "lr": 0.05, **parameters})
    return train(config, initialize, rows, RandomStreams(0), keeps_initialization), seen


def as_set(X):
    return {tuple(row) for row in X}


def test_held_out_rows_are_no_part_of_the_initialization(curve):
    X = curve.astype(np.float32)
    result, (part,) = run_train(X)
    held_out = as_set(result.held_out.table)
    assert len(held_out) == 60
    assert not held_out & as_set(part)
    assert held_out | as_set(part) == as_set(X)
    assert 0 < result.n_epochs <= 5
    assert result.held_out_loss == result.validation_scores[result.n_epochs]


def test_where_the_initialization_is_kept_it_is_that_of_all_rows(curve):
    X = curve.astype(np.float32)
    result, (part, everything) = run_train(X, lr=1e-30)
    assert (len(part), len(everything)) == (540, 600)
    assert result.n_epochs == 0
    assert len(result.validation_scores) == 6
    assert result.held_out_loss is None
    assert result.held_out is None
    assert len(result.loss_curve) == 5  # of the training that was not kept


def test_the_gain_is_that_of_the_weights_that_are_kept(curve):
    """No loss is above the initial quantile by far, so that it is near the plain mean."""
    for n_rows in (303, 600):
        result, _ = run_train(curve[:n_rows])
        gain, error = result.gain
        assert gain == result.selected.gains[result.n_epochs - 1][0]
        assert gain == pytest.approx(result.measure_improvement(), rel=0.2)
        assert 0 < error < gain / 2
    kept, _ = run_train(curve[:303], lr=1e-30)
    assert kept.gain == (0.0, 0.0)
    to_the_end, _ = run_train(curve, early_stopping=False)
    assert to_the_end.gain is None


def test_a_random_initialization_is_not_kept(curve):
    result, seen = run_train(curve, keeps_initialization=False, lr=1e-30)
    assert len(seen) == 1
    assert result.n_epochs > 0


def test_a_fold_is_no_part_of_its_initialization(curve):
    X = curve[:303].astype(np.float32)
    result, (*parts, everything) = run_train(X)
    assert len(everything) == 303
    left_out = [as_set(X) - as_set(part) for part in parts]
    assert sorted(map(len, left_out)) == [60, 60, 61, 61, 61]
    assert set.union(*left_out) == as_set(X)
    assert 0 < result.n_epochs <= 5
    assert len(result.validation_scores) == 6
    assert result.held_out_loss == result.validation_scores[result.n_epochs]
    assert result.held_out is None


def test_without_a_gain_in_the_first_fold_the_initialization_is_kept_at_once(curve):
    result, seen = run_train(curve[:303], lr=1e-30)
    assert [len(rows) for rows in seen] == [242, 303]
    assert result.n_epochs == 0
    assert len(result.validation_scores) == 6
    assert result.loss_curve == pytest.approx(result.loss_curve[:1] * 5, rel=1e-4)
    assert result.held_out_loss is None


def test_without_an_initialization_to_keep_no_fold_is_left_out(curve):
    _, seen = run_train(curve[:303], False, lr=1e-30)
    assert [len(rows) for rows in seen] == [242, 242, 242, 243, 243, 303]


def test_the_mean_of_loss_curves_that_end_early():
    assert _average_curves([[4.0, 2.0, 1.0], [2.0], [3.0, 2.0]]) == pytest.approx([3, 2, 5 / 3])


# Folds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [50, 300])
def test_folds_train_as_all_rows_do(curve, batch_size):
    """As many steps an epoch, over the same epochs, at the same rates."""
    optimizer, trainings = make_recording_optimizer()
    ours = AutoencoderTransformer(
        2, optimizer=optimizer, batch_size=batch_size, max_epochs=20, init="random", random_state=0
    ).fit(curve[:300])
    *folds, final = trainings
    n_steps = 300 // batch_size
    assert [len(rates) for rates in folds] == [20 * n_steps] * 5
    assert len(final) == ours.n_iter_ * n_steps
    for rates in folds:
        assert rates == folds[0]
    assert final == folds[0][: len(final)]
    assert max(final) == pytest.approx(0.006 * np.sqrt(batch_size / 256), rel=0.1)


def test_callbacks_are_of_the_training_on_all_rows(curve):
    sizes = Sizes()
    clone(SMALL).set_params(init="random", callbacks=[sizes]).fit(curve[:300])
    assert sizes.sizes == {(300, None)}


class CtrlC:
    """A kind of Adam that is interrupted at a step of one of its trainings."""

    def __init__(self, training, step):
        self.training, self.step = training, step
        self.n_trainings = 0

    def __call__(self, *args, **kwargs):
        self.n_trainings += 1
        outer, n_left = self, [self.step]

        class Interrupted(torch.optim.Adam):
            def step(self, closure=None):
                n_left[0] -= 1
                if n_left[0] == 0:
                    raise KeyboardInterrupt
                return super().step(closure)

        kind = Interrupted if self.n_trainings == outer.training else torch.optim.Adam
        return kind(*args, **kwargs)


def test_keyboard_interrupt_in_a_fold(curve):
    """While the epoch is still being selected, the initialization is what is left."""
    press = CtrlC(training=2, step=28)  # in the tenth epoch, of three steps each
    ours = AutoencoderTransformer(2, max_epochs=20, batch_size=100, optimizer=press, random_state=0)
    message = r"fold 2/5 was interrupted after 9 of 20 .* The initialization is kept"
    with pytest.warns(ConvergenceWarning, match=message):
        ours.fit(curve[:300])
    assert press.n_trainings == 3  # the third is ready to train, and does not
    assert ours.n_iter_ == 0
    linear = clone(ours).set_params(hidden_layer_sizes=()).fit(curve[:300])
    np.testing.assert_allclose(ours.reconstruct(curve), linear.reconstruct(curve), atol=1e-5)


def test_keyboard_interrupt_in_a_fold_of_random_weights(curve):
    """Untrained weights are no result: the estimator stays as it was."""
    ours = AutoencoderTransformer(
        2, init="random", max_epochs=20, batch_size=100, optimizer=CtrlC(2, 28), random_state=0
    )
    with pytest.raises(KeyboardInterrupt):
        ours.fit(curve[:300])
    assert not hasattr(ours, "n_iter_")


# Divergence -------------------------------------------------------------------------------


def test_divergence_keeps_the_best_weights(digits):
    ours = AutoencoderTransformer(4, lr=1e6, optimizer="sgd", random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"diverged after \d+ of \d+ epochs.*lower lr"):
        ours.fit(digits)
    assert np.isfinite(ours.transform(digits)).all()
    best = ours.validation_scores_[ours.n_iter_]
    assert best <= ours.validation_scores_[0]


def test_divergence_without_held_out_rows(digits):
    ours = AutoencoderTransformer(4, lr=1e6, optimizer="sgd", early_stopping=False, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        ours.fit(digits)
    assert np.isfinite(ours.transform(digits)).all()


def test_divergence_in_folds_warns_once(wine):
    ours = AutoencoderTransformer(2, lr=1e6, optimizer="sgd", random_state=0)
    with pytest.warns(ConvergenceWarning) as warned:
        ours.fit(wine)
    (warning,) = warned
    assert str(warning.message).startswith("fold 1/5 diverged after ")
    assert np.isfinite(ours.transform(wine)).all()


def test_divergence_after_the_folds_counts_the_epochs_that_ended(curve):
    """The scores that count are those of the weights that are kept."""

    class Spoil(Callback):
        def on_batch_end(self, net, training, **kwargs):
            if len(net.history) == 3:
                with torch.no_grad():
                    net.module_.decoder.gate[0] = torch.nan

    parameters = {"lr": 0.05, "batch_size": 50, "keeps_initialization": False}
    with pytest.warns(ConvergenceWarning, match="diverged after 2 of"):
        result, _ = run_train(curve[:303], callbacks=[Spoil()], **parameters)
    assert result.n_epochs == len(result.loss_curve) - 1 == 2
    assert result.gain == result.selected.gains[1]
    assert result.held_out_loss == result.validation_scores[2]


# Rows in the order of time ----------------------------------------------------------------


@pytest.mark.parametrize(("n_rows", "n_held_out"), [(600, 60), (499, 100)])
@pytest.mark.parametrize("gap", [0, 30])
def test_the_last_rows_are_held_out_behind_a_gap(curve, n_rows, n_held_out, gap):
    """Of few rows in a single fold, after which the network is trained on all of them."""
    X = curve[:n_rows].astype(np.float32)
    result, seen = run_train(X, keeps_initialization=False, gap=gap)
    np.testing.assert_array_equal(seen[0], X[: n_rows - n_held_out - gap])
    if n_rows < 500:
        assert [len(part) for part in seen] == [n_rows - n_held_out - gap, n_rows]
        assert result.held_out is None
    else:
        np.testing.assert_array_equal(result.held_out.table, X[-n_held_out:])


@pytest.mark.parametrize(("n_rows", "gap"), [(600, 538), (300, 238)])
def test_a_gap_that_leaves_few_rows_keeps_pca(curve, n_rows, gap):
    kept = clone(SMALL).set_params(gap=gap).fit(curve[:n_rows])
    assert kept.n_iter_ == 0
    assert kept.validation_scores_ is None


def test_the_order_of_rows_in_time_is_kept(curve):
    """Rows that are merged are sorted."""
    twice = np.vstack([curve[:300], curve[:300]])
    sizes = Sizes()
    ours = clone(SMALL).set_params(gap=5, callbacks=[sizes])
    scores = ours.fit(twice).validation_scores_
    assert sizes.sizes == {(600 - 60 - 5, 60)}
    assert scores != ours.fit(twice[::-1]).validation_scores_


def test_the_gap_is_how_many_rows_overlap(curve):
    """A gain that is sure for rows that differ may be chance for as many that overlap."""
    errors = []
    for gap in (0, 3):
        result, _ = run_train(np.repeat(curve, 4, axis=0), gap=gap, max_epochs=1)
        errors.append(result.selected.gains[0][1])
    assert errors[1] == pytest.approx(2 * errors[0], rel=0.2)  # three rows fewer train


def test_held_out_windows_have_no_neighbour_that_trains():
    walk = np.random.default_rng(0).normal(size=640).cumsum()
    windows = np.lib.stride_tricks.sliding_window_view(walk, 40)
    nearest = []
    for gap in (None, 40):
        result, (part,) = run_train(windows, keeps_initialization=False, gap=gap)
        distances = np.linalg.norm(result.held_out.table[:, None] - part, axis=2)
        nearest.append(distances.min(axis=1).mean())
    assert nearest[0] < nearest[1] / 2


def test_a_gap_that_leaves_no_row_is_refused():
    X = np.random.default_rng(0).normal(size=(600, 3))
    for gap in (560, 5000):
        with pytest.raises(ValueError, match=f"gap must leave rows to train on, got gap={gap}"):
            AutoencoderTransformer(2, gap=gap).fit(X)
