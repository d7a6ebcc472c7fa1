"""Python processes of their own, for what a process can measure once only."""

import json
import os
import subprocess
import sys
from typing import Any

#: What sets the threads of BLAS libraries and of torch as a process starts.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def environment(with_threads: bool = True) -> dict[str, str]:
    """Return this process's environment, in which what it can import can be imported.

    Parameters
    ----------
    with_threads : bool, default=True
        Keep what sets threads; without it they are as packages have them.
    """
    path = os.pathsep.join(part for part in sys.path if part)
    changed = {**os.environ, "PYTHONPATH": path}
    left_out = () if with_threads else THREAD_VARIABLES
    return {name: value for name, value in changed.items() if name not in left_out}


def run(module: str, given: Any, with_threads: bool = True) -> Any:
    """Return what a module's `main` prints as its last line, in JSON.

    Lines before it are shown, and what it writes to stderr too.

    Parameters
    ----------
    module : str
        Its name, run as `python -m`.
    given : object
        What it is given as its only argument, in JSON.
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
    """Return what a line of Python prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()
