"""Datasets of Parquet files: small ones are loaded, others read by their row groups.

pyarrow is imported only where it has already brought in the dataset.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np

from .blocks import row_blocks
from .columns import Columns
from .stores import is_large


def is_dataset(X: Any) -> bool:
    """Whether a table is a `pyarrow.dataset.Dataset`."""
    owner = type(X).__module__.split(".")[0]
    return owner == "pyarrow" and hasattr(X, "get_fragments") and hasattr(X, "count_rows")


def open_dataset(X: Any) -> Any:
    """Return a large dataset as `DatasetRows`, a small one loaded, and all else as it is."""
    if not is_dataset(X):
        return X
    shape = (X.count_rows(), len(X.schema))
    if not is_large(shape) or type(X).__name__ == "InMemoryDataset":
        return X.to_table()
    return DatasetRows(X)


class PartedRows(ABC):
    """The rows of a table that is stored in parts, of which one at a time is in memory.

    Parameters
    ----------
    head : frame or ndarray
        A table of the same columns without rows.
    counts : sequence of int
        Number of rows of each part.
    """

    def __init__(self, head: Any, counts: Sequence[int]) -> None:
        self.head = head
        #: Index of the first row of each part, and one beyond the last row.
        self.ends = np.concatenate([[0], np.cumsum(counts, dtype=int)])
        self.shape: tuple[int, ...] = (int(self.ends[-1]), *head.shape[1:])
        self._loaded: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def _fetch(self, part: int) -> Any:
        """Return a part as a table."""

    @staticmethod
    @abstractmethod
    def _cut(table: Any, first: int, last: int) -> Any:
        """Return rows of a part."""

    @staticmethod
    @abstractmethod
    def _join(tables: list[Any]) -> Any:
        """Return the rows of several tables as one."""

    def read(self, rows: slice) -> Any:
        """Return a block of rows as a table."""
        first, last, _ = rows.indices(len(self))
        part = int(np.searchsorted(self.ends, first, side="right")) - 1
        found = []
        while first < last:
            start, end = self.ends[part : part + 2].tolist()
            stop = min(last, end)
            if first < stop:  # parts can be empty
                found.append(self._cut(self._load(part), first - start, stop - start))
            first, part = stop, part + 1
        return self._join(found) if found else self.head

    def _load(self, part: int) -> Any:
        number, table = self._loaded
        if number != part:
            table = self._fetch(part)
            self._loaded = (part, table)
        return table

    def blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield slices of rows, and the rows, of a pass over all."""
        for rows in row_blocks(np.broadcast_to(np.float64(0), self.shape)):
            yield rows, self.read(rows)


@final
class DatasetRows(PartedRows):
    """The rows of a dataset, in the order of its files; a part is a row group.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
        The dataset.
    """

    def __init__(self, dataset: Any) -> None:
        self._schema = dataset.schema
        self._groups = [group for each in _list_files(dataset) for group in _split(each)]
        # `count_rows` of a part is that of its file.
        counts = [sum(each.num_rows for each in group.row_groups) for group in self._groups]
        super().__init__(self._schema.empty_table(), counts)

    def _fetch(self, part: int) -> Any:
        return self._groups[part].to_table(schema=self._schema)

    @staticmethod
    def _cut(table: Any, first: int, last: int) -> Any:
        return table.slice(first, last - first)

    @staticmethod
    def _join(tables: list[Any]) -> Any:
        import pyarrow as pa

        return pa.concat_tables(tables)


@final
class EncodedRows:
    """The rows of frames in parts as numbers, encoded as they are read.

    Parameters
    ----------
    rows : PartedRows
        The rows.
    columns : Columns
        What their columns hold.
    unseen : float, default=NaN
        As `Columns.encode` takes it.
    """

    #: Infinite numbers are found as rows are encoded; labels that are new may be infinity.
    is_checked = True

    def __init__(self, rows: PartedRows, columns: Columns, unseen: float = np.nan) -> None:
        self.rows = rows
        self.columns = columns
        self.unseen = unseen
        self.ends = rows.ends
        self.shape: tuple[int, int] = (len(rows), columns.n_encoded)

    def __getitem__(self, rows: slice) -> np.ndarray:
        first, _, _ = rows.indices(len(self.rows))
        return self.columns.encode(self.rows.read(rows), self.unseen, first).values


def _list_files(dataset: Any) -> list[Any]:
    try:
        return list(dataset.get_fragments())
    except ValueError as error:  # pyarrow's own message names no remedy
        raise ValueError(
            "X must be a dataset without a filter where it isn't loaded: write the rows that you "
            "want to files of their own, with pyarrow.dataset.write_dataset(X, folder, "
            'format="parquet")'
        ) from error


def _split(fragment: Any) -> list[Any]:
    """Return the row groups of a file."""
    if not hasattr(fragment, "split_by_row_group"):
        kind = getattr(getattr(fragment, "format", None), "default_extname", "other")
        raise TypeError(
            f"X must be a dataset of Parquet files where it isn't loaded, got {kind} files: write "
            'them as Parquet, with pyarrow.dataset.write_dataset(X, folder, format="parquet")'
        )
    return list(fragment.split_by_row_group())
