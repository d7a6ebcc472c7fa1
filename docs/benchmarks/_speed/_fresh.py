"""Separate Python processes, for measurements that a process can make only once."""

import json
import os
import subprocess
import sys
from typing import Any

#: Variables that set the threads of BLAS libraries and of torch when a process starts.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def environment(with_threads: bool = True) -> dict[str, str]:
    """Return the environment of this process, with the same import path.

    Parameters
    ----------
    with_threads : bool, default=True
        Keep the variables that set threads; without them packages use their defaults.
    """
    path = os.pathsep.join(part for part in sys.path if part)
    changed = {**os.environ, "PYTHONPATH": path}
    left_out = () if with_threads else THREAD_VARIABLES
    return {name: value for name, value in changed.items() if name not in left_out}


def run(module: str, given: Any, with_threads: bool = True) -> Any:
    """Return the last line that `main` of a module prints, decoded from JSON.

    Earlier lines and the standard error are shown.

    Parameters
    ----------
    module : str
        Name of the module, run as `python -m`.
    given : object
        The only argument of the module, encoded as JSON.
    with_threads : bool, default=True
        As in `environment`.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(given)],
        env=environment(with_threads),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *shown, last = done.stdout.strip().splitlines()
    print("".join(f"  {line}\n" for line in shown), end="", flush=True)
    return json.loads(last)


def run_code(code: str) -> str:
    """Return what a line of Python prints in a separate process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()
