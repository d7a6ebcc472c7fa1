"""What a part of the benchmark is: settings, methods, a task, and how it is measured."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from _report import is_installed

#: Figures of one method on one task.
Cell = dict[str, float]


@dataclass(frozen=True)
class Method:
    """One contestant.

    Attributes
    ----------
    run : callable
        What the part calls with the task and the seed.
    package : str
        The package that it needs.
    needs_labels : bool
        Whether it runs on tables with categories alone.
    """

    run: Callable[..., Any]
    package: str = "sklearn"
    needs_labels: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is of skae."""
        return self.package == "skae"


@dataclass(frozen=True)
class Bar:
    """A promise, and whether it holds."""

    text: str
    met: bool

    def __str__(self) -> str:
        return f"{self.text}: {'yes' if self.met else 'NO'}."


@dataclass(frozen=True)
class Part:
    """One question of the benchmark.

    Attributes
    ----------
    title : str
        Heading on the page.
    settings : dict
        Names of the settings, and the groups of tables of each.
    methods : dict
        The contestants, in the order of the page.
    make_task : callable
        Returns the task of a sampled frame, a setting and a seed.
    measure : callable
        Returns the figures of a method on a task, with a seed.
    show : callable
        Yields the paragraphs of the page, from the figures.
    find_bars : callable
        Returns the bars that can be judged.
    only : tuple of str or None
        Names of the tables, all of the group if None.
    """

    title: str
    settings: dict[str, tuple[str, ...]]
    methods: dict[str, Method]
    make_task: Callable[[pd.DataFrame, str, int], Any]
    measure: Callable[[Method, Any, int], Cell]
    show: Callable[["Figures"], Iterable[str]]
    find_bars: Callable[["Figures"], list[Bar]]
    only: tuple[str, ...] | None = None

    def list_left_out(self) -> dict[str, str]:
        """Return the methods whose package isn't installed, and its name."""
        return {
            name: method.package
            for name, method in self.methods.items()
            if not is_installed(method.package)
        }


@dataclass(frozen=True)
class Figures:
    """What was measured in a part, as means over seeds.

    Attributes
    ----------
    cells : dict
        Figures by setting, table, method and seed.
    methods : dict
        The part's methods.
    seeds : list of int
        The seeds that count, on the tables that all of their methods were run on with them.
    """

    cells: dict[str, Any]
    methods: dict[str, Method]
    seeds: list[int]

    def list_methods(self, setting: str) -> list[str]:
        """Return the methods with a result in a setting."""
        found = {name for cells in self.cells.get(setting, {}).values() for name in cells}
        return [name for name in self.methods if name in found]

    def list_ours(self, setting: str) -> list[str]:
        """Return our methods with a result in a setting."""
        return [name for name in self.list_methods(setting) if self.methods[name].is_ours]

    def list_peers(self, setting: str) -> list[str]:
        """Return the other methods with a result in a setting."""
        return [name for name in self.list_methods(setting) if not self.methods[name].is_ours]

    def find(self, setting: str, table: str, method: str, field: str) -> float | None:
        """Return the mean of a figure over the table's seeds, None if one lacks."""
        cells = self.cells.get(setting, {}).get(table, {}).get(method, {})
        found = [cells.get(seed, {}).get(field) for seed in self._list_seeds(setting, table)]
        return None if not found or None in found else float(np.mean(found))

    def list_repeated(self) -> list[str]:
        """Return the tables that were run with several seeds."""
        pairs = [(setting, table) for setting, tables in self.cells.items() for table in tables]
        return sorted(
            {table for setting, table in pairs if len(self._list_seeds(setting, table)) > 1}
        )

    def _list_seeds(self, setting: str, table: str) -> list[str]:
        """Return the seeds with which all methods of a table were run."""
        methods = self.cells.get(setting, {}).get(table, {}).values()
        return [seed for seed in map(str, self.seeds) if all(seed in cells for cells in methods)]

    def list_tables(self, setting: str, methods: Iterable[str], field: str) -> list[str]:
        """Return the tables for which all of the methods have a figure."""
        methods = list(methods)
        return [
            table
            for table in self.cells.get(setting, {})
            if all(self.find(setting, table, method, field) is not None for method in methods)
        ]

    def gather(self, setting: str, methods: list[str], field: str) -> tuple[list[str], np.ndarray]:
        """Return tables, and figures of shape (n_tables, n_methods)."""
        tables = self.list_tables(setting, methods, field)
        values = [[self.find(setting, table, m, field) for m in methods] for table in tables]
        return tables, np.array(values, dtype=float).reshape(len(tables), len(methods))

    def list_errors(self) -> list[str]:
        """Return the tasks on which a method raised or ran out of time."""
        found: dict[str, list[str]] = {}
        for setting, tables in self.cells.items():
            for table, methods in tables.items():
                for method, seeds in methods.items():
                    for cell in seeds.values():
                        if "error" in cell:
                            text = f"{method}, {setting}: {cell['error']}"
                            where = found.setdefault(text, [])
                            if table not in where:
                                where.append(table)
        return [f"{text} ({', '.join(where)})" for text, where in found.items()]


def find_folder_tables(groups: dict[str, Any], part: Part, setting: str) -> dict[str, Any]:
    """Return the loaders of a setting's tables."""
    return {
        name: load
        for group in part.settings[setting]
        for name, load in groups[group].items()
        if part.only is None or name in part.only
    }
