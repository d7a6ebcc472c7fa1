"""When to leave PCA on a small table: how the rule that chooses the epoch was chosen.

    python docs/benchmarks/judgement.py FOLDER

For the tables of `pca_floor.py` with fewer than 500 training rows, and four made ones on
which there is nothing beyond PCA to find, it records what the five folds show of each epoch
and what the network trained on all rows then does on held-out ones. Every rule is applied to
the same records. A rule is judged by the geometric mean over the real tables of what it
leaves unexplained relative to PCA, and by its failures: the number of tables expected to
fall more than 0.002 in R2 below PCA in the mean of three seeds, over all choices of three of
the seeds run.
"""

import argparse
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import announce, limit_threads, markdown_table, provenance, surroundings, write_results
from pca_floor import LARGEST_LOSS, RESULTS, code_size, find_tables, split
from sklearn.decomposition import PCA
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._training import _fit, _judgement

STANDARD_ERRORS = (0.0, 2.0, 3.0, 4.0)
WORTH = (0.0, 0.03, 0.06)
QUANTILES = (0.95, 1.0)
FEWEST_ROWS, MOST_ROWS = 50, 500


class HeldOutError(Callback):
    """Record the error on other rows after each epoch."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows
        self.errors: list[float] = []

    @torch.no_grad()
    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record it."""
        module = net.module_.eval()
        self.errors.append(float((module(self.rows) - self.rows).square().mean()))
        module.train()


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the tables are: npz files with an X")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results are written")
    parser.add_argument("--seeds", type=int, default=6, help="how many seeds, 3 at least")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    limit_threads(options.threads)
    where = surroundings()
    announce(where)
    records: dict[str, list[dict[str, Any]]] = {}
    for name, X in small_tables(options.folder):
        records[name] = [record(X, seed) for seed in range(options.seeds)]
        print(name, flush=True)
    real = [name for name in records if not name.startswith("made")]
    in_force = (_judgement._QUANTILE, _judgement._STANDARD_ERRORS, _judgement._WORTH)
    rules = product(QUANTILES, STANDARD_ERRORS, WORTH)
    rows = [judge_rule(records, real, *rule) for rule in rules]
    header = ["cut at quantile", "standard errors", "worth", "ratio to PCA", "expected failures"]
    table = markdown_table(header, [[f"{value:.3g}" for value in row] for row in rows])
    note = (
        f"{len(real)} tables and {len(records) - len(real)} made ones, {options.seeds} seeds. "
        f"The package cuts at {in_force[0]:g}, and asks for {in_force[1]:g} standard errors and "
        f"{in_force[2]:g}."
    )
    page = f"# When to leave PCA\n\n{table}\n\n{note}\n\n{provenance(where)}\n"
    kept = {"surroundings": where, "header": header, "rows": rows}
    write_results(options.out, "judgement", kept, page)
    print(table)


def small_tables(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the tables of few rows, and made ones that are linear at heart."""
    for name, read in find_tables(folder, None).items():
        X = read()
        if FEWEST_ROWS <= 0.75 * len(X) < MOST_ROWS:
            yield name, X
    rng = np.random.default_rng(0)
    for number, (n_rows, n_columns) in enumerate([(80, 10), (130, 13), (200, 20)]):
        mix = rng.normal(size=(n_columns, n_columns))
        yield f"made Gaussian {number}", rng.normal(size=(n_rows, n_columns)) @ mix
    yield "made heavy-tailed", rng.standard_t(3, size=(130, 13)) @ rng.normal(size=(13, 13))


def record(X: np.ndarray, seed: int) -> dict[str, Any]:
    """Return the folds' losses and the held-out errors of each epoch of one fit."""
    train, test = split(X, seed, len(X))
    pca = PCA(code_size(X.shape[1])).fit(train)
    left = float(np.square(test - pca.inverse_transform(pca.transform(test))).mean())
    scaled = torch.from_numpy(np.asarray(test, dtype=np.float32))
    watch = HeldOutError(scaled)
    folds: list[np.ndarray] = []

    def keep_all_and_go_on(curves: Any, weights: Any, rule: Any) -> Any:
        n_epochs = max(len(curve) for curve in curves)
        for epoch in range(n_epochs):
            folds.append(np.concatenate([c[min(epoch, len(c) - 1)] for c in curves]))
        return n_epochs - 1, [0.0] * n_epochs

    chosen_by, _fit.best_epoch = _fit.best_epoch, keep_all_and_go_on
    try:
        AutoencoderTransformer(code_size(X.shape[1]), callbacks=[watch], random_state=seed).fit(
            train
        )
    finally:
        _fit.best_epoch = chosen_by
    return {"folds": folds, "errors": [left, *watch.errors], "total": float(np.square(test).mean())}


def judge_rule(
    records: dict[str, list[dict[str, Any]]],
    real: list[str],
    quantile: float,
    standard_errors: float,
    worth: float,
) -> list[float]:
    """Return a rule's parts, its ratio to PCA and its expected number of failures."""
    _judgement._QUANTILE = quantile
    _judgement._STANDARD_ERRORS = standard_errors
    _judgement._WORTH = worth
    ratios, failures = [], 0.0
    for name, fits in records.items():
        errors = np.array([[fit["errors"][epoch_of(fit)], fit["errors"][0]] for fit in fits])
        gains = (errors[:, 1] - errors[:, 0]) / [fit["total"] for fit in fits]
        failures += np.mean([np.mean(three) < -LARGEST_LOSS for three in combinations(gains, 3)])
        if name in real:
            ours, pca = errors.mean(axis=0)
            ratios.append(np.log(ours / pca))
    return [quantile, standard_errors, worth, float(np.exp(np.mean(ratios))), float(failures)]


def epoch_of(fit: dict[str, Any]) -> int:
    """Return the epoch that the rule in force chooses."""
    start = fit["folds"][0]
    gains = [_judgement.sure_gain(start, losses, None, 0.0) for losses in fit["folds"]]
    return min(int(np.argmax(gains)), len(fit["errors"]) - 1)


if __name__ == "__main__":
    main()
