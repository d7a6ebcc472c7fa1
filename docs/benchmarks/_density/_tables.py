"""Real tables: which, sampled, split and scaled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

Loaders = dict[str, Callable[[], np.ndarray]]

#: Wider tables are left out.
MOST_COLUMNS = 40

#: Standard deviation of the noise that is added to scaled columns.
DITHER = 0.05

_BUNDLED = {
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "diabetes": load_diabetes,
    "iris": load_iris,
}


def find_tables(folder: Path, only: list[str] | None) -> Loaders:
    """Return a function that loads each table of few columns, by the table's name.

    Parameters
    ----------
    folder : Path
        Folder of npz files with an array `X`.
    only : list of str or None
        The names that are wanted, all if None.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.npz"))}
    if taken := set(files) & set(_BUNDLED):
        raise SystemExit(f"{folder} has {sorted(taken)}, which are scikit-learn's tables here")
    loaders: Loaders = {
        name: lambda path=path: load(path)
        for name, path in files.items()
        if load(path).shape[1] <= MOST_COLUMNS
    }
    loaders |= {name: lambda load=load: load().data for name, load in _BUNDLED.items()}
    if unknown := set(only or ()) - set(loaders):
        raise SystemExit(f"--only has {sorted(unknown)}, expected some of {list(loaders)}")
    return {name: load for name, load in loaders.items() if only is None or name in only}


def load(path: Path) -> np.ndarray:
    """Return the rows of a file in float64."""
    with np.load(path) as arrays:
        return arrays["X"].astype(np.float64)


def split(X: np.ndarray, seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the training and the held-out rows, scaled by the training rows and dithered."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(X))[:rows]
    n_held_out = len(order) // 4
    held_out, train = X[order[:n_held_out]], X[order[n_held_out:]]
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale[scale == 0] = 1.0

    def prepare(part: np.ndarray) -> np.ndarray:
        return (part - mean) / scale + DITHER * generator.normal(size=part.shape)

    return prepare(train), prepare(held_out)
