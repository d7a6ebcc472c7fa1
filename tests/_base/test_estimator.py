"""What the transformers share: fits, streams and warm starts, and what a failed one leaves."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import IncrementalPCA
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae._base.estimator import _BYTES_PER_WEIGHT
from skae._training.weight_snapshot import WeightSnapshot

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
TRANSFORMERS = [
    AutoencoderTransformer(2, **SMALL),
    DenoisingAutoencoder(2, **SMALL),
    VAETransformer(2, **SMALL),
]
FITTED = [
    "mean_",
    "scale_",
    "n_components_",
    "n_iter_",
    "loss_curve_",
    "validation_scores_",
    "gain_",
    "gain_error_",
    "n_features_in_",
    "feature_names_in_",
    "module_",
    "net_",
]


# What a failed fit leaves -----------------------------------------------------------------


class Fragile(nn.Module):
    """A layer that fails at a density's rows when asked to: they pass after training."""

    fails = False
    has_trained = False

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, rows):
        self.has_trained |= self.training and len(rows) > 50
        if Fragile.fails and self.has_trained and not self.training:
            raise RuntimeError("the density failed")
        return self.layer(rows)


def fragile_architecture(role, n_inputs, n_outputs):
    return Fragile(n_inputs, n_outputs)


class Failing(Callback):
    """A callback that fails at the end of an epoch when asked to."""

    fails = False

    def on_epoch_end(self, net, **kwargs):
        if Failing.fails:
            raise RuntimeError("the callback failed")


def read_fitted(estimator):
    return {name: getattr(estimator, name) for name in FITTED if hasattr(estimator, name)}


def assert_same_fitted(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, np.ndarray | list):
            assert np.array_equal(found[name], value), name
        else:
            assert found[name] is value or found[name] == value, name


@pytest.mark.parametrize("cause", [Fragile, Failing], ids=["density", "callback"])
@pytest.mark.parametrize("again", ["fit", "partial_fit"])
@pytest.mark.parametrize("first", ["fit", "partial_fit", None])
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_a_failed_fit_leaves_every_fitted_attribute(
    curve, monkeypatch, estimator, first, again, cause
):
    ours = clone(estimator).set_params(early_stopping=False, callbacks=[Failing()])
    if cause is Fragile:
        ours.set_params(architecture=fragile_architecture)
    X = pd.DataFrame(curve[:200], columns=list("abcdef"))
    if first is not None:
        getattr(ours, first)(X)
    before = copy.copy(read_fitted(ours))
    assert ("n_iter_" in before) == (first is not None)
    monkeypatch.setattr(cause, "fails", True)
    other = X.iloc[50:] * 1.1 + 0.1
    if again == "fit":  # a table of other columns, which a fit may have
        other = other.drop(columns="a")
    with pytest.raises(RuntimeError, match="failed"):
        getattr(ours, again)(other)
    monkeypatch.setattr(cause, "fails", False)
    assert_same_fitted(read_fitted(ours), before)
    if first == "fit" and again == "fit":
        expected = clone(ours).fit(X)
        np.testing.assert_array_equal(ours.transform(X), expected.transform(X))
        np.testing.assert_array_equal(ours.score_samples(X), expected.score_samples(X))


def test_a_failed_block_leaves_dropout_off(curve, monkeypatch):
    ours = AutoencoderTransformer(2, dropout=0.5, callbacks=[Failing()], **SMALL)
    X = curve.astype(np.float32)
    ours.set_params(init="random").partial_fit(X)
    monkeypatch.setattr(Failing, "fails", True)
    with pytest.raises(RuntimeError, match="callback"):
        ours.partial_fit(X)
    assert not ours.module_.training
    np.testing.assert_array_equal(ours.transform(X), ours.transform(X))


# Streams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_a_stream_keeps_the_scaling_of_its_first_block(curve, estimator):
    stream = clone(estimator).partial_fit(curve[:200])
    np.testing.assert_allclose(stream.mean_, curve[:200].mean(axis=0))
    np.testing.assert_allclose(stream.scale_, curve[:200].std(axis=0))
    mean, scale = stream.mean_, stream.scale_
    stream.partial_fit(curve[200:])
    assert stream.mean_ is mean
    assert stream.scale_ is scale


def make_blocks(spoil, n_blocks=6, n_rows=300):
    """Rows near a plane of two dimensions; `spoil` changes a block by its number."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(2, 5))
    blocks = []
    for number in range(n_blocks):
        block = rng.normal(size=(n_rows, 2)) @ axes + 0.1 * rng.normal(size=(n_rows, 5))
        spoil(number, block, rng)
        blocks.append(block)
    return blocks


def begin_late(number, block, rng):
    block[:, 0] = 0.0 if number == 0 else 3e6 * block[:, 1] * (rng.random(len(block)) < 0.3)


def begin_small(number, block, rng):
    block[:, 0] = 0.0 if number == 0 else 1e-6 * block[:, 1]


def change_unit(number, block, rng):
    block[:, 2] *= 1.0 if number < 2 else 1000.0


def drift(number, block, rng):
    block += number * np.arange(5.0)


def unexplained(X, reconstructed, standardize):
    scale = X.std(axis=0) if standardize else np.sqrt(X.var(axis=0).mean())
    return np.square((reconstructed - X) / scale).mean()


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("spoil", [begin_late, begin_small, change_unit, drift])
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_a_stream_that_begins_unlike_its_rest_is_as_good_as_incremental_pca(
    estimator, spoil, standardize
):
    blocks = make_blocks(spoil)
    X = np.vstack(blocks)
    scaler, pca = StandardScaler(with_std=standardize), IncrementalPCA(2)
    stream = clone(estimator).set_params(n_components=2, standardize=standardize)
    if isinstance(stream, VAETransformer):  # factor analysis leaves more of the variance
        stream.set_params(noise_per_column=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for block in blocks:
            pca.partial_fit(scaler.partial_fit(block).transform(block))
            stream.partial_fit(block)
    scaled = scaler.transform(X)
    theirs = scaler.inverse_transform(pca.inverse_transform(pca.transform(scaled)))
    best = unexplained(X, theirs, standardize)
    assert unexplained(X, stream.reconstruct(X), standardize) < 1.5 * best + 0.01
    assert len(stream.loss_curve_) == stream.n_iter_ == len(blocks)
    assert bool(caught) == (spoil in (begin_late, change_unit))
    assert all("determined again, from a sample" in str(one.message) for one in caught)


def test_the_scaling_of_a_stream_begun_again_is_of_all_rows():
    frames = [pd.DataFrame(block, columns=list("abcde")) for block in make_blocks(begin_late, 2)]
    stream = AutoencoderTransformer(2, **SMALL).partial_fit(frames[0])
    with pytest.warns(UserWarning, match="column 'a' varies .* times as much as its scale says"):
        stream.partial_fit(frames[1])
    X = pd.concat(frames).to_numpy()
    np.testing.assert_allclose(stream.mean_, X.mean(axis=0))
    np.testing.assert_allclose(stream.scale_, X.std(axis=0))


def test_rare_columns_do_not_undo_the_training():
    """Each of a hundred varies for the first time in a block of its own."""
    rng = np.random.default_rng(0)
    X = np.hstack(
        [rng.normal(size=(3200, 3)), rng.random((3200, 100)) < np.geomspace(5e-4, 5e-3, 100)]
    )
    stream = AutoencoderTransformer(2, **SMALL)
    means = []
    for block in np.split(X, 64):
        means.append(stream.partial_fit(block).mean_)
    n_begun = len({id(mean) for mean in means})
    assert 2 <= n_begun <= 8


def test_a_far_block_after_a_fit_warns(curve):
    frame = pd.DataFrame(curve, columns=list("abcdef"))
    model = AutoencoderTransformer(2, **SMALL).fit(frame)
    with pytest.warns(UserWarning, match="column 'c' is 1e.03 of its scales out"):
        model.partial_fit(frame.assign(c=frame["c"].mean() + 1000 * frame["c"].std()))


@pytest.mark.filterwarnings("ignore:the stream does not go on")
def test_a_stream_that_is_stored_between_blocks_begins_again_too():
    blocks = make_blocks(begin_late)
    stream = AutoencoderTransformer(2, **SMALL)
    for block in blocks:
        stream = pickle.loads(pickle.dumps(stream.partial_fit(block)))
    X = np.vstack(blocks)
    assert unexplained(X, stream.reconstruct(X), True) < 0.2


@pytest.mark.filterwarnings("ignore:the stream does not go on")
def test_weights_count_when_a_stream_begins_again():
    """Rows of next to no weight are as good as none, in the network and in the density."""

    def train(weight):
        rng = np.random.default_rng(0)
        axes = rng.normal(size=(2, 8))
        stream = AutoencoderTransformer(1, hidden_layer_sizes=(), random_state=0)
        known = []
        for number in range(5):
            good = rng.normal(size=(100, 1)) @ axes[:1] + 0.05 * rng.normal(size=(100, 8))
            block = np.vstack([good, 3 * rng.normal(size=(100, 1)) @ axes[1:]])
            block[:, 0] *= 100 if number else 1e-3
            stream.partial_fit(block, sample_weight=np.repeat([1, weight], 100))
            known.append(block[:100])
        rows = np.vstack(known[1:])
        return unexplained(rows, stream.reconstruct(rows), True), stream.score(rows)

    np.testing.assert_allclose(train(1e-6), train(0), rtol=0.1)


@pytest.mark.filterwarnings("ignore:the block lies far")
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_a_block_of_little_weight_hardly_changes_the_density(estimator):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    stream = clone(estimator).set_params(lr=1e-30).partial_fit(X)
    before = stream.score(X)
    stream.partial_fit(30 + 3 * X, sample_weight=np.full(300, 1e-9))
    assert stream.score(X) == pytest.approx(before, abs=0.01)


def test_few_far_rows_of_a_long_stream_warn(curve):
    stream = AutoencoderTransformer(2, **SMALL).partial_fit(np.tile(curve, (30, 1)))
    scale = stream.scale_
    with pytest.warns(UserWarning, match="lies far from the rows so far: column 1 is 15 of its"):
        stream.partial_fit(curve[:5] + 15 * scale * (np.arange(6) == 1))
    assert stream.scale_ is scale


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_a_first_block_has_the_rows_that_determine_a_code(curve, estimator):
    stream = clone(estimator).set_params(n_components=3)
    for block in (curve[:1], curve[:3], np.tile(curve[:1], (10, 1))):
        with pytest.raises(
            ValueError, match="first block of partial_fit must have at least 4 rows"
        ):
            stream.partial_fit(block)
        assert not hasattr(stream, "n_features_in_")
    stream.partial_fit(curve[:4]).partial_fit(curve[:1])
    for rows, weight in ((2, 2), (60, 1 / 60)):
        weighted = clone(stream).partial_fit(curve[:rows], sample_weight=np.full(rows, weight))
        assert weighted.n_iter_ == 1


def test_a_stream_after_a_fit_adds_to_what_the_fit_recorded(curve):
    ours = AutoencoderTransformer(2, init="random", **SMALL).fit(curve)
    n_iter, losses, scores = ours.n_iter_, list(ours.loss_curve_), list(ours.validation_scores_)
    assert n_iter > 0
    ours.partial_fit(curve).partial_fit(curve)
    assert ours.n_iter_ == n_iter + 2
    assert ours.loss_curve_[:-2] == losses
    assert ours.validation_scores_ == scores
    assert ours.gain_ is ours.gain_error_ is None  # of weights that no held-out row has seen


def test_a_stream_has_a_net_of_its_own_which_goes_through_all_blocks(curve):
    ours = AutoencoderTransformer(2, **SMALL).fit(curve)
    fitted = ours.net_
    stream = ours.partial_fit(curve).net_
    assert stream is not fitted
    assert ours.partial_fit(curve).net_ is stream
    assert len(stream.history) == 2


def test_the_density_of_a_stream_is_of_all_its_blocks(curve):
    """Of a linear stream it is a Gaussian, highest at the mean of the codes."""
    stream = AutoencoderTransformer(2, hidden_layer_sizes=(), lr=1e-30, random_state=0)
    low, high = curve[curve[:, 0] < 0.1], curve[curve[:, 0] >= 0.1]
    stream.partial_fit(low).partial_fit(high)
    means = [stream.transform(rows).mean(axis=0) for rows in (curve, low, high)]
    scores = stream.score_samples(stream.inverse_transform(np.array(means)))
    assert scores.argmax() == 0
    assert scores.max() > scores.min() + 0.1


# What held-out rows gain ------------------------------------------------------------------


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_a_network_that_is_kept_has_a_gain_and_its_error(curve, estimator):
    ours = clone(estimator).set_params(init="random", lr=0.05).fit(curve)
    assert ours.n_iter_ > 0
    assert 0 < 2 * ours.gain_error_ < ours.gain_
    still = clone(ours).set_params(init="pca", lr=1e-30).fit(curve)
    assert (still.n_iter_, still.gain_, still.gain_error_) == (0, 0.0, 0.0)
    assert len(still.loss_curve_) == 3
    blind = clone(ours).set_params(early_stopping=False).fit(curve)
    assert blind.gain_ is blind.gain_error_ is None


def test_a_closed_form_gains_nothing_that_could_be_measured(curve):
    linear = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(curve)
    assert linear.gain_ is linear.gain_error_ is None


def test_a_warm_start_gains_over_the_last_network(curve):
    ours = AutoencoderTransformer(2, **SMALL, init="random", lr=0.05).fit(curve)
    before = ours.gain_
    assert ours.set_params(warm_start=True).fit(curve).gain_ < before
    assert ours.set_params(lr=1e-30).fit(curve).gain_ == pytest.approx(0.0, abs=1e-6)


# Warm starts ------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_a_warm_start_trains_a_copy_in_the_same_scaling(curve, estimator):
    ours = clone(estimator).set_params(warm_start=True, early_stopping=False, lr=0.01)
    first = ours.fit(curve).module_
    mean = ours.mean_
    before = {name: value.clone() for name, value in first.state_dict().items()}
    ours.fit(curve[:500] * 2 + 1)
    assert ours.module_ is not first
    assert ours.mean_ is mean
    for name, value in first.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_warm_start_of_pca_is_pca_of_the_new_rows(curve):
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(), warm_start=True).fit(curve)
    moved = curve[:300] * [3, 1, 1, 1, 1, 1] + 1
    again = ours.fit(moved)
    fresh = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(moved)
    np.testing.assert_allclose(again.mean_, fresh.mean_)
    np.testing.assert_allclose(again.reconstruct(moved), fresh.reconstruct(moved))


# Modules ----------------------------------------------------------------------------------


def test_dropout_in_a_users_module_is_drawn_from_the_seed(curve):
    def architecture(role, n_inputs, n_outputs):
        return nn.Sequential(nn.Linear(n_inputs, 8), nn.Dropout(0.5), nn.Linear(8, n_outputs))

    ours = AutoencoderTransformer(2, architecture=architecture, early_stopping=False, **SMALL)
    a, b = (clone(ours).fit(curve).transform(curve) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_a_module_that_was_fitted_trains_with_dropout_again(curve):
    ours = AutoencoderTransformer(2, dropout=0.4, init="random", **SMALL).fit(curve)
    modes = []

    class Watch(Callback):
        def on_batch_begin(self, net, training, **kwargs):
            modes.append((training, net.module_.training))

    ours.set_params(callbacks=[Watch()]).partial_fit(curve).partial_fit(curve)
    assert set(modes) == {(True, True)}
    assert not ours.module_.training


# Units ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [2.0**-700, 2.0**450])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_the_unit_of_the_table_does_not_matter(curve, estimator, standardize, unit):
    expected = clone(estimator).set_params(standardize=standardize).fit(curve)
    ours = clone(expected).fit(curve * unit)
    np.testing.assert_array_equal(ours.transform(curve * unit), expected.transform(curve))
    back = ours.reconstruct(curve * unit)
    np.testing.assert_allclose(back, unit * expected.reconstruct(curve), rtol=1e-9)
    nats = ours.score_samples(curve * unit) + 6 * np.log(unit)
    np.testing.assert_allclose(nats, expected.score_samples(curve), atol=1e-6)
    single = ours.inverse_transform(np.zeros((1, 2), np.float32))
    decoded = expected.inverse_transform(np.zeros((1, 2)))
    np.testing.assert_allclose(single, unit * decoded, rtol=1e-3, atol=1e-4 * unit)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_columns_whose_squares_would_overflow_are_refused_by_name(curve, estimator, method):
    frame = pd.DataFrame(curve * [1, 1, 1, 1e152, 1, 1], columns=list("abcdef"))
    with pytest.raises(ValueError, match=r"up to 1e\+150, got .*e\+15\d in column 'd'"):
        getattr(clone(estimator), method)(frame)
    with pytest.raises(ValueError, match=r"up to 1e\+150, got .* in column 3"):
        getattr(clone(estimator), method)(frame.to_numpy())


# Memory -----------------------------------------------------------------------------------


class Weigh(Callback):
    """Add up the bytes of all that a training holds a value of for each weight."""

    def on_batch_end(self, net, training=False, **kwargs):
        snapshots = [
            value
            for _, callback in net.callbacks_
            for value in vars(callback).values()
            if isinstance(value, WeightSnapshot)
        ]
        states = net.optimizer_.state.values()
        tensors = [
            *net.module_.parameters(),
            *(weight.grad for weight in net.module_.parameters()),
            *(value for state in states for value in state.values()),
            *(snapshot.saved_floats for snapshot in snapshots),
        ]
        storages = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in tensors)}
        self.bytes = sum(storages.values())


def test_the_check_of_memory_counts_all_that_a_training_holds(curve):
    weigh = Weigh()
    ours = AutoencoderTransformer(2, batch_size=540, callbacks=[weigh], **SMALL).fit(curve)
    n_weights = sum(weight.numel() for weight in ours.module_.parameters())
    for_a_while = 2 * 4 * n_weights  # in a step
    assert weigh.bytes + for_a_while == pytest.approx(_BYTES_PER_WEIGHT * n_weights, abs=16)
