"""Tables of labels, numbers and gaps: which, sampled, split, and with cells hidden."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

#: A group's tables, by name.
Loaders = dict[str, Callable[[], pd.DataFrame]]

#: Column of the categorical tables that says which rows are anomalies.
LABEL = "is_anomaly"

#: A text column with more different labels than this share of its cells identifies rows.
MOST_DISTINCT = 0.9

#: Labels that a column keeps where they are pooled, and those pooled.
MOST_LABELS = 50
OTHER = "(other)"

#: Columns of fewer observed cells keep them all.
FEWEST_CELLS = 20


def find_tables(folder: Path, only: list[str] | None) -> dict[str, Loaders]:
    """Return a function that loads each table, by group and name.

    Parameters
    ----------
    folder : Path
        Folder with `mixed/*.csv.gz`, `categorical/*.csv.gz` and `adbench/*.npz`; each may lack.
    only : list of str or None
        The names that are wanted, all if None.
    """
    groups: dict[str, Loaders] = {
        "mixed": _make_loaders(folder / "mixed", ".csv.gz", read_mixed),
        "categorical": _make_loaders(folder / "categorical", ".csv.gz", read_categorical),
        "numbers": _make_loaders(folder / "adbench", ".npz", read_numbers),
    }
    known = {name for loaders in groups.values() for name in loaders}
    if not known:
        raise SystemExit(
            f"{folder} has none of mixed/*.csv.gz, categorical/*.csv.gz, adbench/*.npz"
        )
    if unknown := set(only or ()) - known:
        raise SystemExit(f"--tables has {sorted(unknown)}, expected some of {sorted(known)}")
    return {
        group: {name: load for name, load in loaders.items() if only is None or name in only}
        for group, loaders in groups.items()
    }


def _make_loaders(folder: Path, suffix: str, read: Callable[[Path], pd.DataFrame]) -> Loaders:
    return {
        path.name.removesuffix(suffix): lambda path=path: read(path)
        for path in sorted(folder.glob(f"*{suffix}"))
    }


def read_mixed(path: Path) -> pd.DataFrame:
    """Return a file's frame with text as categories, without columns that identify rows."""
    frame = pd.read_csv(path)
    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    identifiers = [
        name for name in texts if frame[name].nunique() > MOST_DISTINCT * frame[name].count()
    ]
    return frame.drop(columns=identifiers).astype(
        {name: "category" for name in texts if name not in identifiers}
    )


def read_categorical(path: Path) -> pd.DataFrame:
    """Return a file's frame, all of whose columns but the label are categories."""
    frame = pd.read_csv(path)
    return frame.astype({name: "category" for name in frame if name != LABEL})


def read_numbers(path: Path) -> pd.DataFrame:
    """Return the array `X` of a file as a frame."""
    with np.load(path) as arrays:
        X = arrays["X"].astype(np.float64)
    return pd.DataFrame(X, columns=[f"x{index}" for index in range(X.shape[1])])


def list_categories(frame: pd.DataFrame) -> list[str]:
    """Return the names of the columns of categories."""
    return [name for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)]


def list_numbers(frame: pd.DataFrame) -> list[str]:
    """Return the names of the other columns."""
    return [name for name in frame if not isinstance(frame[name].dtype, pd.CategoricalDtype)]


def sample(frame: pd.DataFrame, seed: int, rows: int) -> pd.DataFrame:
    """Return at most that many rows in random order, without the categories that none has."""
    order = np.random.default_rng(seed).permutation(len(frame))[:rows]
    return _drop_unused(frame.iloc[order].reset_index(drop=True))


def split(frame: pd.DataFrame, share: float = 0.25) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training rows and held-out rows, without columns that are missing in training."""
    n_held_out = int(share * len(frame))
    held_out, train = frame.iloc[:n_held_out], frame.iloc[n_held_out:]
    kept = train.columns[train.notna().any()]
    return train[kept].reset_index(drop=True), held_out[kept].reset_index(drop=True)


def pool_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose columns have at most `MOST_LABELS` labels: rare ones become one."""
    out = frame.copy()
    for name in list_categories(frame):
        counts = frame[name].value_counts()
        counts = counts[counts > 0]
        if len(counts) > MOST_LABELS:
            kept = counts.index[: MOST_LABELS - 1]
            text = frame[name].astype(object)
            out[name] = text.where(text.isin(kept) | text.isna(), OTHER).astype("category")
    return _drop_unused(out)


def _drop_unused(frame: pd.DataFrame) -> pd.DataFrame:
    used = {name: frame[name].cat.remove_unused_categories() for name in list_categories(frame)}
    return frame.assign(**used)


class Hidden(NamedTuple):
    """A table with cells hidden.

    Attributes
    ----------
    given : DataFrame
        The table without them.
    truth : DataFrame
        The table with them.
    where : ndarray of bool of shape (n_rows, n_columns)
        Which were hidden.
    """

    given: pd.DataFrame
    truth: pd.DataFrame
    where: np.ndarray


def hide_at_random(frame: pd.DataFrame, share: float, generator: np.random.Generator) -> Hidden:
    """Hide a share of the observed cells, all alike."""
    return _hide(frame, generator.random(frame.shape) < share)


def hide_by_others(frame: pd.DataFrame, share: float, generator: np.random.Generator) -> Hidden:
    """Hide a share of the cells of half of the columns, where a column of the other half is large.

    Each of these has its own such column, and loses cells only in the half of the rows in which
    that one is large; labels have a random order, as have ties and missing cells.
    """
    order = generator.permutation(frame.shape[1])
    drivers, losers = np.array_split(order, 2)
    chosen = np.zeros(frame.shape, dtype=bool)
    for column in losers:
        driver = frame.iloc[:, generator.choice(drivers)]
        is_label = isinstance(driver.dtype, pd.CategoricalDtype)
        codes = driver.cat.codes if is_label else driver.rank(method="dense").fillna(-1)
        values = np.unique(codes, return_inverse=True)[1]
        if is_label:
            values = generator.permutation(values.max() + 1)[values]
        ranks = np.lexsort((generator.random(len(frame)), values)).argsort()
        is_large = ranks >= len(frame) // 2
        chosen[:, column] = is_large & (generator.random(len(frame)) < 2 * share)
    return _hide(frame, chosen)


def _hide(frame: pd.DataFrame, chosen: np.ndarray) -> Hidden:
    kept = frame.columns[frame.notna().any()]
    chosen = chosen[:, frame.columns.get_indexer(kept)]
    frame = frame[kept]
    observed = frame.notna().to_numpy()
    where = chosen & observed
    where[:, observed.sum(axis=0) < FEWEST_CELLS] = False
    # Another draw might leave nothing of a column with few cells.
    where[:, ~(observed & ~where).any(axis=0)] = False
    given = frame.copy()
    for index in np.flatnonzero(where.any(axis=0)):
        given.isetitem(index, frame.iloc[:, index].mask(where[:, index]))
    return Hidden(_drop_unused(given), frame, where)
