"""What an epoch costs: a loop written by hand, skae, and stock skorch.

All three train the same module, `skae.modules.mlp_autoencoder` with a code of 8 and hidden
layers (128, 64), on the same made table of 100,000 rows and 30 columns (see
`_report.made_table`), standardised, in float32, with AdamW, in batches of 256, on one
thread, all rows in every epoch:

- `loop`: plain PyTorch; fused AdamW, the rows shuffled once an epoch by one gather and
  then sliced;
- `skae`: `AutoencoderTransformer(8, hidden_layer_sizes=(128, 64), batch_size=256,
  early_stopping=False)`;
- `skorch`: `skorch.NeuralNetRegressor` with AdamW and skorch's default DataLoader.

The cost of an epoch is what more epochs add to a fit: the time of a fit of 3 less the time of
a fit of 1, halved. That counts all that an epoch brings, and nothing that a fit does once
(checks, the PCA start and the density in skae, creating the net in skorch). skorch's own
timer, `history[:, "dur"]`, would flatter skae: it is the first of the callbacks, so what the
others do at the end of an epoch comes after it has stopped. It is shown for comparison.

Fits alternate, one of each in turn; medians of 5 rounds after one that is not counted.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import (
    RESULTS,
    announce,
    limit_threads,
    made_table,
    markdown_table,
    provenance,
    surroundings,
    write_results,
)
from skorch import NeuralNetRegressor
from torch.nn.functional import mse_loss

from skae import AutoencoderTransformer
from skae.modules import mlp_autoencoder

N_ROWS, N_COLUMNS, N_COMPONENTS = 100_000, 30, 8
SIZES = (128, 64)
BATCH_SIZE = 256
LR = 1e-3
SEED = 0
FEW, MANY = 1, 3
N_ROUNDS = 5

#: Fits for so many epochs; returns skorch's seconds of each, where skorch has run.
Fit = Callable[[np.ndarray, int], list[float]]


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results are written")
    options = parser.parse_args()
    limit_threads(1)
    where = surroundings()
    announce(where)
    X = made_table(N_ROWS, N_COLUMNS, seed=SEED)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    record = {"surroundings": where, **summarise(measure(X))}
    print("\n" + section(record), flush=True)
    text = f"# What an epoch costs\n\n{provenance(where)}\n\n{section(record)}"
    write_results(options.out, "epoch_cost", record, text)


# The contestants ------------------------------------------------------------------------


def fit_loop(X: np.ndarray, n_epochs: int) -> list[float]:
    """Train in a loop written by hand."""
    torch.manual_seed(SEED)
    module = mlp_autoencoder(N_COLUMNS, N_COMPONENTS, SIZES)
    optimizer = torch.optim.AdamW(module.parameters(), lr=LR, fused=True)
    rows = torch.from_numpy(X)
    for _ in range(n_epochs):
        shuffled = rows.index_select(0, torch.randperm(len(rows)))
        for batch in shuffled.split(BATCH_SIZE):
            optimizer.zero_grad()
            mse_loss(module(batch), batch).backward()
            optimizer.step()
    return []


def fit_skae(X: np.ndarray, n_epochs: int) -> list[float]:
    """Train with skae's estimator."""
    estimator = AutoencoderTransformer(
        N_COMPONENTS,
        hidden_layer_sizes=SIZES,
        batch_size=BATCH_SIZE,
        max_epochs=n_epochs,
        early_stopping=False,
        lr=LR,
        device="cpu",
        random_state=SEED,
    ).fit(X)
    check_same_module(estimator.module_)
    return estimator.net_.history[:, "dur"]


def fit_skorch(X: np.ndarray, n_epochs: int) -> list[float]:
    """Train with skorch as it comes."""
    torch.manual_seed(SEED)
    net = NeuralNetRegressor(
        mlp_autoencoder,
        module__n_features=N_COLUMNS,
        module__n_components=N_COMPONENTS,
        module__hidden_layer_sizes=SIZES,
        optimizer=torch.optim.AdamW,
        lr=LR,
        batch_size=BATCH_SIZE,
        max_epochs=n_epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X, X)
    return net.history[:, "dur"]


CONTESTANTS: dict[str, Fit] = {"loop": fit_loop, "skae": fit_skae, "skorch": fit_skorch}


def check_same_module(module: torch.nn.Module) -> None:
    """Raise if skae trained another module than the others, which would compare nothing."""
    expected = mlp_autoencoder(N_COLUMNS, N_COMPONENTS, SIZES)
    if str(module) != str(expected):
        raise RuntimeError(f"skae trained {module}, expected {expected}")


# Measuring ------------------------------------------------------------------------------


def measure(X: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """Return what each round measured, the first one, which warms up, left out."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    for number in range(N_ROUNDS + 1):
        new = {name: measure_once(fit, X) for name, fit in CONTESTANTS.items()}
        costs = ", ".join(f"{name} {one['epoch']:.3f} s" for name, one in new.items())
        print(f"{f'round {number}' if number else 'warm-up'}: {costs}", flush=True)
        if number:
            for name, one in new.items():
                rounds[name].append(one)
    return rounds


def measure_once(fit: Fit, X: np.ndarray) -> dict[str, Any]:
    """Return what an epoch adds to a fit, in seconds, and what it is computed from."""
    seconds, by_skorch = {}, []
    for n_epochs in (FEW, MANY):
        began = time.perf_counter()
        by_skorch = fit(X, n_epochs)
        seconds[n_epochs] = time.perf_counter() - began
    return {
        "epoch": (seconds[MANY] - seconds[FEW]) / (MANY - FEW),
        "fits": {str(n_epochs): value for n_epochs, value in seconds.items()},
        "epoch_by_skorch": statistics.median(by_skorch) if by_skorch else None,
    }


def summarise(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return medians over the rounds, and ratios of medians to the loop's."""
    epoch = {name: statistics.median(one["epoch"] for one in of) for name, of in rounds.items()}
    return {
        "seconds_per_epoch": epoch,
        "seconds_per_epoch_by_skorch": {
            name: statistics.median(one["epoch_by_skorch"] for one in rounds[name])
            for name in ("skae", "skorch")
        },
        "relative_to_loop": {name: value / epoch["loop"] for name, value in epoch.items()},
        "rounds": rounds,
    }


def section(record: dict[str, Any]) -> str:
    """Return what was measured, as Markdown."""
    by_skorch = record["seconds_per_epoch_by_skorch"]

    def row(name: str) -> list[str]:
        epochs = [one["epoch"] for one in record["rounds"][name]]
        return [
            name,
            f"{record['seconds_per_epoch'][name]:.3f}",
            f"{min(epochs):.3f} to {max(epochs):.3f}",
            f"{record['relative_to_loop'][name]:.2f}",
            f"{by_skorch[name]:.3f}" if name in by_skorch else "",
        ]

    header = ["", "seconds per epoch, median", "least to most", "to the loop", "skorch's own timer"]
    return (
        f"{N_ROWS} rows, {N_COLUMNS} columns, hidden layers {SIZES}, code {N_COMPONENTS}, batches "
        f"of {BATCH_SIZE}, {N_ROUNDS} rounds after a warm-up, seed {SEED}. An epoch's cost is "
        f"what it adds to a fit: ({MANY} epochs - {FEW} epoch) / {MANY - FEW}.\n\n"
        f"{markdown_table(header, [row(name) for name in record['rounds']])}"
    )


if __name__ == "__main__":
    main()
