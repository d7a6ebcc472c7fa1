"""The rows of a table in the plane."""

import numpy as np

from .encoding import Encoding
from .findings import RowMap
from .models import fit_autoencoder
from .scored_rows import ScoredRows
from .steps import show_step
from .table import Table, Target
from .wording import describe_cell, describe_cells

_MOST_DRAWN = 10_000
_MOST_COLUMNS = 8


def draw_map(
    table: Table, rows: np.ndarray, scored: ScoredRows, encoding: Encoding, seed: int
) -> RowMap:
    """Return two codes of rows, from an autoencoder that was fitted on the whole table.

    Parameters
    ----------
    table : Table
        The table.
    rows : ndarray of shape (n_measured,)
        Positions of the rows that were scored.
    scored : ScoredRows
        These rows.
    encoding : Encoding
        What columns were taken for.
    seed : int
        Seed of the model, and of the rows that are drawn of many.
    """
    show_step("drawing the map")
    model = fit_autoencoder(table.frame, 2, seed)
    chosen = _choose_rows(len(rows), scored.order, seed)
    frame = table.frame.iloc[rows[chosen]]
    codes = model.encode(frame)
    names = _choose_columns(model.measure_errors(frame), encoding, table)
    cells = [describe_cells(frame[name]) for name in names]
    return RowMap(
        x=tuple(codes[:, 0].tolist()),
        y=tuple(codes[:, 1].tolist()),
        rows=tuple(map(str, frame.index)),
        p_values=tuple(scored.p_values[chosen].tolist()),
        classes=_name_classes(table.target, rows[chosen]),
        columns=tuple(map(str, names)),
        cells=tuple(zip(*cells, strict=True)),
        kind="autoencoder" if model.n_epochs else "PCA",
        n_rows=len(table.frame),
    )


def _choose_rows(n_rows: int, strangest: np.ndarray, seed: int) -> np.ndarray:
    """Return positions of rows by chance, the strangest among them."""
    if n_rows <= _MOST_DRAWN:
        return np.arange(n_rows)
    others = np.setdiff1d(np.arange(n_rows), strangest)
    n_others = _MOST_DRAWN - len(strangest)
    drawn = np.random.default_rng(seed).choice(others, n_others, replace=False)
    return np.sort(np.append(drawn, strangest))


def _choose_columns(errors: np.ndarray, encoding: Encoding, table: Table) -> list[str]:
    """Return the columns that the map shows best, and the first that names the rows."""
    names, kinds = table.columns, encoding.kinds
    # Columns have unit variance; one without observed cells has no errors.
    counts = np.maximum((~np.isnan(errors)).sum(axis=0), 1)
    missed = np.nansum(errors, axis=0) / counts
    varies = np.array([kinds[name] not in ("identifiers", "empty") for name in names])
    order = np.argsort(np.where(varies, missed, np.inf), kind="stable")
    labels = [n for n, name in enumerate(names) if kinds[name] == "identifiers"][:1]
    n_best = _MOST_COLUMNS - len(labels)
    best = [n for n in order.tolist() if varies[n]][:n_best]
    return [names[n] for n in (*labels, *sorted(best))]


def _name_classes(target: Target | None, rows: np.ndarray) -> tuple[str, ...] | None:
    if target is None:
        return None
    values = target.values[rows].tolist()
    return tuple(
        "" if value is None or value != value else describe_cell(value) for value in values
    )
