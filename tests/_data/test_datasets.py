"""Datasets of Parquet files: loaded if they are small, else read by row groups."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import torch

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data import Columns, ScaledTable, Scaling, StoredRows, blocks, stored_rows, stores
from skae._data.datasets import DatasetRows, EncodedRows, is_dataset

QUICK = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
LINEAR = {"hidden_layer_sizes": (), "random_state": 0}


@pytest.fixture
def small(monkeypatch):
    """Bounds so low that small datasets stay in their files, and are read in small blocks."""
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    monkeypatch.setattr(blocks, "_BLOCK_CELLS", 4096)
    monkeypatch.setattr(stored_rows, "_BUFFER_BYTES", 2**16)


def make_table(n_rows=1200, seed=0):
    """Return rows of each kind, with gaps, sorted by the first column."""
    rng = np.random.default_rng(seed)
    a = np.sort(rng.normal(size=n_rows))
    gaps = rng.uniform(size=(n_rows, 3)) < 0.1
    day = np.datetime64("2020-01-01") + rng.integers(0, 99, n_rows).astype("m8[D]")
    return pa.table(
        {
            "a": pa.array(a, mask=gaps[:, 0]),
            "count": rng.integers(0, 9, n_rows),
            "side": pa.array(np.where(a > 0, "left", "right")).dictionary_encode(),
            "town": pa.array(rng.choice(list("stuvw"), n_rows), mask=gaps[:, 1]),
            "flag": pa.array(a + rng.normal(size=n_rows) > 0.3, mask=gaps[:, 2]),
            "day": pa.array(day),
            "b": 2 * a + 0.1 * rng.normal(size=n_rows),
        }
    )


def write(table, folder, group=250):
    """Write a table to two files with several row groups, and return the dataset."""
    folder.mkdir(exist_ok=True)
    middle = len(table) // 2
    pq.write_table(table.slice(0, middle), folder / "a.parquet", row_group_size=group)
    pq.write_table(table.slice(middle), folder / "b.parquet", row_group_size=group + 30)
    return ds.dataset(folder)


def to_number_table(table):
    """Return the columns of numbers."""
    return table.select(["a", "count", "b"])


# What is a dataset --------------------------------------------------------------------


def test_datasets_are_told_from_tables(tmp_path):
    table = make_table(20)
    assert is_dataset(write(table, tmp_path / "t"))
    assert is_dataset(ds.dataset(table))
    others = [table, table.schema, table["a"], next(ds.dataset(table).get_fragments()), None]
    assert not any(is_dataset(other) for other in others)


@pytest.mark.parametrize("columns", [["a", "count", "b"], ["a", "side", "town", "day", "b"]])
def test_a_small_dataset_is_a_table(columns, tmp_path):
    table = make_table(200).select(columns)
    stored = write(table, tmp_path / "t")
    fits = [AutoencoderTransformer(2, **QUICK).fit(X) for X in (table, stored)]
    np.testing.assert_array_equal(*(model.transform(table) for model in fits))
    np.testing.assert_array_equal(*(model.score_samples(stored) for model in fits))
    assert list(fits[0].feature_names_in_) == list(fits[1].feature_names_in_) == columns


# Row groups ---------------------------------------------------------------------------


def test_slices_are_those_of_the_table(small, tmp_path):
    table = make_table(1000)
    rows = DatasetRows(write(table, tmp_path / "t", group=130))
    assert rows.shape == table.shape
    assert rows.ends.tolist() == [0, 130, 260, 390, 500, 660, 820, 980, 1000]
    for first, last in [(0, 1000), (0, 1), (129, 131), (130, 260), (100, 700), (999, 1000), (5, 5)]:
        assert rows.read(slice(first, last)).combine_chunks() == table[first:last].combine_chunks()


def test_one_row_group_is_in_memory_at_a_time(small, tmp_path, monkeypatch):
    rows = DatasetRows(write(make_table(1000), tmp_path / "t", group=100))
    read, load = [], DatasetRows._load

    def watch(self, group):
        if self._loaded[0] != group:
            read.append(group)
        return load(self, group)

    monkeypatch.setattr(DatasetRows, "_load", watch)
    table = stores.StoredTable(EncodedRows(rows, Columns.from_blocks(rows.blocks())))
    rows._loaded = (-1, None)
    read.clear()
    for first in range(0, 1000, 30):
        table[first : first + 30]
    assert read == list(range(len(rows.ends) - 1))  # each once, in a pass
    read.clear()
    taken = table.take(np.array([3, 7, 550, 551, 998]))
    assert read == [0, 5, 8]
    np.testing.assert_array_equal(taken[[1, 4]], np.vstack([table[7:8], table[998:999]]))


def test_empty_row_groups_and_partitions(small, tmp_path):
    table = make_table(900)
    empty = table.slice(0, 0)
    write(table, tmp_path / "t")
    pq.write_table(empty, tmp_path / "t" / "ab.parquet")
    rows = DatasetRows(ds.dataset(tmp_path / "t"))
    assert rows.read(slice(400, 500)).combine_chunks() == table[400:500].combine_chunks()
    parts = ds.partitioning(pa.schema([("count", pa.int64())]), flavor="hive")
    ds.write_dataset(table, tmp_path / "p", format="parquet", partitioning=parts)
    stored = ds.dataset(tmp_path / "p", partitioning=parts)
    rows = DatasetRows(stored)
    assert rows.read(slice(0, 900)).sort_by("b")["count"] == table.sort_by("b")["count"]


def test_filters_and_other_files_are_refused(small, tmp_path):
    stored = write(make_table(1000), tmp_path / "t")
    with pytest.raises(ValueError, match="without a filter where it isn't loaded: write the rows"):
        AutoencoderTransformer().fit(stored.filter(ds.field("b") > -2))
    ds.write_dataset(make_table(1000), tmp_path / "f", format="feather")
    with pytest.raises(TypeError, match=r"Parquet files .* got arrow files: write them as"):
        AutoencoderTransformer().fit(ds.dataset(tmp_path / "f", format="feather"))


# What columns hold --------------------------------------------------------------------


@pytest.mark.parametrize("chosen", ["from_dtype", ["side", "town", "label", "count", "flag"]])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_say_what_the_whole_says(chosen, weighted):
    # As many labels as rows of a block, and none that identifies a row.
    labels = pa.array([f"label {n % 77}" for n in range(900)])
    table = make_table(900).append_column("label", labels)
    weight = np.random.default_rng(1).integers(0, 4, 900) * 1.0 if weighted else None
    whole = Columns.from_table(table, chosen, 3, weight)
    for length in (1, 77, 899):
        parts = [slice(first, first + length) for first in range(0, 900, length)]
        pieces = ((rows, table.slice(rows.start, length)) for rows in parts)
        found = Columns.from_blocks(pieces, chosen, 3, weight)
        assert found.get_state() == whole.get_state()


def test_times_of_blocks_have_a_common_step():
    hours = np.arange(0, 960, 24) * np.timedelta64(1, "h")
    days = pa.array(np.datetime64("2020-01-01T00", "s") + hours)
    odd_time = np.datetime64("2019-05-05T07", "s")
    odd = pa.array([odd_time] * 3)
    whole = pa.table({"t": pa.concat_arrays([days, odd])})
    found = Columns.from_blocks([(slice(0, 40), whole[:40]), (slice(40, 43), whole[40:])])
    (column,) = found.columns
    assert (column.coding.origin, column.coding.step) == (int(odd_time.astype(int)), 3600)
    assert found.get_state() == Columns.from_table(whole).get_state()


def test_identifiers_and_empty_columns_of_blocks(small, tmp_path):
    table = make_table(1000)
    names = pa.array([f"person {n}" for n in range(1000)])
    late = pa.array([None] * 999 + [1.5])
    table = table.append_column("name", names).append_column("late", late)
    table = table.append_column("never", pa.nulls(1000, pa.float64()))
    stored = write(table, tmp_path / "t")
    with (
        pytest.warns(UserWarning, match="nearly every row in column 'name'"),
        pytest.warns(UserWarning, match="no observed cell in column 'never'"),
    ):
        model = AutoencoderTransformer(2, **LINEAR).fit(stored)
    assert model.reconstruct(stored).schema == table.schema


def test_an_infinite_number_is_named_with_its_row(small, tmp_path):
    table = make_table(1000)
    b = table["b"].to_numpy().copy()
    b[917] = np.inf
    stored = write(table.set_column(6, "b", pa.array(b)), tmp_path / "t")
    message = "got inf in column 'b' and row 917"
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(2, **LINEAR).fit(stored)
    model = AutoencoderTransformer(2, **LINEAR).fit(write(table, tmp_path / "u"))
    with pytest.raises(ValueError, match=message):
        model.transform(stored)


# Fits ---------------------------------------------------------------------------------


def test_fits_are_those_of_a_stored_array(small, tmp_path):
    table = to_number_table(make_table(900))
    stored, frame = write(table, tmp_path / "t"), table.to_pandas()
    found = AutoencoderTransformer(2, **QUICK).fit(stored)
    expected = AutoencoderTransformer(2, **QUICK).fit(frame)
    assert found.inverse_transform(found.transform(stored)).shape == (900, 3)
    np.testing.assert_allclose(found.transform(stored), expected.transform(frame), atol=1e-6)
    np.testing.assert_allclose(found.score_samples(stored), expected.score_samples(frame))


def test_linear_fits_are_those_of_the_loaded_table(small, tmp_path, monkeypatch):
    table = make_table(900)
    stored = write(table, tmp_path / "t")
    found = AutoencoderTransformer(2, prior="gaussian", **LINEAR).fit(stored)
    codes, score, filled = found.transform(stored), found.score(stored), found.impute(stored)
    monkeypatch.setattr(stores, "LOADED_UP_TO", 2**28)
    expected = AutoencoderTransformer(2, prior="gaussian", **LINEAR).fit(table)
    np.testing.assert_allclose(found.mean_, expected.mean_, atol=1e-9)
    np.testing.assert_allclose(found.scale_, expected.scale_, rtol=1e-9)
    np.testing.assert_allclose(codes, expected.transform(table), atol=2e-3)
    assert score == pytest.approx(expected.score(table), abs=0.1)
    assert filled.schema == table.schema
    assert filled["a"].null_count == 0
    np.testing.assert_array_equal(found.transform(stored), codes)  # loaded now
    np.testing.assert_allclose(found.transform(table.to_pandas()), codes, atol=1e-6)


def test_a_label_that_appears_late_is_known(small, tmp_path):
    table = make_table(1000)
    towns = table["town"].to_pylist()
    towns[-3:] = ["zenith"] * 3
    stored = write(table.set_column(3, "town", pa.array(towns)), tmp_path / "t")
    model = AutoencoderTransformer(2, **LINEAR).fit(stored)
    coding = model._fitted.columns.columns[3].coding
    assert coding.levels[-1] == "zenith"
    assert model.impute(stored)["town"].to_pylist()[-3:] == ["zenith"] * 3


@pytest.mark.parametrize("family", [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer])
def test_every_family_reads_row_groups(family, small, tmp_path):
    table = make_table()
    stored = write(table, tmp_path / "t")
    model = family(2, **QUICK).fit(stored)
    assert list(model.feature_names_in_) == table.column_names
    assert np.isfinite(model.score(stored))
    np.testing.assert_allclose(model.transform(stored)[:5], model.transform(table[:5]), atol=1e-5)
    assert model.inverse_transform(model.transform(stored)).schema == table.schema
    again = family(2, **QUICK).fit(stored)
    np.testing.assert_array_equal(again.transform(table[:9]), model.transform(table[:9]))


def test_weights_and_streams(small, tmp_path):
    table = make_table()
    stored = write(table, tmp_path / "t")
    weight = np.random.default_rng(0).integers(0, 3, len(table))
    repeated = table.take(np.repeat(np.arange(len(table)), weight))
    found = AutoencoderTransformer(2, **LINEAR).fit(stored, sample_weight=weight)
    expected = AutoencoderTransformer(2, **LINEAR).fit(write(repeated, tmp_path / "u"))
    np.testing.assert_allclose(found.mean_, expected.mean_, atol=1e-9)
    np.testing.assert_allclose(found.scale_, expected.scale_, rtol=1e-9)
    model = AutoencoderTransformer(2, **QUICK).partial_fit(stored).partial_fit(table)
    assert model.n_iter_ == 2


def test_detector_reads_row_groups(small, tmp_path):
    table = make_table()
    stored = write(table, tmp_path / "t")
    estimator = AutoencoderTransformer(2, **QUICK)
    detector = AEAnomalyDetector(estimator, alpha=0.1, random_state=0)
    detector.fit(stored, sample_weight=np.ones(len(table)))
    assert set(detector.predict(stored)) <= {-1, 1}
    odd = table.set_column(3, "town", pa.array(["nowhere"] * len(table)))
    scores = detector.score_samples(write(odd, tmp_path / "u"))
    np.testing.assert_allclose(scores[:9], detector.score_samples(odd[:9]), atol=1e-3)
    assert scores.mean() < detector.score_samples(stored).mean()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: t.drop_columns("count"), ValueError, "features|feature names"),
        (lambda t: t.rename_columns(["z", *t.column_names[1:]]), ValueError, "feature names"),
        (lambda t: t.set_column(1, "count", pa.array(["x"] * len(t))), TypeError, "'count'"),
    ],
)
@pytest.mark.parametrize("pick", [to_number_table, lambda table: table])
def test_other_columns_are_named(pick, change, error, message, small, tmp_path):
    table = pick(make_table())
    model = AutoencoderTransformer(2, **LINEAR).fit(write(table, tmp_path / "t"))
    with pytest.raises(error, match=message):
        model.transform(write(change(table), tmp_path / "u"))


def test_pairs_are_loaded(small, tmp_path):
    table = make_table(600).drop_columns(["a", "town", "flag"])
    stored = write(table, tmp_path / "t")
    model = DenoisingAutoencoder(2, **QUICK).fit(stored, stored)
    assert model.denoise(stored).schema == table.schema


# Shuffling ----------------------------------------------------------------------------


def test_rows_of_few_row_groups_are_mixed_at_a_time(small, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_rows, "_MIXED_PARTS", 2)
    table = make_table(1000).select(["count", "b"])
    rows = DatasetRows(write(table, tmp_path / "t", group=125))
    source = stores.StoredTable(EncodedRows(rows, Columns.from_names(rows.head)))
    without = np.array([0, 1, 130, 777])
    part = stores.TablePart(source, without)
    assert part.ends.tolist() == [0, 123, 247, 372, 497, 652, 806, 961, 996]
    scaled = ScaledTable(part, Scaling(np.zeros(2), np.ones(2)))
    stored = StoredRows(scaled, None, torch.device("cpu"))
    order = stored._shuffle_runs(1, torch.Generator().manual_seed(0)).numpy()
    assert sorted(order) == list(range(996))
    groups = np.searchsorted(part.ends, order, side="right") - 1
    assert len({*groups[:200]}) == 2  # of eight
    assert (np.diff(groups) != 0).sum() > 100  # whose rows alternate
    batches = list(stored.shuffle(50, torch.Generator().manual_seed(0)))
    found = np.sort(np.concatenate([batch.input[:, 1].numpy() for batch in batches]))
    np.testing.assert_allclose(found, np.sort(np.delete(table["b"].to_numpy(), without)), rtol=1e-6)
