"""Margins of samples: those of the table, where the model's can be told from them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from scipy.stats import ks_2samp, spearmanr

from skae import VAETransformer
from skae._data import stores, training_table
from skae._data.stores import StoredTable
from tests._variational.unmapped import forget_margins

FAST = {"hidden_layer_sizes": (), "max_epochs": 3, "random_state": 0}


def draw_table(n_rows, seed=0):
    """Return columns that no Gaussian noise draws: peaks within, a long tail, two modes, gaps."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n_rows)
    change = np.where(rng.random(n_rows) < 0.26, 0.0, 2 * size + rng.normal(size=n_rows))
    amount = np.exp(3 + 1.5 * size + 0.5 * rng.normal(size=n_rows))
    side = np.where(size + rng.normal(size=n_rows) > 0, 1.0, -1.0) + 0.1 * rng.normal(size=n_rows)
    return pd.DataFrame({"size": size, "change": change, "amount": amount, "side": side})


def label(table):
    return table.assign(label=np.where(table["size"] > 0.5, "large", "small"))


@pytest.fixture(scope="module", params=["numbers", "beside labels"])
def pair(request):
    """Return a table and a model of it."""
    table = draw_table(1500)
    if request.param == "beside labels":
        table = label(table)
    return table, VAETransformer(2, **FAST).fit(table)


def draw(model, table, n_rows=5000):
    drawn = model.sample(n_rows, random_state=0)
    return drawn if isinstance(drawn, pd.DataFrame) else pd.DataFrame(drawn, columns=table.columns)


def test_columns_have_their_own_margins(pair):
    table, model = pair
    drawn, other = draw(model, table), draw_table(5000, seed=1)
    for name in other:
        assert ks_2samp(drawn[name], other[name], method="asymp").statistic < 0.06, name
    assert (drawn["change"] == 0).mean() == pytest.approx((table["change"] == 0).mean(), abs=0.03)
    for name in other:
        assert drawn[name].mean() == pytest.approx(table[name].mean(), abs=0.3 * table[name].std())


def test_dependence_is_that_of_the_model(pair):
    """Maps that increase change no ranks, but where a peak makes them equal."""
    table, model = pair
    bare = forget_margins(model)
    ours, unmapped = draw(model, table), draw(bare, table)
    for name in ("size", "amount", "side"):
        assert spearmanr(ours[name], unmapped[name]).statistic > 0.99
    if "label" in table:
        assert (ours["label"] == unmapped["label"]).all()


def test_few_rows_are_drawn_as_many_are(pair):
    table, model = pair
    np.testing.assert_array_equal(model.sample(7, random_state=3), model.sample(7, random_state=3))
    drawn = pd.concat([draw(model, table, 1) for _ in range(2)])
    assert len(drawn.drop_duplicates()) == 1  # the same seed


def test_draws_go_beyond_the_rows():
    table = draw_table(200)
    drawn = draw(VAETransformer(2, **FAST).fit(table), table, 20_000)
    for name in ("size", "change", "amount"):
        assert drawn[name].max() > table[name].max(), name
    assert drawn["amount"].min() > 0  # but not beyond zero


def test_the_margins_of_normal_columns_stay_the_models():
    """But for a false alarm: the test of a column has a level."""
    n_mapped = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
        model = VAETransformer(4, prior="standard", **FAST).fit(X)
        bare = forget_margins(model)
        n_mapped += (model.sample(100, 0) != bare.sample(100, 0)).any(axis=0).sum()
    assert n_mapped <= 2  # of 24 columns


def test_weights_and_blocks_have_the_margins_of_their_rows():
    table = draw_table(800).to_numpy()
    heavy = table[:, 1] == 0
    weighted = VAETransformer(2, **FAST).fit(table, sample_weight=np.where(heavy, 3.0, 1.0))
    share = 3 * heavy.sum() / (3 * heavy.sum() + (~heavy).sum())
    assert (weighted.sample(5000, 0)[:, 1] == 0).mean() == pytest.approx(share, abs=0.04)
    streamed = VAETransformer(2, **FAST).partial_fit(table[:300]).partial_fit(table[300:])
    assert (streamed.sample(5000, 0)[:, 1] == 0).mean() == pytest.approx(heavy.mean(), abs=0.04)


def test_a_column_without_cells_and_gaps_are_no_obstacle():
    table = label(draw_table(400))
    table["change"] = table["change"].mask(np.arange(400) % 3 == 0)
    table["none"] = np.nan
    with pytest.warns(UserWarning, match="none"):
        model = VAETransformer(2, **FAST).fit(table)
    drawn = model.sample(2000, random_state=0)
    assert drawn["none"].isna().all()
    observed = table["change"].dropna()
    assert ks_2samp(drawn["change"], observed, method="asymp").statistic < 0.1


def test_rows_that_are_expected_have_no_margins(pair):
    table, model = pair
    expected = model.sample(500, random_state=0, noise=False)
    expected = pd.DataFrame(expected, columns=table.columns)
    assert expected["change"].std() < table["change"].std()


def test_tables_too_wide_to_keep_quantiles_of_are_drawn_as_before():
    X = np.random.default_rng(0).exponential(size=(30, 4200)).astype(np.float32)
    model = VAETransformer(2, **FAST).fit(X)
    assert model._state.density.quantiles is None
    drawn = model.sample(3, random_state=0)
    assert drawn.shape == (3, 4200)
    assert drawn.min() >= 0


def test_a_store_is_read_once_for_all_margins(tmp_path, monkeypatch):
    """Those that numbers are scored by and those that samples have are of the same rows."""
    lengths = []

    def count(table, indices, original=StoredTable.take):
        lengths.append(len(indices))
        return original(table, indices)

    monkeypatch.setattr(StoredTable, "take", count)
    monkeypatch.setattr(stores, "LOADED_UP_TO", 1000)
    monkeypatch.setattr(training_table, "_COLUMN_ROWS", 701)
    table = label(draw_table(900))
    pq.write_table(pa.Table.from_pandas(table), tmp_path / "rows.parquet")
    VAETransformer(1, **{**FAST, "max_epochs": 1}).fit(ds.dataset(tmp_path))
    assert lengths.count(701) == 1


@pytest.mark.parametrize("beside", ["numbers", "labels"])
def test_nothing_is_drawn_between_values_that_many_rows_have(beside):
    table = draw_table(300)
    rng = np.random.default_rng(2)
    table["fee"] = np.where(table["size"] + rng.normal(size=300) > 0, 100.0, 0.0)
    table["dose"] = rng.choice([0.0, 0.5, 10.0], 300)
    if beside == "labels":
        table = label(table)
    drawn = draw(VAETransformer(2, **FAST).fit(table), table, 2000)
    for name in ("fee", "dose"):
        assert set(drawn[name]) == set(table[name])


def test_a_table_of_few_different_rows_has_samples_of_its_values():
    rng = np.random.default_rng(0)
    size = rng.normal(size=300)
    table = pd.DataFrame(
        {
            "grade": 10 * np.clip(np.round(3 + size), 1, 5),
            "fee": np.where(size + rng.normal(size=300) > 0, 100.0, 0.0),
        }
    )
    for part in (table, table[["fee"]]):
        drawn = draw(VAETransformer(1, **FAST).fit(part), part, 2000)
        for name in part:
            assert set(drawn[name]) == set(table[name])
