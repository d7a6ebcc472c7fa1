"""Log-densities of held-out rows: skae, a Gaussian, a mixture and kernels.

    python docs/benchmarks/density.py FOLDER [--only TABLE ...] [--methods NAME ...]

There are three parts.

- `tables`: the tables in FOLDER, npz files with an array `X`, of at most 40 columns, and four of
  scikit-learn (wine, breast_cancer, diabetes, iris). A table of more than `--rows` rows is sampled
  to that number by the seed. A quarter of the rows is held out. Columns are standardized by the
  training rows, and normal noise of standard deviation 0.05 is added to all cells: otherwise
  repeated values would make densities infinite. The figure is the mean log-density of the held-out
  rows, in nats a column.
- `planes`: two moons with noise 0.05 and 0.1, and a ring of eight clusters, each 4,000 rows for
  training and 4,000 others. Their densities are known: the moons' by quadrature along the curves.
  The figures are the mean log-density of the other rows, in nats a row, and the sum of the
  density over a grid.
- `totals`: the sum over a grid of the densities that are approximate, for three curves with three
  widths of noise each, and 300, 1,000 and 4,000 rows; two seeds, 54 fits in all. It should be 1.
  Its grid is coarser than that of `planes`, and fine enough for the narrowest noise.

`Gaussian` has a full covariance. `GaussianMixture` has 1, 2, 4, 8 or 12 full covariances, by the
Bayesian information criterion, with `reg_covar=0.01` in the tables. The width of `KernelDensity` is
chosen by five folds. `AutoencoderTransformer` has a code of a third of the columns,
`VAETransformer` of half of them (at least two), `DenoisingAutoencoder` none. All else is default,
apart from the seed. Everything runs on `--threads` threads. Times are the processor's: other work
on the machine does not count.

Results are stored in `density.json` as soon as they are measured. A further run measures what is
missing; `--again` drops the results of the given methods first, with `--only` those on the given
tables alone. The page `density.md` covers the
requested seeds and all methods with results, on the tables for which every one of these methods
has all seeds.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _density._methods import APPROXIMATE, METHODS
from _density._page import bar_lines, page, summarise
from _density._planes import CURVES, PLANES, Plane, sum_over_grid
from _density._tables import find_tables, split
from _report import (
    RESULTS,
    announce,
    limit_threads,
    surroundings,
    write_results,
)
from _stored_results import StoredResults

PARTS = ("tables", "planes", "totals")
_PLANE_ROWS = 4000
_TOTAL_ROWS = (300, 1000, 4000)
_TOTAL_SEEDS = (0, 1)
_TOTAL_TICKS = 200


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    loaders = find_tables(options.folder, options.only)
    store = Store(options.out, options.rows)
    store.forget(options.again, options.only)
    limit_threads(options.threads)
    where = surroundings()
    announce(where)
    methods = [name for name in METHODS if name in (options.methods or METHODS)]
    warm_up(methods)
    if "tables" in options.parts:
        for number, (name, load) in enumerate(loaders.items(), 1):
            X = load()
            store.record["shapes"][name] = list(X.shape)
            title = f"[{number}/{len(loaders)}] {name}"
            run_table(store, title, name, X, methods, options.seeds, where)
    if "planes" in options.parts:
        for name, plane in PLANES.items():
            run_plane(store, name, plane, methods, options.seeds, where)
    if "totals" in options.parts:
        for name, plane in CURVES.items():
            run_totals(store, name, plane, [m for m in methods if m in APPROXIMATE], where)
    record = store.record
    record["settings"]["seeds"] = options.seeds
    summary = summarise(record)
    print("\n" + "\n".join(bar_lines(summary)), flush=True)
    write_results(options.out, "density", {**record, "summary": summary}, page(record, summary))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"nargs": "+", "choices": list(METHODS), "metavar": "NAME"}
    parser.add_argument("folder", type=Path, help="folder of npz files with an array X")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--rows", type=int, default=2000, help="sample larger tables to this many rows"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of every method")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--only", nargs="+", metavar="TABLE", help="run only these tables")
    parser.add_argument("--methods", **names, help="run only these methods")
    parser.add_argument(
        "--again", default=[], **names, help="drop the results of these methods first"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


class Store(StoredResults):
    """The results in `density.json`: by part, table, method and seed.

    Parameters
    ----------
    folder : Path
        Folder of the file.
    rows : int
        Number of rows that larger tables are sampled to; one file holds one such number.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        initial = {"shapes": {}, "truth": {}, **{part: {} for part in PARTS}}
        super().__init__(folder / "density.json", rows, initial)

    def find_missing(self, part: str, name: str, methods: list[str], key: str) -> list[str]:
        """Return the methods without a result."""
        cells = self.record[part].get(name, {})
        return [method for method in methods if key not in cells.get(method, {})]

    def put(self, part: str, name: str, method: str, key: str, cell: dict[str, float]) -> None:
        """Store a result, rounded to reproducible digits."""
        rounded = {field: float(f"{value:.5g}") for field, value in cell.items()}
        self.record[part].setdefault(name, {}).setdefault(method, {})[key] = rounded

    def forget(self, methods: list[str], only: list[str] | None) -> None:
        """Drop all results of the methods, or those on some tables."""
        for part in PARTS:
            for name, cells in self.record[part].items():
                for method in methods if only is None or name in only else ():
                    cells.pop(method, None)
        if only is None:
            self.forget_runs(methods)


def run_table(
    store: Store,
    title: str,
    name: str,
    X: np.ndarray,
    methods: list[str],
    seeds: list[int],
    where: dict[str, Any],
) -> None:
    """Measure what is missing for a table."""
    for seed in seeds:
        missing = store.find_missing("tables", name, methods, str(seed))
        train, held_out = split(X, seed, store.record["settings"]["rows"])
        shown = []
        for method in missing:
            _, cell = measure(method, train, held_out, seed)
            cell["nats"] /= X.shape[1]
            store.put("tables", name, method, str(seed), cell)
            shown.append(f"{method} {cell['nats']:.3f} ({cell['fit_seconds']:.1f} s)")
        if missing:
            store.sign(missing, where)
            store.save()
            print(f"{title} {seed}: {', '.join(shown)}", flush=True)


def run_plane(
    store: Store,
    name: str,
    plane: Plane,
    methods: list[str],
    seeds: list[int],
    where: dict[str, Any],
) -> None:
    """Measure what is missing for a table of known density."""
    for seed in seeds:
        missing = store.find_missing("planes", name, methods, str(seed))
        generator = np.random.default_rng(seed)
        train, others = (plane.draw(_PLANE_ROWS, generator) for _ in range(2))
        truth = float(plane.log_density(others).mean())
        store.record["truth"].setdefault(name, {})[str(seed)] = float(f"{truth:.5g}")
        shown = [f"truth {truth:.3f}"]
        for method in missing:
            model, cell = measure(method, train, others, seed)
            cell["total"] = sum_over_grid(model.score_samples, train)
            store.put("planes", name, method, str(seed), cell)
            shown.append(f"{method} {cell['nats']:.3f} (total {cell['total']:.3f})")
        if missing:
            store.sign(missing, where)
            store.save()
            print(f"{name} {seed}: {', '.join(shown)}", flush=True)


def run_totals(
    store: Store, name: str, plane: Plane, methods: list[str], where: dict[str, Any]
) -> None:
    """Measure what is missing of the sums over grids."""
    for n_rows in _TOTAL_ROWS:
        for seed in _TOTAL_SEEDS:
            key = f"{n_rows} rows, seed {seed}"
            missing = store.find_missing("totals", name, methods, key)
            X = plane.draw(n_rows, np.random.default_rng(seed))
            shown = []
            for method in missing:
                model, cell = measure(method, X, X, seed)
                cell["total"] = sum_over_grid(model.score_samples, X, _TOTAL_TICKS)
                store.put("totals", name, method, key, cell)
                shown.append(f"{method} {cell['total']:.3f}")
            if missing:
                store.sign(missing, where)
                store.save()
                print(f"{name}, {key}: {', '.join(shown)}", flush=True)


def measure(
    method: str, train: np.ndarray, others: np.ndarray, seed: int
) -> tuple[Any, dict[str, float]]:
    """Return a fitted method, the mean log-density of other rows, and the times."""
    model = METHODS[method](train.shape[1], seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        model.fit(train)
        fitted = time.process_time()
        scores = model.score_samples(others)
        ended = time.process_time()
    cell = {
        "nats": float(np.mean(scores)),
        "fit_seconds": fitted - began,
        "score_seconds": ended - fitted,
    }
    return model, cell


def warm_up(methods: list[str]) -> None:
    """Run each method once, so that loading at first use is not measured."""
    X = np.random.default_rng(0).normal(size=(64, 4))
    for method in methods:
        measure(method, X, X, 0)


if __name__ == "__main__":
    main()
