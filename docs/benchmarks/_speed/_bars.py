"""Targets, and whether they are met."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: What was measured for a part, by the entry's name.
Entries = dict[str, dict[str, Any]]

#: Measures one entry in so many rounds.
Measure = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class Bar:
    """A figure and its target.

    Attributes
    ----------
    name : str
        What is compared.
    asked, reached : str
        The figures, as text.
    met : bool
        Whether the target is met.
    """

    name: str
    asked: str
    reached: str
    met: bool

    @property
    def verdict(self) -> str:
        """Whether the bar is met, in a word."""
        return "met" if self.met else "NOT MET"

    @property
    def line(self) -> str:
        """The bar as a line for the terminal."""
        return f"{self.name}: {self.reached}, target {self.asked}: {self.verdict}"


def at_most(name: str, value: float, limit: float, unit: str = "") -> Bar:
    """Return a bar with an upper limit."""
    return Bar(name, f"≤ {limit:g}{unit}", f"{value:.3g}{unit}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str = "") -> Bar:
    """Return a bar with a lower limit."""
    return Bar(name, f"≥ {limit:g}{unit}", f"{value:.3g}{unit}", value >= limit)
