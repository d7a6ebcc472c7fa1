"""The engine: seeds, divergence, interruption, progress, judgement."""

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
from skae._scaling import Scaling
from skae._stored import StoredTable
from skae._training import Rows, ScaledTable, StoredRows, _stored_rows
from skae._training._callbacks import CosineSchedule
from skae._training._judgement import Rule, best_epoch, mean_loss, sure_gain
from skae._training._rows import Blocks, ShuffledBatches, batch_length

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
        patch.setattr("skae._training._loop.CosineSchedule", Watch)
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
        with pytest.raises(ValueError, match="not finite from the first step on, expected finite"):
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
    from skae._training import _callbacks

    ours = AutoencoderTransformer(2, max_epochs=20, random_state=0)
    count = []
    original = _callbacks.FiniteLoss.on_epoch_end

    def press(self, net, **kwargs):
        count.append(1)
        if len(count) == 30:  # the tenth epoch of the second fold
            raise KeyboardInterrupt
        original(self, net, **kwargs)

    monkeypatch.setattr(_callbacks.FiniteLoss, "on_epoch_end", press)
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
    monkeypatch.setattr("skae._training._progress.draws_bars", lambda: True)
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


# Batches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_rows", "size"), [(10, 3), (1000, 256), (5000, 7), (64, 64), (65, 64)])
@pytest.mark.parametrize("weighted", [True, False])
def test_shuffled_batches_hold_each_row_once(n_rows, size, weighted):
    X = torch.arange(n_rows, dtype=torch.float32)[:, None]
    rows = Rows(X, X[:, 0] * 2 if weighted else None)
    batches = ShuffledBatches(rows, size, torch.Generator().manual_seed(0))
    first, second = list(batches), list(batches)
    seen = torch.cat([part for part, _ in first]).flatten()
    assert seen.sort().values.tolist() == X.flatten().tolist()
    sizes = {len(part) for part, _ in first}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= len(first)
    assert len(first) == len(batches)
    if weighted:
        assert all(torch.equal(weight, part[:, 0] * 2) for part, weight in first)
    if len(first) > 1:
        assert not torch.equal(seen, torch.cat([part for part, _ in second]).flatten())


@pytest.mark.parametrize(("n_rows", "size"), [(1000, 256), (5000, 7), (64, 64), (3001, 100)])
@pytest.mark.parametrize("weighted", [True, False])
def test_batches_of_a_stored_table_are_those_of_an_array(n_rows, size, weighted, monkeypatch):
    monkeypatch.setattr(_stored_rows, "_BUFFER_BYTES", 4096)
    X = np.arange(n_rows, dtype=np.float32)[:, None]
    table = ScaledTable(StoredTable(X), Scaling(np.zeros(1), np.ones(1)))
    rows = StoredRows(table, X[:, 0] * 2 if weighted else None, torch.device("cpu"))
    batches, in_memory = (
        ShuffledBatches(source, size, torch.Generator().manual_seed(0))
        for source in (rows, Rows(torch.from_numpy(X)))
    )
    first, second = list(batches), list(batches)
    seen = torch.cat([part for part, _ in first]).flatten()
    assert seen.sort().values.tolist() == X.flatten().tolist()
    assert [len(part) for part, _ in first] == [len(part) for part, _ in in_memory]
    if weighted:
        assert all(torch.equal(weight, part[:, 0] * 2) for part, weight in first)
    if len(first) > 1:
        assert not torch.equal(seen, torch.cat([part for part, _ in second]).flatten())
    if n_rows == 3001:  # a batch is of many places, though the buffer holds a third of the rows
        assert min(float(part.std()) for part, _ in first[:-1]) > n_rows / 12


@pytest.mark.parametrize("weighted", [True, False])
def test_a_stored_table_is_split_in_two(weighted):
    X = np.arange(2000, dtype=np.float32)[:, None]
    table = ScaledTable(StoredTable(X), Scaling(np.zeros(1), np.ones(1)))
    rows = StoredRows(table, X[:, 0] if weighted else None, torch.device("cpu"))
    valid, part = rows.split(0.1, np.random.default_rng(0))
    assert len(valid) == 200
    held_out, left = valid.X.numpy(), part.table[:]
    np.testing.assert_array_equal(np.sort(np.concatenate([held_out, left]), axis=0), X)
    some = part.take(np.array([7, 3, 1799]))
    np.testing.assert_array_equal(some.X.numpy(), left[[7, 3, 1799]])
    if weighted:
        np.testing.assert_array_equal(valid.weight_array, held_out[:, 0])
        np.testing.assert_array_equal(part.weight_array, left[:, 0])
        np.testing.assert_array_equal(some.weight_array, some.X[:, 0])


def test_a_table_that_fits_on_an_accelerator_is_put_there(monkeypatch):
    table = ScaledTable(StoredTable(np.ones((2000, 3))), Scaling(np.zeros(3), np.ones(3)))
    rows = StoredRows(table, None, torch.device("meta"))  # which has no memory, but tells
    placed = rows.placed()
    assert isinstance(placed, Rows)
    assert placed.X.shape == (2000, 3)
    assert placed.device.type == "meta"
    monkeypatch.setattr(_stored_rows, "_DEVICE_BYTES", 2000)
    assert rows.placed() is rows
    assert StoredRows(table, None, torch.device("cpu")).placed().device.type == "cpu"


def test_blocks_keep_the_order():
    X = torch.arange(10.0)[:, None]
    assert torch.equal(torch.cat([part for part, _ in Blocks(Rows(X), 4)]), X)


def test_automatic_batches_grow_with_the_table():
    assert [batch_length(n, "auto") for n in (5, 1000, 32_000, 10**6)] == [5, 256, 500, 1024]


# Judgement ----------------------------------------------------------------------------------


def test_a_gain_must_exceed_its_noise():
    rng = np.random.default_rng(0)
    start = rng.exponential(size=200)
    noise = rng.normal(size=200) * 0.5
    assert sure_gain(start, start, None, 0.0) == 0
    assert sure_gain(start, start + noise - noise.mean() - 0.01, None, 0.0) == 0
    capped = np.minimum(start, np.quantile(start, 0.95)).mean()
    assert sure_gain(start, start * 0.5, None, 0.0) == pytest.approx(
        capped - np.minimum(start * 0.5, np.quantile(start, 0.95)).mean()
    )
    assert sure_gain(start, np.full(200, np.nan), None, 0.0) == 0


def test_one_row_does_not_decide():
    start = np.ones(200)
    start[0] = 1e4
    better_but_for_one = start * 0.5
    better_but_for_one[0] = 1e4
    assert sure_gain(start, better_but_for_one, None, 0.0) > 0.4
    worse_on_average = better_but_for_one.copy()
    worse_on_average[0] = 2e4
    assert sure_gain(start, worse_on_average, None, 0.0) == 0
    assert sure_gain(start, worse_on_average, None, 0.1) > 0.4


def test_weights_count_in_the_gain():
    rng = np.random.default_rng(0)
    start = rng.exponential(size=100)
    after = start * rng.uniform(0.5, 1.0, size=100)
    weight = rng.integers(1, 4, size=100)
    cap = np.quantile(start, 0.95)
    gains = np.minimum(start, cap) - np.minimum(after, cap)
    assert sure_gain(start, after, weight.astype(float), 0.0) == pytest.approx(
        gains.repeat(weight).mean()
    )
    assert mean_loss(start, weight.astype(float), 0.0) == pytest.approx(start.repeat(weight).mean())


def test_a_start_at_random_is_not_kept_for_want_of_a_sure_gain():
    rng = np.random.default_rng(0)
    start = rng.exponential(size=100)
    losses = start * rng.uniform(0.9, 1.09, size=(3, 100))
    means = losses.mean(axis=1)
    for keeps_start, best in ((True, 0), (False, 1 + means.argmin())):
        rule = Rule(0.0, keeps_start)
        assert best_epoch([[start, *losses]], [None], rule)[0] == best


def test_a_gain_in_nats_counts_by_itself_and_not_beside_the_loss():
    start = np.random.default_rng(0).normal(size=1000)  # a log-likelihood: of either sign
    assert 0.045 < Rule(0.0, True, worth=0.03).gain(start, start - 0.05, None) < 0.05
    assert Rule(0.0, True, worth=0.03).gain(start, start - 0.02, None) == 0


def test_best_epoch_over_folds_of_different_length():
    rng = np.random.default_rng(0)
    start = rng.exponential(size=(2, 100))
    long = [start[0], start[0] * 0.8, start[0] * 0.5, start[0] * 0.9]
    short = [start[1], start[1] * 0.8, start[1] * 0.6]
    epoch, means = best_epoch([long, short], [None, None], Rule(0.0, keeps_start=True))
    assert epoch == 2
    assert len(means) == 4
    assert means[2] == pytest.approx((long[2].mean() + short[2].mean()) / 2)
    assert means[3] == pytest.approx((long[3].mean() + short[2].mean()) / 2)
