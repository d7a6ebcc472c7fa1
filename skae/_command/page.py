"""The report as one HTML file that needs nothing else: no network, no other file."""

import base64
import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..inspection.spread import Spread
from .chance import SMALL, expect_share
from .findings import Findings, RowMap
from .outputs import write_atomically
from .svg import LineChart, draw_histogram, draw_lines

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("discoveries.js", "map.js", "tables.js", "page.js")

# What the slider offers. Smaller rates would rest on the extrapolated tail alone; p-values above
# the last are never called.
_RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
_FIRST_RATE = 0.1

# Codes this many widths of most of them away would make a blob of the rest.
_FAR = 10.0

# Classes that can be told apart by colour and mark; the rarest others share one.
_MOST_CLASSES = 35

_LONGEST_NAME = 80

# Between words of names such as household_income, householdIncome and household.income, but not
# within numbers and dates.
_JOINTS = re.compile(r"(?<=_)(?=[^\W_])|(?<=[^\W\d_][./:-])(?=[^\W\d_])|(?<=[a-z])(?=[A-Z])")

# Axes of the charts span so many standard errors of the differences that they show, and at least
# so much of the variance, and so many nats.
_STANDARD_ERRORS = 8
_LEAST_SHARES = 0.02
_LEAST_NATS = 0.2

# Smaller p-values are not told apart.
_SMALLEST = 1e-6


def write_page(findings: Findings, path: Path) -> None:
    """Write the report to a file.

    Parameters
    ----------
    findings : Findings
        What the report shows.
    path : Path
        The file; an old one is replaced once the new one is whole.
    """
    # A file's name may have bytes that are no text, which come as halves of surrogate pairs.
    page = make_page(findings).encode("utf-8", errors="backslashreplace")
    write_atomically(path, lambda file: file.write(page))


def make_page(findings: Findings) -> str:
    """Return the report as HTML."""
    environment = _make_environment()
    script = "\n".join((_TEMPLATES / name).read_text("utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    shift = findings.shift
    return environment.get_template("page.html").render(
        findings=findings,
        shift=shift,
        style=(_TEMPLATES / "page.css").read_text("utf-8"),
        script=script,
        # Only this script may run, whatever the table contains.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        explained=draw_explained(findings),
        likelihood=_draw_likelihood(findings),
        n_missing=sum(column.n_missing for column in findings.columns),
        data=_collect_data(findings),
        drawn={row: index for index, row in reversed(list(enumerate(findings.map.rows)))},
        squashed=_is_squashed(findings.map),
        rates=_RATES,
        first_rate=_RATES.index(_FIRST_RATE),
        histogram=None if shift is None else draw_histogram(shift.p_values, shift.n_calibration),
        small=SMALL,
        small_share=0.0 if shift is None else _measure_small_share(shift.p_values),
        chance=0.0 if shift is None else expect_share(SMALL, shift.n_calibration),
    )


def _make_environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "p_value": _format_p_value,
        "figure": _format_figure,
        "percent": _format_percent,
        "count": lambda number: f"{number:,}",
        "cut": _cut,
        "breakable": _mark_breaks,
    }
    environment.filters |= filters
    return environment


# Charts -------------------------------------------------------------------------------


def draw_explained(findings: Findings) -> LineChart | None:
    """Return the chart of the explained variance; None without figures."""
    sizes = findings.sizes
    figures = {
        "PCA": [size.pca_explained for size in sizes],
        "autoencoder": [size.autoencoder_explained for size in sizes],
    }
    least_span = max(_LEAST_SHARES, _STANDARD_ERRORS * findings.explained_noise)
    return draw_lines([size.n_components for size in sizes], figures, "percent", least_span)


def _draw_likelihood(findings: Findings) -> LineChart | None:
    sizes = findings.sizes
    figures = {
        "PCA": [size.pca_log_likelihood for size in sizes],
        "autoencoder": [size.autoencoder_log_likelihood for size in sizes],
    }
    least_span = max(_LEAST_NATS, _STANDARD_ERRORS * findings.likelihood_noise)
    return draw_lines([size.n_components for size in sizes], figures, "number", least_span)


def _measure_small_share(p_values: Sequence[float]) -> float:
    return sum(value <= SMALL for value in p_values) / len(p_values) if p_values else 0.0


# Data of the script -------------------------------------------------------------------


def _collect_data(findings: Findings) -> Mapping[str, object]:
    """Return what the script draws, as JSON can hold it."""
    rows = findings.map
    places = _place_rows(rows)
    names, classes = _number_classes(rows.classes)
    return {
        "x": _round(places[:, 0]),
        "y": _round(places[:, 1]),
        "rows": rows.rows,
        "p": rows.p_values,
        "classNames": names,
        "classes": classes,
        "columns": rows.columns,
        "cells": rows.cells,
        "nRows": len(findings.p_values),
        "small": _count_small(findings.p_values),
        "rates": _RATES,
    }


def _place_rows(rows: RowMap) -> np.ndarray:
    """Return where rows are drawn: at their codes, or nearer if a few are far from the rest."""
    codes = np.array([rows.x, rows.y], dtype=float).T.reshape(-1, 2)
    finite = codes[np.isfinite(codes).all(axis=1)]
    if len(finite) == 0:
        return codes
    squash = Spread.from_codes("squash", finite)
    is_far = np.abs(squash.forward(finite)).max() > math.asinh(_FAR)
    return squash.forward(codes) if is_far else codes


def _is_squashed(rows: RowMap) -> bool:
    codes = np.array([rows.x, rows.y], dtype=float).T.reshape(-1, 2)
    return not np.array_equal(_place_rows(rows), codes, equal_nan=True)


def _round(values: np.ndarray) -> list[float | None]:
    """Return values with the digits that a screen shows; None for what JSON can't hold."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def _number_classes(classes: Sequence[str] | None) -> tuple[list[str], list[int] | None]:
    """Return the names of the classes, and each row's index among them; -1 has none."""
    if classes is None:
        return [], None
    counts = Counter(name for name in classes if name)
    names = sorted((name for name, _ in counts.most_common(_MOST_CLASSES)), key=_order_class)
    indices = {name: index for index, name in enumerate(names)}
    return names, [indices.get(name, -1) for name in classes]


def _order_class(name: str) -> tuple[float, str]:
    """Order numbers by size, and labels after them by the alphabet."""
    try:
        number = float(name)
    except ValueError:
        number = math.inf
    return (math.inf if math.isnan(number) else number, name)


def _count_small(p_values: Sequence[float]) -> list[tuple[float, int]]:
    """Return the distinct p-values that can be called, in order, and how often each occurs."""
    return sorted(Counter(value for value in p_values if value <= _RATES[-1]).items())


# Texts --------------------------------------------------------------------------------


def _format_p_value(value: float) -> str:
    """Return a p-value with two digits or four decimals, whichever are more."""
    if value <= _SMALLEST:
        return f"≤ {_SMALLEST:f}"
    return f"{value:.{1 - math.floor(math.log10(value)) if value < 0.001 else 4}f}"


def _format_figure(value: float | None, digits: int = 3) -> str:
    return "\N{EN DASH}" if value is None else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _format_percent(share: float) -> str:
    if 0 < share < 0.001:
        return "< 0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _mark_breaks(text: str) -> "Markup":
    """Return a name that may be broken between the words that it joins."""
    from markupsafe import Markup  # here, because it is optional

    return Markup("<wbr>").join(_JOINTS.split(text))
