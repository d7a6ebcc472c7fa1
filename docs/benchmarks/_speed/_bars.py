"""What we set out to reach, and whether it is reached."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: What was measured for a part, by the entry's name.
Entries = dict[str, dict[str, Any]]

#: Measures one entry in so many rounds.
Measure = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class Bar:
    """One figure beside the one asked for.

    Attributes
    ----------
    name : str
        What is compared.
    asked, reached : str
        The figures, as text.
    met : bool
        Whether what was asked is reached.
    """

    name: str
    asked: str
    reached: str
    met: bool

    @property
    def verdict(self) -> str:
        """Whether the bar is reached, in a word."""
        return "met" if self.met else "NOT MET"

    @property
    def line(self) -> str:
        """The bar as a line for the terminal."""
        return f"{self.name}: {self.reached}, asked {self.asked}: {self.verdict}"


def at_most(name: str, value: float, limit: float, unit: str = "") -> Bar:
    """Return a bar that is reached from below."""
    return Bar(name, f"≤ {limit:g}{unit}", f"{value:.3g}{unit}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str = "") -> Bar:
    """Return a bar that is reached from above."""
    return Bar(name, f"≥ {limit:g}{unit}", f"{value:.3g}{unit}", value >= limit)
