"""Findings that the tests of the page share."""

from dataclasses import replace

import numpy as np

from skae._command.findings import (
    AnomalousRow,
    ColumnFindings,
    ColumnShift,
    Findings,
    Reason,
    RowMap,
    Shift,
    SizeFigures,
)


def make_findings(n_rows=60, n_columns=6, seed=0, with_classes=True, with_shift=True):
    """Return what a report of made rows could find; the rows 0 to 4 are strange."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, n_rows)
    codes = rng.normal(size=(n_rows, 2)) + 4 * np.array([[0, 0], [1, 0.3], [0.4, 1]])[classes]
    codes[:5] += 3
    # Conformal p-values are multiples of one number, so many are equal.
    p_values = (1 + rng.integers(0, n_rows, n_rows)) / (1 + n_rows)
    p_values[:5] = 1 / (1 + n_rows)
    columns = [f"column {number}" for number in range(n_columns)]
    cells = rng.normal(size=(n_rows, n_columns)).round(2).astype(str)
    strangest = [
        AnomalousRow(str(row), float(p_values[row]), make_reasons(columns, cells[row], rng))
        for row in np.argsort(p_values, kind="stable")[:20]
    ]
    return Findings(
        table="made.csv",
        n_rows=n_rows,
        n_columns=n_columns,
        verdict=(
            "Use the autoencoder with 8 components.",
            "On the 15 rows held out of training, PCA with 8 components explains 68.0% of the "
            "variance and the autoencoder 84.0%: 16.0 percentage points more (95% interval of the "
            "difference: 12.1 to 19.9).",
            "Of the numbers of components compared (2, 4, 8 and 16), 8 has the highest "
            "log-likelihood.",
        ),
        notes=("columns left out, as they count the rows: 'id'",),
        sizes=(
            SizeFigures(2, 0.29, 0.48, -142.3, -128.4),
            SizeFigures(4, 0.49, 0.70, -131.5, -112.9),
            SizeFigures(8, 0.68, 0.84, -118.2, -103.0),
            SizeFigures(16, 0.85, 0.91, -109.9, -104.7),
        ),
        explained_noise=0.01,
        likelihood_noise=0.5,
        map=RowMap(
            x=tuple(codes[:, 0].tolist()),
            y=tuple(codes[:, 1].tolist()),
            rows=tuple(map(str, range(n_rows))),
            p_values=tuple(p_values.tolist()),
            classes=tuple(np.array(["red", "green", "blue"])[classes].tolist())
            if with_classes
            else None,
            columns=tuple(columns),
            cells=tuple(map(tuple, cells.tolist())),
            kind="autoencoder",
            n_rows=n_rows,
        ),
        p_values=tuple(p_values.tolist()),
        strangest=tuple(strangest),
        columns=tuple(
            ColumnFindings(
                name,
                "number",
                f"{-number} to {number + 3}, median {number / 4}",
                3 * (number % 3),
                None if number == 1 else round(float(rng.uniform(-0.05, 1)), 3),
            )
            for number, name in enumerate(columns)
        ),
        shift=make_shift(columns, rng) if with_shift else None,
        provenance=(
            ("command", "skae made.csv --report made.html"),
            ("seed", "0"),
            ("skae", "0.1.0"),
        ),
    )


def make_reasons(columns, cells, rng):
    """Return why a row is strange, in up to three cells."""
    chosen = rng.permutation(len(columns))[: rng.integers(1, 4)]
    shares = np.sort(rng.dirichlet(np.ones(len(chosen) + 1))[:-1])[::-1]
    return tuple(
        Reason(columns[index], cells[index], f"{rng.normal():.2f}", float(share))
        for index, share in zip(chosen, shares, strict=True)
    )


def make_shift(columns, rng, n_rows=200):
    """Return how a second table differs, the first column most."""
    p_values = np.concatenate([rng.uniform(0.001, 1, n_rows - 40), rng.uniform(0.001, 0.05, 40)])
    cells = rng.normal(size=(5, len(columns))).round(2).astype(str)
    return Shift(
        table="later.csv",
        n_rows=n_rows,
        sentences=(
            "later.csv differs from made.csv: its rows are stranger, and 3 of 6 columns changed, "
            "most of all 'column 0'.",
            "Compared: 200 rows with 999 rows of made.csv that its model has not seen, and 6 of 6 "
            "columns.",
        ),
        n_calibration=999,
        p_values=tuple(p_values.tolist()),
        strangest=tuple(
            AnomalousRow(str(row), 0.001, make_reasons(columns, cells[row], rng))
            for row in range(5)
        ),
        columns=tuple(
            ColumnShift(
                name,
                min(1.0, 0.0001 * 10**number),
                0.5 / (1 + number),
                f"0 to {number}, median {number / 2}",
                f"1 to {number + 2}, median {number}",
                n_before=1000,
                n_after=n_rows,
                detectable=0.2,
            )
            for number, name in enumerate(columns)
        ),
        notes=("columns that are new: 'price'",),
    )


def rename(findings, text):
    """Return findings in which every name, cell and sentence has this text."""
    rows = findings.map

    def rename_rows(strangest):
        return tuple(
            replace(
                row,
                row=text + row.row,
                reasons=tuple(Reason(text, text, text, reason.share) for reason in row.reasons),
            )
            for row in strangest
        )

    shift = findings.shift
    return replace(
        findings,
        table=text,
        verdict=(text, text),
        notes=(text,),
        map=replace(
            rows,
            rows=tuple(text + row for row in rows.rows),
            classes=None if rows.classes is None else tuple(text + name for name in rows.classes),
            columns=tuple(text + name for name in rows.columns),
            cells=tuple(tuple(text + cell for cell in row) for row in rows.cells),
        ),
        strangest=rename_rows(findings.strangest),
        columns=tuple(
            replace(column, name=text, kind=text, summary=text) for column in findings.columns
        ),
        shift=None
        if shift is None
        else replace(
            shift,
            table=text,
            sentences=(text, text),
            strangest=rename_rows(shift.strangest),
            columns=tuple(
                replace(column, name=text, before=text, after=text) for column in shift.columns
            ),
            notes=(text,),
        ),
        provenance=tuple((text, text) for _ in findings.provenance),
    )
