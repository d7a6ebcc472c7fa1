"""Device, threads and generators."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skae
from skae import AutoencoderTransformer
from skae._environment import (
    RandomStreams,
    check_memory,
    count_threads,
    isolate_torch,
    limit_threads,
    resolve_device,
    seed_default_generator,
    warn_user,
)


@pytest.fixture
def two_threads():
    found = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(found)


def test_device():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(ValueError, match=r"device must be .* got 'nowhere'"):
        resolve_device("nowhere")
    with pytest.raises(ValueError, match="got 'meta'"):
        resolve_device("meta")


@pytest.mark.parametrize("n_bytes", [2**60, 10**30, 10**400])
def test_more_memory_than_there_is_is_refused(n_bytes):
    check_memory(2**20, "a table", "make it smaller")
    with pytest.raises(MemoryError, match=r"a table needs .* GiB .* has [\d.]+ GiB: make it"):
        check_memory(n_bytes, "a table", "make it smaller")


def test_torchs_default_type_is_restored_by_the_last_thread():
    """The type belongs to the process, and threads leave in the order in which they came."""
    seen, first, second = [], isolate_torch(), isolate_torch()

    def run():
        with first:
            began.set()
            go_on.wait(10)

    began, go_on = threading.Event(), threading.Event()
    torch.set_default_dtype(torch.float64)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        began.wait(10)
        with second:
            go_on.set()
            thread.join()
            seen.append(torch.get_default_dtype())
        seen.append(torch.get_default_dtype())
    finally:
        torch.set_default_dtype(torch.float32)
    assert seen == [torch.float32, torch.float64]


def test_torchs_errors_are_pythons():
    with pytest.raises(ValueError, match=r"not positive-definite.*lower lr"), isolate_torch():
        torch.linalg.cholesky(-torch.eye(2))
    with pytest.raises(MemoryError, match=r"allocate.*Make the network smaller"), isolate_torch():
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(MemoryError, match="Make the network smaller"), isolate_torch():
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="mine"), isolate_torch():
        raise RuntimeError("mine")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this installation supports cuda")
def test_a_device_that_this_installation_does_not_support():
    with pytest.raises(ValueError, match=r"device must be .* got 'cuda'"):
        resolve_device("cuda")


def test_small_steps_get_one_thread(two_threads):
    assert count_threads(1e6) == 1
    assert count_threads(1e12) == 2


def test_never_more_threads_than_allowed(two_threads):
    with limit_threads(8):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2


def test_a_limit_ends_with_an_error(two_threads):
    with pytest.raises(RuntimeError, match="as it was"), limit_threads(1):
        raise RuntimeError("as it was")
    assert torch.get_num_threads() == 2


def test_an_inner_limit_leaves_the_outer_one_in_force(two_threads):
    with limit_threads(1):
        with limit_threads(8):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
        with limit_threads(1):
            pass
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def run_in_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def test_a_limit_of_another_thread_leaves_this_one_in_force(two_threads):
    def work():
        with limit_threads(1):
            inside = torch.get_num_threads()
        return inside, torch.get_num_threads()

    with limit_threads(1):
        # torch starts threads with the limited count, and the thread still ends with its own.
        assert run_in_thread(work) == (1, 2)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    assert run_in_thread(torch.get_num_threads) == 2


def test_a_later_limit_is_the_first_of_its_thread_again(two_threads):
    """While another thread holds a limit, this thread's count is no guide to what it may use."""

    def work():
        with limit_threads(1):
            pass
        torch.set_num_threads(1)  # as torch may do to a thread that starts under a limit
        with limit_threads(1):
            pass
        return torch.get_num_threads()

    with limit_threads(1):
        assert run_in_thread(work) == 2


def test_limits_in_several_threads_end_as_they_began(two_threads):
    barrier = threading.Barrier(4)

    def work():
        barrier.wait()
        for _ in range(20):
            with limit_threads(1):
                torch.ones(10).sum()
                with limit_threads(2):
                    inner.append(torch.get_num_threads())
        return ended.append(torch.get_num_threads())

    inner, ended = [], []
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(inner) == {1}
    assert ended == [2] * 4
    assert torch.get_num_threads() == 2
    assert run_in_thread(torch.get_num_threads) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.parametrize("moment", ["after a fit", "during a fit", "while a thread fits"])
def test_a_forked_process_fits_and_scores(moment):
    """In a process of its own, whose pool of threads a fork loses."""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, moment],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert found.stdout.split() == ["child", "done", "True", "0"]


FORK = """
import os, signal, sys, threading
import numpy as np, torch
from skorch.callbacks import Callback
from skae import AutoencoderTransformer, DenoisingAutoencoder

torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(2000, 40))
(torch.randn(3000, 3000) @ torch.randn(3000, 3000)).sum()  # starts the pool

def work(**parameters):
    model = DenoisingAutoencoder(
        None, n_draws=1, hidden_layer_sizes=(256, 256), max_epochs=1, early_stopping=False,
        random_state=0, **parameters
    )
    return model.fit(X).score_samples(X)

def fork():
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        scores.append(work())
        torch.randn(3000, 3000)[torch.randperm(3000)].sum()
        print("child done", flush=True)
        os._exit(0 if np.allclose(scores[0], scores[-1]) else 1)
    statuses.append(os.waitpid(pid, 0)[1])

class Forks(Callback):
    def on_epoch_begin(self, *args, **kwargs):
        if not statuses:
            fork()

statuses, scores = [], [work()]
if sys.argv[1] == "after a fit":
    fork()
elif sys.argv[1] == "during a fit":
    work(callbacks=[Forks()])
else:
    stop = threading.Event()
    def repeat():
        while not stop.is_set():
            AutoencoderTransformer(2, hidden_layer_sizes=(), max_epochs=1).fit(X[:50, :3])
    thread = threading.Thread(target=repeat)
    thread.start()
    fork()
    stop.set()
    thread.join()
print(torch.get_num_threads() == 2, *statuses)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.parametrize("moment", ["idle", "while a thread computes"])
def test_a_forked_process_has_torch_as_the_user_left_it(moment):
    """One thread is for what this package computes there."""
    found = subprocess.run(
        [sys.executable, "-c", FORK_ALONE, moment],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert found.stdout.splitlines() == [
        "before: 2 torch.float64 2",
        "inside: 1 torch.float32",
        "after: 1 torch.float64",
        "set by the user: 2",
        "parent: 0 2 torch.float64",
    ]


FORK_ALONE = """
import os, signal, sys, threading
import torch
from skae._environment import OwnLock, isolate_torch, limit_threads

torch.set_num_threads(2)
torch.set_default_dtype(torch.float64)
lock, began, go_on = OwnLock(), threading.Event(), threading.Event()

def compute():
    with isolate_torch(), limit_threads(1), lock:
        began.set()
        go_on.wait(60)

thread = threading.Thread(target=compute)
if sys.argv[1] == "while a thread computes":
    thread.start()
    began.wait()
pid = os.fork()
if pid == 0:
    signal.alarm(60)
    seen = []
    another = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    another.start()
    another.join()
    print("before:", torch.get_num_threads(), torch.get_default_dtype(), *seen)
    with lock, isolate_torch(), limit_threads(2):
        print("inside:", torch.get_num_threads(), torch.get_default_dtype())
    print("after:", torch.get_num_threads(), torch.get_default_dtype())
    torch.set_num_threads(2)
    with isolate_torch(), limit_threads(2):
        print("set by the user:", torch.get_num_threads(), flush=True)
    os._exit(0)
_, status = os.waitpid(pid, 0)
go_on.set()
if thread.is_alive():
    thread.join()
print("parent:", status, torch.get_num_threads(), torch.get_default_dtype())
"""


def test_streams_repeat_with_their_seed():
    a, b = RandomStreams(0), RandomStreams(0)
    assert [a.draw_seed() for _ in range(3)] == [b.draw_seed() for _ in range(3)]
    assert RandomStreams(None).draw_seed() != RandomStreams(None).draw_seed()
    first = torch.rand(3, generator=RandomStreams(1).make_torch_generator())
    assert torch.equal(first, torch.rand(3, generator=RandomStreams(1).make_torch_generator()))
    draws = [RandomStreams(seed).make_numpy_generator().uniform() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_streams_advance_a_generator(make):
    generator = make(0)
    seeds = [RandomStreams(generator).draw_seed() for _ in range(2)]
    assert seeds[0] != seeds[1]
    assert [RandomStreams(make(0)).draw_seed()] == seeds[:1]


def test_a_seed_stands_for_its_random_state():
    assert RandomStreams(3).draw_seed() == np.random.RandomState(3).randint(2**31 - 1)


def test_default_generator_is_seeded_and_restored():
    found = torch.get_rng_state()
    draws = []
    for seed in (3, 3, 4):
        with seed_default_generator(seed):
            draws.append(torch.rand(2))
        assert torch.equal(torch.get_rng_state(), found)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    with pytest.raises(RuntimeError, match="as it was"), seed_default_generator(3):
        raise RuntimeError("as it was")
    assert torch.equal(torch.get_rng_state(), found)


def test_others_compute_while_a_network_is_built():
    done = threading.Event()

    def compute():
        with isolate_torch(), limit_threads(1):
            done.set()

    thread = threading.Thread(target=compute)
    with seed_default_generator(0):
        thread.start()
        assert done.wait(10)
    thread.join()


def warn_here():
    warn_user("look here", UserWarning)


def test_a_warning_points_at_the_users_line():
    with pytest.warns(UserWarning, match="look here") as caught:
        warn_here()
    assert caught[0].filename == __file__
    source = Path(__file__).read_text().splitlines()[caught[0].lineno - 1]
    assert source.strip() == 'warn_user("look here", UserWarning)'


def test_a_warning_points_at_a_line_in_a_folder_of_a_like_name():
    path = f"{Path(skae.__file__).parent}_demo/model.py"
    with pytest.warns(UserWarning, match="look here") as caught:
        exec(compile("warn_user('look here', UserWarning)", path, "exec"), {"warn_user": warn_user})
    assert caught[0].filename == path


def search(model):
    return GridSearchCV(model, {"random_state": [0]}, cv=2)


@pytest.mark.parametrize("wrap", [lambda model: model, make_pipeline, search])
def test_a_fits_warning_points_at_the_line_that_fits(curve, wrap):
    model = AutoencoderTransformer(
        2, lr=1e6, optimizer="sgd", hidden_layer_sizes=(8,), max_epochs=9, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="diverged") as caught:
        wrap(model).fit(curve)
    assert caught[0].filename == __file__
    source = Path(__file__).read_text().splitlines()[caught[0].lineno - 1]
    assert source.strip() == "wrap(model).fit(curve)"
