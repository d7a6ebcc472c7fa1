"""Anomalies of series, by time step: skae, PCA and isolation forests on the same windows.

    python docs/benchmarks/series.py FOLDER

FOLDER has `skab.npz` and `nab.npz` with the arrays `NAME/X` (n_times, n_channels) and `NAME/y`,
which is 1 for anomalous time steps; `nab.npz` also has `NAME/train`, the length of the clean
prefix. A file that is not there is reported as not run.

There are six parts.

- `skab`: the 34 labelled series of the Skoltech Anomaly Benchmark, a water circuit with eight
  sensors. By its protocol a method is fitted to each series' first 400 time steps, and judged here
  on the others. Windows have 16 time steps. F1, the rate of false alarms and that of missed
  anomalies are those of the default threshold, over the time steps of all series together; AUROC is
  the mean over series, for time steps whose score is the mean, the lowest or the highest of their
  windows. The lowest and the highest are shown only to compare; the detector takes the mean.
- `codes`: F1 and false alarms of PCA's errors on the same series, as in `skab`, by the length of
  windows and the size of codes, an eighth, a quarter or three eighths of a window's cells, but not
  more than a block leaves rows. The pair is chosen on every second series, the one with the highest
  F1 of those with at most 20 % of false alarms there, else the one with the fewest, and judged on
  the others.
- `drift`: false alarms of PCA's errors on the same series, with windows of 16 and the default
  threshold, by the number of time steps since the end of the fit, before the first anomaly and
  behind the last one. The share is that of all clean time steps there, and a series is above a
  tenth if more than a tenth of its own are flagged.
- `ranks`: AUROC on the same series of errors alone, without a detector that sets time steps aside
  to calibrate: `Windows(60)` and codes of 64 numbers, fitted to all of the first 400 time steps.
- `nab`: six series of the Numenta Anomaly Benchmark and series 135 of the UCR anomaly archive, each
  of one channel. A method is fitted to the clean prefix, and AUROC and average precision are of the
  time steps behind it, means over series. Windows have 64 or 128 time steps, one every four.

- `alarms`: the share of clean time steps that are outliers, of stationary series without anomalies:
  a sine with noise, an autoregressive process with a coefficient of 0.9, and white noise, which is
  what the differences of a random walk are. A method is fitted to the first time steps and judged
  on the next 2,000, with windows of 32. There are 20 series of each kind and length for `PCA`, and
  four for `skae`. The threshold is calibrated on all time steps by blocks, as by default, or on the
  last tenth of the windows.

All methods are the `estimator` of a `SeriesAnomalyDetector`: they have the same windows, the same
blocks that calibrate, and the same default threshold. `skae` is the default estimator;
`AutoencoderTransformer` and `PCA` score windows by their squared errors, with codes of the same
size (16; 8 for `alarms`), of columns that are scaled alike; and `IsolationForest` has its own
defaults. `alpha` is 0.01. Everything runs on `--threads` threads and the given seed. Seconds are
the processor's.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
from scipy.signal import lfilter
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.series import SeriesAnomalyDetector, Windows

PARTS = ("skab", "codes", "drift", "ranks", "nab", "alarms")
_CODES = 16
_SKAB_TRAIN, _SKAB_LENGTH = 400, 16
_CODES_BY_LENGTH = {16: (16, 32, 48), 32: (32, 64, 96), 60: (60, 120)}
_HALVES = {"first": slice(0, None, 2), "second": slice(1, None, 2), "all": slice(None)}
_LEAST_F1, _MOST_ALARMS = 0.84, 0.20
_DRIFT_STEPS = (0, 50, 100, 150)
_RANKED_LENGTH, _RANKED_CODES = 60, 64
_NAB_LENGTHS, _NAB_STEP = (64, 128), 4
_ALARM_SIZES, _ALARM_TEST, _ALARM_LENGTH = (500, 1000, 2000), 2000, 32
_ALARM_SERIES, _ALARM_CODES = {"PCA": 20, "skae": 4}, 8
_ALARM_ALPHAS = (0.01, 0.05)
_CALIBRATIONS: dict[str, Any] = {"all, by blocks": "auto", "last tenth": 0.1}
_AUROCS = ("AUROC", "AUROC, lowest", "AUROC, highest")

# The convolutional autoencoder of SKAB's own leaderboard.
_PUBLISHED = {"F1": 0.78, "false alarms": 0.1355, "missed": 0.2802}


class Series(NamedTuple):
    """A labelled series, and the length of its part that is clean."""

    name: str
    X: np.ndarray
    is_anomaly: np.ndarray
    n_train: int


class AutoencoderErrors(BaseEstimator):
    """Score rows by minus the squared error of an `AutoencoderTransformer`."""

    def __init__(self, n_components: int, gap: int, random_state: int = 0) -> None:
        self.n_components = n_components
        self.gap = gap
        self.random_state = random_state

    def fit(self, X: np.ndarray) -> "AutoencoderErrors":
        """Fit the transformer, which holds rows out in time."""
        ours = AutoencoderTransformer(
            self.n_components, gap=self.gap, random_state=self.random_state
        )
        self.model_ = ours.fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Return minus the errors."""
        return -self.model_.reconstruction_error(X)


class PCAErrors(BaseEstimator):
    """Score rows by minus the squared error of PCA, for scaled columns."""

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, X: np.ndarray) -> "PCAErrors":
        """Fit PCA."""
        pca = PCA(self.n_components, svd_solver="full")
        self.model_ = make_pipeline(StandardScaler(), pca).fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Return minus the errors."""
        scaled = self.model_[0].transform(X)
        rebuilt = self.model_[1].inverse_transform(self.model_[1].transform(scaled))
        return -np.square(scaled - rebuilt).mean(axis=1)


def make_methods(seed: int, gap: int) -> dict[str, Any]:
    """Return the estimators of windows, by name."""
    return {
        "skae": None,
        "AutoencoderTransformer": AutoencoderErrors(_CODES, gap, seed),
        "PCA": PCAErrors(_CODES),
        "IsolationForest": IsolationForest(random_state=seed),
    }


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    limit_threads(options.threads)
    where = surroundings()
    announce(where)
    record: dict[str, Any] = {"runs": {}}
    if (stored := options.out / "series.json").exists():  # the other parts stay as they are
        record |= json.loads(stored.read_text())
    runs = {
        "skab": run_skab,
        "codes": run_codes,
        "drift": run_drift,
        "ranks": run_ranks,
        "nab": run_nab,
    }
    for part, run in runs.items():
        if part in options.parts:
            file = "nab" if part == "nab" else "skab"
            series = list(read(options.folder / f"{file}.npz"))
            record[part] = run(series, options.seed) if series else None
            record["runs"][part] = {**where, "seed": options.seed}
    if "alarms" in options.parts:
        record["alarms"] = run_alarms(options.seed)
        record["runs"]["alarms"] = {**where, "seed": options.seed}
    write_results(options.out, "series", record, page(record))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of skab.npz and nab.npz")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="threads of every method")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


def read(path: Path) -> Iterator[Series]:
    """Yield the series of a file; none if it is not there."""
    if not path.exists():
        return
    with np.load(path) as file:
        for name in sorted(key.removesuffix("/X") for key in file if key.endswith("/X")):
            n_train = int(file[f"{name}/train"]) if f"{name}/train" in file else _SKAB_TRAIN
            X = file[f"{name}/X"].astype(np.float64)
            yield Series(name, X, file[f"{name}/y"].astype(bool), n_train)


def run_skab(series: list[Series], seed: int) -> dict[str, Any]:
    """Return the figures of each method, with a model for each series."""
    results = {}
    for name, estimator in make_methods(seed, _SKAB_LENGTH).items():
        began = time.process_time()
        is_found, aurocs = [], []
        for each in series:
            detector = SeriesAnomalyDetector(estimator, length=_SKAB_LENGTH, random_state=seed)
            detector.fit(each.X[: each.n_train])
            decision, *others = aggregate(detector, each.X)
            is_found.append(decision[each.n_train :] < 0)
            labels = each.is_anomaly[each.n_train :]
            scores = [-steps[each.n_train :] for steps in (decision, *others)]
            aurocs.append([roc_auc_score(labels, steps) for steps in scores])
        labels = np.concatenate([each.is_anomaly[each.n_train :] for each in series])
        results[name] = {
            **judge(np.concatenate(is_found), labels),
            **dict(zip(_AUROCS, np.mean(aurocs, axis=0).tolist(), strict=True)),
            "seconds": time.process_time() - began,
        }
        print(name, results[name], flush=True)
    return results


def aggregate(detector: SeriesAnomalyDetector, X: np.ndarray) -> list[np.ndarray]:
    """Return the decision for each time step, and its windows' lowest and highest score."""
    each = detector.detector_.score_samples(detector.windows_.transform(X))
    # Of windows at every step, in the places of those that have a time step.
    padded = np.pad(each, _SKAB_LENGTH - 1, constant_values=np.nan)
    of_steps = np.lib.stride_tricks.sliding_window_view(padded, _SKAB_LENGTH)
    decision = detector.windows_.spread(each, len(X)) - detector.offset_
    return [decision, np.nanmin(of_steps, axis=1), np.nanmax(of_steps, axis=1)]


def judge(is_found: np.ndarray, is_anomaly: np.ndarray) -> dict[str, float]:
    """Return F1, and the rates of false alarms and of missed anomalies."""
    n_right = int((is_found & is_anomaly).sum())
    return {
        "F1": 2 * n_right / int(is_found.sum() + is_anomaly.sum()),
        "false alarms": float(is_found[~is_anomaly].mean()),
        "missed": float((~is_found[is_anomaly]).mean()),
    }


def run_codes(series: list[Series], seed: int) -> list[dict[str, Any]]:
    """Return the figures of PCA's errors on both halves, a row for each length and code."""
    results = []
    for length, sizes in _CODES_BY_LENGTH.items():
        for n_codes in sizes:
            is_found, labels, aurocs = [], [], []
            for each in series:
                detector = SeriesAnomalyDetector(PCAErrors(n_codes), length=length)
                decision = detector.fit(each.X[: each.n_train]).decision_function(each.X)
                is_found.append(decision[each.n_train :] < 0)
                labels.append(each.is_anomaly[each.n_train :])
                aurocs.append(float(roc_auc_score(labels[-1], -decision[each.n_train :])))
            row: dict[str, Any] = {"length": length, "codes": n_codes}
            for name, half in _HALVES.items():
                found, wanted = np.concatenate(is_found[half]), np.concatenate(labels[half])
                row[name] = judge(found, wanted) | {"AUROC": float(np.mean(aurocs[half]))}
            results.append(row)
            print(row, flush=True)
    return results


def choose_codes(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the row that is chosen on the first half."""

    def rank(row: dict[str, Any]) -> tuple[bool, float]:
        figures = row["first"]
        is_rare = figures["false alarms"] <= _MOST_ALARMS
        return is_rare, figures["F1"] if is_rare else -figures["false alarms"]

    return max(results, key=rank)


def run_drift(series: list[Series], seed: int) -> list[dict[str, Any]]:
    """Return the rates of false alarms of PCA's errors by the time since the fit, a row each."""
    parts: dict[str, list[np.ndarray]] = {}
    for each in series:
        detector = SeriesAnomalyDetector(PCAErrors(_CODES), length=_SKAB_LENGTH)
        is_found = detector.fit(each.X[: each.n_train]).predict(each.X) == -1
        anomalies = np.flatnonzero(each.is_anomaly)
        first, last = anomalies[anomalies >= each.n_train][[0, -1]]
        for begin, end in zip(_DRIFT_STEPS, (*_DRIFT_STEPS[1:], None), strict=True):
            stop = first if end is None else min(each.n_train + end, first)
            name = f"{begin} to {end}" if end else f"{begin} and more"
            own = is_found[each.n_train + begin : stop]
            parts.setdefault(f"{name}, before the anomaly", []).append(own)
        # Before that, windows still have a time step of the anomaly.
        own = is_found[last + _SKAB_LENGTH :]
        parts.setdefault(f"behind the anomaly, from {_SKAB_LENGTH} on", []).append(own)
    results = []
    for name, every in parts.items():
        known = [own for own in every if len(own)]
        results.append(
            {
                "time steps": name,
                "series": len(known),
                "false alarms": float(np.concatenate(known).mean()),
                "above a tenth": sum(bool(own.mean() > 0.1) for own in known),
            }
        )
        print(results[-1], flush=True)
    return results


def run_ranks(series: list[Series], seed: int) -> dict[str, float]:
    """Return the AUROC of errors, of models that are fitted to all clean time steps."""
    methods = {
        "AutoencoderTransformer": AutoencoderErrors(_RANKED_CODES, _RANKED_LENGTH, seed),
        "PCA": PCAErrors(_RANKED_CODES),
    }
    results = {}
    for name, method in methods.items():
        aurocs = []
        for each in series:
            windows = Windows(_RANKED_LENGTH).fit(each.X)
            method.fit(windows.transform(each.X[: each.n_train]))
            scores = -windows.spread(method.score_samples(windows.transform(each.X)))
            aurocs.append(roc_auc_score(each.is_anomaly[each.n_train :], scores[each.n_train :]))
        results[name] = float(np.mean(aurocs))
        print(name, results[name], flush=True)
    return results


def run_nab(series: list[Series], seed: int) -> dict[str, Any]:
    """Return the figures of each method on each series, by length of the windows."""
    return {str(length): run_nab_windows(series, seed, length) for length in _NAB_LENGTHS}


def run_nab_windows(series: list[Series], seed: int, length: int) -> dict[str, Any]:
    """Return the figures of each method on each series."""
    results: dict[str, Any] = {}
    for name, estimator in make_methods(seed, length // _NAB_STEP).items():
        results[name] = {}
        for each in series:
            began = time.process_time()
            detector = SeriesAnomalyDetector(
                estimator, length=length, step=_NAB_STEP, random_state=seed
            )
            detector.fit(each.X[: each.n_train])
            scores = -detector.score_samples(each.X)[each.n_train :]
            is_anomaly = each.is_anomaly[each.n_train :]
            results[name][each.name] = {
                "AUROC": float(roc_auc_score(is_anomaly, scores)),
                "average precision": float(average_precision_score(is_anomaly, scores)),
                "seconds": time.process_time() - began,
            }
            print(length, name, each.name, results[name][each.name], flush=True)
    return results


def make_stationary(kind: str, n_times: int, rng: np.random.Generator) -> np.ndarray:
    """Return a series without anomalies."""
    noise = rng.normal(size=n_times + 200)
    if kind == "sine and noise":
        return np.sin(np.arange(n_times) / 5) + 0.1 * noise[:n_times]
    coefficient = 0.9 if kind == "autoregressive" else 0.0
    return lfilter([1], [1, -coefficient], noise)[200:]


def run_alarms(seed: int) -> list[dict[str, Any]]:
    """Return rates of false alarms, one row for each kind and length of series and method."""
    estimators = {"PCA": PCAErrors(_ALARM_CODES), "skae": None}
    results = []
    for name, estimator in estimators.items():
        for kind in ("sine and noise", "autoregressive", "white noise"):
            for size in _ALARM_SIZES:
                rates: dict[str, list[float]] = {}
                for number in range(_ALARM_SERIES[name]):
                    rng = np.random.default_rng([seed, number])
                    series = make_stationary(kind, size + _ALARM_TEST, rng)
                    for calibration, fraction in _CALIBRATIONS.items():
                        detector = SeriesAnomalyDetector(
                            estimator,
                            length=_ALARM_LENGTH,
                            calibration_fraction=fraction,
                            random_state=seed,
                        )
                        scores = detector.fit(series[:size]).score_samples(series[size:])
                        for alpha in _ALARM_ALPHAS:
                            limit = detector.set_threshold(alpha=alpha).offset_
                            rates.setdefault(f"{calibration}, alpha={alpha}", []).append(
                                float((scores < limit).mean())
                            )
                results.append({"method": name, "kind": kind, "size": size, "rates": rates})
                print(name, kind, size, {k: np.mean(v) for k, v in rates.items()}, flush=True)
    return results


def table_of_rates(results: list[dict[str, Any]]) -> str:
    """Return the table of false alarms: the mean over series, and the highest."""
    rows = [
        [
            row["method"],
            row["kind"],
            str(row["size"]),
            *(f"{np.mean(each):.1%} ({max(each):.0%})" for each in row["rates"].values()),
        ]
        for row in results
    ]
    return markdown_table(["method", "series", "time steps", *results[0]["rates"]], rows)


def page(record: dict[str, Any]) -> str:
    """Return the results page."""
    parts = ["# Anomalies of series", describe(record)]
    if "skab" in record:
        parts += ["## SKAB", table_of_alarms(record["skab"])]
    if record.get("codes"):
        parts.append(
            "PCA's errors by length and size of the codes, F1 / false alarms / AUROC on every "
            "second series, where the pair is chosen, on the others, and on all:"
        )
        parts.append(table_of_codes(record["codes"]))
    if record.get("drift"):
        parts.append(
            f"False alarms of PCA's errors with windows of {_SKAB_LENGTH} and codes of {_CODES}, "
            "by the number of time steps since the fit:"
        )
        parts.append(table_of_drift(record["drift"]))
    if record.get("ranks"):
        means = ", ".join(f"{name} {auroc:.3f}" for name, auroc in record["ranks"].items())
        parts.append(
            f"AUROC of errors alone, windows of {_RANKED_LENGTH} time steps and codes of "
            f"{_RANKED_CODES} numbers, fitted to all 400 time steps: {means}."
        )
    if "nab" in record:
        parts += ["## NAB and UCR 135", *tables_of_ranks(record["nab"])]
    if "alarms" in record:
        parts += [
            "## False alarms",
            "Mean share of outliers among clean time steps, and the highest of a series:",
            table_of_rates(record["alarms"]),
        ]
    for part, where in record["runs"].items():
        parts.append(f"`{part}`, seed {where['seed']}: {provenance(where)}")
    return "\n\n".join(parts)


def describe(record: dict[str, Any]) -> str:
    """Return the bars, and whether they are met."""
    lines = []
    if record.get("skab"):
        pca = record["skab"]["PCA"]["AUROC"]
        for name in ("skae", "AutoencoderTransformer"):
            own = record["skab"][name]
            is_met = own["F1"] >= _LEAST_F1 and own["false alarms"] <= _MOST_ALARMS
            lines += [
                f"SKAB, {name}, F1 of 0.84 with at most 20 % false alarms: {own['F1']:.3f} with "
                f"{own['false alarms']:.1%}: {_say(is_met)}.",
                f"SKAB, {name}, AUROC of PCA with codes of the same size: {own['AUROC']:.3f} "
                f"against {pca:.3f}: {_say(round(own['AUROC'], 3) >= round(pca, 3))}.",
            ]
    if record.get("codes"):
        chosen = choose_codes(record["codes"])
        for name, where in (("second", "the half that did not choose"), ("all", "all series")):
            own = chosen[name]
            is_met = own["F1"] >= _LEAST_F1 and own["false alarms"] <= _MOST_ALARMS
            lines.append(
                f"SKAB, PCA's errors with windows of {chosen['length']} and codes of "
                f"{chosen['codes']}, as every second series chooses them, on {where}: F1 "
                f"{own['F1']:.3f} with {own['false alarms']:.1%} false alarms: {_say(is_met)}."
            )
    if record.get("ranks"):
        own, pca = (record["ranks"][name] for name in ("AutoencoderTransformer", "PCA"))
        lines.append(
            "SKAB, AutoencoderTransformer on all 400 time steps, AUROC of PCA with codes of the "
            f"same size: {own:.3f} against {pca:.3f}: {_say(round(own, 3) >= round(pca, 3))}."
        )
    for length, results in (record.get("nab") or {}).items():
        auroc, precision = average(results["skae"])
        lines.append(
            f"NAB and UCR 135, windows of {length}, AUROC of 0.76 and average precision of 0.44: "
            f"{auroc:.3f} and {precision:.3f}: {_say(auroc >= 0.76 and precision >= 0.44)}."
        )
    return "\n".join(["## Bars", "", *(f"- {line}" for line in lines)])


def _say(is_met: bool) -> str:
    return "yes" if is_met else "NO"


def table_of_alarms(results: dict[str, Any] | None) -> str:
    """Return the table of SKAB's figures."""
    if results is None:
        return "Not run: no file `skab.npz`."
    columns = ("F1", "false alarms", "missed", *_AUROCS)
    rows = [
        [name, *(f"{figures[key]:.3f}" for key in columns), f"{figures['seconds']:.0f}"]
        for name, figures in results.items()
    ]
    published = [f"{value:.3f}" for value in _PUBLISHED.values()]
    rows.append(["Conv-AE, published", *published, "", "", "", ""])
    return markdown_table(["method", *columns, "seconds"], rows)


def table_of_codes(results: list[dict[str, Any]]) -> str:
    """Return the table of figures by length and size of the codes."""
    columns = ("F1", "false alarms", "AUROC")
    rows = [
        [
            str(row["length"]),
            str(row["codes"]),
            *(" / ".join(f"{row[name][key]:.3f}" for key in columns) for name in _HALVES),
        ]
        for row in results
    ]
    return markdown_table(["length", "codes", "every second series", "the others", "all"], rows)


def table_of_drift(results: list[dict[str, Any]]) -> str:
    """Return the table of false alarms by the time since the fit."""
    rows = [
        [
            row["time steps"],
            f"{row['false alarms']:.1%}",
            f"{row['above a tenth']} of {row['series']}",
        ]
        for row in results
    ]
    return markdown_table(["time steps", "false alarms", "series above a tenth"], rows)


def average(results: dict[str, Any]) -> tuple[float, float]:
    """Return the means over series of AUROC and of average precision."""
    each = [(figures["AUROC"], figures["average precision"]) for figures in results.values()]
    auroc, precision = np.mean(each, axis=0)
    return float(auroc), float(precision)


def tables_of_ranks(by_length: dict[str, Any] | None) -> Iterator[str]:
    """Yield the tables of NAB's figures: means, and those of each series."""
    if by_length is None:
        yield "Not run: no file `nab.npz`."
        return
    for length, results in by_length.items():
        yield f"Windows of {length} time steps, AUROC / average precision:"
        means = [f"{a:.3f} / {p:.3f}" for a, p in map(average, results.values())]
        seconds = [sum(each["seconds"] for each in of.values()) for of in results.values()]
        yield markdown_table(
            ["series", *results],
            [
                *(
                    [
                        name,
                        *(
                            f"{of[name]['AUROC']:.2f} / {of[name]['average precision']:.2f}"
                            for of in results.values()
                        ),
                    ]
                    for name in results["skae"]
                ),
                ["mean", *means],
                ["seconds", *(f"{each:.0f}" for each in seconds)],
            ],
        )


if __name__ == "__main__":
    main()
