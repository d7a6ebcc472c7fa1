"""Stored results, so that a run continues where the last one ended."""

import json
from pathlib import Path
from typing import Any

from _report import write_whole

from ._measure import Cell

#: What a stored cell's numbers are.
FIELDS = ("auroc", "ap", "fit_seconds", "score_seconds")


class Store:
    """The results in `adbench.json`, by setting, table, method and seed.

    Parameters
    ----------
    folder : Path
        Folder of the file.
    rows : int
        Number of rows that larger tables are sampled to; one file holds one such number.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self.path = folder / "adbench.json"
        self.record: dict[str, Any] = {
            "settings": {"rows": rows},
            "fields": FIELDS,
            "runs": {},
            "ran": {},
            "tables": {},
            "errors": [],
            "nonfinite": [],
            "cells": {},
        }
        if self.path.exists():
            self.record |= json.loads(self.path.read_text())
        if (stored := self.record["settings"]["rows"]) != rows:
            raise SystemExit(
                f"--rows is {rows}, but the cells in {self.path.name} were measured with {stored}: "
                f"give --rows {stored}, or another folder as --out"
            )

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
        record["ran"] = {name: runs for name, runs in record["ran"].items() if name not in methods}
        kept = {run for runs in record["ran"].values() for run in runs}
        record["runs"] = {run: where for run, where in record["runs"].items() if run in kept}

    def sign(self, methods: list[str], where: dict[str, Any]) -> None:
        """Record the run in which the methods were measured."""
        self.record["runs"][where["date"]] = where
        for method in methods:
            runs = self.record["ran"].setdefault(method, [])
            if where["date"] not in runs:
                runs.append(where["date"])

    def save(self) -> None:
        """Write the file atomically, without an outdated summary."""
        self.record.pop("summary", None)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(self.record, indent=1, allow_nan=False) + "\n")
