"""What stands for the cells of a column: numbers, from which cells can be told again."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from .frames import Cells, freeze_label, thaw_label
from .summaries import ColumnSummary

#: Units of times in nanoseconds.
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "D": 86_400 * 10**9}

# A day, an hour, a minute, a second and its parts, in nanoseconds.
_STEPS = (UNITS["D"], 3600 * 10**9, 60 * 10**9, 10**9, 10**6, 10**3, 1)

# The first day of year 1 and the last of year 9999, in nanoseconds: Python has no other dates.
_PYTHON_DATES = (-62_135_596_800 * 10**9, 253_402_300_800 * 10**9 - 1)

# The largest time; the least of 64 bits is NaT.
_LATEST = 2**63 - 1

#: What messages call the cells of each kind.
KIND_WORDS = {
    "number": "numbers",
    "boolean": "booleans",
    "text": "text",
    "category": "categories",
    "date": "dates without a time zone",
    "zoned date": "dates with a time zone",
    "time": "times of day",
    "duration": "durations",
}


class Coding(Protocol):
    """How the cells of one column become numbers, and numbers its cells."""

    name: ClassVar[str]

    @property
    def n_encoded(self) -> int:
        """Number of encoded columns."""

    def encode(self, cells: Cells, column: Any) -> np.ndarray:
        """Return a matrix of the encoded columns; raise for cells of another kind."""

    def decode(self, values: np.ndarray, missing: np.ndarray) -> Cells:
        """Return the cells nearest to encoded columns; those that are missing are so."""

    def get_state(self) -> dict[str, Any]:
        """Return the coding as plain values."""


@dataclass(frozen=True)
class NumberCoding:
    """A number stands for itself."""

    name: ClassVar[str] = "number"
    n_encoded: ClassVar[int] = 1

    def encode(self, cells: Cells, column: Any) -> np.ndarray:
        """Return the numbers; booleans are 0 and 1."""
        if cells.kind not in ("number", "boolean", "empty"):
            is_text = len(cells.labels) > 0
            remedy = "with pandas.to_numeric" if is_text else "such as days since a date"
            _raise_other_kind(cells, column, "numbers", remedy)
        return _hide(cells.values, cells)[:, None]

    def decode(self, values: np.ndarray, missing: np.ndarray) -> Cells:
        """Return the numbers."""
        return Cells("number", values[:, 0], missing)

    def get_state(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


@dataclass(frozen=True)
class BooleanCoding:
    """False is 0, True is 1."""

    name: ClassVar[str] = "boolean"
    n_encoded: ClassVar[int] = 1

    def encode(self, cells: Cells, column: Any) -> np.ndarray:
        """Return zeros and ones."""
        if cells.kind not in ("number", "boolean", "empty"):
            _raise_other_kind(cells, column, "booleans", "by comparing it with the text for True")
        values = _hide(cells.values, cells)
        odd = np.flatnonzero(~cells.missing & (values != 0) & (values != 1))
        if len(odd):
            raise ValueError(
                f"X must have booleans in column {column!r}, as in fitting, got "
                f"{values[odd[0]]:g} in row {odd[0]}: pass True and False, or 1 and 0"
            )
        return values[:, None]

    def decode(self, values: np.ndarray, missing: np.ndarray) -> Cells:
        """Return which are beyond one half."""
        known = np.where(missing, 0.0, values[:, 0]) > 0.5
        return Cells("boolean", known.astype(np.float64), missing)

    def get_state(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


@dataclass(frozen=True)
class TimeCoding:
    """A date, time or duration is the number of steps since the earliest one.

    Dates that are whole days apart come back as such.

    Attributes
    ----------
    kind : str
        What the column holds: "date", "zoned date", "time", "duration", or a period's type.
    unit : str
        Unit of `origin` and `step`.
    origin : int
        The earliest.
    step : int
        The day, hour, minute, ... of which all differences are multiples.
    """

    kind: str
    unit: str
    origin: int
    step: int

    name: ClassVar[str] = "time"
    n_encoded: ClassVar[int] = 1

    @classmethod
    def from_summary(cls, summary: ColumnSummary) -> "TimeCoding":
        """Return the coding of a column."""
        unit = UNITS.get(summary.unit, _STEPS[0])  # periods are counted one by one
        steps = [step // unit for step in _STEPS if step >= unit]
        step = next((step for step in steps if summary.common % step == 0), 1)
        return cls(summary.kind, summary.unit, summary.origin, step)

    def encode(self, cells: Cells, column: Any) -> np.ndarray:
        """Return numbers of steps."""
        if cells.kind == "empty":
            return _hide(cells.values, cells)[:, None]
        if cells.kind != self.kind:
            expected = KIND_WORDS.get(self.kind, self.kind)
            remedy = f"with pandas.to_{'timedelta' if self.kind == 'duration' else 'datetime'}"
            if "date" in cells.kind and "date" in self.kind:
                remedy = "with dt.tz_localize"
            elif self.kind.startswith("period"):
                remedy = "with dt.to_period or dt.asfreq"
            _raise_other_kind(cells, column, expected, remedy)
        if cells.unit == self.unit:
            steps = self._count_steps(cells.values)
        else:
            factor = UNITS[cells.unit] / UNITS[self.unit]
            steps = (cells.values * factor - self.origin) / self.step
        return _hide(steps, cells)[:, None]

    def _count_steps(self, times: np.ndarray) -> np.ndarray:
        """Return numbers of steps to times; whole ones are exact as far as a double goes."""
        about = times.astype(np.float64) - self.origin
        whole, rest = np.divmod(times - self.origin, self.step)
        return np.where(np.abs(about) < 2.0**62, whole + rest / self.step, about / self.step)

    def decode(self, values: np.ndarray, missing: np.ndarray) -> Cells:
        """Return the nearest times that are a whole number of steps away."""
        steps = np.rint(np.where(missing, 0.0, values[:, 0]))
        first, last = self._ends
        steps = np.clip(steps, -_reach(self.origin - first, self.step), None)
        steps = np.clip(steps, None, _reach(last - self.origin, self.step))
        times = self.origin + steps.astype(np.int64) * self.step
        return Cells(self.kind, times, missing, unit=self.unit)

    @property
    def _ends(self) -> tuple[int, int]:
        """The first and the last time that there is."""
        unit = UNITS.get(self.unit, 1)
        if self.kind == "time":
            return 0, UNITS["D"] // unit - 1
        if "date" not in self.kind:
            return -_LATEST, _LATEST
        first, last = _PYTHON_DATES
        if self.kind == "zoned date":
            # Clocks of a zone are ahead of others, or behind; pandas 2 crashes where a zone's
            # dates are beyond those of nanoseconds.
            first, last = -_LATEST + 2 * UNITS["D"], _LATEST - 2 * UNITS["D"]
        first, last = max(first // unit, -_LATEST), min(last // unit, _LATEST)
        return min(first, self.origin), max(last, self.origin)

    def get_state(self) -> dict[str, Any]:
        """Return the origin and the step."""
        return {"kind": self.kind, "unit": self.unit, "origin": self.origin, "step": self.step}


@dataclass(frozen=True)
class CategoryCoding:
    """A category is the indicators of its frequent levels, and one of all others.

    Attributes
    ----------
    levels : tuple
        The labels, in the order of their frequency.
    counts : tuple of int
        Ranks of their frequencies, at least 1.
    max_categories : int or None
        Number of indicators up to which infrequent levels are pooled.
    is_identifier : bool, default=False
        Whether the levels identify rows, so that none of them can be told.
    """

    levels: tuple[Any, ...]
    counts: tuple[int, ...]
    max_categories: int | None
    is_identifier: bool = False

    name: ClassVar[str] = "category"

    @classmethod
    def from_totals(cls, totals: dict[Any, float], max_categories: int | None) -> "CategoryCoding":
        """Return the coding of labels that count that often."""
        levels = sorted(totals, key=_sort_key)
        levels.sort(key=lambda level: -totals[level])
        # The encoder counts rows; ranks of the totals give its order without the rows.
        _, ranks = np.unique([totals[level] for level in levels], return_inverse=True)
        return cls(tuple(levels), tuple(int(rank) + 1 for rank in ranks), max_categories)

    def pool_all(self) -> "CategoryCoding":
        """Return the coding in which all levels are infrequent."""
        return replace(self, max_categories=1, is_identifier=True)

    @cached_property
    def _encoder(self) -> OneHotEncoder:
        indices = np.arange(len(self.levels))
        encoder = OneHotEncoder(
            categories=[indices],
            max_categories=self.max_categories,
            handle_unknown="infrequent_if_exist",
            sparse_output=False,
        )
        encoder.set_output(transform="default")  # whatever the global one is
        return encoder.fit(np.repeat(indices, self.counts)[:, None])

    @cached_property
    def _index(self) -> dict[Any, int]:
        return {level: index for index, level in enumerate(self.levels)}

    @cached_property
    def _infrequent(self) -> np.ndarray:
        """Indices of the levels that are pooled."""
        if self.max_categories is None:  # the encoder then has no such attribute
            return np.empty(0, dtype=int)
        pooled = self._encoder.infrequent_categories_[0]
        return np.empty(0, dtype=int) if pooled is None else np.sort(pooled)

    @cached_property
    def decoded(self) -> tuple[int, ...]:
        """Index of the level that each indicator decodes to; -1 is a missing cell.

        The pooled levels decode to the most frequent of them, those of an identifier to none.
        """
        frequent = np.setdiff1d(np.arange(len(self.levels)), self._infrequent)
        if len(self._infrequent) == 0:
            return tuple(frequent.tolist())
        pooled = -1 if self.is_identifier else int(self._infrequent[0])
        return (*frequent.tolist(), pooled)

    @property
    def n_encoded(self) -> int:
        """Number of indicators."""
        return len(self.decoded)

    @property
    def has_pool(self) -> bool:
        """Whether the last indicator is that of infrequent levels."""
        return len(self._infrequent) > 0

    def encode(self, cells: Cells, column: Any, unseen: float = np.nan) -> np.ndarray:
        """Return the indicators.

        A label that was not there in fitting is infrequent; where none was infrequent, its
        indicators are `unseen`: it is missing, unless a caller asks for another mark.
        """
        given, cells = cells, name_numbers(cells)
        out = np.full((len(cells.missing), self.n_encoded), np.nan)
        if cells.kind == "empty":
            return out
        if not cells.labels:
            _raise_other_kind(cells, column, "categories", "with astype(str)")
        index = np.array([self._index.get(label, -1) for label in cells.labels])
        if (index < 0).all() and not self._has_family_of(cells.labels):
            remedy = f"with astype({type(self.levels[0]).__name__})"
            _raise_other_kind(given, column, f"labels such as {self.levels[0]!r}", remedy)
        known = ~cells.missing
        codes = index[cells.values[known]]
        if len(codes) == 0:
            return out
        indicators = self._encoder.transform(codes[:, None])
        if len(self._infrequent) == 0:
            indicators[codes < 0] = unseen
        out[known] = indicators
        return out

    def _has_family_of(self, labels: Any) -> bool:
        return bool({_find_family(label) for label in labels} & set(map(_find_family, self.levels)))

    def decode(self, values: np.ndarray, missing: np.ndarray) -> Cells:
        """Return the levels of the largest indicators."""
        largest = np.argmax(np.where(missing[:, None], 0.0, values), axis=1)
        codes = np.array(self.decoded)[largest]
        return Cells("category", codes, missing | (codes < 0), self.levels)

    def get_state(self) -> dict[str, Any]:
        """Return the levels."""
        return {
            "levels": tuple(freeze_label(level, "") for level in self.levels),
            "counts": self.counts,
            "max_categories": self.max_categories,
            "is_identifier": self.is_identifier,
        }


@dataclass(frozen=True)
class EmptyCoding:
    """A column without any observed cell has no encoded columns, and is missing again."""

    name: ClassVar[str] = "empty"
    n_encoded: ClassVar[int] = 0

    def encode(self, cells: Cells, column: Any) -> np.ndarray:
        """Return a matrix without columns, whatever the cells."""
        return np.empty((len(cells.missing), 0))

    def decode(self, values: np.ndarray, missing: np.ndarray) -> Cells:
        """Return missing cells."""
        return Cells.make_empty(len(values))

    def get_state(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


AnyCoding = NumberCoding | BooleanCoding | TimeCoding | CategoryCoding | EmptyCoding


def load_coding(name: str, state: dict[str, Any]) -> AnyCoding:
    """Return the coding of that name with the state that it gave."""
    if name == CategoryCoding.name:
        levels = tuple(thaw_label(level) for level in state["levels"])
        rest = state["max_categories"], state["is_identifier"]
        return CategoryCoding(levels, tuple(state["counts"]), *rest)
    if name == TimeCoding.name:
        return TimeCoding(**state)
    simple: dict[str, AnyCoding] = {
        "number": NumberCoding(),
        "boolean": BooleanCoding(),
        "empty": EmptyCoding(),
    }
    return simple[name]


def name_numbers(cells: Cells) -> Cells:
    """Return numbers and booleans as labels, and all else as it is."""
    if cells.kind not in ("number", "boolean"):
        return cells
    codes = np.full(len(cells.missing), -1)
    labels, codes[~cells.missing] = np.unique(cells.values[~cells.missing], return_inverse=True)
    whole = [int(label) if label.is_integer() else label for label in labels.tolist()]
    if cells.kind == "boolean":
        whole = [bool(label) for label in whole]
    return Cells.from_codes(codes, whole, "category")


def _raise_other_kind(cells: Cells, column: Any, expected: str, remedy: str) -> None:
    found = KIND_WORDS.get(cells.kind, cells.kind)
    row = int(np.argmin(cells.missing))
    value = cells.values[row]
    such_as = ""
    if len(cells.labels):
        such_as = f", such as {cells.labels[value]!r} in row {row}"
    elif cells.kind == "number":
        such_as = f", such as {value:g} in row {row}"
    raise TypeError(
        f"X must have {expected} in column {column!r}, as in fitting, got {found}{such_as}: "
        f"turn the column into what it was, {remedy}"
    )


def _hide(values: np.ndarray, cells: Cells) -> np.ndarray:
    return np.where(cells.missing, np.nan, values)


def _reach(length: int, step: int) -> float:
    """Return how many steps fit into a length, and into 64 bits."""
    steps = min(length // step, _LATEST)
    # The nearest double of a larger number may be beyond it.
    return float(steps) if steps <= 2**53 else float(np.nextafter(float(steps), 0))


def _find_family(label: Any) -> str:
    return "number" if isinstance(label, int | float) else type(label).__name__


def _sort_key(label: Any) -> tuple[str, Any]:
    """Return what orders labels of all types."""
    family = _find_family(label)
    return (family, label if family in ("number", "str") else str(label))
