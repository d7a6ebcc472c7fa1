"""What the benchmarks share: a made table, where they ran, and how results are written."""

import importlib.util
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import skae

RESULTS = Path(__file__).parent / "results"


def made_table(
    n_rows: int, n_columns: int, n_latent: int = 5, noise: float = 0.3, seed: int = 0
) -> np.ndarray:
    """Make a table of few dimensions, bent, with noise.

    Each row is `n_latent` standard normal numbers, passed through 64 tanh units with
    normal weights and mixed into columns by normal weights; columns are brought to unit
    variance, and normal noise is added.

    Parameters
    ----------
    n_rows, n_columns : int
        The table's shape.
    n_latent : int, default=5
        Dimensions of the surface that the rows lie near.
    noise : float, default=0.3
        Standard deviation of the noise.
    seed : int, default=0
        What all of it is drawn from.

    Returns
    -------
    X : ndarray of shape (n_rows, n_columns)
        The rows, in float64.
    """
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(n_rows, n_latent))
    units = np.tanh(latent @ generator.normal(size=(n_latent, 64)))
    surface = units @ generator.normal(size=(64, n_columns))
    surface /= surface.std(axis=0)
    return surface + noise * generator.normal(size=surface.shape)


def limit_threads(n_threads: int) -> None:
    """Let NumPy, scikit-learn and torch use that many threads, until the process ends.

    Small products gain little or nothing from a second thread, and lose up to a factor of
    fifty on a machine that is busy with anything else: one thread makes figures that can
    be repeated.
    """
    threadpool_limits(n_threads)
    torch.set_num_threads(n_threads)


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def surroundings(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Return the date, the command, the machine, thread counts and versions.

    Parameters
    ----------
    packages : sequence of str
        Distributions whose versions are of interest beside the ones that skae needs.
    """
    named = ("numpy", "scikit-learn", "skorch", "torch", *packages)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": _command(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch_threads": torch.get_num_threads(),
        "blas_threads": max(
            (pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"),
            default=1,
        ),
        "versions": {
            "python": platform.python_version(),
            "skae": skae.__version__,
            **{name: version(name) for name in named},
        },
    }


def _command() -> str:
    """Return the command line; of absolute paths, which are this machine's, the last part."""
    parts = [Path(part).name if Path(part).is_absolute() else part for part in sys.argv]
    return shlex.join(["python", *parts])


def announce(surroundings: dict[str, Any]) -> None:
    """Print what runs where, the command line in full."""
    print(f"{shlex.join([sys.executable, *sys.argv])}\n{describe(surroundings)}", flush=True)


def describe(surroundings: dict[str, Any]) -> str:
    """Return the surroundings in one paragraph."""
    versions = ", ".join(f"{name} {number}" for name, number in surroundings["versions"].items())
    return (
        f"{surroundings['date']}, {surroundings['machine']}, {surroundings['cpu_count']} CPUs, "
        f"accelerator {surroundings['accelerator'] or 'none'}, torch threads "
        f"{surroundings['torch_threads']}, BLAS threads {surroundings['blas_threads']}; {versions}."
    )


def provenance(surroundings: dict[str, Any]) -> str:
    """Return the paragraph that says how a results page came about."""
    return f"Written by `{surroundings['command']}`, not by hand.\n\n{describe(surroundings)}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, its first column to the left and the others to the right."""
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def write_results(folder: Path, name: str, record: dict[str, Any], page: str) -> None:
    """Write `name.json` and `name.md`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (
        ("json", json.dumps(record, indent=1, allow_nan=False)),
        ("md", page.rstrip()),
    ):
        path = folder / f"{name}.{suffix}"
        write_whole(path, text + "\n")
        print(f"wrote {path}", flush=True)


def write_whole(path: Path, text: str) -> None:
    """Write beside the file and rename, so that a crash leaves the old one as it was."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(file.name, 0o644)  # a temporary file is its owner's alone
    os.replace(file.name, path)
