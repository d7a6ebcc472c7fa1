"""Device, threads and random generators; what is global is left as it was found."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state

# Both torch's default generator and its thread count belong to the process, and fits may
# run in several threads (joblib's threading backend), so one lock guards the two.
_lock = threading.RLock()
_n_limits = 0
_threads_found = 0

# Below this much work a step, a second thread was at most 15 % faster on an idle machine,
# and up to a hundred times slower beside another busy process.
_FLOPS_FOR_A_SECOND_THREAD = 2e9


def resolve_device(device: str) -> torch.device:
    """Return the device that `device` names; "auto" is cuda, else mps, else cpu."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError) as error:  # torch raises either, as built
        raise ValueError(
            f'device={device!r} can\'t be used here, expected "auto", "cpu" or an '
            f"accelerator that this installation of torch has: {error}"
        ) from error


def n_threads_for(flops_per_step: float) -> int:
    """Return how many threads pay for steps of that much work."""
    return 1 if flops_per_step < _FLOPS_FOR_A_SECOND_THREAD else torch.get_num_threads()


@contextmanager
def limited_threads(n_threads: int) -> Iterator[None]:
    """Let torch use at most `n_threads` threads, and never more than it was allowed."""
    global _n_limits, _threads_found
    with _lock:
        if _n_limits == 0:
            _threads_found = torch.get_num_threads()
        _n_limits += 1
        _set_threads(min(n_threads, _threads_found))
    try:
        yield
    finally:
        with _lock:
            _n_limits -= 1
            _set_threads(_threads_found)


def _set_threads(n_threads: int) -> None:
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)


class RandomStreams:
    """Independent random generators drawn from one `random_state`.

    Parameters
    ----------
    random_state : int, numpy.random.RandomState or None
        None takes fresh entropy from the operating system, not NumPy's global state,
        which is left alone.
    """

    def __init__(self, random_state: int | np.random.RandomState | None) -> None:
        if random_state is None:
            random_state = np.random.RandomState()
        self._source = check_random_state(random_state)

    def seed(self) -> int:
        """Return a fresh seed."""
        return int(self._source.randint(np.iinfo(np.int32).max))

    def torch_generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a fresh generator on `device`."""
        return torch.Generator(device).manual_seed(self.seed())

    def numpy_generator(self) -> np.random.Generator:
        """Return a fresh generator."""
        return np.random.default_rng(self.seed())


@contextmanager
def seeded_default_generator(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator for code that knows no other, then put it back."""
    with _lock:
        found = torch.default_generator.get_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.default_generator.set_state(found)
