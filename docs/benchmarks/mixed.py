"""Real tables, with labels and gaps: skae and what else takes them.

    python docs/benchmarks/mixed.py FOLDER [--parts PART ...] [--tables NAME ...]

FOLDER has `mixed/*.csv.gz` (text columns become categories; a text column with a label for nearly
every row is dropped), `categorical/*.csv.gz` (all columns are categories, `is_anomaly` says which
rows are anomalies) and `adbench/*.npz` (numbers, array `X`). A table of more than `--rows` rows is
sampled to that number by the seed. There are five parts.

- `codes`: a quarter of the rows is held out, and reconstructed from 2 and from 8 numbers. The share
  of variance that this leaves is of the encoded table: numbers of variance 1, and one-hot
  indicators of labels that share a divisor, so that their variances add up to 1. Only observed
  cells count. The floor is PCA of this table, whose gaps are filled by their means given the other
  cells, under one Gaussian, fitted by expectation-maximization. `FAMD` is prince's; its codes are
  decoded by least squares.
- `imputation`: of the rows that are fitted, 20 % and 50 % of the observed cells are hidden at
  random; or half of the columns lose 20 % of theirs, each in those rows alone in which a column of
  the other half is large. The imputers of scikit-learn, MIWAE and GAIN fill the encoded table.
- `density`: the log-density of the observed cells of held-out rows. `latent classes` are
  stepmix's: columns are independent given the class, and the Bayesian information criterion
  chooses their number, from 1 upwards until it rises. `independent Gaussians` and `independent
  mixtures` (of 1 to 12 Gaussians, by the same criterion) multiply single columns. To the mixtures
  and classes a hundredth of the one Gaussian or class is added: otherwise far values and rare
  labels have no density.
- `anomalies`: the categorical tables, all of whose rows are fitted and scored; and the mixed
  tables, 5 % of whose rows get one cell from another row.
- `samples`: rows drawn from a model of three quarters of the rows.

Every method uses its defaults, apart from the seed; codes of skae's estimators have a third
(`AutoencoderTransformer`) or half (`VAETransformer`) of the table's columns where the part sets no
number, and `DenoisingAutoencoder` has none. Everything runs on `--threads` threads. A fit that
takes longer than `--seconds` is stopped, and the method isn't tried with other seeds and settings
of that table, until a run with a larger `--seconds`. A method that raises an error has no result;
the page names it.

Results are stored in `mixed.json` as soon as they are measured. A further run measures what is
missing; `--again` drops the results of the given methods first, in the chosen parts. The page
`mixed.md` has the mean over the requested seeds, on each table over those that all of its methods
were run with. `--quick` is a trial: 150 rows, one seed, one table a group.
"""

import argparse
import contextlib
from pathlib import Path
from typing import Any

from _mixed import anomalies, codes, density, imputation, samples
from _mixed._measure import measure
from _mixed._page import gather, list_bars, page
from _mixed._parts import Part, find_folder_tables
from _mixed._store import Store
from _mixed._tables import find_tables, list_categories, sample
from _report import RESULTS, announce, limit_threads, surroundings, write_results

PARTS: dict[str, Part] = {
    "codes": codes.PART,
    "imputation": imputation.PART,
    "density": density.PART,
    "anomalies": anomalies.PART,
    "samples": samples.PART,
}
_METHODS = list(dict.fromkeys(name for part in PARTS.values() for name in part.methods))
_PACKAGES = ("pandas", "prince", "stepmix", "pyod", "hyperimpute", "sdv", "sdmetrics", "ctgan")
_QUICK_ROWS = 150


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    groups = find_tables(options.folder, options.tables)
    if options.quick:
        options.rows, options.seeds = _QUICK_ROWS, options.seeds[:1]
        groups = {group: dict(list(tables.items())[:1]) for group, tables in groups.items()}
    store = Store(options.out, options.rows, list(PARTS))
    store.forget(options.again, options.parts)
    limit_threads(options.threads)
    where = surroundings(list(_find_installed()))
    announce(where)
    print(f"seeds {options.seeds}, at most {options.rows} rows a table", flush=True)
    for name in options.parts:
        run_part(store, name, groups, options, where)
    report(store, options.seeds, options.out)


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"nargs": "+", "choices": _METHODS, "metavar": "NAME"}
    parts = list(PARTS)
    parser.add_argument("folder", type=Path, help="folder of mixed/, categorical/ and adbench/")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, metavar="PART")
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="run only these tables")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--rows", type=int, default=2000, help="sample larger tables to this many rows"
    )
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="stop a method on a table after this time"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of every method")
    parser.add_argument("--methods", **names, help="run only these methods")
    parser.add_argument(
        "--again", default=[], **names, help="drop the results of these methods first"
    )
    parser.add_argument("--quick", action="store_true", help="try the script on few rows")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


def _find_installed() -> list[str]:
    """Return the distributions, of those that methods come from, that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            version(name)
            found.append(name)
    return found


def run_part(
    store: Store,
    name: str,
    groups: dict[str, Any],
    options: argparse.Namespace,
    where: dict[str, Any],
) -> None:
    """Measure what is missing of a part."""
    part = PARTS[name]
    left_out = part.list_left_out()
    for method, package in left_out.items():
        print(f"{name} without {method}: {package} is not installed", flush=True)
    methods = [
        method
        for method in part.methods
        if method not in left_out and method in (options.methods or part.methods)
    ]
    for setting in part.settings:
        tables = find_folder_tables(groups, part, setting)
        for number, (table, load) in enumerate(tables.items(), 1):
            title = f"{name}, {setting} [{number}/{len(tables)}] {table}"
            run_table(store, (name, setting, table), title, load(), methods, options, where)


def run_table(
    store: Store,
    key: tuple[str, str, str],
    title: str,
    frame: Any,
    methods: list[str],
    options: argparse.Namespace,
    where: dict[str, Any],
) -> None:
    """Measure what is missing for a table in a setting."""
    name, setting, table = key
    part = PARTS[name]
    store.record["shapes"][table] = [
        *frame.shape,
        len(list_categories(frame)),
        round(100 * float(frame.isna().to_numpy().mean()), 1),
    ]
    labels = list_categories(frame)
    methods = [name for name in methods if labels or not part.methods[name].needs_labels]
    for seed in options.seeds:
        missing = store.find_missing(*key, methods, seed, options.seconds)
        if not missing:
            continue
        task = part.make_task(sample(frame, seed, options.rows), setting, seed)
        shown = []
        for method in missing:
            cell = store.find_overrun(name, table, method, options.seconds) or measure(
                part, part.methods[method], task, seed, options.seconds
            )
            store.put(*key, method, seed, cell)
            store.save()
            shown.append(f"{method} {_show_cell(cell)}")
        store.sign(missing, where)
        store.save()
        print(f"{title} {seed}: {'; '.join(shown)}", flush=True)


def _show_cell(cell: dict[str, Any]) -> str:
    if "error" in cell:
        return f"({cell['error'][:60]})"
    figures = [f"{value:.3f}" for field, value in cell.items() if not field.endswith("seconds")]
    return f"{' '.join(figures)} ({cell['seconds']:.1f} s)"


def report(store: Store, seeds: list[int], out: Path) -> None:
    """Write the results and the page."""
    record = store.record
    record["settings"]["seeds"] = seeds
    bars = list_bars(gather(record, PARTS, seeds), PARTS)
    print("\n" + "\n".join(bars), flush=True)
    summary = {"bars": bars}
    write_results(out, "mixed", {**record, "summary": summary}, page(record, PARTS, seeds))


if __name__ == "__main__":
    main()
