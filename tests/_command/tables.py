"""Tables for the command."""

import io
import zipfile

import numpy as np
import pandas as pd

from skae._command.arguments import TextFormat
from skae._command.reading import read_source


def make_flower(n_rows=12, seed=0):
    """Return rows around a curve in five columns of unlike units, and a class for each.

    With 12 rows the autoencoder stays PCA and takes no time.
    """
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n_rows)
    curve = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle), angle]
    X = (np.column_stack(curve) + 0.05 * rng.normal(size=(n_rows, 5))) * [1, 10, 100, 0.1, 3]
    return X, np.where(angle < np.pi, "left", "right")


def write_flower(path, n_rows):
    """Write a CSV file with columns of all kinds, an empty one, and three rows with a gap."""
    X, side = make_flower(n_rows)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d", "e"])
    frame["side"] = side
    frame["sunny"] = (frame["a"] > 0).astype(object)
    frame["empty"] = None
    frame.loc[3, "a"] = None
    frame.loc[4, "b"] = np.inf
    frame.loc[5, "sunny"] = None
    frame.to_csv(path, index=False)
    return path


def read(path, content=None, kept=(), text=(), **asked):
    """Read a table, of this content if it is given, as the command does."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_source(path, TextFormat(text=text, **asked), kept)


def pack_zip(content, **others):
    """Return an archive that holds this content, and others by name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"t.csv": content, **others}.items():
            archive.writestr(name, text)
    return file.getvalue()


def make_people(n_rows, seed=0):
    """Return people: numbers, labels, booleans and dates that tell each other, and a name."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(16, 90, n_rows).round()
    job = np.where(age < 30, "student", np.where(age < 65, "worker", "retired")).astype(object)
    born = pd.Timestamp("2021-06-01") - pd.to_timedelta(
        365 * age + rng.integers(0, 99, n_rows), "D"
    )
    return pd.DataFrame(
        {
            "age": age,
            "job": job,
            "works": job == "worker",
            "born": born,
            "noise": rng.normal(size=n_rows),
        }
    )
