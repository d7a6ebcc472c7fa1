"""Kill fits at random moments, let them go on, and compare the results bit by bit.

Usage: python -m tests.kill [N] [SEED]
"""

import hashlib
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from skae._training import checkpoint

from .resumption import describe_result, fit_quietly, make_fit

# The three transformers and the detector: with held-out rows, in folds, after pretraining.
_NAMES = ("dropout", "noise in folds", "sampling", "detector", "layerwise", "noise", "folds")


def start_fit(name, path, answer, n_epochs):
    """Fit in a process of its own, which writes the digest of the result; return its id."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            checkpoint._LEAST_PAUSE = checkpoint._PAUSE_PER_WRITE = 0.0
            epochs = "estimator__max_epochs" if name == "detector" else "max_epochs"
            estimator, X = make_fit(name, checkpoint=path, **{epochs: n_epochs})
            result = describe_result(fit_quietly(estimator, X), X)
            result.pop("params", None)
            answer.write_text(digest(result))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return process


def digest(result):
    """What tells results apart, in every process."""
    return hashlib.sha256(repr(to_bytes(result)).encode()).hexdigest()


def to_bytes(value):
    """A form of a result that is the same in every process."""
    if isinstance(value, dict):
        return [(name, to_bytes(part)) for name, part in value.items()]
    if isinstance(value, list | tuple):
        return [to_bytes(part) for part in value]
    if value is None or isinstance(value, str):
        return repr(value)
    return np.asarray(value).tobytes().hex()


def main(n_fits, seed):
    """Kill each of the fits once or twice; return whether all ended equal."""
    rng = np.random.default_rng(seed)
    folder = Path(tempfile.mkdtemp())
    path, answer = folder / "fit.ckpt", folder / "answer"
    expected, seconds = {}, {}
    n_equal = n_kills = n_resumed = 0
    for i in range(n_fits):
        name = _NAMES[i % len(_NAMES)]
        n_epochs = 4 if "folds" in name else 8
        if name not in expected:
            began = time.monotonic()
            os.waitpid(start_fit(name, path, answer, n_epochs), 0)
            expected[name], seconds[name] = answer.read_text(), time.monotonic() - began
        n_wanted = rng.integers(1, 3)
        while n_wanted > 0:
            answer.unlink(missing_ok=True)
            process = start_fit(name, path, answer, n_epochs)
            time.sleep(rng.uniform(0, seconds[name]))
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            if answer.exists():  # the fit was faster: what is measured was under more load
                seconds[name] *= 0.9
                continue
            n_wanted -= 1
            n_kills += 1
            n_resumed += path.exists()
        answer.unlink(missing_ok=True)
        os.waitpid(start_fit(name, path, answer, n_epochs), 0)
        is_equal = answer.exists() and answer.read_text() == expected[name]
        n_equal += is_equal
        if not is_equal:
            print(f"{name}: another result", flush=True)
        for left in folder.glob(".*.part"):  # of a first write that was killed
            left.unlink()
    left = [file.name for file in folder.iterdir() if file != answer]
    print(
        f"{n_equal} of {n_fits} fits ended equal to the last bit, after {n_kills} kills, "
        f"{n_resumed} of which left a checkpoint; files left: {left}"
    )
    return n_equal == n_fits and n_kills >= n_fits and not left


if __name__ == "__main__":
    n_wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    wanted_seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    sys.exit(0 if main(n_wanted, wanted_seed) else 1)
