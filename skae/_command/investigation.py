"""All that a report shows, measured."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from .certainty import measure_standard_error
from .comparison import Comparison
from .findings import Findings, Shift, SizeFigures
from .measurement import Measurement, Pair
from .predicted_columns import list_columns
from .report import collect_versions
from .row_map import draw_map
from .scored_rows import score_rows
from .table import sample_rows

# Rows that are scored: more would make the report large and no clearer.
_MOST_ROWS = 100_000


def investigate(comparison: Comparison, shift: Shift | None, command: str) -> Findings:
    """Measure what a report shows beside a comparison.

    Parameters
    ----------
    comparison : Comparison
        Both models, compared on the table.
    shift : Shift or None
        What was found of a second table.
    command : str
        The command line.
    """
    plan = comparison.plan
    table, seed, encoding = plan.table, plan.seed, plan.split.encoding
    notes = list(plan.notes)
    rows = np.arange(len(table.frame))
    if len(rows) > _MOST_ROWS:
        rows = sample_rows(rows, _MOST_ROWS, seed)
        n_rows = len(table.frame)
        notes.append(f"rows drawn by chance for p-values and the map: {_MOST_ROWS} of {n_rows}")
    scored = score_rows(table.frame.iloc[rows], seed)
    measured = [found for pair in comparison.results.values() for found in pair.by_name().values()]
    return Findings(
        table=table.name,
        n_rows=len(table.frame),
        n_columns=table.frame.shape[1],
        verdict=comparison.verdict.sentences,
        notes=tuple(notes),
        sizes=tuple(_list_figures(size, pair) for size, pair in comparison.results.items()),
        explained_noise=measure_noise(_list_shares(measured)),
        likelihood_noise=measure_noise(
            [found.log_densities for found in measured if found.log_likelihood is not None]
        ),
        map=draw_map(table, rows, scored, encoding, seed),
        p_values=tuple(scored.p_values.tolist()),
        strangest=scored.strangest,
        columns=list_columns(table.frame, encoding, seed),
        shift=shift,
        provenance=(
            ("command", command),
            ("seed", str(seed)),
            *collect_versions().items(),
            ("date", datetime.now().astimezone().isoformat(" ", timespec="minutes")),
        ),
    )


def _list_figures(size: int, pair: Pair) -> SizeFigures:
    return SizeFigures(
        n_components=size,
        pca_explained=pair.pca.explained_variance,
        autoencoder_explained=pair.autoencoder.explained_variance,
        pca_log_likelihood=pair.pca.log_likelihood,
        autoencoder_log_likelihood=pair.autoencoder.log_likelihood,
    )


def _list_shares(measured: list[Measurement]) -> list[np.ndarray]:
    """Return what each row adds to how far the unexplained share of the variance is off, by model.

    The variance is that of the same rows, and a sample too: see `Difference.from_shares`.
    """
    finite = [found for found in measured if found.explained_variance is not None]
    return [
        (found.errors - found.errors.sum() / found.squares.sum() * found.squares)
        / found.squares.mean()
        for found in finite
    ]


def measure_noise(figures: Sequence[np.ndarray | None]) -> float:
    """Return the largest standard error of what tells the means of figures apart.

    Each figure is the mean of as many rows; what they have in common moves all alike.
    """
    known = [values for values in figures if values is not None]
    if not known:
        return 0.0
    middle = np.mean(known, axis=0)
    return max(measure_standard_error(values - middle) for values in known)
