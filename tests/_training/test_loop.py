"""Training: seeds, divergence, interruption, progress, schedules."""

import warnings

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from skae import AutoencoderTransformer
from skae._training.callbacks import FiniteLoss
from skae._training.schedules import CosineSchedule

SMALL = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)


# Seeds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [{}, {"dropout": 0.3}, {"init": "random"}, {"pretrain": "layerwise"}, {"batch_size": 50}],
)
def test_same_seed_same_fit(curve, parameters):
    ours = clone(SMALL).set_params(max_epochs=30, lr=0.05, **parameters)
    a, b = (clone(ours).fit(curve).transform(curve) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    other = clone(ours).set_params(random_state=1).fit(curve).transform(curve)
    assert not np.array_equal(a, other)


def test_a_random_state_instance_moves_on(curve):
    state = np.random.RandomState(0)
    a = clone(SMALL).set_params(random_state=state, init="random")
    first, second = a.fit(curve).transform(curve), a.fit(curve).transform(curve)
    assert not np.array_equal(first, second)


def test_none_takes_fresh_entropy(curve):
    ours = clone(SMALL).set_params(random_state=None, init="random")
    np.random.seed(0)  # noqa: NPY002
    first = clone(ours).fit(curve).transform(curve)
    np.random.seed(0)  # noqa: NPY002
    assert not np.array_equal(first, clone(ours).fit(curve).transform(curve))
    np.random.seed(1)  # noqa: NPY002 - as the fixture left it


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_parallel_fits_are_the_same(curve, backend):
    def codes(seed):
        ours = AutoencoderTransformer(
            2, hidden_layer_sizes=(8,), max_epochs=4, dropout=0.2, random_state=seed
        )
        return ours.fit(curve).transform(curve)

    alone = [codes(seed) for seed in range(6)]
    together = Parallel(n_jobs=2, backend=backend)(delayed(codes)(seed) for seed in range(6))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


# Losses that are no numbers ---------------------------------------------------------------


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


class NotANumber(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, rows):
        return self.weight + torch.full((len(rows), len(self.weight)), float("nan"))


def test_divergence_in_folds_is_told(wine):
    ours = AutoencoderTransformer(2, lr=1e6, optimizer="sgd", random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"fold 1/5 diverged after \d+ of \d+ epochs"):
        ours.fit(wine)
    assert np.isfinite(ours.transform(wine)).all()


def test_folds_train_as_all_rows_do(curve):
    """As many steps an epoch, over the same epochs, at the same rate."""
    seen = []

    class Watch(CosineSchedule):
        def on_train_begin(self, net, **kwargs):
            super().on_train_begin(net, **kwargs)
            seen.append((net.lr, self.n_epochs))

        def on_epoch_begin(self, net, dataset_train=None, **kwargs):
            super().on_epoch_begin(net, dataset_train, **kwargs)
            seen[-1] = (*seen[-1][:2], self.n_steps_)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae._training.loop.CosineSchedule", Watch)
        AutoencoderTransformer(2, standardize=False, random_state=0).fit(curve[:300])
    assert len(seen) == 6
    assert len(set(seen)) == 1


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("n_rows", [100, 600])
def test_never_finite_is_an_error(curve, early_stopping, n_rows):
    ours = AutoencoderTransformer(
        2,
        architecture=lambda role, n_inputs, n_outputs: NotANumber(n_outputs),
        early_stopping=early_stopping,
    )
    for train in (ours.fit, ours.partial_fit):
        with pytest.raises(
            ValueError, match="must be finite, and it was not from the first step on: check"
        ):
            train(curve[:n_rows])
        assert not hasattr(ours, "module_")


# Ctrl-C -----------------------------------------------------------------------------------


class PressCtrlC(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=None, **kwargs):
        if training and len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n_rows", [300, 600])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_keyboard_interrupt_leaves_a_usable_estimator(curve, early_stopping, n_rows):
    ours = AutoencoderTransformer(
        2,
        max_epochs=60,
        early_stopping=early_stopping,
        callbacks=[PressCtrlC(20)],
        random_state=0,
    )
    X = curve[:n_rows]
    with pytest.warns(ConvergenceWarning, match="interrupted after 19 of"):
        ours.fit(X)
    assert np.isfinite(ours.transform(X)).all()
    assert ours.n_iter_ <= 19
    assert np.isfinite(ours.score(X))


def test_keyboard_interrupt_in_a_fold(curve, monkeypatch):
    """Ctrl-C while the epoch is still being chosen: the start is what is left."""
    ours = AutoencoderTransformer(2, max_epochs=20, random_state=0)
    count = []
    original = FiniteLoss.on_epoch_end

    def press(self, net, **kwargs):
        count.append(1)
        if len(count) == 30:  # the tenth epoch of the second fold
            raise KeyboardInterrupt
        original(self, net, **kwargs)

    monkeypatch.setattr(FiniteLoss, "on_epoch_end", press)
    with pytest.warns(ConvergenceWarning, match=r"fold 2/5 was interrupted after 9 of 20"):
        ours.fit(curve[:300])
    assert ours.n_iter_ == 0
    linear = clone(ours).set_params(hidden_layer_sizes=()).fit(curve[:300])
    np.testing.assert_allclose(ours.reconstruct(curve), linear.reconstruct(curve), atol=1e-5)


def test_skorchs_own_early_stopping_works(curve):
    ours = AutoencoderTransformer(
        2,
        max_epochs=100,
        callbacks=[EarlyStopping(patience=1, threshold=0.9, sink=lambda *_: None)],
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="by a callback"):
        ours.fit(curve)
    assert len(ours.loss_curve_) < 10


# Progress ---------------------------------------------------------------------------------


def test_verbose_prints_plain_lines_without_a_terminal(curve, capsys):
    clone(SMALL).set_params(verbose=1).fit(curve)
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(line.startswith("training: epoch ") and "valid_loss" in line for line in lines)


def test_verbose_draws_a_bar_in_a_terminal(curve, capsys, monkeypatch):
    monkeypatch.setattr("skae._training.progress.draws_bars", lambda: True)
    clone(SMALL).set_params(verbose=1).fit(curve)
    shown = capsys.readouterr()
    assert not shown.out
    assert "training: 100%" in shown.err
    assert "valid_loss" in shown.err


def test_silent_by_default(curve, capsys):
    clone(SMALL).fit(curve)
    assert capsys.readouterr() == ("", "")


# The net ------------------------------------------------------------------------------------


def test_net_is_skorchs_and_lets_go_of_the_rows(curve):
    net = clone(SMALL).fit(curve).net_
    assert isinstance(net, NeuralNet)
    assert net.train_split is None
    assert len(net.history) <= 4


def test_schedule_rises_and_falls(curve):
    rates = []

    class Watch(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    AutoencoderTransformer(
        2,
        lr=0.5,
        optimizer="sgd",
        max_epochs=10,
        batch_size=60,
        early_stopping=False,
        callbacks=[Watch()],
        hidden_layer_sizes=(4,),
        random_state=0,
    ).fit(curve / 1e3)
    assert len(rates) == 100
    peak = int(np.argmax(rates))
    assert 5 <= peak <= 15
    assert rates[peak] == pytest.approx(0.5, rel=0.01)
    assert (np.diff(rates[:peak]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 0.01


def test_compiled_training_gives_the_same(curve):
    """`torch.compile` for real, with the default backend."""
    # From PCA on, gradients that are but rounding would decide the first steps' direction.
    plain = AutoencoderTransformer(
        2,
        hidden_layer_sizes=(8,),
        init="random",
        max_epochs=2,
        early_stopping=False,
        random_state=0,
    ).fit(curve)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler warns of torch's own deprecations
        compiled = clone(plain).set_params(compile=True).fit(curve)
        np.testing.assert_allclose(
            compiled.transform(curve), plain.transform(curve), rtol=1e-3, atol=1e-4
        )
        assert compiled.score(curve) == pytest.approx(plain.score(curve), abs=0.01)
    assert compiled.module_._compiled_call_impl is not None
