"""Stored results, so that a run continues where the last one ended."""

from pathlib import Path

from _stored_results import StoredResults

from ._measure import Cell

#: What a stored cell's numbers are.
FIELDS = ("auroc", "ap", "fit_seconds", "score_seconds")


class Store(StoredResults):
    """The results of a group of tables, by setting, table, method and seed.

    Parameters
    ----------
    path : Path
        The file.
    rows : int
        Number of rows that larger tables are sampled to; one file holds one such number.
    """

    def __init__(self, path: Path, rows: int) -> None:
        initial = {"fields": FIELDS, "tables": {}, "errors": [], "nonfinite": [], "cells": {}}
        super().__init__(path, rows, initial)

    def has(self, setting: str, table: str, method: str, seed: int) -> bool:
        """Whether a result is stored."""
        cells = self.record["cells"].get(setting, {}).get(table, {})
        return str(seed) in cells.get(method, {})

    def put(self, setting: str, table: str, method: str, seed: int, cell: Cell) -> None:
        """Store a result, rounded to reproducible digits, and its errors."""
        cells = self.record["cells"].setdefault(setting, {}).setdefault(table, {})
        cells.setdefault(method, {})[str(seed)] = [
            round(cell.auroc, 5),
            round(cell.ap, 5),
            float(f"{cell.fit_seconds:.4g}"),
            float(f"{cell.score_seconds:.4g}"),
        ]
        where = {"method": method, "table": table, "setting": setting, "seed": seed}
        if cell.error is not None:
            self.record["errors"].append({**where, "error": cell.error})
        if cell.n_nonfinite:
            self.record["nonfinite"].append({**where, "scores": cell.n_nonfinite})

    def forget(self, methods: list[str]) -> None:
        """Drop all results of the methods."""
        record = self.record
        for tables in record["cells"].values():
            for cells in tables.values():
                for method in methods:
                    cells.pop(method, None)
        for kind in ("errors", "nonfinite"):
            record[kind] = [item for item in record[kind] if item["method"] not in methods]
        self.forget_runs(methods)
