"""Latent classes of normal scores, as a density of the numbers themselves."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .latent_classes import LatentClasses, MixedCells
from .normal_scores import NormalScores


@dataclass(frozen=True)
class ScoredClasses:
    """Latent classes of rows whose numbers become normal scores.

    Attributes
    ----------
    margins : NormalScores
        By which numbers become normal scores.
    classes : LatentClasses
        Of scores and other cells.
    """

    margins: NormalScores
    classes: LatentClasses

    def log_density(self, cells: MixedCells) -> np.ndarray:
        """Return the log of the density of observed numbers times the mass of other cells."""
        scored, log_slope = score_cells(self.margins, cells)
        return self.classes.log_density(scored) + log_slope

    def complete(self, cells: MixedCells) -> MixedCells:
        """Return rows with likely values of their missing cells, as `LatentClasses` does."""
        filled = self.classes.complete(score_cells(self.margins, cells)[0])
        missing = np.isnan(cells.numbers)
        numbers = np.where(missing, self.margins.inverse(filled.numbers), cells.numbers)
        return MixedCells(numbers, filled.levels, cells.blocks)

    def get_state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {"margins": self.margins.get_state(), "classes": self.classes.get_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the classes of a stored state."""
        return cls(NormalScores(**state["margins"]), LatentClasses(**state["classes"]))


@dataclass(frozen=True)
class StackedClasses:
    """A mixture of classes of numbers as they are and of classes of their normal scores.

    Scores suit columns with peaks, bounds and long tails; numbers as they are, rows in clusters.

    Attributes
    ----------
    plain : LatentClasses or None
        Classes of numbers.
    scored : ScoredClasses or None
        Classes of scores. One of both may lack.
    share : float
        Share of the second in the density, in [0, 1].
    """

    plain: LatentClasses | None
    scored: ScoredClasses | None
    share: float

    @property
    def parts(self) -> list[tuple[float, LatentClasses | ScoredClasses]]:
        """The parts of the mixture, with their shares."""
        both = [(1 - self.share, self.plain), (self.share, self.scored)]
        return [(share, classes) for share, classes in both if classes is not None]

    def log_density(self, cells: MixedCells) -> np.ndarray:
        """Return the log of the density of observed numbers times the mass of other cells."""
        return np.logaddexp.reduce(
            [classes.log_density(cells) + np.log(share) for share, classes in self.parts]
        )

    def complete(self, cells: MixedCells) -> MixedCells:
        """Return rows with likely values of their missing cells, by the part of larger share."""
        return max(self.parts, key=lambda part: part[0])[1].complete(cells)

    def get_state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {
            "plain": None if self.plain is None else self.plain.get_state(),
            "scored": None if self.scored is None else self.scored.get_state(),
            "share": self.share,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the classes of a stored state."""
        if "share" not in state:  # of earlier versions
            return cls(LatentClasses(**state), None, 0.0)
        plain, scored = state["plain"], state["scored"]
        return cls(
            None if plain is None else LatentClasses(**plain),
            None if scored is None else ScoredClasses.from_state(scored),
            state["share"],
        )


def score_cells(margins: NormalScores, cells: MixedCells) -> tuple[MixedCells, np.ndarray]:
    """Return cells with numbers as normal scores, and what that adds to log-densities."""
    scored = margins.transform(cells.numbers)
    return MixedCells(scored.scores, cells.levels, cells.blocks), scored.log_slope
