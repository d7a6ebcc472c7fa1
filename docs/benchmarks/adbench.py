"""Anomaly detection on ADBench: the detector of skae, PyOD and scikit-learn.

    python docs/benchmarks/adbench.py FOLDER [--group GROUP] [--only TABLE ...] [--methods NAME ...]

FOLDER contains tables as npz files with the arrays `X` and `y`, where `y` is 1 for anomalies.
The tables are those of ADBench (Han et al., 2022, NeurIPS Datasets and Benchmarks,
https://github.com/Minqi824/ADBench). They are in three groups, listed in `_adbench/_groups.py`:
those that the detector's defaults were chosen on, those that are held out, and embeddings of images
and texts. Each group has a page of its own. A table of more than `--rows` rows is sampled to that
number, by the seed, with the same share of anomalies. There are two settings:

- contaminated: all rows are standardized, fitted and scored;
- clean: half of the normal rows, drawn by the seed, are fitted. The other normal rows and all
  anomalies are scored. The fitted rows determine the standardization. Duplicates of a normal
  row all go to the same side.

All methods, listed in `_adbench/_methods.py`, use their defaults, apart from the seed. AUROC and
average precision treat anomalies as the positive class. Times are those of `fit` and of
scoring. The fits of PyOD and of LocalOutlierFactor also score the fitted rows, so scoring costs
them nothing in the contaminated setting. Everything runs on `--threads` threads (default 1).
Each method first runs once on a small table as a warm-up.

A method that raises an error counts with an AUROC of 0.5 and an average precision equal to the
share of anomalies, and the page names it. Scores that are not finite are replaced by
`numpy.nan_to_num` and counted.

Results are stored in `adbench.json`, or the file of the group, as soon as they are measured. A
further run measures what is missing; `--again` drops the results of the given methods first, on all
tables. The page `adbench.md` and two pictures cover the requested seeds and all methods with
results, on the tables for which every one of these methods has all seeds.
"""

import argparse
import time
from pathlib import Path

from _adbench._data import SETTINGS, find_tables, load, task
from _adbench._groups import GROUPS, Group
from _adbench._measure import Cell, measure, warm_up
from _adbench._methods import METHODS, left_out
from _adbench._page import page
from _adbench._pictures import save_pictures
from _adbench._store import Store
from _adbench._summary import average, bar_lines, summarise
from _report import RESULTS, announce, is_installed, limit_threads, surroundings, write_results


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    group = GROUPS[options.group]
    rows = group.rows if options.rows is None else options.rows
    files = find_tables(options.folder, options.only)
    methods = choose(options.methods)
    store = Store(options.out / f"{group.stem}.json", rows)
    store.forget(options.again)
    limit_threads(options.threads)
    warm_up(methods)
    limit_threads(options.threads)  # also for libraries that the methods loaded
    where = surroundings(["pyod"] if is_installed("pyod") else [])
    announce(where)
    print(f"seeds {options.seeds}, at most {rows} rows a table", flush=True)
    for number, (name, path) in enumerate(files.items(), 1):
        run_table(store, f"[{number}/{len(files)}] {name}", path, methods, options.seeds, where)
    report(store, group, options.seeds, options.out)


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"nargs": "+", "choices": list(METHODS), "metavar": "NAME"}
    parser.add_argument("folder", type=Path, help="folder of npz files with X and y")
    parser.add_argument(
        "--group", choices=list(GROUPS), default="chosen", help="what the tables are"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--rows", type=int, help="sample larger tables to this many rows; the group has a default"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of every method")
    parser.add_argument("--only", nargs="+", metavar="TABLE", help="run only these tables")
    parser.add_argument("--methods", **names, help="run only these methods")
    parser.add_argument(
        "--again", default=[], **names, help="drop the results of these methods first"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


def choose(wanted: list[str] | None) -> list[str]:
    """Return the methods to run, and print which are unavailable."""
    missing = left_out()
    if named := [name for name in wanted or () if name in missing]:
        raise SystemExit(f"cannot run {named}: {missing[named[0]]}")
    for name, reason in missing.items() if wanted is None else ():
        print(f"without {name}: {reason}", flush=True)
    return [name for name in METHODS if name not in missing and name in (wanted or METHODS)]


def run_table(
    store: Store, title: str, path: Path, methods: list[str], seeds: list[int], where: dict
) -> None:
    """Measure what is missing for a table, one method right after the other."""
    name = path.stem
    X, y = load(path)
    store.record["tables"][name] = {
        "rows": len(X),
        "columns": X.shape[1],
        "share": round(float(y.mean()), 5),
    }
    for seed in seeds:
        for setting in SETTINGS:
            missing = [m for m in methods if not store.has(setting, name, m, seed)]
            if not missing:
                continue
            began = time.perf_counter()
            given = task(X, y, setting, seed, store.record["settings"]["rows"])
            cells = {method: measure(method, given, seed) for method in missing}
            for method, cell in cells.items():
                store.put(setting, name, method, seed, cell)
            store.sign(missing, where)
            store.save()
            seconds = time.perf_counter() - began
            print(f"{title} {setting} {seed}: {progress(cells)}; {seconds:.0f} s", flush=True)


def progress(cells: dict[str, Cell]) -> str:
    """Return the AUROCs in one line."""
    return ", ".join(
        f"{name} {cell.auroc:.3f}" + (" (raised)" if cell.error else "")
        for name, cell in cells.items()
    )


def report(store: Store, group: Group, seeds: list[int], out: Path) -> None:
    """Write the results, the page and the pictures."""
    record = store.record
    record["settings"]["seeds"] = seeds
    means = average(record, list(METHODS))
    if not means.tables:
        raise SystemExit(
            "no table has results for all methods and seeds yet, so no page is written"
        )
    summary = summarise(means)
    print("\n" + "\n".join(bar_lines(summary)), flush=True)
    save_pictures(means, summary, out / "pictures", group.stem)
    text = page(group, record, means, summary)
    write_results(out, group.stem, {**record, "summary": summary}, text)


if __name__ == "__main__":
    main()
