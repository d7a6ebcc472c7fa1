"""Results in a file, so that a run continues where the last one ended."""

import json
from pathlib import Path
from typing import Any

from _report import write_whole


class StoredResults:
    """A benchmark's results, and the runs in which each method was measured.

    Parameters
    ----------
    path : Path
        The file.
    rows : int
        Number of rows that larger tables are sampled to; one file holds one such number.
    initial : dict
        What the record of a new file has besides.
    """

    def __init__(self, path: Path, rows: int, initial: dict[str, Any]) -> None:
        self.path = path
        self.record: dict[str, Any] = {
            "settings": {"rows": rows},
            "runs": {},
            "ran": {},
            **initial,
        }
        if path.exists():
            self.record |= json.loads(path.read_text())
        if (stored := self.record["settings"]["rows"]) != rows:
            raise SystemExit(
                f"--rows is {rows}, but the cells in {path.name} were measured with {stored}: "
                f"give --rows {stored}, or another folder as --out"
            )

    def forget_runs(self, methods: list[str]) -> None:
        """Drop the runs of the methods, but for those in which others were measured."""
        ran = self.record["ran"]
        self.record["ran"] = {name: runs for name, runs in ran.items() if name not in methods}
        kept = {run for runs in self.record["ran"].values() for run in runs}
        runs = self.record["runs"]
        self.record["runs"] = {run: where for run, where in runs.items() if run in kept}

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
