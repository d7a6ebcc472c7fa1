"""Speed of skae relative to its peers and to the limit of the machine.

    python docs/benchmarks/speed.py [PART ...] [--only ENTRY ...] [--rounds 5] [--out FOLDER]

Each part states its bars and whether they are met:

- `training`: the time of an epoch in skae, in a hand-written PyTorch loop, in stock skorch, in
  PyOD's autoencoder and in scikit-learn's MLPRegressor, on tables of four sizes; and the share
  of that time that the matrix products alone would take;
- `quality`: the time until the held-out error of skae is as low as that of each peer after its
  default training;
- `inference`: `transform`, `inverse_transform` and `score_samples` relative to the bare module;
- `scoring`: rows a second, one row, reasons and memory of scores, beside IsolationForest, PyOD's
  autoencoder and a Gaussian mixture;
- `growth`: time and memory of a fit by rows, columns and components;
- `search`: a grid search with two jobs, and a fit next to a busy process;
- `sharing`: a fit that two processes share, relative to one process;
- `imports`: importing an estimator relative to importing torch, scikit-learn and skorch;
- `gpu`: absolute times on a CUDA device, if there is one.

Figures are ratios of medians over the rounds, with the smallest and the largest value. The
contestants take turns within one process on one thread, after a warm-up. Parts that measure
differently say so. All tables are synthetic (`_report.made_table`).

A part has entries, for example one per table size. Each entry is stored as soon as it is
measured, with the machine, the versions and the date, so `--only` can measure one entry again
and keep the others. The page is written from all stored entries.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from _report import RESULTS, announce, limit_threads, surroundings, write_results, write_whole
from _speed._contestants import HAS_PYOD, SEED
from _speed._page import page
from _speed._parts import PARTS


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    limit_threads(1)
    announce(where())
    print(f"seed {SEED}, {options.rounds} rounds", flush=True)
    for part in options.parts or PARTS:
        for name, measure in PARTS[part].ENTRIES.items():
            if options.only is None or name in options.only:
                print(f"\n{part} {name}", flush=True)
                began = where()
                keep(options.out, part, name, {"surroundings": began, **measure(options.rounds)})


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--only", nargs="+", metavar="ENTRY", help="measure only these entries")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"parts {sorted(unknown)} are unknown, expected some of {list(PARTS)}")
    known = {name for part in options.parts or PARTS for name in PARTS[part].ENTRIES}
    if unknown := set(options.only or ()) - known:
        parser.error(f"--only has {sorted(unknown)}, expected some of {sorted(known)}")
    return options


def where() -> dict[str, Any]:
    """Return the surroundings, and how busy the machine is."""
    packages = ["pyod"] if HAS_PYOD else []
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {**surroundings(packages), "cuda": torch.version.cuda, "load": load}


def keep(folder: Path, part: str, name: str, entry: dict[str, Any]) -> None:
    """Store an entry next to the others, and write the page."""
    path = folder / "speed.json"
    # Read late, so that results of a concurrent run are not lost.
    found = json.loads(path.read_text()) if path.exists() else {}
    if "not_run" in entry and name in found.get(part, {}):
        return  # keep what was measured on another machine
    found.setdefault(part, {})[name] = json.loads(json.dumps(entry))
    record = {
        known: {name: found[known][name] for name in PARTS[known].ENTRIES if name in found[known]}
        for known in PARTS
        if known in found
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(record) + "\n")  # keeps the figures even if the page fails
    for bar in PARTS[part].bars({name: record[part][name]}):
        print(f"  {bar.line}", flush=True)
    write_results(folder, "speed", record, page(record))


if __name__ == "__main__":
    main()
