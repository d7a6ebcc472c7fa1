"""How the defaults were chosen: the floor benchmark with one parameter changed at a time.

    python docs/benchmarks/defaults.py FOLDER

Each row of the page is a fit with the default parameters and one change. The tables are those
of `pca_floor.py`: the ones in FOLDER and four of scikit-learn. The figures are

- the geometric mean over tables of the unexplained held-out variance relative to PCA,
  separately for tables of fewer than 500 training rows, where folds select the epoch, and
  for larger ones;
- the table with the worst result, and its gain in R2 over PCA;
- the time.

The study varies only parameters that a user can set.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from _report import announce, limit_threads, markdown_table, provenance, surroundings, write_results
from pca_floor import NOTHING_LEFT, RESULTS, code_size, find_tables, split
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "lr=0.003": {"lr": 0.003},
    "lr=0.02": {"lr": 0.02},
    "hidden_layer_sizes=(256, 128)": {"hidden_layer_sizes": (256, 128)},
    "hidden_layer_sizes=(128,)": {"hidden_layer_sizes": (128,)},
    "activation='relu'": {"activation": "relu"},
    "weight_decay=0": {"weight_decay": 0.0},
    "n_iter_no_change=10": {"n_iter_no_change": 10},
    "init='random'": {"init": "random"},
}
SMALL_BELOW = 500


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of npz files with an array X")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--rows", type=int, default=3000, help="sample larger tables to this many rows"
    )
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    limit_threads(options.threads)
    where = surroundings()
    announce(where)
    parts = load(options.folder, options.seeds, options.rows)
    rows = []
    for name, parameters in SETTINGS.items():
        rows.append({"setting": name, **study(parts, parameters)})
        print(rows[-1], flush=True)
    record = {
        "surroundings": where,
        "settings": {"seeds": options.seeds, "rows": options.rows},
        "rows": rows,
    }
    write_results(options.out, "defaults", record, page(record))


def page(record: dict[str, Any]) -> str:
    """Return the results page."""
    settings = record["settings"]
    table = markdown_table(
        ["setting", "small tables", "large tables", "worst table", "its gain in R2", "seconds"],
        [
            [
                row["setting"],
                f"{row['small']:.3f}",
                f"{row['others']:.3f}",
                row["worst"],
                f"{row['worst_gain']:+.4f}",
                f"{row['seconds']:.0f}",
            ]
            for row in record["rows"]
        ],
    )
    seeds = ", ".join(map(str, settings["seeds"]))
    note = (
        "The second and third columns are unexplained variance relative to PCA; lower is better. "
        f"Seeds: {seeds}. Larger tables are sampled to {settings['rows']} rows."
    )
    parts = ["# One parameter changed at a time", table, note, provenance(record["surroundings"])]
    return "\n\n".join(parts)


def load(folder: Path, seeds: list[int], rows: int) -> dict[tuple[str, int], Any]:
    """Return the two parts of each table and seed, and what PCA leaves unexplained."""
    parts = {}
    for name, read in find_tables(folder, None).items():
        X = read()
        for seed in seeds:
            train, test = split(X, seed, rows)
            pca = PCA(code_size(X.shape[1]), random_state=seed).fit(train)
            left = unexplained(pca.inverse_transform(pca.transform(test)), test)
            parts[name, seed] = (train, test, left)
    return parts


def study(parts: dict[tuple[str, int], Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a setting over all tables and seeds."""
    began = time.perf_counter()
    left: dict[str, list[tuple[float, float]]] = {}
    small = set()
    for (name, seed), (train, test, left_by_pca) in parts.items():
        model = AutoencoderTransformer(
            code_size(train.shape[1]), random_state=seed, **parameters
        ).fit(train)
        left.setdefault(name, []).append((unexplained(model.reconstruct(test), test), left_by_pca))
        if len(train) < SMALL_BELOW:
            small.add(name)
    means = {name: np.mean(values, axis=0) for name, values in left.items()}
    gains = {name: pca - ours for name, (ours, pca) in means.items()}
    worst = min(gains, key=lambda name: gains[name])
    ratios = {n: ours / pca for n, (ours, pca) in means.items() if pca > NOTHING_LEFT}
    return {
        "small": geometric_mean([ratio for name, ratio in ratios.items() if name in small]),
        "others": geometric_mean([ratio for name, ratio in ratios.items() if name not in small]),
        "worst": worst,
        "worst_gain": float(gains[worst]),
        "seconds": time.perf_counter() - began,
    }


def unexplained(rebuilt: np.ndarray, test: np.ndarray) -> float:
    """Return the share of the held-out variance that a reconstruction leaves unexplained."""
    return float(np.square(test - rebuilt).sum() / np.square(test).sum())


def geometric_mean(ratios: list[float]) -> float:
    """Return the geometric mean, or nan if there are no ratios."""
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan")


if __name__ == "__main__":
    main()
