"""Packed files and encodings of text."""

import bz2
import gzip
import lzma
import zipfile

import pytest

from skae._command import unpacking
from skae._command.arguments import CommandError

from .tables import pack_zip, read

TEXT = "Größe,b\n" + "1,2\n3,4\n" * 50
PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": pack_zip}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("is_named", [True, False])
def test_packed_text(tmp_path, suffix, is_named):
    # Also where the name does not tell, as in a pipe.
    path = tmp_path / ("t.csv" + suffix * is_named)
    source = read(path, PACKERS[suffix](TEXT.encode()))
    assert list(source.columns) == ["Größe", "b"]
    assert len(source.columns) == 100
    assert source.notes == []


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("asked", [{}, {"encoding": "utf-8"}])
def test_damaged_packed_text(tmp_path, suffix, asked):
    packed = PACKERS[suffix]((TEXT * 9).encode())
    with pytest.raises(CommandError, match=r"can't be unpacked \(.*\); check that it is whole"):
        read(tmp_path / f"t.csv{suffix}", packed[: len(packed) // 2], **asked)


@pytest.mark.parametrize("suffix", PACKERS)
def test_text_that_is_not_packed_as_named(tmp_path, suffix):
    with pytest.raises(CommandError, match="is not packed as its name says; rename it"):
        read(tmp_path / f"t.csv{suffix}", TEXT)


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("asked", [{}, {"encoding": "utf-8"}])
def test_text_that_unpacks_to_too_much(tmp_path, monkeypatch, suffix, asked):
    monkeypatch.setattr(unpacking, "_MOST_UNPACKED", 10_000)
    packed = PACKERS[suffix](b"a,b\n" + b"1,2\n" * 100_000)
    with pytest.raises(CommandError, match="GiB, over 100 times its size; unpack it first"):
        read(tmp_path / f"t.csv{suffix}", packed, **asked)


@pytest.mark.parametrize(
    ("others", "held"),
    [
        ({"u.csv": "a,b\n"}, "must hold one file, got 't.csv', 'u.csv'; unpack it and choose one"),
        ({"__MACOSX/t.csv": "x", ".DS_Store": "x", "folder/": ""}, None),
    ],
)
def test_archives_of_several_files(tmp_path, others, held):
    packed = pack_zip(TEXT, **others)
    if held is None:
        assert len(read(tmp_path / "t.zip", packed).columns) == 100
    else:
        with pytest.raises(CommandError, match=held):
            read(tmp_path / "t.zip", packed)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"PK\x05\x06" + bytes(18), "must hold one file, got none"),
        (gzip.compress(b"", mtime=0), "is empty or blank"),
        (pack_zip(gzip.compress(TEXT.encode())), "holds NUL bytes"),
    ],
)
def test_archives_without_text(tmp_path, packed, message):
    suffix = ".gz" if packed.startswith(b"\x1f") else ".zip"
    with pytest.raises(CommandError, match=message):
        read(tmp_path / f"t.csv{suffix}", packed)


@pytest.mark.parametrize("name", ["t.npy", "t.parquet", "t.csv.gz"])
def test_archives_of_other_files(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(CommandError, match=f"must hold a file of text, got '{name}'"):
        read(tmp_path / "t.zip")


def test_archive_with_a_password(tmp_path):
    packed = bytearray(pack_zip(TEXT))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(signature) + offset] |= 1
    with pytest.raises(CommandError, match=r"can't be unpacked \(.*password.*unpack it first"):
        read(tmp_path / "t.zip", bytes(packed))


@pytest.mark.parametrize(
    ("encoding", "notes"),
    [
        ("utf-8", []),
        ("utf-8-sig", []),
        ("utf-16", ["encoding taken: UTF-16"]),
        ("utf-32", ["encoding taken: UTF-32"]),
        ("cp1252", ["encoding taken, as it is not UTF-8: cp1252 (--encoding names another)"]),
    ],
)
def test_encodings_that_are_found(tmp_path, encoding, notes):
    source = read(tmp_path / "t.csv", TEXT.encode(encoding))
    assert list(source.columns) == ["Größe", "b"]
    assert source.notes == notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp437", "latin-1"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_encodings_that_are_named(tmp_path, encoding, mark):
    if mark and not encoding.startswith("utf"):
        mark = ""
    source = read(tmp_path / "t.csv", (mark + TEXT).encode(encoding), encoding=encoding)
    assert list(source.columns) == ["Größe", "b"]
    assert source.notes == []


def test_letters_of_another_encoding_far_below(tmp_path):
    content = b"a,b\n" + b"1,2\n" * 600_000 + "3,ß\n".encode("latin-1")
    source = read(tmp_path / "t.csv", content)
    assert "cp1252" in source.notes[0]
    assert source.first_texts == {"b": "'ß' in line 600002"}


def test_bytes_that_only_latin_1_defines(tmp_path):
    assert "latin-1" in read(tmp_path / "t.csv", b"\x81\xe4,b\n1,2\n").notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n".encode("utf-16-le"), "try --encoding utf-16-le"),
        ("a,b\n1,2\n".encode("utf-16-be"), "try --encoding utf-16-be"),
        (b"a,b\n1,\x002\n3,4\n", "holds NUL bytes, so it is no text or damaged"),
    ],
)
def test_nul_bytes(tmp_path, content, message):
    with pytest.raises(CommandError, match=message):
        read(tmp_path / "t.csv", content)


def test_wrong_encoding(tmp_path):
    with pytest.raises(CommandError, match=r"can't be read as utf-8 \(.*name its encoding with"):
        read(tmp_path / "t.csv", TEXT.encode("cp1252"), encoding="utf-8")
