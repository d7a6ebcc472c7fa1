"""Is PCA the floor? Reconstruction of held-out rows by PCA, a perceptron and skae.

Larger tables are first sampled to `--rows` rows. Every table is split 75/25 by the seed, and
its columns are standardized by the training part; a column that is constant there keeps a
scale of 1. All methods get the standardized table and a code of `min(32, max(2, D // 4))`
numbers for `D` columns. Otherwise they use their defaults:

- `pca`: `sklearn.decomposition.PCA`;
- `mlp`: `sklearn.neural_network.MLPRegressor`, fitted to reconstruct its input, with the default
  widths of `AutoencoderTransformer` and the code in the middle (the code layer has the same
  activation, because MLPRegressor uses one activation for all hidden layers);
- `random`: `AutoencoderTransformer(init="random")`, a plain network;
- `default`: `AutoencoderTransformer`.

`R2` is 1 - SSE / SST on the held-out rows. Both sums are over all cells, and SST is around the
means of the training part. The summary compares the unexplained share 1 - R2. For each table
it divides the mean over seeds by that of PCA, and then takes the geometric mean of these
ratios over the tables. A table that PCA reconstructs up to rounding is left out of this mean
and named, because its ratio is meaningless. A method counts as better or worse than PCA on a
table if the mean R2 differs by more than 1e-6, the precision of float32.

Fits run one after the other on `--threads` threads (default 1, see `_report.limit_threads`).
`seconds` is the time of `fit` alone.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _report import (
    RESULTS,
    announce,
    limit_threads,
    markdown_table,
    provenance,
    surroundings,
    write_results,
)
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

Loaders = dict[str, Callable[[], np.ndarray]]

METHODS = ("pca", "mlp", "random", "default")
LARGEST_LOSS = 0.002
# Below this share unexplained, what float32 rounds is larger than what a method misses.
NOTHING_LEFT = 1e-9
SAME_R2 = 1e-6


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    loaders = find_tables(options.folder, options.only)
    limit_threads(options.threads)
    where = surroundings()
    announce(where)
    print(f"seeds {options.seeds}, at most {options.rows} rows a table", flush=True)
    warm_up()
    cells, tables = [], []
    for number, (name, load) in enumerate(loaders.items(), 1):
        new = measure_table(name, load(), options.seeds, options.rows)
        cells += new
        tables.append(summarise_table(new))
        print(f"[{number}/{len(loaders)}] {progress(tables[-1])}", flush=True)
    summary = summarise(tables)
    print("\n" + "\n".join(summary_lines(summary)), flush=True)
    record = {
        "surroundings": where,
        "settings": {"seeds": options.seeds, "rows": options.rows, "tables": list(loaders)},
        "summary": summary,
        "tables": tables,
        "cells": cells,
    }
    write_results(options.out, "pca_floor", record, page(record))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of npz files with an array X")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--rows", type=int, default=10_000, help="sample larger tables to this many rows"
    )
    parser.add_argument("--threads", type=int, default=1, help="for all methods alike")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these tables alone")
    return parser.parse_args()


# Tables -------------------------------------------------------------------------------


def find_tables(folder: Path, only: list[str] | None) -> Loaders:
    """Return a function that loads each table, by the table's name.

    Parameters
    ----------
    folder : Path
        Where npz files with an `X` are.
    only : list of str or None
        The names that are wanted, all if None.
    """
    bundled = {
        "digits": load_digits,
        "breast_cancer": load_breast_cancer,
        "wine": load_wine,
        "diabetes": load_diabetes,
    }
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise SystemExit(f"{folder} has no npz files, expected some with an array X")
    if taken := {path.stem for path in files} & set(bundled):
        raise SystemExit(f"{folder} has {sorted(taken)}, which are scikit-learn's tables here")
    loaders: Loaders = {path.stem: lambda path=path: np.load(path)["X"] for path in files}
    loaders |= {name: lambda load=load: load().data for name, load in bundled.items()}
    unknown = set(only or ()) - set(loaders)
    if unknown:
        raise SystemExit(f"--only has {sorted(unknown)}, expected some of {list(loaders)}")
    return {name: load for name, load in loaders.items() if only is None or name in only}


def split(X: np.ndarray, seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the training and the held-out part, standardised by the training part."""
    if len(X) > rows:
        X = X[np.random.default_rng(seed).choice(len(X), rows, replace=False)]
    train, test = train_test_split(X.astype(np.float64), test_size=0.25, random_state=seed)
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


# Methods ------------------------------------------------------------------------------


def code_size(n_columns: int) -> int:
    """Return how many numbers a code has for a table of that many columns."""
    return min(32, max(2, n_columns // 4))


def make_methods(k: int, seed: int) -> dict[str, BaseEstimator]:
    """Return the methods compared, by their names."""
    widths = AutoencoderTransformer().hidden_layer_sizes
    return {
        "pca": PCA(k, random_state=seed),
        "mlp": MLPRegressor(hidden_layer_sizes=(*widths, k, *reversed(widths)), random_state=seed),
        "random": AutoencoderTransformer(k, init="random", random_state=seed),
        "default": AutoencoderTransformer(k, random_state=seed),
    }


def fit_in_time(model: BaseEstimator, X: np.ndarray) -> float:
    """Fit a method to reconstruct rows, and return the seconds that it took."""
    with warnings.catch_warnings():
        if isinstance(model, MLPRegressor):  # its default number of epochs is what it is
            warnings.simplefilter("ignore", ConvergenceWarning)
        began = time.perf_counter()
        model.fit(X, X)  # all but the regressor ignore the second
        return time.perf_counter() - began


def rebuild(model: BaseEstimator, X: np.ndarray) -> np.ndarray:
    """Return rows as a fitted method reconstructs them."""
    if isinstance(model, MLPRegressor):
        return model.predict(X)
    return model.inverse_transform(model.transform(X))


def warm_up() -> None:
    """Fit each method once, so that no table pays for what is loaded at first use."""
    X = np.random.default_rng(0).normal(size=(64, 8))
    for model in make_methods(2, 0).values():
        fit_in_time(model, X)


# Measuring ----------------------------------------------------------------------------


def measure_table(name: str, X: np.ndarray, seeds: list[int], rows: int) -> list[dict[str, Any]]:
    """Return a cell for each seed and method: R2, seconds of the fit, epochs."""
    cells = []
    k = code_size(X.shape[1])
    for seed in seeds:
        train, test = split(X, seed, rows)
        for method, model in make_methods(k, seed).items():
            seconds = fit_in_time(model, train)
            unexplained = np.square(rebuild(model, test) - test).sum() / np.square(test).sum()
            cells.append(
                {
                    "table": name,
                    "n_train": len(train),
                    "n_columns": X.shape[1],
                    "n_components": k,
                    "seed": seed,
                    "method": method,
                    "r2": float(1 - unexplained),
                    "unexplained": float(unexplained),
                    "seconds": seconds,
                    "epochs": None if method == "pca" else int(model.n_iter_),
                }
            )
    return cells


def summarise_table(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a table's means over the seeds, and how the default differs from PCA."""

    def over_seeds(method: str, key: str) -> list[Any]:
        return [cell[key] for cell in cells if cell["method"] == method]

    def means(key: str, methods: tuple[str, ...] = METHODS) -> dict[str, float]:
        return {method: statistics.fmean(over_seeds(method, key)) for method in methods}

    pairs = zip(over_seeds("default", "r2"), over_seeds("pca", "r2"), strict=True)
    gains = [default - pca for default, pca in pairs]
    same = ("table", "n_train", "n_columns", "n_components")
    return {
        **{key: cells[0][key] for key in same},
        "r2": means("r2"),
        "unexplained": means("unexplained"),
        "seconds": means("seconds"),
        "epochs": means("epochs", METHODS[1:]),
        "default_minus_pca": statistics.fmean(gains),
        "default_minus_pca_sd": statistics.stdev(gains) if len(gains) > 1 else None,
        "default_minus_pca_least": min(gains),
    }


def summarise(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what holds over all tables; the module's docstring says how it is computed."""
    worst = min(tables, key=lambda table: table["default_minus_pca"])
    worst_fit = min(tables, key=lambda table: table["default_minus_pca_least"])
    gains = [table["default_minus_pca"] for table in tables]
    measurable = [t for t in tables if t["unexplained"]["pca"] > NOTHING_LEFT]
    ratios = {
        method: [t["unexplained"][method] / t["unexplained"]["pca"] for t in measurable]
        for method in METHODS[1:]
    }
    return {
        "n_tables": len(tables),
        "worst_table": worst["table"],
        "worst_default_minus_pca": worst["default_minus_pca"],
        "worst_single_fit_table": worst_fit["table"],
        "worst_single_fit": worst_fit["default_minus_pca_least"],
        "largest_loss_allowed": LARGEST_LOSS,
        "floor_holds": worst["default_minus_pca"] >= -LARGEST_LOSS,
        "n_better": sum(gain > SAME_R2 for gain in gains),
        "n_same": sum(abs(gain) <= SAME_R2 for gain in gains),
        "n_worse": sum(gain < -SAME_R2 for gain in gains),
        "unexplained_relative_to_pca": {
            method: statistics.geometric_mean(values) if values else None
            for method, values in ratios.items()
        },
        "left_out_of_the_ratio": [t["table"] for t in tables if t not in measurable],
    }


# Reporting ----------------------------------------------------------------------------


def progress(table: dict[str, Any]) -> str:
    """Return a table's figures in one line."""
    r2 = " ".join(f"{method} {value:.4f}" for method, value in table["r2"].items())
    seconds = " ".join(f"{value:.2f}" for value in table["seconds"].values())
    epochs = " ".join(f"{value:.0f}" for value in table["epochs"].values())
    return (
        f"{table['table']} {table['n_train']}x{table['n_columns']} k={table['n_components']}: "
        f"R2 {r2}; default-pca {gain_text(table)}; seconds {seconds}; epochs {epochs}"
    )


def gain_text(table: dict[str, Any]) -> str:
    """Return the default's gain over PCA with its standard deviation over the seeds."""
    spread = table["default_minus_pca_sd"]
    return f"{table['default_minus_pca']:+.4f}" + ("" if spread is None else f" ± {spread:.4f}")


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the summary as sentences."""
    ratios = ", ".join(
        f"{method} {'-' if ratio is None else format(ratio, '.3f')}"
        for method, ratio in summary["unexplained_relative_to_pca"].items()
    )
    left_out = ", ".join(summary["left_out_of_the_ratio"]) or "none"
    return [
        f"The worst table for the default is {summary['worst_table']}, with an R2 of "
        f"{summary['worst_default_minus_pca']:+.4f} relative to PCA. The worst single fit is on "
        f"{summary['worst_single_fit_table']}, with {summary['worst_single_fit']:+.4f}.",
        f"R2 is at least that of PCA less {summary['largest_loss_allowed']} on every table: "
        f"{'yes' if summary['floor_holds'] else 'NO'}.",
        f"The default is better than PCA on {summary['n_better']} of {summary['n_tables']} "
        f"tables, equal on {summary['n_same']}, and worse on {summary['n_worse']}.",
        f"Unexplained variance relative to PCA, geometric mean over tables: {ratios} "
        f"(left out: {left_out}).",
    ]


def quality_table(tables: list[dict[str, Any]]) -> str:
    """Return R2 by table and method."""
    header = ["table", "rows", "columns", "code", *(f"R2 {m}" for m in METHODS), "default - pca"]
    rows = [
        [
            table["table"],
            *(str(table[key]) for key in ("n_train", "n_columns", "n_components")),
            *(f"{value:.4f}" for value in table["r2"].values()),
            gain_text(table),
        ]
        for table in tables
    ]
    return markdown_table(header, rows)


def cost_table(tables: list[dict[str, Any]]) -> str:
    """Return seconds and epochs by table and method."""
    header = ["table", *(f"{m}, s" for m in METHODS), *(f"{m}, epochs" for m in METHODS[1:])]
    rows = [
        [
            table["table"],
            *(f"{value:.3g}" for value in table["seconds"].values()),
            *(f"{value:.0f}" for value in table["epochs"].values()),
        ]
        for table in tables
    ]
    return markdown_table(header, rows)


def page(record: dict[str, Any]) -> str:
    """Return the results page."""
    settings, tables = record["settings"], record["tables"]
    parts = [
        "# PCA is the floor",
        provenance(record["surroundings"]),
        f"The figures are means over seeds {', '.join(map(str, settings['seeds']))}, ± the "
        f"standard deviation over the seeds. Larger tables are sampled to {settings['rows']} rows, "
        "and a quarter of the rows are held out. The column `rows` counts training rows.",
        "\n".join(f"- {line}" for line in summary_lines(record["summary"])),
        "## Reconstruction of held-out rows",
        quality_table(tables),
        "## Cost of a fit",
        "Epochs are `n_iter_`. For skae this is the selected epoch, and the training itself ran "
        "longer.",
        cost_table(tables),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
