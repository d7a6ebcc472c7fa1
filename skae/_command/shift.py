"""Whether a second table is like the first one: its rows, and its columns."""

from dataclasses import replace

import numpy as np

from .._detection import AEAnomalyDetector
from .column_shift import (
    compare_columns,
    compare_samples,
    correct_p_values,
    find_apart,
    find_detectable,
)
from .encoding import ignore_reported
from .findings import SURE, Shift
from .printing import list_names
from .scored_rows import explain_rows, find_anomalous
from .second_table import SecondTable
from .shift_verdict import SecondRows, conclude
from .steps import show_step
from .wording import name_kinds

# More calibration rows than a detector has by itself: small p-values matter more here than the
# last bit of the fit.
_CALIBRATION_FRACTION = 1 / 3


def measure_shift(tables: SecondTable, seed: int) -> Shift:
    """Compare a second table with the first.

    Its rows have p-values under a detector that was fitted on two thirds of the first table, and
    calibrated on the others. Given the detector, these calibration rows and those of a table that
    comes from the same source are exchangeable, so that a two-sample test of their scores is valid.
    """
    show_step("comparing the second table with the first")
    columns = compare_columns(tables.first, tables.frame, tables.encoding)
    tables = replace(tables, apart=find_apart(columns))
    judged = [name for name in tables.first.columns if name not in tables.apart]
    detector = AEAnomalyDetector(calibration_fraction=_CALIBRATION_FRACTION, random_state=seed)
    with ignore_reported():
        detector.fit(tables.first[judged])
        frame = tables.frame[judged]
        scores, p_values = detector.score_samples(frame), detector.p_values(frame)
    known = detector.calibration_scores_
    tests = [compare_samples(known, scores)[0], *(column.p_value for column in columns)]
    corrected = correct_p_values(np.array(tests)).tolist()
    columns = [
        replace(
            column,
            p_value=p_value,
            detectable=find_detectable(column.n_before, column.n_after, len(tests)),
        )
        for column, p_value in zip(columns, corrected[1:], strict=True)
    ]
    columns.sort(key=lambda column: (column.p_value >= SURE, -column.distance))
    order = find_anomalous(p_values, scores)
    return Shift(
        table=tables.name,
        n_rows=len(tables.frame),
        sentences=conclude(
            tables, SecondRows(scores, p_values, known), corrected[0] < SURE, columns
        ),
        n_calibration=len(known),
        p_values=tuple(p_values.tolist()),
        strangest=tuple(explain_rows(detector, frame, order, p_values)),
        columns=tuple(columns),
        notes=(*tables.notes, *_list_identifiers(tables)),
    )


def _list_identifiers(tables: SecondTable) -> list[str]:
    kinds = name_kinds(tables.encoding.kinds)
    names = [name for name in tables.first.columns if kinds[name] == "identifier"]
    return [f"columns that are not compared (identifiers): {list_names(names)}"] if names else []
