"""The comparison as plain text."""

from ._comparison import Comparison, Measured
from ._verdict import verdict_of
from ._versions import versions

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
_MODEL_COLUMN = 1  # text; the others are numbers, which are aligned to the right


def report_of(comparison: Comparison) -> str:
    """Return all lines of the report."""
    lines = [*_what_was_run(comparison), *comparison.notes, ""]
    lines += _table(comparison)
    lines += ["", verdict_of(comparison.results).text]
    return "\n".join(lines)


def _what_was_run(comparison: Comparison) -> list[str]:
    table, split, classes = comparison.table, comparison.split, comparison.classes
    target = ""
    if table.target is not None and classes is not None:
        target = f", target {table.target.name!r} of {classes.n_classes} classes"
    made_with = versions()
    tools = ", ".join(f"{name} {made_with[name]}" for name in ("skae", "torch", "scikit-learn"))
    return [
        f"{table.name}: {len(table.X)} rows x {table.X.shape[1]} columns{target}",
        f"{len(split.train)} rows to train on, {len(split.test)} held out for the figures below",
        f"seed {comparison.seed}, {tools}",
    ]


def _table(comparison: Comparison) -> list[str]:
    lines = [tuple(heading[level] for heading in _HEADINGS) for level in range(2)]
    for size, pair in comparison.results.items():
        for number, (name, measured) in enumerate(pair.items()):
            lines.append((str(size) if number == 0 else "", name, *_cells(measured)))
    kept = [n for n in range(len(_HEADINGS)) if any(line[n] != "-" for line in lines[2:])]
    widths = {n: max(len(line[n]) for line in lines) for n in kept}
    return [
        _GAP.join(
            line[n].ljust(widths[n]) if n == _MODEL_COLUMN else line[n].rjust(widths[n])
            for n in kept
        ).rstrip()
        for line in lines
    ]


def _cells(measured: Measured) -> tuple[str, ...]:
    return (
        _number(measured.explained_variance, 3),
        _number(measured.log_likelihood, 2),
        _number(measured.kmeans_agreement, 3),
        _number(measured.neighbour_accuracy, 3),
        _number(measured.fit_seconds, 3),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
