"""Whether a second table is like the first one: its rows, and its columns."""

import math
from dataclasses import replace

import numpy as np
from scipy.stats import false_discovery_control

from .._detection import AEAnomalyDetector
from .chance import SMALL, expect_share
from .column_shift import compare_columns, compare_samples, correct_p_values
from .encoding import ignore_reported
from .findings import ColumnShift, Shift
from .printing import list_names, quote
from .scored_rows import explain_rows, find_anomalous
from .second_table import SecondTable
from .wording import format_percent, name_kinds

# More calibration rows than a detector has by itself: small p-values matter more here than the
# last bit of the fit.
_CALIBRATION_FRACTION = 1 / 3

#: The false-discovery rate of the rows that are called anomalies.
FALSE_DISCOVERY_RATE = 0.1

#: Corrected p-values below this are called a difference.
SURE = 0.05


def measure_shift(tables: SecondTable, seed: int) -> Shift:
    """Compare a second table with the first.

    Its rows have p-values under a detector that was fitted on two thirds of the first table, and
    calibrated on the others. Given the detector, these calibration rows and those of a table that
    comes from the same source are exchangeable, so that a two-sample test of their scores is valid.
    """
    detector = AEAnomalyDetector(calibration_fraction=_CALIBRATION_FRACTION, random_state=seed)
    with ignore_reported():
        detector.fit(tables.first)
    scores, p_values = detector.score_samples(tables.frame), detector.p_values(tables.frame)
    known = detector.calibration_scores_
    columns = compare_columns(tables.first, tables.frame, tables.encoding)
    tests = [compare_samples(known, scores)[0], *(column.p_value for column in columns)]
    corrected = correct_p_values(np.array(tests)).tolist()
    columns = [replace(c, p_value=p) for c, p in zip(columns, corrected[1:], strict=True)]
    columns.sort(key=lambda column: (column.p_value >= SURE, -column.distance))
    order = find_anomalous(p_values, scores)
    return Shift(
        table=tables.name,
        n_rows=len(tables.frame),
        text=_conclude(tables, p_values, len(known), corrected[0] < SURE, columns),
        n_calibration=len(known),
        p_values=tuple(p_values.tolist()),
        strangest=tuple(explain_rows(detector, tables.frame, order, p_values)),
        columns=tuple(columns),
        notes=(*tables.notes, *_describe_limits(tables, len(known), len(p_values))),
    )


def count_discoveries(p_values: np.ndarray) -> int:
    """Return how many rows are anomalies, as `AEAnomalyDetector.discoveries` finds them."""
    return int((false_discovery_control(p_values) <= FALSE_DISCOVERY_RATE).sum())


def _conclude(
    tables: SecondTable,
    p_values: np.ndarray,
    n_known: int,
    rows_differ: bool,
    columns: list[ColumnShift],
) -> str:
    """Return the answer in words."""
    moved = [column for column in columns if column.p_value < SURE]
    answer = "differs from" if rows_differ or moved else "does not surely differ from"
    share, chance = float((p_values <= SMALL).mean()), expect_share(SMALL, n_known)
    error = 2 * math.sqrt(chance * (1 - chance) * (1 / len(p_values) + 1 / n_known))
    figures = (
        f"{format_percent(share)} of them have a p-value of at most {SMALL:g}, "
        f"where chance gives {format_percent(chance)} ± {format_percent(error)}"
    )
    if chance == 0:
        figures = f"{n_known} rows to compare with are too few for p-values of at most {SMALL:g}"
    # The p-values of rows like those of the first table average one half.
    likeness = "as usual as"
    if rows_differ:
        likeness = "stranger than" if p_values.mean() < 0.5 else "more usual than"
    link = "but" if rows_differ != bool(moved) else "and"
    changes = "no column has surely changed"
    if moved:
        verb = "has" if len(moved) == 1 else "have"
        changes = (
            f"{len(moved)} of {len(columns)} columns {verb} changed, most of all "
            f"{quote(moved[0].name)}"
        )
    n_found = count_discoveries(p_values)
    rows = f"{n_found or 'no'} {'rows are' if n_found > 1 else 'row is'}"
    found = f"{rows} called anomalous at a false-discovery rate of {FALSE_DISCOVERY_RATE:g}"
    return (
        f"{tables.name} {answer} {tables.first_name}: its rows are {likeness} those of "
        f"{tables.first_name} ({figures}), {link} {changes}. {found[0].upper()}{found[1:]}."
    )


def _describe_limits(tables: SecondTable, n_known: int, n_rows: int) -> list[str]:
    """Return what can't be found: rows fewer than the smallest p-value needs, and identifiers."""
    notes = []
    fewest = math.ceil(n_rows / (n_known + 1) / FALSE_DISCOVERY_RATE - 1e-9)
    if fewest > 1:
        notes.append(
            f"p-values come from {n_known} rows and are at least {1 / (n_known + 1):.2g}: at a "
            f"false-discovery rate of {FALSE_DISCOVERY_RATE:g} anomalies are called if "
            f"{fewest} rows or more are as strange"
        )
    kinds = name_kinds(tables.encoding.kinds)
    names = [name for name in tables.first.columns if kinds[name] == "identifier"]
    if names:
        notes.append(f"columns that are not compared (identifiers): {list_names(names)}")
    return notes
