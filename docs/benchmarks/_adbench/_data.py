"""Tables with known anomalies, and their split in each setting."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

#: The settings, in the order of the page.
SETTINGS = ("contaminated", "clean")


@dataclass(frozen=True)
class Task:
    """The input of a method.

    Attributes
    ----------
    train : ndarray
        The rows to fit, standardized.
    test : ndarray
        The rows to score, standardized in the same way; `train` itself if `novelty` is false.
    y : ndarray
        1 where a row of `test` is an anomaly.
    novelty : bool
        Whether the rows to score differ from the fitted rows.
    """

    train: np.ndarray
    test: np.ndarray
    y: np.ndarray
    novelty: bool


def find_tables(folder: Path, only: list[str] | None) -> dict[str, Path]:
    """Return the files of the tables by name, all of them if `only` is None."""
    files = {path.stem: path for path in sorted(folder.glob("*.npz"), key=_number)}
    if not files:
        raise SystemExit(f"{folder} has no npz files, expected some with arrays X and y")
    if unknown := set(only or ()) - set(files):
        raise SystemExit(f"--only has {sorted(unknown)}, expected some of {list(files)}")
    return {name: path for name, path in files.items() if only is None or name in only}


def _number(path: Path) -> tuple[int, str]:
    """Return the sorting key of ADBench's names, such as 2_annthyroid."""
    head = path.stem.split("_")[0]
    return (int(head) if head.isdecimal() else 0, path.stem)


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a table in float64, and labels that are 1 for anomalies."""
    with np.load(path) as arrays:
        return arrays["X"].astype(np.float64), arrays["y"].ravel().astype(int)


def task(X: np.ndarray, y: np.ndarray, setting: str, seed: int, rows: int) -> Task:
    """Return the task of a setting: sampled, split and standardized."""
    generator = np.random.default_rng(seed)
    X, y = _sample(X, y, rows, generator)
    if setting == "contaminated":
        X = StandardScaler().fit_transform(X)
        return Task(X, X, y, novelty=False)
    in_train = _half_of_normal(X, y, generator)
    scaler = StandardScaler().fit(X[in_train])
    return Task(
        scaler.transform(X[in_train]), scaler.transform(X[~in_train]), y[~in_train], novelty=True
    )


def _sample(
    X: np.ndarray, y: np.ndarray, rows: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `rows` rows with the same share of anomalies, and at least one anomaly."""
    if len(X) <= rows:
        return X, y
    normal, anomalous = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    n_anomalous = max(1, round(rows * len(anomalous) / len(X)))
    kept = np.concatenate(
        [
            generator.choice(normal, rows - n_anomalous, replace=False),
            generator.choice(anomalous, n_anomalous, replace=False),
        ]
    )
    # The order of the rows must not depend on their labels.
    generator.shuffle(kept)
    return X[kept], y[kept]


def _half_of_normal(X: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return which rows are for training: half of the normal ones, with duplicates kept together.

    The score of a test row means little if a copy of it was fitted, so duplicates are shuffled as
    one group. The cut is after the group that comes nearest to half of the rows.
    """
    normal = np.flatnonzero(y == 0)
    _, group, sizes = np.unique(X[normal], axis=0, return_inverse=True, return_counts=True)
    order = generator.permutation(len(sizes))
    filled = np.cumsum(sizes[order])[:-1]  # the last group is never used for training
    cut = 1 + int(np.argmin(np.abs(filled - len(normal) / 2)))
    in_train = np.zeros(len(X), bool)
    in_train[normal[np.isin(group.ravel(), order[:cut])]] = True
    return in_train
