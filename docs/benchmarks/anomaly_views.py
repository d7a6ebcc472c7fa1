"""Which views of a row make a good anomaly score? How the score was chosen.

    python docs/benchmarks/anomaly_views.py CHOSEN HELD_OUT EMBEDDINGS

The folders contain the three groups of tables of `adbench.py`, which are sampled, split and
standardized as there; tables of the first group are sampled to as many rows as those of the second.
The default estimator of `AEAnomalyDetector` is fitted once for each table, setting and seed. The
views of the rows to score are tail surprisals among the reference rows:

- `errors`: the denoising errors, as a mean over levels;
- `nearest` and `fifth`: the distances to the nearest reference row, and to the fifth usual one;
- `path`: minus the log-density of the linear path, the Gaussian of the denoiser's filter;
- `left out`: the errors of a linear model with a shrunk covariance, which has not seen the row.

A score is the mean of some views, with weights, or the largest of them. Where it "asks held-out
rows", the linear path takes part only if its surprisal of the calibration rows is below 1.5; the
expectation is 1 if the path generalizes.

Tables have few rows if they have fewer training rows than columns. For these and for the others,
the choice of a score is itself assessed. Tables are halved at random, those of the same images or
texts together. The score with the highest AUROC on one half, as a mean over both settings, is
reported on the other half, and the other way round. Means and standard errors are over tables.

Results are stored in `anomaly_views.json` after each table. A further run measures what is missing.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _adbench._data import SETTINGS, find_tables, load, task
from _adbench._groups import GROUPS
from _report import (
    RESULTS,
    announce,
    limit_threads,
    markdown_table,
    provenance,
    surroundings,
    write_results,
    write_whole,
)
from sklearn.metrics import roc_auc_score

from skae import AEAnomalyDetector
from skae._data import subsample_indices
from skae._denoising import DenoisingAutoencoder
from skae._detection.anomaly_score import AnomalyScore, TailSurprisal, is_known_by_heart
from skae._detection.detector import _REFERENCE_ROWS
from skae._detection.left_out import LeftOutErrors

ROWS = {
    "chosen": GROUPS["held-out"].rows,
    **{n: GROUPS[n].rows for n in ("held-out", "embeddings")},
}
VIEWS = ("errors", "nearest", "fifth", "path", "left out")
LARGEST_SURPRISAL = 1.5
N_HALVINGS = 200
NETWORKS = ("ResNet18", "ViT", "BERT", "RoBERTa")

#: The score that differences are taken to.
PRESENT = "mean of errors, nearest, fifth"

Views = dict[str, np.ndarray]


class Recorder(AEAnomalyDetector):
    """A detector that keeps its training and calibration rows."""

    def _set_fitted(
        self, estimator: Any, rows: Any, columns: Any, split: Any, known: Any
    ) -> np.ndarray:
        self.split_ = split
        return super()._set_fitted(estimator, rows, columns, split, known)


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs=3, help="chosen, held-out, embeddings")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    limit_threads(options.threads)
    where = surroundings()
    announce(where)
    path = options.out / "anomaly_views.json"
    cells = json.loads(path.read_text())["cells"] if path.exists() else {}
    for group, folder in zip(ROWS, options.folders, strict=True):
        for name, file in find_tables(folder, None).items():
            for seed in options.seeds:
                if f"{name} {seed}" not in cells:
                    cells[f"{name} {seed}"] = {"group": group, **measure(file, group, seed)}
                    options.out.mkdir(parents=True, exist_ok=True)
                    write_whole(path, json.dumps({"cells": cells}) + "\n")
                    print(name, seed, flush=True)
    record = {"surroundings": where, "settings": {"seeds": options.seeds}, "cells": cells}
    write_results(options.out, "anomaly_views", record, page(record))


def measure(file: Path, group: str, seed: int) -> dict[str, Any]:
    """Return the AUROC of each score in each setting, and whether the table has few rows."""
    X, y = load(file)
    given = {setting: task(X, y, setting, seed, ROWS[group]) for setting in SETTINGS}
    result: dict[str, Any] = {}
    for setting, own in given.items():
        detector = Recorder(random_state=seed).fit(own.train)
        train = detector.split_.train.X
        reference = train[subsample_indices(len(train), _REFERENCE_ROWS)]
        views = find_views(detector.estimator_, reference, [own.test, detector.split_.calibration])
        aurocs = {
            name: round(float(roc_auc_score(own.y, nats)), 5)
            for name, nats in list_scores(*views).items()
        }
        few = bool(is_known_by_heart(len(train), train.shape[1]))
        result[setting] = {"few": few, "auroc": aurocs}
    return result


def find_views(
    denoiser: DenoisingAutoencoder, reference: np.ndarray, tables: list[np.ndarray]
) -> list[Views]:
    """Return the views of each table, as tail surprisals among the reference rows."""
    score = AnomalyScore.fit(denoiser, reference, None)
    state = denoiser._state
    scaled = state.prepare(reference, np.float64).values
    left_out = LeftOutErrors.from_rows(scaled, None)
    tails = {
        "path": TailSurprisal.from_values(-_find_density(state, reference)),
        "left out": TailSurprisal.from_values(left_out.measure(scaled, np.ones(len(scaled), bool))),
    }
    found = []
    for rows in tables:
        errors, distances = score.view(denoiser, rows)
        prepared = state.prepare(rows, np.float64)
        is_copy = score.neighbours.find(*prepared)[1]
        left = left_out.measure(prepared.values, is_copy)
        one = [
            TailSurprisal(score.by_distance.nats, knots[:, None], scale[None])
            for knots, scale in zip(score.by_distance.knots.T, score.by_distance.scale, strict=True)
        ]
        nats = [
            score.by_error.measure(errors),
            one[0].measure(distances[:, [0]]),
            one[1].measure(distances[:, [1]]),
            tails["path"].measure(-_find_density(state, rows)),
            tails["left out"].measure(left),
        ]
        found.append(dict(zip(VIEWS, nats, strict=True)))
    return found


def _find_density(state: Any, rows: np.ndarray) -> np.ndarray:
    """Return the log-density (n_rows, 1) of the linear path."""
    prepared = state.prepare(rows, np.float64)
    return state.trained.apply_to_completed(
        lambda module, batch: module.filter.log_density(batch.input)[:, None], prepared, 512
    )


def list_scores(views: Views, held_out: Views) -> dict[str, np.ndarray]:
    """Return the scores by name."""
    three, generalizes = VIEWS[:3], held_out["path"].mean() < LARGEST_SURPRISAL

    def mean(names: tuple[str, ...], weights: tuple[float, ...] | None = None) -> np.ndarray:
        return np.average([views[name] for name in names], axis=0, weights=weights)

    def largest(names: tuple[str, ...]) -> np.ndarray:
        return np.max([views[name] for name in names], axis=0)

    four, left = (*three, "path"), "left out"
    return {
        PRESENT: mean(three),
        **{f"{name} alone": views[name] for name in VIEWS},
        "largest of errors, nearest, fifth": largest(three),
        "mean of these and path": mean(four),
        "largest of these and path": largest(four),
        "mean of these and path, asks held-out rows": mean(four if generalizes else three),
        "largest of these and path, asks held-out rows": largest(four if generalizes else three),
        "largest of four if held-out rows agree, else mean of three": (
            largest(four) if generalizes else mean(three)
        ),
        "mean of these and left out": mean((*three, left)),
        "largest of these and left out": largest((*three, left)),
        "mean of nearest, fifth, left out": mean((*three[1:], left)),
        "largest of nearest, fifth, left out": largest((*three[1:], left)),
        "mean of nearest, fifth, four times left out": mean((*three[1:], left), (1, 1, 4)),
        "mean of nearest, fifth, eight times left out": mean((*three[1:], left), (1, 1, 8)),
    }


def page(record: dict[str, Any]) -> str:
    """Return the results page."""
    seeds = ", ".join(map(str, record["settings"]["seeds"]))
    parts = [
        "# Views of an anomaly score",
        f"Seeds: {seeds}. The top of `anomaly_views.py` explains the views, the scores and the "
        "choice. The detector's score is the mean of errors, nearest and fifth; of tables with few "
        "rows it is left out alone.",
        "Most of the embeddings are of the same 15 kinds of images by two networks, so that their "
        "standard errors, over tables, are too small.",
    ]
    tables = tabulate(record)
    for few in (False, True):
        columns = {key: values for key, values in tables.items() if key[2] == few}
        parts += [
            f"## Tables with {'few rows' if few else 'at least as many rows as columns'}",
            "AUROC in percent, and the difference to the first line with its standard error.",
            _score_table(columns),
            *_assess_choice(columns),
        ]
    return "\n\n".join([*parts, provenance(record["surroundings"])])


Key = tuple[str, str, bool]


def tabulate(record: dict[str, Any]) -> dict[Key, dict[str, dict[str, float]]]:
    """Return AUROC in percent, as a mean over seeds, by group, setting and few rows."""
    found: dict[Key, dict[str, list[dict[str, float]]]] = {}
    for name, cell in record["cells"].items():
        for setting in SETTINGS:
            key = (cell["group"], setting, cell[setting]["few"])
            table = name.rsplit(" ", 1)[0]
            found.setdefault(key, {}).setdefault(table, []).append(cell[setting]["auroc"])
    return {
        key: {
            table: {score: 100 * float(np.mean([one[score] for one in each])) for score in each[0]}
            for table, each in tables.items()
        }
        for key, tables in found.items()
    }


def _score_table(columns: dict[Key, dict[str, dict[str, float]]]) -> str:
    header = ["score", *(f"{g}, {s} ({len(tables)})" for (g, s, _), tables in columns.items())]
    scores = list(next(iter(next(iter(columns.values())).values())))
    rows = []
    for score in scores:
        cells = []
        for tables in columns.values():
            values = np.array([one[score] for one in tables.values()])
            gains = values - [one[PRESENT] for one in tables.values()]
            error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
            text = f"{values.mean():.2f}"
            if score != PRESENT and len(gains) > 1:
                text += f" ({gains.mean():+.2f} ± {error:.2f})"
            cells.append(text)
        rows.append([score, *cells])
    return markdown_table(header, rows)


def _assess_choice(columns: dict[Key, dict[str, dict[str, float]]]) -> list[str]:
    """Return what a choice on half of the tables gains on the other half."""
    by_table: dict[str, dict[str, dict[str, float]]] = {}
    for (_, setting, _), tables in columns.items():
        for name, values in tables.items():
            by_table.setdefault(name, {})[setting] = values
    names, scores = list(by_table), list(next(iter(next(iter(columns.values())).values())))
    gains = np.full((len(names), len(SETTINGS), len(scores)), np.nan)
    for i, name in enumerate(names):
        for j, setting in enumerate(SETTINGS):
            if setting in by_table[name]:
                values = by_table[name][setting]
                gains[i, j] = [values[score] - values[PRESENT] for score in scores]
    source = np.unique([_find_source(name) for name in names], return_inverse=True)[1]
    generator, n_sources = np.random.default_rng(0), source.max() + 1
    chosen: Counter[str] = Counter()
    reached = []
    for _ in range(N_HALVINGS):
        in_first = np.isin(source, generator.permutation(n_sources)[: n_sources // 2])
        for known, other in ((in_first, ~in_first), (~in_first, in_first)):
            best = int(np.nanmean(gains[known], axis=0).mean(axis=0).argmax())
            chosen[scores[best]] += 1
            reached.append(np.nanmean(gains[other][:, :, best], axis=0))
    means = np.nanmean(reached, axis=0)
    gained = ", ".join(
        f"{setting} {gain:+.2f}" for setting, gain in zip(SETTINGS, means, strict=True)
    )
    listed = ", ".join(
        f"{score} ({100 * count / (2 * N_HALVINGS):.0f} %)" for score, count in chosen.most_common()
    )
    return [
        f"What is chosen on one half of the {len(names)} tables differs from the first line on the "
        f"other half by, as a mean over {N_HALVINGS} halvings: {gained}. Chosen: {listed}."
    ]


def _find_source(table: str) -> str:
    """Return a table's name without the network that embedded its images or texts."""
    return "_".join(part for part in table.split("_") if part not in NETWORKS)


if __name__ == "__main__":
    main()
