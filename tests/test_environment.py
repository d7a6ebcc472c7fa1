"""Device, threads and generators."""

import threading

import numpy as np
import pytest
import torch

from skae._environment import (
    RandomStreams,
    limited_threads,
    n_threads_for,
    resolve_device,
    seeded_default_generator,
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
    with pytest.raises(ValueError, match=r"device='nowhere'.*expected"):
        resolve_device("nowhere")


def test_small_steps_get_one_thread(two_threads):
    assert n_threads_for(1e6) == 1
    assert n_threads_for(1e12) == 2


def test_never_more_threads_than_allowed(two_threads):
    with limited_threads(1):
        assert torch.get_num_threads() == 1
        with limited_threads(8):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() >= 1
    assert torch.get_num_threads() == 2
    with pytest.raises(RuntimeError, match="as it was"), limited_threads(1):
        raise RuntimeError("as it was")
    assert torch.get_num_threads() == 2


def test_limits_in_several_threads_end_as_they_began(two_threads):
    barrier = threading.Barrier(4)

    def work():
        barrier.wait()
        for _ in range(20):
            with limited_threads(1):
                torch.ones(10).sum()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert torch.get_num_threads() == 2
    seen = []
    late = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    late.start()
    late.join()
    assert seen == [2]


def test_streams():
    a, b = RandomStreams(0), RandomStreams(0)
    assert [a.seed() for _ in range(3)] == [b.seed() for _ in range(3)]
    assert RandomStreams(None).seed() != RandomStreams(None).seed()
    first = torch.rand(3, generator=RandomStreams(1).torch_generator())
    assert torch.equal(first, torch.rand(3, generator=RandomStreams(1).torch_generator()))
    state = np.random.RandomState(0)
    assert RandomStreams(state).seed() != RandomStreams(state).seed()


def test_default_generator_is_put_back():
    found = torch.get_rng_state()
    with seeded_default_generator(3):
        one = torch.rand(2)
    assert torch.equal(torch.get_rng_state(), found)
    with pytest.raises(ZeroDivisionError), seeded_default_generator(3):
        1 / int(torch.equal(one, torch.rand(2))) / 0
    assert torch.equal(torch.get_rng_state(), found)
