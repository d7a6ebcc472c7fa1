"""When does a small table leave PCA? How the selection rule for the epoch was chosen.

    python docs/benchmarks/epoch_selection.py FOLDER

The study uses the tables of `pca_floor.py` with fewer than 500 training rows, and four
synthetic tables with no structure beyond PCA. For each fit it records the losses that the
five folds measure at each epoch, and the error that the network trained on all rows has on
held-out rows at that epoch. Every selection rule is applied to the same records.

A rule is assessed by two figures. The ratio to PCA is the geometric mean, over the real
tables, of the unexplained variance relative to PCA. The expected failures are the number of
tables whose mean R2 over three seeds falls more than 0.002 below that of PCA, averaged over
all choices of three of the seeds.

Folds end early where the first ones show no gain. For this rule, samples of 150 rows of larger
tables are studied too. Each rule is applied to the folds in random orders. It is assessed by two
figures. The gains lost are those, in explained variance, of the networks that all folds would keep
and the rule doesn't, as a share of all gains. The epochs run are the share of the folds' epochs, in
fits that return PCA.
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
from skae._training import epoch_selection, fit

STANDARD_ERRORS = (0.0, 2.0, 3.0, 4.0)
MINIMUM_IMPROVEMENTS = (0.0, 0.03, 0.06)
QUANTILES = (0.95, 1.0)
SCREENING_ERRORS = (0.0, 1.0, 2.0, 3.0)
N_ORDERS = 5
SAMPLED_ROWS = 150
FEWEST_ROWS, MOST_ROWS = 50, 500


class HeldOutError(Callback):
    """Record the error on the held-out rows after each epoch."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows
        self.errors: list[float] = []

    @torch.no_grad()
    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the error."""
        module = net.module_.eval()
        self.errors.append(float((module(self.rows) - self.rows).square().mean()))
        module.train()


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of npz files with an array X")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--seeds", type=int, default=6, help="number of seeds, at least 3")
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
    sampled = {}
    for name, X in sampled_tables(options.folder):
        sampled[name] = [record(X, seed) for seed in range(2)]
        print(name, flush=True)
    rules = product(QUANTILES, STANDARD_ERRORS, MINIMUM_IMPROVEMENTS)
    in_force = {
        "quantile": epoch_selection._QUANTILE,
        "standard_errors": epoch_selection._STANDARD_ERRORS,
        "minimum_improvement": epoch_selection._MINIMUM_IMPROVEMENT,
        "screening_errors": epoch_selection._SCREENING_ERRORS,
    }
    # Before the rules are assessed, which sets them.
    screening = [
        [errors, *assess_screening(records, errors), *assess_screening(sampled, errors)]
        for errors in SCREENING_ERRORS
    ]
    kept = {
        "surroundings": where,
        "settings": {
            "n_tables": len(real),
            "n_synthetic": len(records) - len(real),
            "n_seeds": options.seeds,
        },
        "in_force": in_force,
        "rows": [assess_rule(records, real, *rule) for rule in rules],
        "screening": screening,
    }
    write_results(options.out, "epoch_selection", kept, page(kept))
    print(rules_table(kept["rows"]))
    print(screening_table(kept["screening"]))


def page(record: dict[str, Any]) -> str:
    """Return the results page."""
    settings, in_force = record["settings"], record["in_force"]
    note = (
        f"{settings['n_tables']} real and {settings['n_synthetic']} synthetic tables, "
        f"{settings['n_seeds']} seeds. skae clips losses at the {in_force['quantile']:g} quantile "
        f"and requires a minimum improvement of {in_force['minimum_improvement']:g}, at a margin "
        f"of {in_force['standard_errors']:g} standard errors. Folds end early below a margin of "
        f"{in_force['screening_errors']:g}."
    )
    table, screening = rules_table(record["rows"]), screening_table(record["screening"])
    parts = ["# When to leave PCA", table, note, screening, provenance(record["surroundings"])]
    return "\n\n".join(parts) + "\n"


def rules_table(rows: list[list[float]]) -> str:
    """Return the table of all rules."""
    header = [
        "clipped at quantile",
        "standard errors",
        "minimum improvement",
        "ratio to PCA",
        "expected failures",
    ]
    return markdown_table(header, [[f"{value:.3g}" for value in row] for row in rows])


def screening_table(rows: list[list[float]]) -> str:
    """Return the table of the rules by which folds end early."""
    header = [
        "standard errors to go on",
        "gains lost, small tables",
        "epochs run, small tables",
        "gains lost, samples",
        "epochs run, samples",
    ]
    return markdown_table(header, [[f"{value:.3g}" for value in row] for row in rows])


def sampled_tables(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield samples of the tables that are not small."""
    for name, read in find_tables(folder, None).items():
        X = read()
        if 0.75 * len(X) >= MOST_ROWS:
            rows = np.random.default_rng(0).choice(len(X), SAMPLED_ROWS, replace=False)
            yield name, X[rows]


def small_tables(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the small tables, and synthetic tables without nonlinear structure."""
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
    """Return the losses of the folds and the held-out errors at each epoch of one fit."""
    train, test = split(X, seed, len(X))
    pca = PCA(code_size(X.shape[1])).fit(train)
    left = float(np.square(test - pca.inverse_transform(pca.transform(test))).mean())
    scaled = torch.from_numpy(np.asarray(test, dtype=np.float32))
    watch = HeldOutError(scaled)
    folds: list[np.ndarray] = []
    known: list[list[np.ndarray]] = []

    def keep_all(curves: Any, weights: Any, rule: Any) -> Any:
        known.extend(curves)
        n_epochs = max(len(curve) for curve in curves)
        for epoch in range(n_epochs):
            folds.append(np.concatenate([c[min(epoch, len(c) - 1)] for c in curves]))
        nothing = [(0.0, 0.0)] * (n_epochs - 1)
        return epoch_selection.SelectedEpoch(n_epochs - 1, [0.0] * n_epochs, nothing)

    select_epoch, fit.select_epoch = fit.select_epoch, keep_all
    has_promise, fit.has_promise = fit.has_promise, lambda *args: True
    try:
        AutoencoderTransformer(code_size(X.shape[1]), callbacks=[watch], random_state=seed).fit(
            train
        )
    finally:
        fit.select_epoch, fit.has_promise = select_epoch, has_promise
    return {
        "curves": known,
        "folds": folds,
        "errors": [left, *watch.errors],
        "total": float(np.square(test).mean()),
    }


def assess_screening(
    records: dict[str, list[dict[str, Any]]], errors: float
) -> tuple[float, float]:
    """Return the share of gains that a screening loses, and that of epochs where PCA is kept."""
    epoch_selection._SCREENING_ERRORS = errors
    generator, lost, gains, shares = np.random.default_rng(0), 0.0, 0.0, []
    for fit_record in [one for fits in records.values() for one in fits]:
        epoch = epoch_of(fit_record)
        gain = (fit_record["errors"][0] - fit_record["errors"][epoch]) / fit_record["total"]
        for _ in range(N_ORDERS):
            curves = [fit_record["curves"][fold] for fold in generator.permutation(5)]
            n_run = count_folds(curves)
            if epoch > 0:
                gains += gain
                lost += gain if n_run < len(curves) else 0.0
            else:
                n_epochs = [len(curve) for curve in curves]
                shares.append(sum(n_epochs[:n_run]) / sum(n_epochs))
    return lost / gains, float(np.mean(shares))


def count_folds(curves: list[list[np.ndarray]]) -> int:
    """Return after how many folds training ends."""
    rule = epoch_selection.SelectionRule(trim_fraction=0.0, keeps_initialization=True)
    for n_known in range(1, len(curves)):
        none = [None] * n_known
        if not epoch_selection.has_promise(curves[:n_known], none, rule, len(curves)):
            return n_known
    return len(curves)


def assess_rule(
    records: dict[str, list[dict[str, Any]]],
    real: list[str],
    quantile: float,
    standard_errors: float,
    minimum_improvement: float,
) -> list[float]:
    """Return the parameters of a rule, its ratio to PCA and its expected failures."""
    epoch_selection._QUANTILE = quantile
    epoch_selection._MINIMUM_IMPROVEMENT = minimum_improvement
    ratios, failures = [], 0.0
    for name, fits in records.items():
        errors = np.array(
            [[fit["errors"][epoch_of(fit, standard_errors)], fit["errors"][0]] for fit in fits]
        )
        gains = (errors[:, 1] - errors[:, 0]) / [fit["total"] for fit in fits]
        failures += np.mean([np.mean(three) < -LARGEST_LOSS for three in combinations(gains, 3)])
        if name in real:
            ours, pca = errors.mean(axis=0)
            ratios.append(np.log(ours / pca))
    return [
        quantile,
        standard_errors,
        minimum_improvement,
        float(np.exp(np.mean(ratios))),
        float(failures),
    ]


def epoch_of(fit: dict[str, Any], standard_errors: float = epoch_selection._STANDARD_ERRORS) -> int:
    """Return the epoch that a rule selects."""
    start = fit["folds"][0]
    rule = epoch_selection.SelectionRule(
        trim_fraction=0.0, keeps_initialization=True, standard_errors=standard_errors
    )
    merits = [rule.measure(start, losses, None).merit for losses in fit["folds"]]
    return min(int(np.argmax(merits)), len(fit["errors"]) - 1)


if __name__ == "__main__":
    main()
