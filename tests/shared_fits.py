"""Fits that processes share: `python -m tests.shared_fits FOLDER SCRIPT ...` in each of them."""

import contextlib
import io
import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch.distributed as dist
from skorch.callbacks import Callback
from torch import nn

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data import blocks, stored_rows, stores
from skae._processes import heartbeat, training_group
from skae._training import checkpoint, loop
from skae.distributed import share_training
from skae.series import SeriesAnomalyDetector

from .resumption import FITS, describe_result, fit_quietly, make_fit, make_rows

SHARED = [name for name in FITS if name != "a discriminator"]


class Fail(Callback):
    """Raise, or end the process, once an epoch has ended, which may take long."""

    def __init__(self, at=None, error=None, pause=0.0):
        self.at, self.error, self.pause = at, error, pause
        self.epochs = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append(len(net.history))

    def on_epoch_end(self, net, **kwargs):
        time.sleep(self.pause)
        if len(net.history) == self.at:
            if self.error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            raise self.error


class FailsLate(AutoencoderTransformer):
    """An estimator whose fit fails in a process once all have trained."""

    def _fit_density(self, *args):
        if dist.is_initialized() and dist.get_rank() == 1:
            raise MemoryError("density")
        return super()._fit_density(*args)


class Note(Callback):
    """Note what other callbacks could act on at the end of an epoch."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        buffers = [buffer.clone().numpy() for buffer in net.module_.buffers()]
        self.seen.append({**net.history[-1], "dur": None, "batches": None, "buffers": buffers})


def normalized(role, n_in, n_out):
    """An architecture whose layers keep statistics of the rows that they see."""
    return nn.Sequential(nn.Linear(n_in, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, n_out))


def make_whole(**parameters):
    """A fit by one batch an epoch, which processes only divide; random, as PCA has no gradient."""
    given = {"max_epochs": 8, "batch_size": 2000, "init": "random", "random_state": 0}
    return AutoencoderTransformer(2, **{"hidden_layer_sizes": (6,), **given, **parameters})


def make_tables():
    """Tables of 601 rows, and weights, by name."""
    X = make_rows(601)
    rng = np.random.default_rng(0)
    gaps = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    mixed = pd.DataFrame(gaps, columns=[f"x{i}" for i in range(X.shape[1])])
    mixed["kind"] = rng.choice(["a", "b", "c"], len(X))
    weight = rng.integers(1, 9, len(X))
    return {
        "numbers": (X, None),
        "weights": (X, weight),
        "gaps": (gaps, None),
        "labels, gaps and weights": (mixed, weight),
    }


def make_whole_fits():
    """Fits by whole batches, with their tables and weights, by name."""
    fits = {name: (make_whole(), *given) for name, given in make_tables().items()}
    # The first steps of Muon's matrices, which are as long for small gradients, are mostly noise.
    wide = {"hidden_layer_sizes": (128, 128), "max_epochs": 3, "lr": 1e-3}
    return {**fits, "wide layers": (make_whole(**wide), make_rows(601), None)}


def describe_whole(fitted, X):
    """What two fits by whole batches have in common up to rounding."""
    return {
        "losses": fitted.loss_curve_,
        "held out": fitted.validation_scores_,
        "epochs": fitted.n_iter_,
        "code": fitted.transform(X),
    }


def catch(function, *args, **kwargs):
    """Return the error of a call as text."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def make_small(rank=0, **parameters):
    """A fit that takes no time."""
    return AutoencoderTransformer(
        2, **{"hidden_layer_sizes": (4,), "max_epochs": 3, "random_state": 0, **parameters}
    )


def fit_stored(path, weight=None):
    """Return a fit of a table that is left in its file and read in many blocks."""
    X = make_rows(5000).astype(np.float32)
    np.save(path, X)
    with (
        mock.patch.object(stores, "LOADED_UP_TO", 1000),
        mock.patch.object(stored_rows, "_BUFFER_BYTES", 4096),
        mock.patch.object(blocks, "_BLOCK_ROWS", 700),
        mock.patch.object(loop, "_VALIDATION_BLOCK", 100),
    ):
        stored = np.load(path, mmap_mode="r")
        note = Note()
        fitted = make_small(max_epochs=6, callbacks=[note]).fit(stored, sample_weight=weight)
    found = {
        "mean": fitted.mean_,
        "scale": fitted.scale_,
        "initial loss": fitted.validation_scores_[0],
        "held out": fitted.validation_scores_[1:],
        "recorded": [epoch["valid_loss"] for epoch in note.seen],
        "best": [epoch["valid_loss_best"] for epoch in note.seen],
        "blocks": [epoch["valid_batch_count"] for epoch in note.seen],
    }
    return describe_result(fitted, X), found


def refuse(rank, folder):
    """Return the errors of what processes can't share, and of processes that differ."""
    X = make_rows(200)
    adversarial = VAETransformer(2, discriminator="mlp", max_epochs=1)
    order = np.random.default_rng(rank).permutation(len(X))
    warm = make_small(warm_start=True).fit(X)
    return {
        "a discriminator": catch(adversarial.fit, X),
        "partial_fit": catch(make_small().partial_fit, X),
        "a series": catch(SeriesAnomalyDetector().fit, X),
        "AEImputer": catch(AEImputer().fit, X),
        "a small batch": catch(make_small(batch_size=1).fit, X),
        "few rows": catch(make_small(early_stopping=False).fit, X[:1].repeat(2, axis=0)),
        "a table": catch(make_small().fit, X + rank),
        "a length": catch(make_small().fit, X[rank:]),
        "a parameter": catch(make_small(max_epochs=2 + rank).fit, X),
        "a detector": catch(AEAnomalyDetector(make_small(lr=0.1 + rank)).fit, X),
        "a class": catch((VAETransformer(2) if rank else make_small()).fit, X),
        "again": catch(share_training().__enter__),
        "an order": catch(make_small(gap=1).fit, X[order]),
        "weights": catch(make_small(gap=1).fit, X, sample_weight=1.0 + order),
        "a target": catch(DenoisingAutoencoder(gap=1).fit, X, X[order]),
        "a target alone": catch(DenoisingAutoencoder().fit, X, X if rank else None),
        "a warm start": catch(warm.fit, X + 100 * rank),
        "rounding": catch(make_small().fit, X - X.mean(axis=0) + 1e-9 * rank),
        **fail_alone(rank, X, folder),
    }


def fail_alone(rank, X, folder):
    """Return the errors of fits of which one process fails."""
    fail = Fail(2 * rank, OSError("full"))
    busy = fail if rank else Fail(0, pause=0.3)
    failing = make_small(callbacks=[fail], early_stopping=False)
    failing_apart = make_small(callbacks=[busy], early_stopping=False)
    path = find_path(folder, "late.ckpt")
    late = FailsLate(2, max_epochs=1, random_state=0, checkpoint=path)
    found = {
        "one alone": catch(failing.fit, X),
        "one parameter": catch(make_small(max_epochs=-1 if rank else 3).fit, X),
        "one late": catch(late.fit, X),
    }
    assert not late.__sklearn_is_fitted__()
    assert path.exists() or rank  # the first alone has a file
    was, training_group._SECONDS_TO_ANSWER = training_group._SECONDS_TO_ANSWER, 0.1
    found["one while the other is busy"] = catch(failing_apart.fit, X)
    training_group._SECONDS_TO_ANSWER = was
    return found


def fail_between_fits():
    """Fit in a context in which one process fails before."""
    with share_training():
        if dist.get_rank() == 1:
            raise OSError("full")
        make_small().fit(make_rows(200))


def train(folder):
    """Fit all that processes can share."""
    rank = dist.get_rank()
    X = make_rows(600)
    with share_training():
        whole = {}
        for name, (estimator, rows, weight) in make_whole_fits().items():
            whole[name] = describe_whole(estimator.fit(rows, sample_weight=weight), rows)
        fits = {}
        for name in SHARED:
            estimator, rows = make_fit(name)
            fits[name] = describe_result(fit_quietly(estimator, rows), rows)
        wide = make_small(hidden_layer_sizes=(128, 128), batch_size=512, init="random")
        fits["wide layers"] = describe_result(wide.fit(X), X)
        fits["no seed"] = describe_result(DenoisingAutoencoder(max_epochs=2).fit(X[:99]), X)
        fits["no seed of a detector"] = describe_result(AEAnomalyDetector().fit(X[:99]), X)
        for name, held_out in ("batch normalization", True), ("no rows held out", False):
            note = Note()
            own = make_small(architecture=normalized, early_stopping=held_out, callbacks=[note])
            fits[name] = describe_result(own.fit(X), X), note.seen
        path = folder / f"table{rank}.npy"
        fits["a store"] = fit_stored(path)
        fits["a store with weights"] = fit_stored(path, np.arange(5000) % 3 + 1.0)
        warm = make_small(warm_start=True).fit(X)
        fits["a warm start"] = describe_result(warm.fit(X), X)
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            make_small(verbose=1).fit(X)
        refused = refuse(rank, folder)
        fits["after errors"] = describe_result(make_small(dropout=0.1).fit(X), X)
        fits["after errors again"] = describe_result(make_small(dropout=0.1).fit(X), X)
        fits["not killed"] = describe_result(make_resumed().fit(X), X)
        found = {"whole": whole, "fits": fits, "refused": refused, "shown": shown.getvalue()}
    return {**found, "between fits": catch(fail_between_fits)}


def die(folder):
    """Fit with a checkpoint, while the other process is killed."""
    X = make_rows(600)
    checkpoint._LEAST_PAUSE = checkpoint._PAUSE_PER_WRITE = 0.0
    heartbeat._SECONDS_WITHOUT_BEAT = 0.1
    estimator = make_resumed(find_path(folder), Fail(2 if dist.get_rank() == 1 else None))
    with share_training():
        error = catch(estimator.fit, X)
        after = catch(make_small().fit, X)
    return {"error of": error, "is fitted": estimator.__sklearn_is_fitted__(), "after": after}


def outlive(folder):
    """Fit in three processes: one raises an error, and is killed later; another is slow meanwhile.

    The slow one takes longer than a process that has ended is silent for.
    """
    rank, X = dist.get_rank(), make_rows(600)
    training_group._SECONDS_TO_ANSWER = 0.1
    heartbeat._SECONDS_WITHOUT_BEAT, heartbeat._SECONDS_BETWEEN_BEATS = 1.0, 0.05
    found = {}
    with share_training():
        for name, error in ("raises", OSError("full")), ("is killed", None):
            callback = Fail(2 if rank == 1 else 0, error, pause=1.6 if rank == 2 else 0.0)
            found[name] = catch(make_small(max_epochs=2, callbacks=[callback]).fit, X)
            if error is not None:
                found["a fit"] = describe_result(make_small().fit(X), X)
    end = folder / "the slow one has ended"
    if rank == 2:
        end.touch()
    while not end.exists():  # the first process keeps the store
        time.sleep(0.05)
    return found


def make_resumed(path=None, callback=None):
    """A fit whose parts all draw random numbers."""
    return make_small(
        max_epochs=4,
        dropout=0.1,
        init="random",
        checkpoint=path,
        callbacks=[callback or Fail()],
    )


def find_path(folder, name="fit.ckpt"):
    """The path of a checkpoint, in a folder that the first process alone has."""
    return folder / name if dist.get_rank() == 0 else folder / "nowhere" / name


def resume(folder):
    """Go on with the fit that was killed."""
    X, note = make_rows(600), Fail()
    with share_training():
        fitted = make_resumed(find_path(folder), note).fit(X)
    return {"resumed": describe_result(fitted, X), "epochs": note.epochs}


def main():
    """Write what each script finds, or its error."""
    folder, *scripts = sys.argv[1:]
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    warnings.simplefilter("ignore")
    for script in scripts:
        try:
            found = globals()[script](Path(folder))
        except BaseException:
            found = {"error": traceback.format_exc()}
        Path(folder, f"{script}{rank}.pkl").write_bytes(pickle.dumps(found))
    os._exit(0)  # a group that has lost a process cannot be destroyed


if __name__ == "__main__":
    main()
