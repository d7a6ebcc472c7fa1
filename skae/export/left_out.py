"""Linear errors of rows that are left out as parts of a graph."""

from .._detection.left_out import LEAST_SHARE, LeftOutErrors
from .arrays import Array, constant, square, where


def leave_out(known: LeftOutErrors, rows: Array, is_copy: Array) -> Array:
    """Return the errors (n_rows, 1) of rows, see `LeftOutErrors.measure`.

    Parameters
    ----------
    known : LeftOutErrors
        The known rows.
    rows : Array of shape (n_rows, n_features)
        The rows, scaled, with missing cells filled.
    is_copy : Array of bool of shape (n_rows, 1)
        Which rows are copies of known ones.
    """
    centred = rows - known.mean
    explained = square(centred @ known.factor.T).sum(axis=1, keepdims=True)
    errors = (square(centred).sum(axis=1, keepdims=True) - explained).clip(0.0, None)
    own = where(is_copy, errors * known.leverage, constant(0.0))
    return errors / (1.0 - own).clip(LEAST_SHARE, None)
