"""The scores of rows with missing cells as parts of a graph."""

from dataclasses import dataclass

import numpy as np
import spox.opset.ai.onnx.v18 as op

from .._detection.gaps import GapModel
from .._detection.hidden_cells import CountWeights, order_hiding
from .arrays import Array, choose, concatenate, constant, where
from .surprisal import combine_views, interpolate
from .tables import EncodedRows


@dataclass(frozen=True)
class GapGraph:
    """Scores of rows with missing cells.

    Attributes
    ----------
    model : GapModel
        What scores are compared with.
    owner : ndarray of shape (n_encoded,)
        Index of the column that each encoded one is of.
    """

    model: GapModel
    owner: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """The first encoded column of each column."""
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    def observe(self, rows: EncodedRows) -> Array:
        """Return 1 for the columns (n_rows, n_columns) of each row that are observed, else 0."""
        return 1.0 - rows.missing.gather(self.starts).cast(np.float64)

    def thin(self, rows: EncodedRows) -> tuple[EncodedRows, Array]:
        """Return rows with no more observed columns than reference rows have, and in how many ways.

        One copy of all rows follows the other, each with other columns hidden. If no row has more,
        they are the rows as they are.
        """
        observed, most = self.observe(rows), float(self.model.adjustment.counts[0])
        n_columns = len(self.starts)
        if most >= n_columns:
            return rows, constant([1])
        orders = order_hiding(n_columns)
        column = np.cumsum(np.diff(self.owner, prepend=-1) > 0) - 1
        is_fuller = (observed.sum(axis=1) > most).any(axis=0)

        def hide() -> Array:
            ways = []
            for order in orders:
                rank = np.argsort(order)
                is_before = (rank[:, None] <= rank).astype(np.float64)
                hidden = (observed @ is_before) > most
                ways.append(rows.missing | hidden.gather(column))
            return concatenate(ways, axis=0)

        def copy() -> Array:
            return concatenate([rows.values] * len(orders), axis=0)

        values = choose(is_fuller, copy, lambda: rows.values)
        missing = choose(is_fuller, hide, lambda: rows.missing)
        n_ways = choose(is_fuller, lambda: constant([len(orders)]), lambda: constant([1]))
        return EncodedRows(values, missing, rows.surprisal), n_ways

    def score(self, errors: Array, distances: Array, observed: Array) -> Array:
        """Return the scores (n_rows,) of rows with these errors and distances.

        Parameters
        ----------
        errors, distances : Array of shape (n_rows, n_views)
            What they are.
        observed : Array of shape (n_rows, n_columns)
            1 for observed columns, 0 for others.
        """
        tails, adjustment = self.model.tails, self.model.adjustment
        assert tails is not None  # of an anomaly score
        counts = observed.sum(axis=1).cast(np.int64)
        each = [combine_views(score, errors, distances) for score in tails.scores]
        nats = self._weigh(each, tails.counts, counts)
        left = 0.0 - nats - observed @ adjustment.worth
        groups = []
        for own in adjustment.maps:
            inside = interpolate(left.reshape(-1, 1), own.knots[:, None], own.target).reshape(-1)
            below = (left - own.knots[0]).clip(None, 0.0) * own.low
            above = (left - own.last).clip(0.0, None) * own.high
            groups.append(inside + below + above)
        adjusted = self._weigh(groups, adjustment.counts, counts)
        usual = constant(float(np.median(adjustment.usual)))
        return where(counts.equals(0), usual, adjusted) + adjustment.usual_worth

    def _weigh(self, values: list[Array], known: np.ndarray, counts: Array) -> Array:
        """Return the values that rows have by their number of observed columns, of each group's."""
        all_counts = np.arange(len(self.starts) + 1)
        found = CountWeights.from_counts(all_counts, known)
        n_groups = len(known)
        weights = np.zeros((len(all_counts), n_groups + 1))
        weights[all_counts, found.first] = 1 - found.share
        weights[all_counts, found.first + 1] += found.share
        table = constant(weights[:, :n_groups]).gather(counts, axis=0)
        return (concatenate([each.reshape(-1, 1) for each in values]) * table).sum(axis=1)


def join_ways(scores: Array, n_ways: Array) -> Array:
    """Return the mean score of each row's copies."""
    shape = concatenate([n_ways, constant([-1])], axis=0)
    return Array(op.reshape(scores.var, shape.var)).mean(axis=0)
