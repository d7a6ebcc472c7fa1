"""Tables of text."""

import bz2
import gzip
import lzma

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skae._command import delimited
from skae._command.arguments import CommandError

from .tables import pack_zip, read

# With so few rows the autoencoder stays PCA and takes no time.
X = np.random.default_rng(0).normal(size=(12, 5))


def test_first_line_of_numbers_is_pointed_out(report, tmp_path):
    np.savetxt(tmp_path / "bare.csv", X, delimiter=",")
    out = report(tmp_path / "bare.csv", "--components", 2)
    assert "the first line was taken for column names" in out


@pytest.mark.parametrize("content", ["7,2,\n3,4,\n", "1,5;2,5\n3,5;4,5\n", "7 2\n3 4\n"])
def test_first_line_of_numbers_is_pointed_out_in_any_format(tmp_path, content):
    notes = read(tmp_path / "t.csv", content).notes
    assert "the first line was taken for column names, though all of it is numbers" in notes


@pytest.mark.parametrize("header", [range(5), range(1, 6)])
def test_counted_columns_are_names(report, tmp_path, header):
    pd.DataFrame(X, columns=header).to_csv(tmp_path / "t.csv", index=False)
    assert "first line" not in report(tmp_path / "t.csv", "--components", 2)


def test_row_numbers_of_pandas_are_left_out(report, tmp_path):
    pd.DataFrame(X, columns=list("abcde")).to_csv(tmp_path / "t.csv")
    out = report(tmp_path / "t.csv", "--components", 2)
    assert "12 rows x 5 columns" in out
    assert "columns left out (row numbers; --keep has them in): 'Unnamed: 0'" in out
    out = report(tmp_path / "t.csv", "--components", 2, "--keep", "Unnamed: 0")
    assert "12 rows x 6 columns" in out


@pytest.mark.parametrize("index", [[0.5, *range(1, 12)], [-1, *range(11)], [7, 7, *range(10)]])
def test_other_unnamed_columns_are_kept(tmp_path, index):
    pd.DataFrame(X, columns=list("abcde"), index=index).to_csv(tmp_path / "t.csv")
    source = read(tmp_path / "t.csv")
    assert list(source.columns) == ["Unnamed: 0", *"abcde"]
    assert source.notes == ["columns without a name: 'Unnamed: 0'"]


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.sample(frac=1, random_state=0),
        lambda frame: frame[frame["a"] > 0],
        lambda frame: frame.set_axis(range(1, 13)),
        lambda frame: pd.concat([frame, frame + 1]),
        lambda frame: frame.set_axis(pd.MultiIndex.from_product([range(3), range(4)])),
    ],
    ids=["shuffled", "filtered", "from 1", "put together", "two levels"],
)
def test_row_numbers_of_any_kind_are_left_out(tmp_path, change):
    frame = change(pd.DataFrame(X, columns=list("abcde")))
    frame.to_csv(tmp_path / "t.csv")
    source = read(tmp_path / "t.csv")
    assert list(source.columns) == list("abcde")
    np.testing.assert_allclose(source.columns.to_numpy(float), frame, rtol=1e-14)
    assert set(source.left_out.values()) == {"row numbers"}


def test_row_numbers_that_were_written_twice_are_left_out(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcde")).reset_index(names="Unnamed: 0")
    frame.to_csv(tmp_path / "t.csv")
    assert list(read(tmp_path / "t.csv").columns) == list("abcde")


@pytest.mark.parametrize(
    ("index", "line"),
    [
        (pd.date_range("2020", periods=12), "columns of dates: 'Unnamed: 0'"),
        (list("abcdefghijkl"), "columns of categories: 'Unnamed: 0' (9 levels)"),
    ],
)
def test_dates_and_labels_of_rows_are_kept(report, tmp_path, index, line):
    pd.DataFrame(X, columns=list("abcde"), index=index).to_csv(tmp_path / "t.csv")
    out = report(tmp_path / "t.csv", "--components", 2)
    assert "12 rows x 6 columns" in out
    assert line in out.splitlines()


@pytest.mark.parametrize("name", ["rownames", "n", "id"])
def test_row_numbers_with_a_name_are_left_out(report, tmp_path, name):
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame.insert(3, name, range(12))
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = report(tmp_path / "t.csv", "--components", 2)
    assert "12 rows x 5 columns" in out
    assert f"columns left out (row numbers; --keep has them in): '{name}'" in out
    kept = report(tmp_path / "t.csv", "--components", 2, "--keep", name)
    assert "12 rows x 6 columns" in kept
    assert "left out" not in kept


def test_csv_without_rows(refuse, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n")
    line = refuse(tmp_path / "t.csv")
    assert "t.csv has column names but no rows" in line
    assert "add a line for each row" in line


# Rows and names that don't match ------------------------------------------------------

ROWS = [[1, 2, 3, 4], [5, 6, 7, 9], [8, 7, 5, 4], [1, 0, 2, 1]]


def write_rows(*extra, end=""):
    """Return rows of the columns a to d, some of them with more text at their end."""
    lines = [",".join(map(str, row)) + end for row in ROWS]
    for row, text in extra:
        lines[row] += text
    return "a,b,c,d\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        write_rows(end=","),
        write_rows(end=",,, "),
        write_rows((0, ",")),
        write_rows((3, ",,")),
        write_rows(end=",").replace("d\n", "d,\n"),
        write_rows().replace("d\n", "d,,\n"),
    ],
)
def test_separators_at_the_end_of_lines_shift_nothing(tmp_path, content):
    source = read(tmp_path / "t.csv", content)
    assert list(source.columns) == list("abcd")
    assert source.columns.to_numpy().tolist() == ROWS
    assert source.notes == ["separators at the end of lines are ignored"]


@pytest.mark.parametrize("n_sampled", [1, 200])
@pytest.mark.parametrize("row", range(4))
def test_cells_beyond_the_names_are_refused(refuse, tmp_path, monkeypatch, row, n_sampled):
    monkeypatch.setattr(delimited, "_MOST_SAMPLED_LINES", n_sampled)
    (tmp_path / "t.csv").write_text(write_rows((row, ",NA")))
    line = refuse(tmp_path / "t.csv")
    assert f"line {row + 2} of t.csv has 5 cells, but its first line names 4 columns ('a'" in line
    assert "name every column there" in line


def test_titles_are_no_names(refuse, tmp_path):
    (tmp_path / "t.csv").write_text("Report of May\n\n" + write_rows())
    line = refuse(tmp_path / "t.csv")
    assert "line 3 of t.csv has 4 cells, but its first line names 1 column ('Report of" in line
    assert "delete what stands above the names of the columns" in line


def test_assumptions_are_in_errors_too(refuse, tmp_path):
    (tmp_path / "t.csv").write_text("a!b\n" + "1!2\n3!4\n" * 2)
    line = refuse(tmp_path / "t.csv")
    assert "got 1; no separator found between cells; --sep names one; choose" in line
    (tmp_path / "t.csv").write_text("a;b\n" + "1,5;\n3,5;\n" * 2)
    line = refuse(tmp_path / "t.csv")
    assert "got 1; separator taken: ';'; decimal mark taken: ','; columns left out (" in line


def test_a_thousand_cells_without_names_are_no_mere_separators(refuse, tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "_MOST_SAMPLED_LINES", 2)
    (tmp_path / "t.csv").write_text(write_rows((3, "," * 2000)))
    assert "line 5 of t.csv has 2004 cells" in refuse(tmp_path / "t.csv")


def test_lines_are_counted_as_editors_do(refuse, tmp_path):
    content = '# made by hand\n\na,"b\nb"\n1,"2\n"\n  \n3,4,5\n'
    (tmp_path / "t.csv").write_text(content)
    assert "line 8 of t.csv has 3 cells" in refuse(tmp_path / "t.csv")


def test_lines_with_fewer_cells(tmp_path):
    source = read(tmp_path / "t.csv", "a,b,c\n1,2,3\n4,5\n6,7,\n8\n")
    assert source.columns.isna().sum().tolist() == [0, 1, 3]
    note = "lines with fewer cells than there are names (the first is line 3): 2"
    assert source.notes == [note]


def test_names_of_several_columns_and_of_none(tmp_path):
    source = read(tmp_path / "t.csv", "a, ,a,a.1,\n1,2,3,4,5\n1,2,3,4,6\n")
    assert list(source.columns) == ["a", "Unnamed: 1", "a.2", "a.1", "Unnamed: 4"]
    assert source.columns.iloc[0].tolist() == [1, 2, 3, 4, 5]
    assert source.notes == [
        "columns with the name of another, renamed: 'a' to 'a.2'",
        "columns without a name: 'Unnamed: 1', 'Unnamed: 4'",
    ]


# The lines above ----------------------------------------------------------------------


def test_comments_are_skipped(tmp_path):
    source = read(tmp_path / "t.csv", "# made by a logger\n# on, monday\n\na,b\n1,2\n3,4\n")
    assert source.columns.to_numpy().tolist() == [[1, 2], [3, 4]]
    assert source.notes == ["lines skipped that start with #: 2"]


@pytest.mark.parametrize("delimiter", [" ", ",", ";", "\t"])
def test_names_that_numpy_writes(tmp_path, delimiter):
    names = delimiter.join("abcde")
    np.savetxt(tmp_path / "t.txt", X, header=f"rows\n{names}", delimiter=delimiter)
    source = read(tmp_path / "t.txt")
    assert list(source.columns) == list("abcde")
    np.testing.assert_allclose(source.columns.to_numpy(float), X, rtol=1e-14)


def test_separator_that_excel_writes(tmp_path):
    source = read(tmp_path / "t.csv", "sep=|\r\na,x|b\r\n1|2\r\n")
    assert list(source.columns) == ["a,x", "b"]


@pytest.mark.parametrize("content", ["\n\n", "# only\n", "sep=;\n"])
def test_text_without_columns(refuse, tmp_path, content):
    (tmp_path / "t.csv").write_text(content)
    assert "t.csv" in refuse(tmp_path / "t.csv")


# Cells --------------------------------------------------------------------------------


def test_first_cell_that_is_no_number_is_named(report, tmp_path):
    frame = pd.DataFrame(X, columns=list("abcde")).astype(str).assign(f=["x", "1"] * 6)
    frame.insert(0, "g", "x")
    frame.loc[7, "b"] = "12 kg"
    frame.loc[9, "b"] = "?"
    frame.loc[3, "c"] = "\x1b[2J"
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = report(tmp_path / "t.csv", "--components", 2)
    cells = "'b' ('12 kg' in line 9), 'c' ('\\x1b[2J' in line 5), 'f' ('x' in line 2)"
    assert f"text, though most of it is numbers (mend it to have numbers): {cells}\n" in out


def test_names_in_the_middle_are_pointed_out(report, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n" * 2)
    out = report(tmp_path / "t.csv", "--components", 1)
    assert "to have numbers): 'a' ('a' in line 4), 'b' ('b' in line 4)\n" in out


@pytest.mark.parametrize(
    ("cells", "dates"),
    [
        (["2020-02-29", "1999-12-31"], ["2020-02-29", "1999-12-31"]),
        (["2020-02-29 12:30", ""], ["2020-02-29T12:30", None]),
        (["2020-02-29T12:30:01.5", "2020-02-29"], ["2020-02-29T12:30:01.5", "2020-02-29"]),
        (["2021-02-29", "1999-12-31"], None),
        (["2020-02-29", "soon"], None),
        (["02/03/2020", "04/05/2020"], None),
    ],
)
def test_dates_that_read_in_one_way_only(tmp_path, cells, dates):
    column = read(tmp_path / "t.csv", "a,b\n" + "".join(f"1,{cell}\n" for cell in cells)).columns[
        "b"
    ]
    assert pd.api.types.is_datetime64_dtype(column.dtype) == (dates is not None)
    if dates is not None:
        assert column.tolist() == pd.to_datetime(pd.Series(dates), format="ISO8601").tolist()


def test_blank_lines_are_counted(tmp_path):
    source = read(tmp_path / "t.csv", "\na,b\n\n1,2\n  \n3,4\n\nx,5\n")
    assert source.first_texts == {"a": "'x' in line 8"}


def test_quotes_that_are_read_otherwise_name_no_line(tmp_path, monkeypatch):
    content = "a,b\n" + "1,2\n" * 9 + "x,3\n"
    monkeypatch.setattr(delimited._Layout, "scan", lambda self: iter([(5, ["y"])] * 20))
    assert read(tmp_path / "t.csv", content).first_texts == {"a": "'x'"}


def test_numbers_of_any_size(tmp_path):
    content = f"a,b,c,d\n{10**30},{2**63},1e400,-1E-3\n1,{2**64 - 9},-inf,.5\n+2,3,NaN,NA\n"
    found = (
        read(tmp_path / "t.csv", content).columns.astype("Float64").to_numpy(float, na_value=np.nan)
    )
    expected = [[1e30, 2.0**63, np.inf, -1e-3], [1, 2.0**64, -np.inf, 0.5], [2, 3, np.nan, np.nan]]
    np.testing.assert_array_equal(found, expected)


def test_line_of_many_characters(tmp_path):
    source = read(tmp_path / "t.csv", f"a,b,c\n1,2,{'x' * 200_000}\n3,4,5\n3,4,5\n")
    assert len(source.first_texts["c"]) < 100
    assert "in line 2" in source.first_texts["c"]


def test_open_quote(refuse, tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n"1,2\n3,4\n')
    assert "check that each quote is closed" in refuse(tmp_path / "t.csv")


# Any way of writing -------------------------------------------------------------------

PACKERS = {
    ".csv": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": pack_zip,
}
# In UTF-8 no letter ends in ß or é; others would make text of cp1252 valid UTF-8.
LETTERS = "aßé _$|;,.'\""
INDICES = {
    "none": None,
    "numbers": lambda n: np.arange(n),
    "shuffled": lambda n: np.random.default_rng(n).permutation(n),
    "dates": lambda n: pd.date_range("2020", periods=n),
}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(
            st.floats(-1e300, 1e300),
            st.integers(-(10**15), 10**15),
            st.floats(-999, 999).map(lambda value: round(value, 3)),
        ),
        min_size=1,
        max_size=6,
    ),
    names=st.lists(
        st.text(LETTERS, min_size=1, max_size=4).filter(lambda name: name == name.strip()),
        min_size=3,
        max_size=3,
        unique=True,
    ),
    separator=st.sampled_from(",;\t|"),
    decimal=st.sampled_from(".,"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    suffix=st.sampled_from([".csv", ".csv.gz", ".tsv.bz2", ".txt.xz", ".zip"]),
    index=st.sampled_from(sorted(INDICES)),
)
def test_what_was_written_is_read(
    tmp_path_factory, rows, names, separator, decimal, encoding, suffix, index
):
    # A row that tells the decimal mark from a separator of thousands.
    frame = pd.DataFrame([*rows, (0.5, 7, 0.25)], columns=names)
    has_index = INDICES[index] is not None
    if has_index:
        frame.index = INDICES[index](len(frame))
    path = tmp_path_factory.mktemp("text") / f"t{suffix}"
    text = frame.to_csv(sep=separator, decimal=decimal, index=has_index)
    source = read(path, PACKERS[path.suffix](text.encode(encoding)))
    found = source.columns.drop(columns="Unnamed: 0") if index == "dates" else source.columns
    assert list(found) == names
    np.testing.assert_allclose(found.to_numpy(float), frame.to_numpy(float), rtol=1e-14)
    assert list(source.left_out) == (["Unnamed: 0"] if index in ("numbers", "shuffled") else [])
    is_noted = {note.split(" taken")[0] for note in source.notes}
    assert ("separator" in is_noted) == (separator != ",")
    assert ("decimal mark" in is_noted) == (decimal != ".")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(content=st.one_of(st.binary(max_size=60), st.text("12a.,;\t\n\"# -'", max_size=60)))
def test_no_text_raises_anything_else(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("text") / "t.csv"
    try:
        source = read(path, content)
    except CommandError as error:
        assert "t.csv" in str(error) or "--sep" in str(error) or "--decimal" in str(error)  # noqa: PT017
    else:
        assert source.columns.columns.is_unique
