"""Scaled rows with their missing cells filled, as parts of a graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import spox.opset.ai.onnx.v18 as op

from .._linear import Completion
from .._linear.missing_covariance import invert_covariance
from .arrays import Array, choose, constant, repeat, where


@dataclass(frozen=True)
class FilledRows:
    """Scaled rows without missing cells.

    Attributes
    ----------
    values : Array of shape (n_rows, n_columns)
        The rows.
    seen : Array of shape (n_rows, n_columns)
        1 for cells that were observed, 0 for others.
    """

    values: Array
    seen: Array


def fill_rows(scaled: Array, missing: Array, completion: Completion | None) -> FilledRows:
    """Return rows whose missing cells are their means given the observed ones.

    Parameters
    ----------
    scaled : Array of shape (n_rows, n_columns)
        The rows, in float64; a missing cell is any number.
    missing : Array of bool of shape (n_rows, n_columns)
        Which cells are missing.
    completion : Completion or None
        The normal distribution that cells are expected from; None is the columns' means.
    """
    seen = 1.0 - missing.cast(np.float64)
    zero = where(missing, constant(0.0), scaled)
    if completion is None:
        return FilledRows(zero, seen)
    mean = completion.moments.mean
    precision = invert_covariance(completion.moments.covariance)
    is_incomplete = missing.any(axis=1)

    def fill() -> Array:
        indices = Array(op.non_zero(is_incomplete.var)).reshape(-1)
        rows, gaps = scaled.gather(indices, axis=0), missing.gather(indices, axis=0)
        centred = where(gaps, constant(0.0), rows - mean)
        filled = where(gaps, _expect(centred, gaps, precision) + mean, rows)
        return Array(op.scatter_nd(zero.var, indices.reshape(-1, 1).var, filled.var))

    return FilledRows(choose(is_incomplete.any(axis=0), fill, lambda: zero), seen)


def _expect(centred: Array, gaps: Array, precision: np.ndarray) -> Array:
    """Return the expected missing cells of centred rows that are 0 there; others mean nothing.

    They solve `P_mm x_m = -P_mo x_o` with the rows and columns of the precision `P` that are
    missing and observed. ONNX has no operator that solves, so each column is eliminated in turn, as
    Gauss and Jordan do, in the systems of all rows at once. These are positive definite, so that
    no rows have to be exchanged. Observed columns have the identity in their place.
    """
    n_columns = len(precision)
    identity = np.eye(n_columns)
    both = gaps.reshape(-1, n_columns, 1) & gaps.reshape(-1, 1, n_columns)
    systems = where(both, constant(precision), constant(identity))
    right = where(gaps, centred @ -precision, constant(0.0))

    def eliminate(index: Array, state: Sequence[Array]) -> list[Array]:
        systems, right = state
        pivot = systems.gather(index, axis=1)
        own = pivot.gather(index).reshape(-1, 1)
        factor = systems.gather(index, axis=2) - constant(identity).gather(index, axis=0)
        left = factor.reshape(-1, n_columns, 1) * (pivot / own).reshape(-1, 1, n_columns)
        value = right.gather(index).reshape(-1, 1) / own
        return [systems - left, right - factor * value]

    return repeat(n_columns, [systems, right], eliminate)[1]
