"""The input and the output of a row."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ._data import Images


@dataclass(frozen=True)
class Context:
    """The input of every row.

    Attributes
    ----------
    mnist : Images
        The training and the test images.
    minutes : float or None
        Time limit of a training, from `--minutes`; None is the default of the row.
    seed : int
        Seed of all random choices.
    pictures : Path
        The folder to save pictures in.
    """

    mnist: Images
    minutes: float | None
    seed: int
    pictures: Path

    def budget(self, minutes: float) -> float:
        """Return the time limit of a training in seconds; `minutes` is the default."""
        return 60.0 * (minutes if self.minutes is None else self.minutes)


@dataclass(frozen=True)
class Result:
    """A figure and the published one.

    Attributes
    ----------
    name : str
        Name of the figure.
    measure : str
        Meaning of the figure, with its unit.
    published, source : str
        The published figure and its source.
    ours : float
        The measured figure.
    bar : float or None
        The target; None for figures included for comparison.
    seconds : float
        Wall time of the fit, without the time for recording curves.
    settings : str
        What a reader needs to reproduce the figure.
    higher_is_better : bool, default=False
        Whether the bar is a lower limit.
    notes : tuple of str, default=()
        Additional sentences.
    """

    name: str
    measure: str
    published: str
    source: str
    ours: float
    bar: float | None
    seconds: float
    settings: str
    higher_is_better: bool = False
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without a bar."""
        if self.bar is None:
            return None
        return self.ours >= self.bar if self.higher_is_better else self.ours <= self.bar

    @property
    def verdict(self) -> str:
        """Whether the bar is met, in a word."""
        return {None: "no bar", True: "met", False: "NOT MET"}[self.met]

    def as_record(self) -> dict[str, Any]:
        """Return the record for JSON, including the verdict."""
        return {**asdict(self), "met": self.met, "verdict": self.verdict}


@dataclass(frozen=True)
class Picture:
    """A picture in `Context.pictures`.

    Attributes
    ----------
    file : str
        Its name in that folder.
    caption : str
        Its caption on the page.
    """

    file: str
    caption: str


@dataclass(frozen=True)
class Row:
    """The output of a row.

    Attributes
    ----------
    title : str
        Its heading on the page.
    text : str
        A paragraph on what was done.
    results : tuple of Result
        Its figures.
    pictures : tuple of Picture, default=()
        Its pictures.
    details : dict, default={}
        Figures for the JSON file only, for example curves.
    """

    title: str
    text: str
    results: tuple[Result, ...]
    pictures: tuple[Picture, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """Return the record for JSON."""
        return {**asdict(self), "results": [result.as_record() for result in self.results]}


#: Computes a row.
Compute = Callable[[Context], Row]
