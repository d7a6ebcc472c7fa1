"""How fast skae is beside its peers, and how far from what the machine can do.

    python docs/benchmarks/speed.py [PART ...] [--only ENTRY ...] [--rounds 5] [--out FOLDER]

Each part states its bars, and whether they are reached:

- `training`: what an epoch costs in skae, a PyTorch loop written by hand, stock skorch,
  PyOD's autoencoder and scikit-learn's MLPRegressor, on tables of four sizes, and the
  share of the time of the matrix products alone;
- `quality`: seconds until skae's held-out error is as low as each peer's after its own
  default training;
- `inference`: `transform`, `inverse_transform` and `score_samples` beside the bare module;
- `growth`: time and memory of a fit by rows, columns and components;
- `search`: a grid search by two jobs, and a fit beside a busy process;
- `imports`: `import skae` beside importing torch, scikit-learn and skorch;
- `gpu`: absolute times on an accelerator of CUDA's, where there is one.

Figures are ratios of medians over the rounds, with the least and the largest. Contestants
alternate within one process, one of each in turn, after a warm-up, on one thread; where a part
does otherwise, it says so. All tables are made (`_report.made_table`).

A part has entries, a table's size for example; an entry is stored when it is measured, with
the machine, versions and date of its run, so that `--only` measures one again and leaves the
others. The page is written anew from all that is stored.
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
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--only", nargs="+", metavar="ENTRY", help="these entries alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results are written")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"parts {sorted(unknown)} are unknown, expected some of {list(PARTS)}")
    known = {name for part in options.parts or PARTS for name in PARTS[part].ENTRIES}
    if unknown := set(options.only or ()) - known:
        parser.error(f"--only has {sorted(unknown)}, expected some of {sorted(known)}")
    return options


def where() -> dict[str, Any]:
    """Return where this runs, and how busy the machine is."""
    packages = ["pyod"] if HAS_PYOD else []
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {**surroundings(packages), "cuda": torch.version.cuda, "load": load}


def keep(folder: Path, part: str, name: str, entry: dict[str, Any]) -> None:
    """Put an entry beside the others that are stored, and write the page of all."""
    path = folder / "speed.json"
    # Read only now, so that what another run measured meanwhile is not lost.
    found = json.loads(path.read_text()) if path.exists() else {}
    if "not_run" in entry and name in found.get(part, {}):
        return  # what was measured elsewhere is worth more
    found.setdefault(part, {})[name] = json.loads(json.dumps(entry))
    record = {
        known: {name: found[known][name] for name in PARTS[known].ENTRIES if name in found[known]}
        for known in PARTS
        if known in found
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(record) + "\n")  # should the page fail, the figures are safe
    for bar in PARTS[part].bars({name: record[part][name]}):
        print(f"  {bar.line}", flush=True)
    write_results(folder, "speed", record, page(record))


if __name__ == "__main__":
    main()
