"""Stored results, so that a run continues where the last one ended."""

from pathlib import Path
from typing import Any

import numpy as np
from _stored_results import StoredResults


class Store(StoredResults):
    """The results in `mixed.json`: by part, setting, table, method and seed.

    Parameters
    ----------
    folder : Path
        Folder of the file.
    rows : int
        Number of rows that larger tables are sampled to; one file holds one such number.
    parts : list of str
        Names of the parts.
    """

    def __init__(self, folder: Path, rows: int, parts: list[str]) -> None:
        initial = {"shapes": {}, "parts": {part: {} for part in parts}}
        super().__init__(folder / "mixed.json", rows, initial)

    def find_missing(
        self, part: str, setting: str, table: str, methods: list[str], seed: int, seconds: float
    ) -> list[str]:
        """Return the methods without a result, and those that may take longer now."""
        cells = self._get(part, setting, table)
        return [
            name
            for name in methods
            if str(seed) not in cells.get(name, {})
            or cells[name][str(seed)].get("limit", np.inf) < seconds
        ]

    def find_overrun(
        self, part: str, table: str, method: str, seconds: float
    ) -> dict[str, Any] | None:
        """Return the result of a method that took longer on a table, in any setting."""
        for tables in self.record["parts"][part].values():
            for cell in tables.get(table, {}).get(method, {}).values():
                if cell.get("limit", 0.0) >= seconds:
                    return dict(cell)
        return None

    def put(
        self, part: str, setting: str, table: str, method: str, seed: int, cell: dict[str, Any]
    ) -> None:
        """Store a result, its numbers rounded to reproducible digits."""
        rounded = {
            field: float(f"{value:.5g}") if isinstance(value, float) else value
            for field, value in cell.items()
        }
        tables = self.record["parts"][part].setdefault(setting, {})
        tables.setdefault(table, {}).setdefault(method, {})[str(seed)] = rounded

    def forget(self, methods: list[str], parts: list[str]) -> None:
        """Drop the results of methods in some parts."""
        for part in parts:
            for tables in self.record["parts"][part].values():
                for cells in tables.values():
                    for method in methods:
                        cells.pop(method, None)
        left = {
            name
            for settings in self.record["parts"].values()
            for tables in settings.values()
            for cells in tables.values()
            for name in cells
        }
        self.forget_runs([name for name in methods if name not in left])

    def _get(self, part: str, setting: str, table: str) -> dict[str, Any]:
        return self.record["parts"][part].get(setting, {}).get(table, {})
