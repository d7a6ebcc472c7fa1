"""The comparison as JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ._arguments import Arguments
from ._comparison import Comparison, Measured
from ._files import write_atomically
from ._verdict import unexplained_ratio, verdict_of
from ._versions import versions


def record_of(comparison: Comparison, arguments: Arguments) -> dict[str, Any]:
    """Return all figures, and what they were made from, as values that JSON has."""
    table, split, classes = comparison.table, comparison.split, comparison.classes
    given = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(arguments).items()
    }
    return {
        "table": {
            "name": table.name,
            "rows": len(table.X),
            "columns": table.columns,
            "columns_left_out": table.columns_left_out,
            "rows_left_out": table.n_rows_left_out,
            "train_rows": len(split.train),
            "test_rows": len(split.test),
            "target": None if table.target is None else table.target.name,
            "classes": None if classes is None else classes.n_classes,
        },
        "arguments": given,
        "seed": comparison.seed,
        "versions": versions(),
        "notes": comparison.notes,
        "results": [
            {
                "n_components": size,
                **{name: _figures(measured) for name, measured in pair.items()},
                "unexplained_ratio": unexplained_ratio(pair),
            }
            for size, pair in comparison.results.items()
        ],
        "verdict": asdict(verdict_of(comparison.results)),
    }


def _figures(measured: Measured) -> dict[str, float | None]:
    return {
        "explained_variance": measured.explained_variance,
        "log_likelihood": measured.log_likelihood,
        "kmeans_agreement": measured.kmeans_agreement,
        "neighbour_accuracy": measured.neighbour_accuracy,
        "fit_seconds": measured.fit_seconds,
        "n_epochs": measured.n_epochs,
    }


def write_record(record: dict[str, Any], path: Path) -> None:
    """Write a record to a file."""
    # NaN and infinity are no JSON; a figure that is not there is None before it gets here.
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
