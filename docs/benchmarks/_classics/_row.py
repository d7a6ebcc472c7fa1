"""What a row is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ._data import Images


@dataclass(frozen=True)
class Context:
    """What every row is given.

    Attributes
    ----------
    mnist : Images
        The training and the test images.
    minutes : float or None
        Budget of a training, as `--minutes` says; None is what the row's bar allows.
    seed : int
        What every random choice is drawn from.
    pictures : Path
        The folder to save pictures in.
    """

    mnist: Images
    minutes: float | None
    seed: int
    pictures: Path

    def budget(self, minutes: float) -> float:
        """Return the seconds that a training may take, `minutes` unless told otherwise."""
        return 60.0 * (minutes if self.minutes is None else self.minutes)


@dataclass(frozen=True)
class Result:
    """One figure beside the one published.

    Attributes
    ----------
    name : str
        What was computed, in a few words.
    measure : str
        What the figure is, with its unit.
    published, source : str
        The published figure, and where it is from.
    ours : float
        The same, measured.
    bar : float or None
        What it is to reach; None where it is there to compare with.
    seconds : float
        Wall time of the fit, less what recording curves took.
    settings : str
        What a reader needs to do it again.
    higher_is_better : bool, default=False
        Which side of the bar is the good one.
    notes : tuple of str, default=()
        Sentences on what the figure leaves unsaid.
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
        """Whether the bar is reached; None where there is no bar."""
        if self.bar is None:
            return None
        return self.ours >= self.bar if self.higher_is_better else self.ours <= self.bar

    @property
    def verdict(self) -> str:
        """Whether the bar is reached, in a word."""
        return {None: "no bar", True: "met", False: "NOT MET"}[self.met]

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON has it, the verdict included."""
        return {**asdict(self), "met": self.met, "verdict": self.verdict}


@dataclass(frozen=True)
class Picture:
    """A picture in `Context.pictures`.

    Attributes
    ----------
    file : str
        Its name there.
    caption : str
        What it shows.
    """

    file: str
    caption: str


@dataclass(frozen=True)
class Row:
    """What a row gives.

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
        Further figures for the JSON file alone, curves for example.
    """

    title: str
    text: str
    results: tuple[Result, ...]
    pictures: tuple[Picture, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "results": [result.as_record() for result in self.results]}


#: Computes a row.
Compute = Callable[[Context], Row]
