"""Processes that live and processes that have ended, here threads."""

import threading
import time

import pytest
import torch.distributed as dist

from skae._processes import heartbeat
from skae._processes.heartbeat import Heartbeat


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(heartbeat, "_SECONDS_BETWEEN_BEATS", 0.01)
    monkeypatch.setattr(heartbeat, "_SECONDS_WITHOUT_BEAT", 0.5)


def wait_for_silence(own):
    end = time.monotonic() + 30
    while not own.find_silent() and time.monotonic() < end:
        time.sleep(0.01)
    return own.find_silent()


def test_a_process_that_has_ended_is_silent_and_one_that_lives_is_not():
    store = dist.HashStore()
    first, second, third = (Heartbeat(store, "name", rank, 3) for rank in range(3))
    try:
        assert first.find_silent() == set()
        second.stop()
        assert wait_for_silence(first) == {1}
    finally:
        first.stop()
        third.stop()


def test_a_process_that_never_came_is_silent():
    own = Heartbeat(dist.HashStore(), "name", 0, 2)
    try:
        assert wait_for_silence(own) == {1}
    finally:
        own.stop()


@pytest.mark.parametrize("closed", ["add", "clone"])
def test_beats_end_without_an_error_if_the_store_is_gone(monkeypatch, closed):
    errors = []
    monkeypatch.setattr(threading, "excepthook", errors.append)

    class Gone(dist.HashStore):
        def add(self, *args):
            raise dist.DistNetworkError("closed")

        def clone(self):
            if closed == "clone":
                raise dist.DistNetworkError("closed")
            return self

    own = Heartbeat(Gone(), "name", 0, 2)
    own._thread.join(30)
    assert not own._thread.is_alive()
    assert not errors
