"""Tables larger than memory: read in blocks, and never copied as a whole."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from skorch.callbacks import Callback

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data import StoredTable, TablePart, blocks, stored_rows, stores, subsample_size
from skae._data.stores import is_store


class Store:
    """What h5py and zarr give: slices of rows, and not an array."""

    def __init__(self, values):
        self.values = values
        self.shape = values.shape
        self.largest = 0

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        block = self.values[rows]
        self.largest = max(self.largest, len(block))
        return block

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the whole table was asked for")


@pytest.fixture
def small(monkeypatch):
    """Bounds so low that small tables stay in their store, and are read in small blocks."""
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    monkeypatch.setattr(blocks, "_BLOCK_CELLS", 4096)
    monkeypatch.setattr(stored_rows, "_BUFFER_BYTES", 2**13)


def sheet(n_rows=3000, dtype=np.float32):
    """Rows near a curved sheet, sorted by one of its coordinates."""
    rng = np.random.default_rng(0)
    hidden = rng.uniform(-1, 1, size=(n_rows, 2))
    hidden[:, 0].sort()
    columns = np.hstack([hidden, hidden**2, np.sin(3 * hidden), hidden[:, :1] * hidden[:, 1:]])
    noise = 0.1 * rng.normal(size=columns.shape)
    return (3 * (columns + noise) @ np.diag(np.arange(1, 8)) + 5).astype(dtype)


# What is a store ----------------------------------------------------------------------------


def test_frames_arrays_and_tensors_are_not_stores(tmp_path):
    X = sheet(10)
    assert is_store(Store(X))
    assert is_store(np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape))
    others = [X, X.tolist(), pd.DataFrame(X), pd.Series(X[0]), sparse.csr_array(X)]
    assert not any(is_store(other) for other in [*others, torch.tensor(X), None, 3.0])


def test_a_small_store_is_an_array():
    X = sheet(600)
    fits = [
        AutoencoderTransformer(2, max_epochs=2, random_state=0).fit(table).transform(X)
        for table in (Store(X), X)
    ]
    np.testing.assert_array_equal(*fits)


@pytest.mark.parametrize("kind", ["memmap", "array", "integers", "half", "frame"])
def test_blocks_have_one_precision(kind, small, tmp_path):
    X = np.round(sheet(1000))
    table, dtype = X, np.float32
    if kind == "memmap":
        table = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
        table[:] = X
    elif kind == "frame":
        table = pd.DataFrame(X)
    elif kind in ("integers", "half"):
        table, dtype = X.astype(np.int32 if kind == "integers" else np.float16), np.float64
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(table)
    codes = model.transform(table)
    assert codes.dtype == dtype
    np.testing.assert_allclose(codes[:100], model.transform(X[:100]), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(9000), "Expected 2D array"),
        (np.zeros((1000, 9), dtype=complex), "Complex data not supported"),
        (np.zeros((0, 9)), "0 sample"),
        (np.zeros((1000, 0)), "0 feature"),
    ],
)
@pytest.mark.parametrize("wrap", [Store, np.asarray])
def test_other_tables_are_refused_as_scikit_learn_does(values, message, wrap, small):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer().fit(wrap(values))


def test_a_store_of_text_is_refused(small):
    with pytest.raises(ValueError, match="could not convert string"):
        AutoencoderTransformer().fit(Store(np.full((1000, 9), "a")))


class Spy(Callback):
    """Notes that training began and that it saw a batch."""

    def __init__(self):
        self.events = []

    def on_train_begin(self, net, **kwargs):
        self.events.append("begin")

    def on_batch_begin(self, net, **kwargs):
        if "batch" not in self.events:
            self.events.append("batch")


def test_a_late_value_that_is_infinite_is_found_before_training(small):
    X, spy = sheet(), Spy()
    model = AutoencoderTransformer(2, max_epochs=1, callbacks=[spy])
    model.fit(Store(X))
    assert spy.events == ["begin", "batch"]  # so that the spy would see training
    spy.events.clear()
    X[2917, 3] = -np.inf
    with pytest.raises(
        ValueError, match="finite numbers or NaN, got -inf in column 3 and row 2917: set"
    ):
        model.fit(Store(X))
    assert spy.events == []
    fitted = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(Store(sheet()))
    with pytest.raises(ValueError, match="column 3 and row 2917"):
        fitted.score_samples(Store(X))


def test_another_number_of_columns_is_an_error(small):
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(Store(sheet()))
    assert model.n_features_in_ == 7
    with pytest.raises(ValueError, match="X has 6 features, but"):
        model.transform(Store(sheet()[:, :6]))


# Blocks, and parts of them ------------------------------------------------------------------


@pytest.mark.parametrize("without", [[], [0], [9], [0, 1, 5, 8, 9], [4]])
def test_a_part_is_what_is_left(without):
    X = np.arange(20.0).reshape(10, 2)
    part = TablePart(StoredTable(Store(X)), np.array(without, dtype=int))
    left = np.delete(X, without, axis=0)
    assert part.shape == left.shape
    for first in range(len(left)):
        for last in range(len(left) + 2):
            np.testing.assert_array_equal(part[first:last], left[first:last])
    indices = np.arange(0, len(left), 2)
    np.testing.assert_array_equal(part.take(indices), left[indices])


def test_a_store_that_gives_other_shapes_is_an_error(small):
    store = Store(sheet())
    store.shape = (4000, 7)
    with pytest.raises(
        ValueError, match=r"must give an array of shape \(\d+, 7\) for rows .* got shape"
    ):
        AutoencoderTransformer().fit(store)


def test_a_memmap_is_readable_after_its_pages_are_unmapped(monkeypatch, small, tmp_path):
    monkeypatch.setattr(stores, "_MAPPED_BYTES", 1000)
    X = sheet()
    for mode in ("w+", "r", "c"):
        table = np.memmap(tmp_path / "X", np.float32, mode, shape=X.shape)
        if mode != "r":
            table[:] = X + (mode == "c")
        stored = StoredTable(table)
        blocks = [stored[first : first + 100] for first in range(0, len(X), 100)]
        np.testing.assert_array_equal(np.concatenate(blocks), X + (mode == "c"))


def resident_bytes(path):
    """Return how much of a mapped file counts as this process's memory."""
    total, inside = 0, False
    with open("/proc/self/smaps") as lines:
        for line in lines:
            name, *values = line.split()
            if not name.endswith(":"):
                inside = line.rstrip().endswith(str(path))
            elif inside and name == "Rss:":
                total += 1024 * int(values[0])
    return total


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="needs Linux")
def test_reading_a_memmap_does_not_fill_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(stores, "_MAPPED_BYTES", 2**20)
    path = tmp_path / "X"
    np.ones((2**17, 8)).tofile(path)  # 8 MiB
    table = StoredTable(np.memmap(path, np.float64, "r", shape=(2**17, 8)))
    for first in range(0, len(table), 2**12):
        table[first : first + 2**12]
    assert resident_bytes(path) < 2**22
    table.take(np.arange(0, len(table), 2))
    assert resident_bytes(path) < 2**22


def test_taken_rows_are_finite():
    X = np.zeros((1000, 2))
    X[700, 1] = np.inf
    table = StoredTable(Store(X))
    np.testing.assert_array_equal(table.take(np.array([3, 699, 701])), 0)
    with pytest.raises(ValueError, match="got inf in column 1 and row 700"):
        table.take(np.array([3, 700]))


@pytest.mark.parametrize(("value", "got"), [("x", "'x'"), (1j, "1j"), ([], r"\[\]")])
def test_cells_of_a_store_that_are_no_numbers_are_named(value, got):
    X = np.zeros((1000, 2), dtype=object)
    X[700, 1] = value
    table = StoredTable(Store(X))
    np.testing.assert_array_equal(table[:700], 0)
    for read in (lambda: table[600:800], lambda: table.take(np.array([3, 700]))):
        with pytest.raises((ValueError, TypeError), match=f"got {got} in column 1 and row 700: "):
            read()


def test_stores_of_dates_are_refused(small):
    X = sheet().astype("M8[D]")
    for n_rows in (100, 3000):
        with pytest.raises(TypeError, match="column 0 has dates or durations"):
            AutoencoderTransformer(2).fit(Store(X[:n_rows]))


def test_large_sums_are_finite():
    """The quick check, a sum, overflows here."""
    X = np.full((10, 2), 1e308)
    np.testing.assert_array_equal(StoredTable(Store(X))[0:10], X)


def test_tables_of_few_rows_are_loaded(small):
    X = np.random.default_rng(0).normal(size=(499, 20))
    assert isinstance(stores.open_table(Store(X), None), np.ndarray)
    rows = np.vstack([X, X[:1]])
    assert isinstance(stores.open_table(Store(rows), None), StoredTable)


def test_subsamples_are_as_large_as_memory_likes():
    assert subsample_size(1) == 200_000
    assert subsample_size(1000) == 2**28 // 4000
    assert subsample_size(10**6) == 1000


# Fits ---------------------------------------------------------------------------------------


def test_linear_is_scikit_learns_pca(small):
    X = sheet(dtype=np.float64)
    store = Store(X)
    model = AutoencoderTransformer(3, hidden_layer_sizes=(), standardize=False).fit(store)
    pca = PCA(3).fit(X)
    assert store.largest < 700
    np.testing.assert_allclose(np.abs(model.components_), np.abs(pca.components_), atol=1e-4)
    codes = model.transform(store) * model.scale_[0]
    np.testing.assert_allclose(np.abs(codes), np.abs(pca.transform(X)), atol=1e-3)
    signs = np.sign((model.components_ * pca.components_).sum(axis=1))
    expected = pca.inverse_transform(codes * signs)
    np.testing.assert_allclose(model.reconstruct(store), expected, atol=1e-2)
    assert model.score(store) == pytest.approx(pca.score(X), abs=0.1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("trim_fraction", [0.0, 0.1])
def test_linear_fits_are_those_of_arrays(weighted, trim_fraction, monkeypatch):
    X = sheet()
    weight = np.arange(len(X)) % 3 if weighted else None
    model = AutoencoderTransformer(2, hidden_layer_sizes=(), trim_fraction=trim_fraction)
    whole = model.fit(X, sample_weight=weight)
    known = whole.components_, whole.mean_, whole.scale_, whole.noise_variance_
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    monkeypatch.setattr(blocks, "_BLOCK_CELLS", 4096)
    stored = model.fit(Store(X), sample_weight=weight)
    atol = 1e-4 if trim_fraction == 0 else 0.03  # a subsample decides which rows are left out
    np.testing.assert_allclose(stored.components_, known[0], atol=atol)
    np.testing.assert_allclose(stored.mean_, known[1], rtol=1e-6)
    np.testing.assert_allclose(stored.scale_, known[2], rtol=1e-6)
    assert stored.noise_variance_ == pytest.approx(known[3], rel=0.1)


def test_training_is_as_good_as_on_arrays_and_repeats_to_the_bit(monkeypatch):
    X = sheet(4000)
    model = AutoencoderTransformer(
        2, hidden_layer_sizes=(32,), max_epochs=12, lr=0.02, batch_size=128, random_state=0
    )
    in_memory = model.fit(X).reconstruction_error(X).mean()
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    monkeypatch.setattr(stored_rows, "_BUFFER_BYTES", 2**16)
    store = Store(X)
    first = model.fit(store)
    codes, n_iter = first.transform(X), first.n_iter_
    assert n_iter > 0
    assert first.reconstruction_error(store).mean() == pytest.approx(in_memory, rel=0.25)
    assert (
        in_memory
        < 0.8
        * AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X).reconstruction_error(X).mean()
    )
    np.testing.assert_array_equal(model.fit(Store(X)).transform(X), codes)


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(2, penalty="kl", alpha=0.01, max_epochs=1, random_state=0),
        AutoencoderTransformer(2, pretrain="layerwise", max_epochs=1, random_state=0),
        AutoencoderTransformer(2, early_stopping=False, max_epochs=1, random_state=0, verbose=1),
        AutoencoderTransformer(2, init="random", max_epochs=1, random_state=0),
        DenoisingAutoencoder(None, n_draws=2, max_epochs=1, random_state=0),
        DenoisingAutoencoder(2, noise="masking", max_epochs=1, random_state=0),
        DenoisingAutoencoder(2, n_draws=2, trim_fraction=0.1, max_epochs=1, random_state=0),
        VAETransformer(2, n_draws=2, max_epochs=1, random_state=0),
        VAETransformer(2, prior="vamp", n_draws=2, max_epochs=1, random_state=0),
    ],
    ids=lambda model: f"{type(model).__name__}-{model.random_state}",
)
def test_every_estimator_reads_blocks(model, small):
    store = Store(sheet())
    weight = np.arange(3000) % 2
    model.fit(store, sample_weight=weight)
    assert model.transform(store).shape == (3000, model.n_components_)
    assert model.reconstruct(store).shape == (3000, 7)
    assert np.isfinite(model.score_samples(store)).all()
    first = model.n_iter_
    model.partial_fit(store)
    assert model.n_iter_ == first + 1
    assert store.largest < 2000


def test_probabilities_are_checked_in_blocks(small):
    X = (sheet() > 5).astype(np.float32)
    model = VAETransformer(2, likelihood="bernoulli", n_draws=2, max_epochs=1, random_state=0)
    assert np.isfinite(model.fit(Store(X)).score(Store(X)))
    X[2800, 1] = 1.5
    with pytest.raises(ValueError, match=r"got 1\.5 in column 1 and row 2800"):
        model.fit(Store(X))


def test_warm_start_continues(small):
    model = AutoencoderTransformer(2, max_epochs=3, early_stopping=False, random_state=0)
    store = Store(sheet())
    first = model.fit(store).loss_curve_[0]
    assert model.set_params(warm_start=True).fit(store).loss_curve_[0] < first


def test_pairs_are_loaded(small):
    X = sheet()
    noisy = X + np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    model = DenoisingAutoencoder(2, max_epochs=1, random_state=0)
    in_memory = model.fit(noisy, X).denoise(noisy)
    in_stores = Store(noisy)
    np.testing.assert_allclose(model.fit(in_stores, X).denoise(noisy), in_memory, rtol=1e-5)


@pytest.mark.parametrize("contamination", ["auto", 0.02])
@pytest.mark.parametrize(
    "estimator",
    [
        DenoisingAutoencoder(None, hidden_layer_sizes=(), noise_level=(0.1, 5.0), n_draws=1),
        GaussianMixture(2, random_state=0),
    ],
)
def test_the_detector_calibrates_on_rows_of_a_store(contamination, estimator, small):
    X = sheet(dtype=np.float64)
    weight = None if isinstance(estimator, GaussianMixture) else np.ones(len(X))
    detector = AEAnomalyDetector(estimator, contamination=contamination, random_state=0)
    detector.fit(Store(X), sample_weight=weight)
    X[::100] = 100 * np.random.default_rng(1).normal(size=(30, 7))
    found = detector.predict(Store(X))
    assert (found[::100] == -1).mean() > 0.9
    assert (found == -1).mean() < 0.06
    assert len(detector.p_values(Store(X))) == len(X)
