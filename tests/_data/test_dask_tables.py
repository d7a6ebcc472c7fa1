"""Fits on dask collections: loaded if they are small, else read by their blocks."""

import weakref

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder
from skae._data import blocks, stored_rows, stores
from skae._data.dask_tables import DaskArrayRows, DaskFrameRows, open_dask

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'skae[dask]'")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

QUICK = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
LINEAR = {"hidden_layer_sizes": (), "prior": "gaussian", "random_state": 0}


@pytest.fixture
def small(monkeypatch):
    """Bounds so low that small tables are read in blocks, and those are small."""
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    monkeypatch.setattr(blocks, "_BLOCK_CELLS", 1024)
    monkeypatch.setattr(stored_rows, "_BUFFER_BYTES", 2**14)


def make_frame(n_rows=600):
    rng = np.random.default_rng(0)
    a = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "a": np.where(rng.random(n_rows) < 0.1, np.nan, a),
            "b": 2 * a + 0.1 * rng.normal(size=n_rows),
            "side": np.where(a > 0, "left", "right"),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n_rows), "D"),
        }
    )


class Source:
    """Blocks that are made when they are asked for, and counted while they live."""

    def __init__(self, X, length):
        self.X, self.length = X, length
        self.n_made = self.n_alive = self.most = 0

    def make(self, first):
        block = self.X[first : first + self.length].copy()
        weakref.finalize(block, self.forget)
        self.n_made += 1
        self.n_alive += 1
        self.most = max(self.most, self.n_alive)
        return block

    def forget(self):
        self.n_alive -= 1

    def open(self):
        """Return a dask array of the blocks, whose numbers of rows are unknown."""
        make = dask.delayed(self.make, pure=False)
        shape = (np.nan, self.X.shape[1])
        firsts = range(0, len(self.X), self.length)
        parts = [da.from_delayed(make(n), shape, self.X.dtype) for n in firsts]
        return da.concatenate(parts, allow_unknown_chunksizes=True)


# Arrays -------------------------------------------------------------------------------


def test_a_small_collection_is_loaded(curve):
    expected = AutoencoderTransformer(2, **QUICK).fit(curve).transform(curve)
    X = da.from_array(curve, chunks=(250, 4))
    assert isinstance(open_dask(X), np.ndarray)
    for each in (X, X[X[:, 0] < np.inf]):
        found = AutoencoderTransformer(2, **QUICK).fit(each).transform(curve)
        np.testing.assert_array_equal(found, expected)
    frame = make_frame(60)[["b", "side"]]
    expected = AutoencoderTransformer(2, **LINEAR).fit(frame).transform(frame)
    parts = dd.from_pandas(frame, npartitions=3)
    np.testing.assert_allclose(
        AutoencoderTransformer(2, **LINEAR).fit(parts).transform(frame), expected, atol=1e-9
    )


def test_slices_are_those_of_the_array(small, curve):
    X = da.from_array(curve, chunks=((130, 0, 70, 400), (2, 4)))
    rows = open_dask(X)
    assert isinstance(rows, DaskArrayRows)
    assert rows.ends.tolist() == [0, 130, 130, 200, 600]
    for first, last in [(0, 600), (0, 1), (129, 131), (130, 200), (599, 600), (5, 5), (600, 600)]:
        np.testing.assert_array_equal(rows[first:last], curve[first:last])


@pytest.mark.parametrize("is_shaped", [False, True])
def test_fits_are_those_of_a_memmap_to_the_last_bit(is_shaped, small, curve, tmp_path):
    X = curve.reshape(600, 2, 3) if is_shaped else curve
    np.save(tmp_path / "rows.npy", X)
    stored = np.load(tmp_path / "rows.npy", mmap_mode="r")
    blocks = da.from_array(X, chunks=(130, *X.shape[1:]))
    found = AutoencoderTransformer(2, **QUICK).fit(blocks)
    expected = AutoencoderTransformer(2, **QUICK).fit(stored)
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))
    np.testing.assert_array_equal(found.score_samples(X), expected.score_samples(X))


def test_few_blocks_are_in_memory_and_rows_are_counted_once(small, curve, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_CELLS", 240)
    source = Source(curve, 60)
    X = source.open()
    rows = open_dask(X)
    assert source.n_made == 10
    source.n_made = 0
    for first in range(0, 600, 7):
        rows[first : first + 7]
    assert source.n_made == 10  # each once, in a pass
    del rows  # which holds the last
    with dask.config.set(scheduler="synchronous"):  # threads count the rows of a block each
        source.most = 0
        model = AutoencoderTransformer(2, **QUICK).fit(X)
    assert source.most <= 3  # of 10: two that a slice of rows reaches into, and the next
    np.testing.assert_allclose(model.mean_, curve.mean(axis=0))
    np.testing.assert_allclose(model.transform(X).compute(), model.transform(curve), atol=1e-6)


def test_weights_pairs_and_streams(small, curve):
    X = da.from_array(curve, chunks=(130, 6))
    weight = np.random.default_rng(0).integers(0, 3, 600)
    found = AutoencoderTransformer(2, **LINEAR)
    found.fit(X, sample_weight=da.from_array(weight, chunks=100))
    repeated = np.repeat(curve, weight, axis=0)
    np.testing.assert_allclose(found.mean_, repeated.mean(axis=0))
    pairs = DenoisingAutoencoder(2, **QUICK).fit(X, X)
    assert pairs.denoise(X).compute().shape == curve.shape
    model = AutoencoderTransformer(2, **QUICK).partial_fit(X).partial_fit(X[:300])
    assert model.n_iter_ == 2


# Frames -------------------------------------------------------------------------------


def test_frames_are_read_as_row_groups_are(small, tmp_path):
    frame = make_frame()[["b", "side", "day"]]
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "rows.parquet", row_group_size=150)
    stored = ds.dataset(tmp_path)
    parts = dd.from_pandas(frame, npartitions=4)
    assert isinstance(open_dask(parts), DaskFrameRows)
    found = AutoencoderTransformer(2, **LINEAR).fit(parts)
    expected = AutoencoderTransformer(2, **LINEAR).fit(stored)
    np.testing.assert_array_equal(found.transform(frame), expected.transform(stored))
    np.testing.assert_array_equal(found.mean_, expected.mean_)
    assert list(found.feature_names_in_) == list(frame.columns)
    decoded = found.reconstruct(parts).compute()
    assert list(decoded.dtypes[["b", "day"]]) == list(frame.dtypes[["b", "day"]])


def test_a_label_of_the_last_partition_is_known(small):
    frame = make_frame()[["b", "side"]]
    frame.loc[590:, "side"] = "middle"
    parts = dd.from_pandas(frame, npartitions=4)
    parts = parts.assign(side=parts["side"].astype("category"))  # of categories unknown to Dask
    model = AutoencoderTransformer(1, **LINEAR).fit(parts)
    levels = model._fitted.columns.columns[1].coding.levels
    assert sorted(levels) == ["left", "middle", "right"]
    assert model.impute(parts).compute()["side"].tolist() == frame["side"].tolist()


def test_partitions_without_rows_are_read(small):
    frame = make_frame()[["a", "b"]]
    parts = dd.from_pandas(frame, npartitions=4)
    few = parts[parts.index.to_series() >= 150]
    model = AutoencoderTransformer(1, **LINEAR).fit(few)
    np.testing.assert_allclose(model.mean_, frame[150:].mean())


def test_detector_reads_partitions(small):
    frame = make_frame()[["a", "b"]]
    parts = dd.from_pandas(frame, npartitions=4)
    detector = AEAnomalyDetector(AutoencoderTransformer(1, **LINEAR), alpha=0.1, random_state=0)
    assert set(detector.fit(parts).predict(parts).compute()) <= {-1, 1}


# Errors -------------------------------------------------------------------------------


def test_faults_are_named_before_training(small, curve):
    odd = curve.copy()
    odd[317, 4] = np.inf
    with pytest.raises(ValueError, match="row 317"):
        AutoencoderTransformer(2, **QUICK).fit(da.from_array(odd, chunks=(130, 6)))
    frame = make_frame().assign(b=np.append(np.zeros(599), np.inf))
    with pytest.raises(ValueError, match="got inf in column 'b' and row 599"):
        AutoencoderTransformer(2, **QUICK).fit(dd.from_pandas(frame, npartitions=4))
    X = da.from_array(curve, chunks=(130, 6))
    with pytest.raises(ValueError, match="a known number of columns, got a dask array of shape"):
        AutoencoderTransformer(2, **QUICK).fit(X[:, X[0] > 0])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        AutoencoderTransformer(2, **QUICK).fit(X[X[:, 0] > 99])
