"""Fits that two processes share."""

import os
import pickle
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch.distributed as dist

from skae.distributed import share_training

from .resumption import are_equal, make_rows
from .shared_fits import (
    catch,
    describe_whole,
    fit_stored,
    make_resumed,
    make_whole,
    make_whole_fits,
)


def run(folder, *scripts, size=2):
    """What scripts of `shared_fits` find in each process; None in one that is killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "tests.shared_fits", str(folder), *scripts]
    ranks = [{"RANK": str(rank), "WORLD_SIZE": str(size)} for rank in range(size)]
    processes = [subprocess.Popen(command, env={**given, **rank}) for rank in ranks]
    try:
        for process in processes:
            process.wait(timeout=300)
    finally:
        for process in processes:
            process.kill()
    paths = {script: [folder / f"{script}{rank}.pkl" for rank in range(size)] for script in scripts}
    found = {
        script: [pickle.loads(path.read_bytes()) if path.exists() else None for path in own]
        for script, own in paths.items()
    }
    errors = [one["error"] for own in found.values() for one in own if one and "error" in one]
    assert not errors, errors
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes find, of which one is killed at the end and started again."""
    folder = tmp_path_factory.mktemp("shared")
    first = run(folder, "train", "die")
    alone = catch(make_resumed(folder / "fit.ckpt").fit, make_rows(600))
    return {**first, "alone": alone, **run(folder, "resume"), "folder": folder}


def test_all_processes_end_with_the_same_estimator(found):
    first, second = (own["fits"] for own in found["train"])
    assert first.keys() == second.keys()
    assert [name for name in first if not are_equal(first[name], second[name])] == []


def test_processes_divide_a_batch_and_change_nothing_but_the_rounding(found):
    first, _ = found["train"]
    for name, (estimator, X, weight) in make_whole_fits().items():
        alone = describe_whole(estimator.fit(X, sample_weight=weight), X)
        shared = first["whole"][name]
        assert shared["epochs"] == alone["epochs"]
        for part in alone:
            np.testing.assert_allclose(shared[part], alone[part], rtol=1e-3, atol=1e-5)


def test_a_store_has_the_moments_the_axes_and_the_losses_of_one_process(found):
    alone = fit_stored(found["folder"] / "alone.npy")[1]
    for own in found["train"]:
        shared = own["fits"]["a store"][1]
        for name in "mean", "scale", "initial loss":
            np.testing.assert_allclose(shared[name], alone[name], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(shared["recorded"], shared["held out"], rtol=1e-5)
        assert shared["blocks"] == alone["blocks"] == [5] * 6
        recorded = shared["recorded"]
        lowest = [loss == min(recorded[:end]) for end, loss in enumerate(recorded, 1)]
        assert shared["best"] == lowest


def test_fits_repeat(found):
    fits = found["train"][0]["fits"]
    assert are_equal(fits["after errors"], fits["after errors again"])


def test_the_first_process_alone_shows_progress(found):
    first, second = (own["shown"] for own in found["train"])
    assert "epoch 3/3" in first
    assert second == ""


def test_what_cannot_be_shared_is_refused_before_training(found):
    for own in found["train"]:
        errors = own["refused"]
        assert errors["a discriminator"].startswith(
            "ValueError: a fit with discriminator='mlp' can"
        )
        assert errors["partial_fit"].startswith("ValueError: partial_fit cannot be shared")
        assert errors["a series"].startswith("ValueError: fit of SeriesAnomalyDetector cannot")
        assert errors["AEImputer"].startswith("ValueError: fit of AEImputer cannot be shared")
        assert "of the processes that share a fit, 2, got batches of 1" in errors["a small batch"]
        assert "got batches of 1 of 1 rows" in errors["few rows"]
        assert "must not be entered in itself" in errors["again"]


def test_processes_that_differ_are_told_where(found):
    for own in found["train"]:
        errors = own["refused"]
        assert "; X of process 1 differs from that of" in errors["a table"]
        assert "the number of rows of X" in errors["a length"]
        assert "max_epochs of process 1" in errors["a parameter"]
        assert "estimator__lr of process 1" in errors["a detector"]
        assert "; the class, " in errors["a class"]


def test_tables_of_equal_moments_that_differ_are_told_apart(found):
    for own in found["train"]:
        errors = own["refused"]
        assert "; X of process 1 differs from" in errors["an order"]
        assert "; X of process 1 differs from" in errors["a warm start"]
        assert "; X and sample_weight of process 1 differ from those of" in errors["weights"]
        assert "; y of process 1 differs from that" in errors["a target"]
        assert "y of process 1 differs" in errors["a target alone"]


def test_tables_may_differ_by_rounding(found):
    for own in found["train"]:
        assert own["refused"]["rounding"] is None


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("one alone", "OSError: full"),
        ("one while the other is busy", "OSError: full"),
        ("one parameter", "InvalidParameterError: The 'max_epochs'"),
        ("one late", "MemoryError: density"),
    ],
)
def test_an_error_in_one_process_ends_the_fit_of_the_other(name, error, found):
    first, second = (own["refused"][name] for own in found["train"])
    assert second.startswith(error)
    assert first.startswith("ConnectionError")
    assert f"process 1 raised {error}" in first


def test_an_error_between_fits_is_known_to_the_others(found):
    first, second = (own["between fits"] for own in found["train"])
    assert second == "OSError: full"
    assert "process 1 raised OSError: full" in first


def test_a_process_that_dies_ends_the_fit_of_the_other(found):
    survivor, killed = found["die"]
    assert killed is None
    assert "process 1 ended or did not answer" in survivor["error of"]
    assert not survivor["is fitted"]
    assert survivor["after"].startswith("ConnectionError: the processes lost each other")


def test_a_process_that_is_slow_is_not_taken_for_one_that_has_ended(tmp_path):
    own = run(tmp_path, "outlive", size=3)["outlive"]
    first, killed, slow = own
    assert killed is None
    for survivor in first, slow:
        assert "because process 1 raised OSError: full: look" in survivor["raises"]
        assert "because process 1 ended or did not answer: look" in survivor["is killed"]
    assert are_equal(first["a fit"], slow["a fit"])


def test_a_checkpoint_is_of_a_number_of_processes(found):
    assert "the number of processes (2 there, 1 here)" in found["alone"]


def test_a_checkpoint_goes_on_after_a_process_died(found):
    for own in found["resume"]:
        assert own["epochs"] == [3, 4]
        assert are_equal(own["resumed"], found["train"][0]["fits"]["not killed"])
    assert not (found["folder"] / "fit.ckpt").exists()


def test_without_a_process_group():
    with pytest.raises(ValueError, match="requires a process group"), share_training():
        pass


def test_a_timeout_that_is_no_time():
    with pytest.raises(ValueError, match="timeout must be a positive"), share_training(timeout=0):
        pass


def test_one_process_fits_as_it_does_alone(curve):
    alone = make_whole(batch_size=64, dropout=0.1).fit(curve)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    try:
        with share_training():
            shared = make_whole(batch_size=64, dropout=0.1).fit(curve)
    finally:
        dist.destroy_process_group()
    assert are_equal(describe_whole(shared, curve), describe_whole(alone, curve))
