"""The comparison as plain text, as a JSON record and as a chart."""

import json
import platform
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import sklearn
import torch

from .. import __version__
from ..inspection import ComparisonDisplay
from ..inspection.comparison import measure_figure
from ..inspection.drawing import make_figure
from .arguments import Arguments
from .comparison import Comparison, Plan, Uncompared
from .encoding import Encoding
from .findings import SURE, Reason, Shift
from .measurement import Measurement
from .outputs import write_atomically
from .printing import list_some, make_printable, quote, shorten
from .shift_verdict import count_discoveries
from .table import Table
from .verdict import compute_unexplained_ratio
from .wording import format_percent

_HEADINGS = (
    ("", "components"),
    ("", "model"),
    ("explained", "variance"),
    ("log-likelihood,", "nats a row"),
    ("k-means", "agreement"),
    ("5-neighbour", "accuracy"),
    ("fit,", "seconds"),
)
_GAP = "  "
_MODEL_COLUMN = 1  # text, aligned left; the others are numbers, aligned right

# Columns and rows of a second table that are listed; its first rows also if none is called.
_MOST_LISTED = 8
_FEWEST_LISTED = 3

_DPI = 150


# Plain text ---------------------------------------------------------------------------


def format_plan(plan: Plan | Uncompared) -> list[str]:
    """Return the lines of what was read, which the command prints before it fits models."""
    lines = [*_describe_run(plan), *plan.notes]
    if isinstance(plan, Uncompared):
        lines += ["", f"PCA and the autoencoder are not compared: {plan.reason}."]
    return lines


def format_comparison(comparison: Comparison) -> list[str]:
    """Return the lines of what was measured, which follow those of what was read."""
    return ["", *_format_table(comparison), "", *comparison.verdict.sentences]


def _describe_run(plan: Plan | Uncompared) -> list[str]:
    table, target, parts = plan.table, "", []
    if isinstance(plan, Plan):
        split, classes = plan.split, plan.classes
        parts.append(
            f"{len(split.train)} rows to train on, {len(split.test)} held out for the figures below"
        )
        if table.target is not None and classes is not None:
            target = f", target {quote(table.target.name)} of {classes.n_classes} classes"
    n_columns = table.frame.shape[1]
    versions = collect_versions()
    tools = ", ".join(f"{name} {versions[name]}" for name in ("skae", "torch", "scikit-learn"))
    return [
        f"{table.name}: {len(table.frame)} rows x {n_columns} column{'s' if n_columns > 1 else ''}"
        f"{target}",
        *parts,
        f"seed {plan.seed}, {tools}",
    ]


def _format_table(comparison: Comparison) -> list[str]:
    lines = [tuple(heading[level] for heading in _HEADINGS) for level in range(2)]
    for size, pair in comparison.results.items():
        for index, (name, measurement) in enumerate(pair.by_name().items()):
            lines.append((str(size) if index == 0 else "", name, *_format_cells(measurement)))
    kept = [n for n in range(len(_HEADINGS)) if any(line[n] != "-" for line in lines[2:])]
    widths = {n: max(len(line[n]) for line in lines) for n in kept}
    return [
        _GAP.join(
            line[n].ljust(widths[n]) if n == _MODEL_COLUMN else line[n].rjust(widths[n])
            for n in kept
        ).rstrip()
        for line in lines
    ]


def _format_cells(measurement: Measurement) -> tuple[str, ...]:
    return (
        _format_number(measurement.explained_variance, 3),
        _format_number(measurement.log_likelihood, 2),
        _format_number(measurement.kmeans_agreement, 3),
        _format_number(measurement.neighbour_accuracy, 3),
        _format_number(measurement.fit_seconds, 3),
    )


def _format_number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def collect_versions() -> dict[str, str]:
    """Return the versions that the figures depend on."""
    return {
        "skae": __version__,
        "torch": str(torch.__version__),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def format_shift(shift: Shift, first_name: str) -> list[str]:
    """Return the lines that say whether a second table is like the first."""
    n_rows = f"{shift.n_rows} row{'s' if shift.n_rows > 1 else ''}"
    lines = ["", f"{shift.table}: {n_rows}, judged by {first_name}", *shift.notes]
    moved = [column for column in shift.columns if column.p_value < SURE]
    if moved:
        lines += ["", "columns that have changed (distance from 0 to 1, corrected p-value)"]
        lines += [
            f"{quote(column.name)} ({column.distance:.2f}, p {_format_p_value(column.p_value)}): "
            f"{column.before} -> {column.after}"
            for column in moved[:_MOST_LISTED]
        ]
        lines += _count_others(len(moved))
    n_called = count_discoveries(np.array(shift.p_values))
    found = shift.strangest[: min(max(n_called, _FEWEST_LISTED), _MOST_LISTED)]
    lines += ["", "its strangest rows, counted from 0, and why"]
    lines += [
        f"row {row.row} (p {_format_p_value(row.p_value)}): "
        + (
            list_some([_format_reason(reason) for reason in row.reasons])
            or "no single cell stands out"
        )
        for row in found
    ]
    return [*lines, "", *shift.sentences]


def _count_others(n_listed: int) -> list[str]:
    n_others = n_listed - _MOST_LISTED
    return [f"and {n_others} more"] if n_others > 0 else []


def _format_reason(reason: Reason) -> str:
    share = format_percent(reason.share)
    return f"{quote(reason.column)} is {reason.value}, expected {reason.expected} ({share})"


def _format_p_value(p_value: float) -> str:
    return "< 1e-6" if p_value < 1e-6 else f"{p_value:.2g}"


# JSON ---------------------------------------------------------------------------------


def write_record(
    comparison: Comparison | Uncompared, shift: Shift | None, arguments: Arguments, path: Path
) -> None:
    """Write all figures, and what they were made from, as JSON."""
    # NaN and infinity are not JSON; missing figures are None before they get here.
    record = _make_record(comparison, arguments)
    if shift is not None:
        record["shift"] = {**asdict(shift), "text": shift.text}
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def _make_record(comparison: Comparison | Uncompared, arguments: Arguments) -> dict[str, object]:
    plan = comparison if isinstance(comparison, Uncompared) else comparison.plan
    shared = {
        "arguments": _list_arguments(arguments),
        "seed": plan.seed,
        "versions": collect_versions(),
        "notes": plan.notes,
    }
    if isinstance(comparison, Uncompared):
        parts = {"train_rows": None, "test_rows": None, "classes": None}
        table = {**_describe_table(comparison.table, comparison.encoding), **parts}
        return {"table": table, **shared, "results": [], "verdict": None}
    verdict, split, classes = comparison.verdict, comparison.plan.split, comparison.plan.classes
    return {
        "table": {
            **_describe_table(comparison.plan.table, split.encoding),
            "train_rows": len(split.train),
            "test_rows": len(split.test),
            "classes": None if classes is None else classes.n_classes,
        },
        **shared,
        "results": [
            {
                "n_components": size,
                **{name: _list_figures(found) for name, found in pair.by_name().items()},
                "unexplained_ratio": compute_unexplained_ratio(pair),
            }
            for size, pair in comparison.results.items()
        ],
        "verdict": {**asdict(verdict), "text": verdict.text},
    }


def _describe_table(table: Table, encoding: Encoding) -> dict[str, object]:
    return {
        "name": table.name,
        "rows": len(table.frame),
        "columns": table.columns,
        "kinds": encoding.kinds,
        "missing_cells": int(table.missing.sum()),
        "columns_left_out": table.columns_left_out,
        "rows_left_out": table.n_rows_left_out,
        "target": None if table.target is None else table.target.name,
    }


def _list_arguments(arguments: Arguments) -> dict[str, object]:
    listed = asdict(arguments)
    listed |= listed.pop("text_format")
    del listed["traceback"]  # it changes nothing of the comparison
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in listed.items()
    }


def _list_figures(measurement: Measurement) -> dict[str, float | None]:
    return {
        "explained_variance": measurement.explained_variance,
        "log_likelihood": measurement.log_likelihood,
        "kmeans_agreement": measurement.kmeans_agreement,
        "neighbour_accuracy": measurement.neighbour_accuracy,
        "fit_seconds": measurement.fit_seconds,
        "n_epochs": measurement.n_epochs,
    }


# Chart --------------------------------------------------------------------------------


def write_chart(comparison: Comparison, path: Path) -> None:
    """Draw the explained variances, and the codes of two components, to a file."""
    from matplotlib.text import Text  # here, because it is optional

    table, test = comparison.plan.table, comparison.plan.split.test
    pairs, map_pair = comparison.results.values(), comparison.map
    shares = {
        "PCA": [pair.pca.explained_variance for pair in pairs],
        "Autoencoder": [pair.autoencoder.explained_variance for pair in pairs],
    }
    display = ComparisonDisplay(
        n_components=list(comparison.results),
        explained_variance={name: np.array(row, dtype=float) for name, row in shares.items()},
        codes=None
        if map_pair is None
        else {"PCA": map_pair.pca.codes, "Autoencoder": map_pair.autoencoder.codes},
        labels=None if table.target is None else _escape_labels(table.target.values[test]),
        label_name=None if table.target is None else shorten(table.target.name),
    )
    figure = make_figure(*measure_figure(len(display.codes or {})))
    display.plot(figure.add_subplot())
    figure.suptitle(f"{shorten(table.name)}: {len(test)} rows held out of {len(table.frame)}")
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names are text, also with dollar signs
        text.set_usetex(False)
    kind = path.suffix[1:]  # the draft has another
    with warnings.catch_warnings():
        # The font may lack letters of a name; it draws boxes instead.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        write_atomically(path, lambda file: figure.savefig(file, format=kind, dpi=_DPI))


def _escape_labels(values: np.ndarray) -> np.ndarray:
    """Return labels that can be drawn: control characters would damage an SVG file."""
    if values.dtype != object:
        return values
    labels = [None if value is None else make_printable(value) for value in values]
    return np.array(labels, dtype=object)
