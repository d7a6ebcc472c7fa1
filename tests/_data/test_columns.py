"""Columns of all types as numbers, and back."""

import json
import warnings
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.preprocessing import OneHotEncoder

from skae._data.codings import CategoryCoding
from skae._data.columns import Columns, needs_encoding

pa = pytest.importorskip("pyarrow", reason="Arrow's types need pyarrow")
pl = pytest.importorskip("polars", reason="its frames need polars")

WHOLE = st.integers(-(2**31), 2**31 - 1)
SMALL = st.integers(0, 120)
REAL = st.floats(-1e12, 1e12, allow_nan=False)
SINGLE = st.floats(-1e6, 1e6, width=32)
WORD = st.sampled_from(["a", "b", "ü", "", "Z z", "1"])
MOMENT = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)
DAY = st.dates(date(1700, 1, 1), date(2200, 1, 1))
HOUR = st.times()
SPAN = st.timedeltas(timedelta(days=-9999), timedelta(days=9999))
MONEY = st.decimals(-9999, 9999, places=2)

# Each type with its cells, and whether one may be missing.
PANDAS = {
    "int8": (SMALL, False),
    "uint16": (SMALL, False),
    "int64": (WHOLE, False),
    "float32": (SINGLE, True),
    "float64": (REAL, True),
    "bool": (st.booleans(), False),
    "Int32": (WHOLE, True),
    "UInt8": (SMALL, True),
    "Float64": (REAL, True),
    "boolean": (st.booleans(), True),
    "string[python]": (WORD, True),
    "string[pyarrow]": (WORD, True),
    "datetime64[s]": (MOMENT, True),
    "datetime64[ns]": (MOMENT, True),
    "datetime64[us, Europe/Rome]": (MOMENT, True),
    "timedelta64[us]": (SPAN, True),
    "period[M]": (DAY.map(lambda day: pd.Period(day, "M")), True),
    "object": (WORD, True),
}
OBJECTS = {
    "text": WORD,
    "decimal": MONEY,
    "date": DAY,
    "time": HOUR,
    "moment": MOMENT.map(pd.Timestamp),
    "zoned moment": MOMENT.map(lambda moment: pd.Timestamp(moment, tz="UTC")),
    "duration": SPAN.map(pd.Timedelta),
    "boolean": st.booleans(),
    "integer": WHOLE,
    "real": REAL,
}
ARROW = {
    "int16": (pa.int16(), SMALL),
    "uint64": (pa.uint64(), SMALL),
    "float": (pa.float32(), SINGLE),
    "double": (pa.float64(), REAL),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), WORD),
    "large_string": (pa.large_string(), WORD),
    "decimal": (pa.decimal128(12, 2), MONEY),
    "date32": (pa.date32(), DAY),
    "date64": (pa.date64(), DAY),
    "timestamp": (pa.timestamp("us"), MOMENT),
    "zoned timestamp": (pa.timestamp("ms", tz="UTC"), MOMENT),
    "time64": (pa.time64("us"), HOUR),
    "time32": (pa.time32("s"), HOUR.map(lambda hour: hour.replace(microsecond=0))),
    "duration": (pa.duration("us"), SPAN),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), WORD),
}
POLARS = {
    "Int8": (pl.Int8, SMALL),
    "UInt32": (pl.UInt32, SMALL),
    "Int64": (pl.Int64, WHOLE),
    "Float32": (pl.Float32, SINGLE),
    "Float64": (pl.Float64, REAL),
    "Boolean": (pl.Boolean, st.booleans()),
    "String": (pl.String, WORD),
    "Categorical": (pl.Categorical, WORD),
    "Enum": (pl.Enum(["a", "b", "ü", "", "Z z", "1", "never"]), WORD),
    "Date": (pl.Date, DAY),
    "Datetime": (pl.Datetime("us"), MOMENT),
    "zoned Datetime": (pl.Datetime("ms", "UTC"), MOMENT),
    "Time": (pl.Time, HOUR),
    "Duration": (pl.Duration("us"), SPAN),
    "Decimal": (pl.Decimal(12, 2), MONEY),
}


def draw_cells(data, cells, may_miss=True, size=6):
    """Cells of which the first is observed, so that the column isn't empty."""
    others = st.none() | cells if may_miss else cells
    return [data.draw(cells), *data.draw(st.lists(others, min_size=size, max_size=size))]


def go_and_return(X, **options):
    """A table encoded and decoded by columns that were stored in between."""
    columns = Columns.from_table(X, **options)
    state = columns.get_state()
    json.dumps(state)  # plain values
    loaded = Columns.from_state(state)
    assert loaded == columns
    return loaded.decode(*loaded.encode(X), index=getattr(X, "index", None))


def make_frame(n_rows=200):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n_rows),
            "income": rng.normal(size=n_rows),
            "job": rng.choice(["retired", "student", "worker"], n_rows, p=[0.2, 0.3, 0.5]),
            "paid": rng.random(n_rows) < 0.3,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n_rows), "D"),
        }
    )
    frame.loc[3, "income"] = np.nan
    frame.loc[5, "job"] = None
    return frame


@pytest.mark.parametrize("dtype", PANDAS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_pandas_types_come_back(dtype, data):
    cells, may_miss = PANDAS[dtype]
    values = draw_cells(data, cells, may_miss)
    column = pd.Series(values, dtype="datetime64[us]" if "Rome" in dtype else dtype)
    if "Rome" in dtype:
        column = column.dt.tz_localize("UTC").dt.tz_convert("Europe/Rome")
    frame = pd.DataFrame({"x": column, "y": np.arange(len(values))})
    frame.index = pd.Index([f"row {row}" for row in range(len(values))])
    pd.testing.assert_frame_equal(go_and_return(frame), frame)


@pytest.mark.parametrize("kind", OBJECTS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_objects_come_back(kind, data):
    values = draw_cells(data, OBJECTS[kind])
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    back = go_and_return(frame)
    assert back["x"].dtype == object
    assert back["x"].tolist() == values
    assert list(map(type, back["x"])) == list(map(type, values))


@pytest.mark.parametrize("kind", ARROW)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_arrow_types_come_back(kind, data):
    type_, cells = ARROW[kind]
    table = pa.table({"x": pa.array(draw_cells(data, cells), type=type_)})
    back = go_and_return(table)
    assert isinstance(back, pa.Table)
    assert back.schema == table.schema
    assert back.to_pylist() == table.to_pylist()
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    assert isinstance(frame.dtypes["x"], pd.ArrowDtype)
    pd.testing.assert_frame_equal(go_and_return(frame), frame)


@pytest.mark.parametrize("kind", POLARS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_polars_types_come_back(kind, data):
    dtype, cells = POLARS[kind]
    frame = pl.DataFrame({"x": pl.Series(draw_cells(data, cells), dtype=dtype), "y": range(7)})
    back = go_and_return(frame)
    assert back.schema == frame.schema
    assert back.equals(frame)


@pytest.mark.parametrize(
    "categories",
    [
        ["b", "a", "never"],
        [3, 1, 2],
        [0.5, 0.25, 7.0],
        [True, False],
        pd.to_datetime(["2020-02-01", "2020-01-01", "2021-01-01"]),
        pd.interval_range(0, 3),
    ],
    ids=["text", "integers", "reals", "booleans", "dates", "intervals"],
)
@pytest.mark.parametrize("ordered", [True, False])
def test_categories_of_all_types_come_back(categories, ordered):
    dtype = pd.CategoricalDtype(categories, ordered)
    column = pd.Series(pd.Categorical.from_codes([0, 1, -1, 1, 0], dtype=dtype))
    frame = pd.DataFrame({"x": column})
    pd.testing.assert_frame_equal(go_and_return(frame), frame)


def test_a_frame_of_all_kinds_comes_back():
    frame = make_frame()
    back = go_and_return(frame)
    pd.testing.assert_frame_equal(back, frame)
    in_polars = pl.from_pandas(frame)
    assert go_and_return(in_polars).equals(in_polars)
    in_arrow = pa.Table.from_pandas(frame)
    assert go_and_return(in_arrow).to_pylist() == in_arrow.to_pylist()


def test_arrays_come_back_as_arrays():
    X = np.array([[1, "a", True, 0.5], [2, None, False, None], [3, "b", True, 2.5]], dtype=object)
    back = go_and_return(X)
    assert back.dtype == object
    np.testing.assert_array_equal(back, X)
    assert [type(cell) for cell in back[0]] == [int, str, bool, float]
    np.testing.assert_array_equal(go_and_return(X.tolist()), X)
    text = np.array([["a", "x"], ["b", "y"]])
    np.testing.assert_array_equal(go_and_return(text), text)
    for kind, expected in ((np.float32, np.float32), (np.int64, np.float64)):
        numbers = np.array([[1, 2], [3, 4], [1, 4]], dtype=kind)
        back = go_and_return(numbers, categorical_features=[True, False])
        assert back.dtype == expected
        np.testing.assert_array_equal(back, numbers)


def test_gaps_of_numpy_integers_are_those_of_pandas():
    """NumPy has no missing integer, and a frame at prediction may have one."""
    frame = pd.DataFrame({"n": [1, 2, 3], "b": [True, False, True]})
    columns = Columns.from_table(frame)
    gaps = pd.DataFrame({"n": [1, np.nan, 3], "b": [True, None, False]})
    back = columns.decode(*columns.encode(gaps))
    pd.testing.assert_series_equal(back["n"], gaps["n"])
    assert back["b"].tolist() == [True, None, False]


def test_missing_cells_are_not_observed():
    frame = make_frame()
    columns = Columns.from_table(frame)
    values, observed = columns.encode(frame)
    assert columns.n_encoded == values.shape[1] == 7
    np.testing.assert_array_equal(columns.owner, [0, 1, 2, 2, 2, 3, 4])
    expected = frame.notna().to_numpy()[:, columns.owner]
    np.testing.assert_array_equal(observed, expected)
    np.testing.assert_array_equal(np.isnan(values), ~expected)
    assert columns.encode(frame.drop(index=[3, 5])).observed is None
    hidden = np.ones_like(observed)
    hidden[0, 2:5] = False
    back = columns.decode(np.nan_to_num(values), hidden)
    assert back["job"].isna().tolist() == [True] + [False] * 199


def test_what_is_near_decodes_to_the_nearest():
    frame = make_frame().drop(index=[3, 5])
    columns = Columns.from_table(frame)
    values, _ = columns.encode(frame)
    noise = np.random.default_rng(1).uniform(-0.4, 0.4, values.shape)
    noise[:, 1] = 0
    back = columns.decode(values + noise, index=frame.index)
    pd.testing.assert_frame_equal(back, frame)


def test_numbers_stay_within_their_types():
    frame = pd.DataFrame({"byte": np.array([1, 2], np.uint8), "long": [1, 2]})
    columns = Columns.from_table(frame)
    back = columns.decode(np.array([[-7.0, 1e300], [1e9, -1e300]]))
    assert back["byte"].tolist() == [0, 255]
    assert back["long"].tolist() == [2**63 - 1024, -(2**63)]
    times = Columns.from_table(pd.DataFrame({"t": pd.to_datetime(["2020-01-01", "2020-01-03"])}))
    far = times.decode(np.array([[1e300], [-1e300]]))["t"]
    assert far.notna().all()
    assert far[0] > pd.Timestamp("2100-01-01")
    assert far[1] < pd.Timestamp("1900-01-01")


@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_whatever_is_decoded_is_a_value_of_the_type(data):
    """Far beyond what the types hold, too."""
    columns = [
        Columns.from_table(pd.DataFrame({"x": pd.Series(draw_cells(data, cells), dtype=object)}))
        for cells in OBJECTS.values()
    ]
    for library, kinds in (("pa", ARROW), ("pl", POLARS)):
        for type_, cells in kinds.values():
            values = draw_cells(data, cells)
            if library == "pa":
                table = pa.table({"x": pa.array(values, type=type_)})
            else:
                table = pl.DataFrame({"x": pl.Series(values, dtype=type_)})
            columns.append(Columns.from_table(table))
    for dtype, (cells, may_miss) in PANDAS.items():
        if "Rome" not in dtype:
            values = draw_cells(data, cells, may_miss)
            columns.append(Columns.from_table(pd.DataFrame({"x": pd.Series(values, dtype=dtype)})))
    moments = pd.Series(pd.to_datetime(draw_cells(data, MOMENT, may_miss=False)))
    for unit in ("s", "ns"):
        for zone in ("Asia/Tokyo", "America/Lima"):
            zoned = moments.dt.as_unit(unit).dt.tz_localize(zone)
            columns.append(Columns.from_table(pd.DataFrame({"x": zoned})))
    for column in columns:
        n = column.n_encoded
        back = column.decode(np.array([[1e300] * n, [-1e300] * n, [1e19] * n, [-1e19] * n]))
        if isinstance(back, pd.DataFrame):
            assert back["x"].notna().all()
            assert len(repr(back)) > 0
        elif isinstance(back, pa.Table):
            assert back["x"].null_count == 0
            assert len(back.to_pylist()) == 4
        else:
            assert back["x"].null_count() == 0
            assert len(repr(back)) > 0


def test_masked_cells_are_missing():
    mask = [[False, True], [False, False]]
    text = np.ma.MaskedArray([["a", "b"], ["c", "d"]], mask)
    columns = Columns.from_table(text)
    assert columns.encode(text).observed[:, 2].tolist() == [False, True]
    numbers = np.ma.MaskedArray(np.array([[1.0, 2.0], [3.0, 4.0]]), mask)
    assert np.isnan(Columns.from_table(numbers).encode(numbers).values).tolist() == mask
    assert numbers.data[0, 1] == 2


def test_dates_of_arrays_come_back():
    X = np.array([["2020-01-01", "2021-05-05"], ["1999-12-31", "NaT"]], dtype="M8[D]")
    back = go_and_return(X)
    assert back.dtype == X.dtype
    np.testing.assert_array_equal(back, X)


def test_times_of_all_ages_are_apart_by_what_they_are():
    ends = pd.to_datetime(["1677-09-22", "2262-04-11", "2000-01-02"]).as_unit("ns")
    frame = pd.DataFrame({"t": ends})
    columns = Columns.from_table(frame)
    assert columns.columns[0].coding.step == 86_400 * 10**9
    np.testing.assert_array_equal(columns.encode(frame).values.ravel(), [0, 213_502, 117_709])
    pd.testing.assert_frame_equal(columns.decode(*columns.encode(frame)), frame)
    late = Columns.from_table(frame.tail(1)).encode(frame).values.ravel()
    assert late[0] < 0 < late[1]


def test_days_stay_days():
    days = pd.DataFrame({"t": pd.to_datetime(["2020-01-01", "2020-01-03", "2020-01-10"])})
    columns = Columns.from_table(days)
    np.testing.assert_array_equal(columns.encode(days).values.ravel(), [0, 2, 9])
    back = columns.decode(np.array([[3.3], [-1.2]]))["t"]
    assert back.tolist() == [pd.Timestamp("2020-01-04"), pd.Timestamp("2019-12-31")]


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (["2020-01-01", "2020-01-15"], 86_400_000),
        (["2020-01-01 09:30", "2020-01-02 09:30"], 86_400_000),
        (["2020-01-01 09:00", "2020-01-01 11:00"], 3_600_000),
        (["2020-01-01 09:00", "2020-01-01 09:02"], 60_000),
        (["2020-01-01 00:00:00", "2020-01-01 00:00:07"], 1000),
        (["2020-01-01 00:00:00.000", "2020-01-01 00:00:00.250"], 1),
        (["2020-01-01"], 86_400_000),
    ],
)
def test_steps_are_those_of_a_clock(times, step):
    """Not the common divisor: of two rows that are a fortnight apart it is a fortnight."""
    frame = pd.DataFrame({"t": pd.to_datetime(times).as_unit("ms")})
    assert Columns.from_table(frame).columns[0].coding.step == step


def test_periods_are_counted():
    frame = pd.DataFrame({"t": pd.PeriodIndex(["2020-01", "2020-03", "2021-01"], freq="M")})
    np.testing.assert_array_equal(Columns.from_table(frame).encode(frame).values.T, [[0, 2, 12]])
    with pytest.raises(TypeError, match=r"X must have period\[M\] in column 't'.* got dates"):
        Columns.from_table(frame).encode(pd.DataFrame({"t": pd.to_datetime(["2020-01-01"])}))


def test_sparse_columns_are_read():
    frame = pd.DataFrame({"x": pd.arrays.SparseArray([0, 0, 1, 0]), "y": ["a", "b", "a", "b"]})
    columns = Columns.from_table(frame)
    back = columns.decode(*columns.encode(frame))
    assert back["x"].tolist() == [0, 0, 1, 0]
    assert back["x"].dtype == np.int64


def test_times_between_the_steps_are_parts_of_one():
    days = pd.DataFrame({"t": pd.to_datetime(["2020-01-01", "2020-01-03"])})
    noon = pd.DataFrame({"t": pd.to_datetime(["2020-01-01 12:00", "2019-12-31 18:00"])})
    np.testing.assert_array_equal(Columns.from_table(days).encode(noon).values.T, [[0.5, -0.25]])


def test_units_of_times_do_not_matter():
    days = pd.DataFrame({"t": pd.to_datetime(["2020-01-01", "2020-01-03"]).as_unit("s")})
    columns = Columns.from_table(days)
    expected = columns.encode(days).values
    for unit in ("ms", "us", "ns"):
        other = days.astype({"t": f"datetime64[{unit}]"})
        np.testing.assert_allclose(columns.encode(other).values, expected, rtol=1e-12)
    in_zone = pd.DataFrame({"t": days["t"].dt.tz_localize("UTC")})
    zoned = Columns.from_table(in_zone)
    moved = pd.DataFrame({"t": in_zone["t"].dt.tz_convert("Asia/Tokyo")})
    np.testing.assert_array_equal(zoned.encode(moved).values, zoned.encode(in_zone).values)


def test_indicators_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.choice(list("abcdefgh"), 300, p=np.arange(1, 9) / 36)
    for max_categories in (None, 4, 8, 9):
        own = Columns.from_table(pd.DataFrame({"x": labels}), max_categories=max_categories)
        encoder = OneHotEncoder(
            max_categories=max_categories,
            handle_unknown="infrequent_if_exist",
            sparse_output=False,
        ).fit(labels[:, None])
        found = own.encode(pd.DataFrame({"x": labels})).values
        expected = encoder.transform(labels[:, None])
        assert found.shape == expected.shape
        assert sorted(map(tuple, found.T)) == sorted(map(tuple, expected.T))


def test_weights_count_rows():
    frame = pd.DataFrame({"x": list("aabbbcde")})
    weight = np.array([5, 5, 1, 1, 1, 3, 0, 1])
    by_weight = Columns.from_table(frame, max_categories=3, weight=weight)
    repeated = frame.loc[np.repeat(frame.index, weight)]
    assert by_weight == Columns.from_table(repeated, max_categories=3)
    assert by_weight.columns[0].coding.levels[0] == "a"
    assert "d" not in by_weight.columns[0].coding.levels


def test_orders_change_nothing():
    frame = make_frame()
    columns = Columns.from_table(frame)
    values, _ = columns.encode(frame)
    shuffled = frame[["since", "job", "age", "paid", "income"]]
    np.testing.assert_array_equal(columns.encode(shuffled).values, values)
    others = Columns.from_table(shuffled)
    assert {c.name: c.coding for c in others.columns} == {c.name: c.coding for c in columns.columns}
    for levels in (["retired", "student", "worker"], ["worker", "retired", "student", "unseen"]):
        typed = frame.astype({"job": pd.CategoricalDtype(levels)})
        np.testing.assert_array_equal(Columns.from_table(typed).encode(typed).values, values)
    rows = np.random.default_rng(0).permutation(len(frame))
    assert Columns.from_table(frame.iloc[rows]) == columns


def test_rows_do_not_order_levels_that_are_as_frequent():
    one = Columns.from_table(pd.DataFrame({"x": list("abc")}), max_categories=2)
    assert one == Columns.from_table(pd.DataFrame({"x": list("cab")}), max_categories=2)


def test_names_of_levels_change_nothing():
    frame = make_frame()
    renamed = frame.replace({"job": {"retired": "z", "student": "y", "worker": "x"}})
    np.testing.assert_array_equal(
        Columns.from_table(frame).encode(frame).values,
        Columns.from_table(renamed).encode(renamed).values,
    )


def test_frames_of_all_libraries_are_the_same_numbers():
    frame = make_frame()
    columns = Columns.from_table(frame)
    values, _ = columns.encode(frame)
    for other in (pl.from_pandas(frame), pa.Table.from_pandas(frame, preserve_index=False)):
        np.testing.assert_array_equal(Columns.from_table(other).encode(other).values, values)
        np.testing.assert_array_equal(columns.encode(other).values, values)


def test_unknown_categories_are_missing_or_infrequent():
    frame = pd.DataFrame({"x": list("aaabbcd")})
    new = pd.DataFrame({"x": ["a", "new", None]})
    values, observed = Columns.from_table(frame).encode(new)
    np.testing.assert_array_equal(observed[:, 0], [True, False, False])
    assert np.isnan(values[1:]).all()
    pooled = Columns.from_table(frame, max_categories=3)
    values, observed = pooled.encode(new)
    np.testing.assert_array_equal(values[:2], [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(observed[:, 0], [True, True, False])
    assert pooled.decode(values)["x"].tolist()[1] in ("c", "d")


def test_numbers_are_categories_where_a_user_says_so():
    frame = pd.DataFrame({"zip": [10, 20, 10], "size": [1.5, 2.5, 3.5], "b": [True, False, True]})
    for chosen in (["zip"], [0], [True, False, False], "zip", np.array([0])):
        columns = Columns.from_table(frame, chosen)
        np.testing.assert_array_equal(columns.owner, [0, 0, 1, 2])
        pd.testing.assert_frame_equal(columns.decode(*columns.encode(frame)), frame)
    for chosen in (None, [], "from_dtype", [False] * 3):
        assert Columns.from_table(frame, chosen).n_encoded == 3
    all_three = Columns.from_table(frame, [0, 1, 2])
    np.testing.assert_array_equal(all_three.owner, [0, 0, 1, 1, 1, 2, 2])
    pd.testing.assert_frame_equal(all_three.decode(*all_three.encode(frame)), frame)
    in_polars = pl.from_pandas(frame)
    assert go_and_return(in_polars, categorical_features=[0, 1, 2]).equals(in_polars)
    in_arrow = pa.Table.from_pandas(frame)
    assert go_and_return(in_arrow, categorical_features=[0, 1, 2]).equals(in_arrow)


def test_booleans_that_are_categories_stay_booleans():
    X = np.array([[True, 1], [False, 2], [True, 3]], dtype=object)
    columns = Columns.from_table(X, [0])
    assert sorted(columns.columns[0].coding.levels) == [False, True]
    assert [type(level) for level in columns.columns[0].coding.levels] == [bool, bool]
    assert columns.decode(*columns.encode(X))[0, 0] is True


def test_nearly_unique_labels_are_pooled():
    names = [f"name {row}" for row in range(60)]
    frame = pd.DataFrame({"id": names, "key": names, "job": ["a", "b"] * 30})
    with pytest.warns(UserWarning, match="nearly every row in columns 'id', 'key'") as caught:
        columns = Columns.from_table(frame)
    assert len(caught) == 1
    np.testing.assert_array_equal(columns.owner, [0, 1, 2, 2])
    values, observed = columns.encode(frame)
    assert observed is None
    np.testing.assert_array_equal(values[:, :2], 1)
    assert columns.decode(values)["id"].isna().all()


def make_written(n_levels=60):
    """Return a table of numbers and dates as text, each there thrice."""
    days = pd.date_range("2012-08-24", periods=n_levels).astype(str)
    prices = [f"{1000 + 7 * level:,}" for level in range(n_levels)]
    towns = [f"town {level}" for level in range(n_levels)]
    frame = pd.DataFrame({"day": days, "price": prices, "town": towns})
    return pd.concat([frame] * 3, ignore_index=True)


@pytest.mark.parametrize(
    "convert", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas, lambda frame: frame.to_numpy()]
)
def test_numbers_and_dates_that_are_pooled_as_text_are_named(convert):
    table = convert(make_written())
    names = "0, 1" if isinstance(table, np.ndarray) else "'day', 'price'"
    remedy = r"max_categories=50 .*to_numeric, pandas.to_datetime, or thousands= and parse_dates="
    with pytest.warns(UserWarning, match=f"as text in columns {names}: .*{remedy}") as caught:
        Columns.from_table(table, max_categories=50)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("frame", "chosen", "most"),
    [
        (make_written(50), "from_dtype", 50),
        (make_written(20), "from_dtype", 2),
        (make_written(), "from_dtype", None),
        (make_written(), ["day", "price", "town"], 50),
        (make_written().astype("category"), "from_dtype", 50),
    ],
    ids=["not pooled", "few", "all kept", "chosen", "categories"],
)
def test_text_that_may_be_labels_is_taken_for_them(frame, chosen, most):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Columns.from_table(frame, chosen, most)


def test_few_labels_are_no_identifier():
    frame = pd.DataFrame({"x": [f"name {row}" for row in range(20)]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Columns.from_table(frame).n_encoded == 20


@pytest.mark.parametrize(
    "dtype", ["float64", "object", "Int64", "category", "datetime64[ns]", "string", "period[D]"]
)
def test_columns_without_a_cell_come_back_missing(dtype):
    frame = pd.DataFrame({"x": pd.Series([None] * 3, dtype=dtype), "y": [1.0, 2, 3]})
    with pytest.warns(UserWarning, match="no observed cell in column 'x'"):
        columns = Columns.from_table(frame)
    columns = Columns.from_state(columns.get_state())
    assert columns.n_encoded == 1
    pd.testing.assert_frame_equal(columns.decode(*columns.encode(frame)), frame)
    columns.encode(frame.assign(x=["a", "b", None]))


@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Int8, pl.Date, pl.Enum(["a"])])
def test_columns_of_other_frames_without_a_cell_come_back_missing(dtype):
    frame = pl.DataFrame({"x": pl.Series([None] * 3, dtype=dtype), "y": [1.0, 2, 3]})
    with pytest.warns(UserWarning, match="no observed cell"):
        assert go_and_return(frame).equals(frame)
    with pytest.warns(UserWarning, match="no observed cell"):
        back = go_and_return(frame.to_arrow())
    assert back.schema == frame.to_arrow().schema
    assert back.to_pylist() == frame.to_arrow().to_pylist()


def test_a_table_without_a_cell_is_an_error():
    with pytest.raises(ValueError, match="must have an observed cell"):
        Columns.from_table(pd.DataFrame({"x": [np.nan, np.nan]}))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([1, 2], r"got \[1, 2\] in .* row 0: split its parts.*pandas.DataFrame"),
        ({"a": 1}, r"got {'a': 1} in .* row 0: split its parts.*pandas.DataFrame"),
        (1 + 2j, r"got \(1\+2j\) in .* row 0: .*real and the imaginary"),
        (b"ab", r"got b'ab' in .* row 0: decode"),
        ("text", r"got 'text' beside 1 in .* row 1: .*pandas.to_numeric.* astype\(str\)"),
    ],
    ids=["list", "dict", "complex", "bytes", "text among numbers"],
)
def test_what_no_column_can_hold(value, found):
    column = [1, value, None] if value == "text" else [value, value, None]
    frame = pd.DataFrame({"x": [1.0, 2, 3], "odd one": pd.Series(column, dtype=object)})
    with pytest.raises(TypeError, match=found) as caught:
        Columns.from_table(frame)
    assert "'odd one'" in str(caught.value)
    array = frame.to_numpy(dtype=object)
    with pytest.raises(TypeError, match="in column 1"):
        Columns.from_table(array)


@pytest.mark.parametrize(
    "native",
    [
        pl.DataFrame({"odd": [[1, 2], [3]]}),
        pl.DataFrame({"odd": [{"a": 1}, {"a": 2}]}),
        pl.DataFrame({"odd": [b"a", b"b"]}),
        pa.table({"odd": [[1, 2], [3]]}),
        pa.table({"odd": [{"a": 1}, {"a": 2}]}),
        pa.table({"odd": [b"a", b"b"]}),
        pd.DataFrame({"odd": np.array([1j, 2j])}),
        pd.DataFrame({"odd": pd.Categorical([(1, 2), (3, 4)])}),
        pd.DataFrame({"odd": pd.arrays.IntervalArray.from_breaks([0, 1, 2])}),
    ],
)
def test_what_no_typed_column_can_hold(native):
    with pytest.raises(TypeError, match=r"in column 'odd'( and row 0)?: "):
        Columns.from_table(native)


def test_times_of_the_day_have_no_zone():
    """They would come back without it."""
    zoned = [time(9, tzinfo=UTC), time(10)]
    with pytest.raises(TypeError, match=r"got datetime\.time\(9.* in column 't': drop the zones"):
        Columns.from_table(pd.DataFrame({"t": zoned}))


def test_dates_with_and_without_a_zone_do_not_mix():
    moments = [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01", tz="UTC")]
    with pytest.raises(TypeError, match=r"with a time zone or .* in column 'x': give all cells"):
        Columns.from_table(pd.DataFrame({"x": pd.Series(moments, dtype=object)}))


def test_numbers_beyond_float64_are_an_error():
    frame = pd.DataFrame({"x": pd.Series([10**400, 1], dtype=object)})
    with pytest.raises(ValueError, match=r"got 1000.* in column 'x' and row 0: it is too large"):
        Columns.from_table(frame)


def test_shapes_that_are_no_table():
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        Columns.from_table(["a", "b"])
    with pytest.raises(ValueError, match="rows of equal length"):
        Columns.from_table([["a", "b"], ["c"]])


def test_no_rows_are_decoded_to_none():
    frame = make_frame()
    columns = Columns.from_table(frame)
    none = columns.decode(*columns.encode(frame.head(0)))
    assert none.shape == (0, 5)
    pd.testing.assert_series_equal(none.dtypes, frame.dtypes)


def test_prose_is_an_error():
    prose = [f"The {row}th customer said that all was well, and went home." for row in range(1500)]
    frame = pd.DataFrame({"n": 1.0, "note": prose})
    with pytest.raises(ValueError, match=r"1500 different texts of .* in column 'note'.*skrub"):
        Columns.from_table(frame)
    with pytest.warns(UserWarning, match="nearly every row"):
        assert Columns.from_table(frame.astype({"note": "category"})).n_encoded == 2
    with pytest.warns(UserWarning, match="nearly every row"):
        assert Columns.from_table(frame, ["note"]).n_encoded == 2


def test_many_short_texts_are_labels():
    frame = pd.DataFrame({"town": [f"town {row // 2}" for row in range(2400)]})
    columns = Columns.from_table(frame, max_categories=10)
    assert columns.n_encoded == 10
    assert columns.decode(*columns.encode(frame))["town"].notna().all()


@pytest.mark.parametrize(
    ("name", "cells", "found"),
    [
        (
            "age",
            ["old"] * 4,
            "numbers in column 'age', as in fitting, got text, such as 'old' in row 0: .*to_num",
        ),
        ("age", pd.to_datetime(["2020"] * 4), "numbers in column 'age'.* got dates"),
        ("paid", ["yes"] * 4, "booleans in column 'paid'.* got text"),
        (
            "job",
            [1.0] * 4,
            r"labels such as 'worker' in column 'job'.* got numbers, such as 1 in row 0: .*astype",
        ),
        ("job", pd.to_datetime(["2020"] * 4), "categories in column 'job'.* got dates"),
        ("since", ["2020"] * 4, "dates without a time zone in column 'since'.* got text"),
        (
            "since",
            pd.to_datetime(["2020"] * 4, utc=True),
            "got dates with a time zone: .*tz_localize",
        ),
        ("since", [1] * 4, "dates without a time zone in column 'since'.* got numbers"),
        ("since", pd.to_timedelta([1] * 4, "D"), "got durations"),
    ],
)
def test_columns_that_hold_other_things_than_in_fitting(name, cells, found):
    frame = make_frame()
    columns = Columns.from_table(frame)
    changed = frame.head(4).drop(columns=name)
    changed[name] = cells
    with pytest.raises(TypeError, match=found):
        columns.encode(changed)


def test_booleans_are_zero_or_one():
    frame = make_frame()
    columns = Columns.from_table(frame)
    as_numbers = frame.astype({"paid": float})
    np.testing.assert_array_equal(columns.encode(as_numbers).values, columns.encode(frame).values)
    with pytest.raises(ValueError, match=r"booleans in column 'paid', .* got 0.5 in row 2"):
        columns.encode(as_numbers.head(4).assign(paid=[0, 1, 0.5, np.nan]))


def test_columns_that_are_not_those_of_fitting():
    frame = make_frame()
    columns = Columns.from_table(frame)
    with pytest.raises(ValueError, match="columns 'age', 'job' is not there: add"):
        columns.encode(frame.drop(columns=["job", "age"]))
    with pytest.raises(ValueError, match="got column 'more': drop what is new"):
        columns.encode(frame.assign(more=1))
    with pytest.raises(ValueError, match="X has 4 features, but 5 are expected"):
        columns.encode(frame.to_numpy(dtype=object)[:, :4])


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_an_error(value):
    frame = make_frame()
    columns = Columns.from_table(frame)
    frame.loc[7, "income"] = value
    for call in (Columns.from_table, columns.encode):
        with pytest.raises(ValueError, match=r"got -?inf in column 'income' and row 7: .*NaN"):
            call(frame)


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ([True, False], "a mask of 2 columns where X has 5"),
        ([7], "got 7, where X has 5 columns"),
        ([-1], "got -1"),
        (["hob"], "got 'hob', where X has columns 'age'"),
        ([1.5], r"got \[1.5\]"),
        ([[0]], "2 dimensions"),
    ],
)
def test_categories_that_are_not_there(chosen, found):
    with pytest.raises(ValueError, match=f"categorical_features must be .*{found}"):
        Columns.from_table(make_frame(), chosen)


def test_text_that_is_not_a_category():
    with pytest.raises(TypeError, match="got 'worker' in column 'job': name it too"):
        Columns.from_table(make_frame().sort_values("job", ascending=False), ["age"])
    with pytest.raises(TypeError, match="column 'since' has dates"):
        Columns.from_table(make_frame(), ["job", "since"])


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((3, 2)),
        np.zeros((3, 2), dtype=np.float32),
        np.zeros((3, 2), dtype=bool),
        np.zeros((3, 2), dtype=object),
        [[1, 2.5], [3, 4]],
        torch.zeros(3, 2),
        sparse.csr_matrix(np.zeros((3, 2))),
        pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan]}),
        pd.DataFrame({"a": [1, None]}, dtype="Int64"),
        pl.DataFrame({"a": [1, 2], "b": [0.5, None]}),
        pa.table({"a": [1, 2], "b": [0.5, None]}),
    ],
)
def test_numbers_need_no_encoding(X):
    assert not needs_encoding(X)
    assert not needs_encoding(X, None)
    assert not needs_encoding(X, [])


def test_clean_arrays_are_not_looked_at(monkeypatch):
    """Neither by their cells nor through pandas."""

    def refuse(*_):
        raise AssertionError("read")

    monkeypatch.setattr("skae._data.columns.read_column", refuse)
    assert not needs_encoding(np.zeros((3, 2)))
    assert not needs_encoding(pd.DataFrame({"a": [1.0, 2.0]}))
    assert needs_encoding(make_frame())


@pytest.mark.parametrize(
    "X",
    [
        np.array([["a", "b"]]),
        np.array([[1, "b"]], dtype=object),
        [[1, "b"], [2, "c"]],
        pd.DataFrame({"a": [True, False]}),
        pd.DataFrame({"a": ["x", "y"]}),
        pd.DataFrame({"a": pd.Categorical([1, 2])}),
        pd.DataFrame({"a": pd.to_datetime(["2020"])}),
        pl.DataFrame({"a": [Decimal("1.5")]}),
        pa.table({"a": ["x"]}),
    ],
)
def test_other_columns_need_encoding(X):
    assert needs_encoding(X)


def test_chosen_numbers_need_encoding():
    assert needs_encoding(np.zeros((3, 2)), [0])
    assert needs_encoding(np.zeros((3, 2)), [False, True])
    assert not needs_encoding(np.zeros((3, 2)), [False, False])
    assert needs_encoding(pd.DataFrame({"a": [1.0]}), ["a"])


def test_pooled_levels_decode_to_the_most_frequent_of_them():
    coding = CategoryCoding(("a", "b", "c", "d"), (3, 2, 1, 1), 2)
    assert coding.n_encoded == 2
    assert coding.decoded == (0, 1)
    assert coding.pool_all().decoded == (-1,)


def test_the_global_output_of_transformers_does_not_matter():
    X = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "label": ["a", "b", None, "a"]})
    expected = Columns.from_table(X).encode(X).values
    for library in ("pandas", "polars"):
        with config_context(transform_output=library):
            np.testing.assert_array_equal(Columns.from_table(X).encode(X).values, expected)
