"""Tables in NumPy's files."""

import zipfile

import numpy as np
import pytest
from numpy.lib.npyio import NpzFile

from skae._command import arrays

from .tables import read

# With so few rows the autoencoder stays PCA and takes no time.
X = np.random.default_rng(0).normal(size=(12, 5))
y = np.arange(12) % 2


def test_only_2d_array_of_an_npz_and_a_named_target(report, tmp_path):
    np.savez(tmp_path / "t.npz", rows=X, side=np.where(y, "left", "right"))
    out = report(tmp_path / "t.npz", "--target", "side", "--components", 2)
    assert "12 rows x 5 columns" in out
    assert "target 'side' has 2 different values in 3 rows held out" in out


def test_array_x_of_an_npz_goes_first(report, tmp_path):
    np.savez(tmp_path / "t.npz", A=X[:, :3], X=X, Z=X[:, :2], side=y)
    out = report(tmp_path / "t.npz", "--components", 2)
    assert "12 rows x 5 columns\n" in out
    assert "target" not in out  # only an array y is one unasked


def test_arrays_of_another_length_are_no_targets(refuse, tmp_path):
    np.savez(tmp_path / "t.npz", X=X, y=y, note=np.array(["no", "target"]))
    line = refuse(tmp_path / "t.npz", "--target", "note")
    assert "--target must be one of 'y', '0', '1', '2', '3', '4' in t.npz, got 'note'" in line


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "float16"])
def test_arrays_of_any_real_numbers(report, tmp_path, dtype):
    np.save(tmp_path / "t.npy", X > 0 if dtype == "bool" else (5 * np.abs(X)).astype(dtype))
    assert "12 rows x 5 columns" in report(tmp_path / "t.npy", "--components", 2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 2, 2)), "must be 2-d (rows x columns), got the shape (4, 2, 2)"),
        (np.zeros((9, 3), dtype=complex), "must hold real numbers, got the type complex128"),
        (np.array([["a", "b"]] * 9), "must hold real numbers, got the type <U1"),
        (np.array([[None, 1]] * 9), "the array in t.npy holds Python objects, which can run code"),
    ],
)
def test_bad_npy(refuse, tmp_path, array, message):
    np.save(tmp_path / "t.npy", array)
    assert message in refuse(tmp_path / "t.npy")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": np.zeros((9, 3)), "b": np.zeros((9, 2))},
            "must hold a 2-d array named X or a single 2-d array, got a (9, 3), b (9, 2)",
        ),
        ({"a": np.zeros(9)}, "must hold a 2-d array named X or a single 2-d array, got a (9,)"),
        ({"X": np.zeros(9), "b": np.zeros((9, 2))}, "must be 2-d (rows x columns), got the shape"),
        ({"X": np.array([[None]])}, "'X' in t.npz holds Python objects"),
        ({"a": np.array([[None]])}, "got a of Python objects"),
    ],
)
def test_bad_npz(refuse, tmp_path, arrays, message):
    np.savez(tmp_path / "t.npz", **arrays)
    assert message in refuse(tmp_path / "t.npz")


def test_numpy_file_of_the_other_kind(refuse, tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(9))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    assert "a.npy holds several arrays; rename it to end in .npz" in refuse(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.eye(9))
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    assert "b.npz holds a single array; rename it to end in .npy" in refuse(tmp_path / "b.npz")


def test_objects_beside_the_table_are_named(report, tmp_path):
    np.savez(tmp_path / "t.npz", X=X, meta=np.array([{}], dtype=object))
    out = report(tmp_path / "t.npz", "--components", 2)
    assert "arrays of Python objects, which are not read: 'meta'\n" in out


def test_only_the_arrays_that_are_needed_are_read(tmp_path, monkeypatch):
    np.savez(tmp_path / "t.npz", X=X, y=y, other=np.zeros((9, 9, 9)), z=y)
    seen = []
    load = NpzFile.__getitem__

    def note(file, name):
        seen.append(name)
        return load(file, name)

    monkeypatch.setattr(NpzFile, "__getitem__", note)
    source = read(tmp_path / "t.npz")
    assert set(source.extra_targets) == {"y", "z"}
    assert seen == ["X"]
    np.testing.assert_array_equal(source.extra_targets["z"](), y)
    assert seen == ["X", "z"]


def write_claiming(path, shape):
    """Write an array whose header claims a shape that it has not."""
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(800))


@pytest.mark.parametrize("shape", [(10**9, 10**9), (10**30, 3), (10, 11)])
def test_arrays_shorter_than_they_claim(refuse, tmp_path, shape):
    write_claiming(tmp_path / "t.npy", shape)
    line = refuse(tmp_path / "t.npy")
    assert "t.npy can't be read as NPY (" in line
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.write(tmp_path / "t.npy", "X.npy")
    assert "t.npz can't be read as NPZ (" in refuse(tmp_path / "t.npz")


def test_table_larger_than_the_memory(refuse, tmp_path, monkeypatch):
    np.savez(tmp_path / "t.npz", X=X)
    monkeypatch.setattr(arrays, "_measure_memory", lambda: 100.0)
    line = refuse(tmp_path / "t.npz")
    assert "more than the memory of this machine; choose a smaller table" in line


def test_archive_without_arrays(refuse, tmp_path):
    (tmp_path / "t.npz").write_bytes(b"PK\x05\x06" + bytes(18))
    line = refuse(tmp_path / "t.npz")
    assert "must hold a 2-d array named X or a single 2-d array, got none" in line


def test_many_arrays_are_summarised(refuse, tmp_path):
    np.savez(tmp_path / "t.npz", **{f"a{n}": np.eye(3) for n in range(40)})
    assert "a7 (3, 3) and 32 more" in refuse(tmp_path / "t.npz")
