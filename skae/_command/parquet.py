"""Parquet files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from .arguments import CommandError
from .printing import list_names, quote
from .source import Source, name_columns, refuse_without_rows

# A column of text with as many numbers was meant to be one of numbers.
_SHARE_OF_NUMBERS = 0.5

_STORED_INDEX = "__index_level_"


def read_parquet(path: Path) -> Source:
    """Read a Parquet file; an index that pandas has stored is a column only if it has a name."""
    try:
        _refuse_equal_names(path)
        frame = pd.read_parquet(path, engine="pyarrow", dtype_backend="numpy_nullable")
    except ImportError as error:
        raise CommandError(
            f"{path.name} needs pyarrow, which is not installed: pip install pyarrow"
        ) from error
    refuse_without_rows(path.name, len(frame))
    index = frame.index
    frame = frame.reset_index(drop=True)
    if not isinstance(index, pd.RangeIndex):
        for number, name in reversed(list(enumerate(index.names))):
            if name is not None:
                values = index.get_level_values(number).to_series(index=frame.index)
                frame.insert(0, name, values, allow_duplicates=True)
    names, notes = name_columns([str(name) for name in frame.columns])
    frame = frame.set_axis(names, axis=1)
    # Other libraries write pandas' index back as an ordinary column, after the others.
    names.sort(key=lambda name: not name.startswith(_STORED_INDEX))
    frame = _convert_decimals(frame[names])
    return Source(path.name, frame, first_texts=_find_first_texts(frame), notes=notes)


def _refuse_equal_names(path: Path) -> None:
    """Raise an error if columns have the same name, which pandas can't read."""
    from pyarrow.parquet import read_schema  # here, because it is optional

    counts = Counter(read_schema(path).names)
    equal = [name for name, count in counts.items() if count > 1]
    if equal:
        raise CommandError(
            f"{path.name} has several columns of the same name: {list_names(equal)}; rename them"
        )


def _convert_decimals(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with decimal numbers as floats, which pandas holds as objects."""
    decimals = {
        name: frame[name].map(float, na_action="ignore").astype("Float64")
        for name in frame.columns
        if frame[name].dtype == object
        and pd.api.types.infer_dtype(frame[name], skipna=True) == "decimal"
    }
    return frame.assign(**decimals) if decimals else frame


def _find_first_texts(frame: pd.DataFrame) -> dict[str, str]:
    """Return, for text that is mostly numbers, the first cell that isn't."""
    found = {}
    for name in frame.columns:
        if not pd.api.types.is_string_dtype(frame[name].dtype):
            continue
        cells = frame[name].dropna().astype("string")
        are_numbers = pd.to_numeric(cells, errors="coerce").notna().to_numpy(dtype=bool)
        if len(cells) and are_numbers.all():
            found[name] = "numbers stored as text"
        elif len(cells) and are_numbers.mean() >= _SHARE_OF_NUMBERS:
            first = int(np.flatnonzero(~are_numbers)[0])
            row = int(cells.index[first]) + 1
            found[name] = f"{quote(str(cells.iloc[first]))} in row {row}"
    return found
