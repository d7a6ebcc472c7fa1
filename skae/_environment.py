"""Device, threads, random generators and warnings; what is global is left as it was found."""

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import joblib
import numpy as np
import sklearn
import skorch
import torch
from sklearn.utils import check_random_state

#: What fixes random draws: a seed, or a generator, which they advance. None is fresh entropy.
RandomSource = int | np.random.RandomState | np.random.Generator | None

# Torch's default generator, its default type and its thread count belong to the process, and fits
# may run in several threads (joblib's threading backend). The generator has a lock of its own:
# it is held while a user's architecture is built, which may take long, and others can score.
_lock = threading.RLock()
_generator_lock = threading.RLock()

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
        found = torch.empty(0, device=device).device
        torch.Generator(found)  # which the device "meta" has not: it holds no values
    except Exception as error:  # of many kinds: torch has one for each of its backends
        raise ValueError(
            'device must be "auto", "cpu" or an accelerator that this installation of torch '
            f"supports, got {device!r}: {error}"
        ) from error
    return found


def count_threads(flops_per_step: float) -> int:
    """Return how many threads pay off for steps of that much work."""
    return 1 if flops_per_step < _FLOPS_FOR_A_SECOND_THREAD else torch.get_num_threads()


class OwnLock:
    """A lock of a process: that of a forked one is free, whoever held it before the fork."""

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}
        self._held: threading.Lock | None = None

    def __enter__(self) -> None:
        lock = self._locks.setdefault(os.getpid(), threading.Lock())
        lock.acquire()
        self._held = lock

    def __exit__(self, *_: object) -> None:
        held, self._held = self._held, None
        assert held is not None
        held.release()


class _ThreadLimits:
    """The limits that hold now, in all threads and in this one."""

    def __init__(self) -> None:
        self.n_held = 0
        self.n_allowed = 0
        # In a forked process: how many threads torch might use as it began.
        self.n_forked: int | None = None
        self.here = threading.local()


_limits = _ThreadLimits()


@contextmanager
def limit_threads(n_threads: int) -> Iterator[None]:
    """Let torch use at most `n_threads` threads in this thread, and never more than allowed.

    Limits nest: leaving one restores the count that it found. torch sets the count of the
    calling thread and of threads yet to start, so a thread that enters its first limit while
    others hold theirs may see a count that is not its own; it restores what the first of them
    found.
    """
    _limit_forked()
    with _lock:
        if _limits.n_held == 0:
            _limits.n_allowed = torch.get_num_threads()
        depth = getattr(_limits.here, "depth", 0)
        found = torch.get_num_threads() if depth else _limits.n_allowed
        _limits.n_held += 1
        _limits.here.depth = depth + 1
    try:
        with _lock:
            _set_threads(min(n_threads, found))
        yield
    finally:
        with _lock:
            _limits.n_held -= 1
            _limits.here.depth = depth
            _set_threads(found)


def _set_threads(n_threads: int) -> None:
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)


def _limit_forked() -> None:
    """Let torch use one thread in a forked process, from its first work of ours on.

    The other threads of OpenMP are not there, and work that is shared with them never ends. torch's
    own data loaders do the same in their processes. A count that a user has set there stays.
    """
    if _limits.n_forked is None or getattr(_limits.here, "is_limited", False):
        return
    _limits.here.is_limited = True
    if torch.get_num_threads() == _limits.n_forked:
        torch.set_num_threads(1)


def _start_forked() -> None:
    """Undo in a forked process what contexts of threads that are not there have changed."""
    depth = getattr(_limits.here, "depth", 0)
    if _limits.n_held > 0 and depth == 0:
        torch.set_num_threads(_limits.n_allowed)
    _limits.n_held, _limits.n_forked = depth, torch.get_num_threads()
    _limits.here.is_limited = False
    if depth > 0:  # in the midst of our work, which goes on in both processes
        _limits.n_allowed = 1
        _limit_forked()
    depth = getattr(_defaults.here, "depth", 0)
    if _defaults.n_held > 0 and depth == 0:
        _set_default_dtype(_defaults.dtype)
    _defaults.n_held = depth
    _release_locks()


def _acquire_locks() -> None:
    _generator_lock.acquire()  # first, as where a network is built
    _lock.acquire()


def _release_locks() -> None:
    _lock.release()
    _generator_lock.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    # Forked while another thread held a lock, a process could never take it.
    os.register_at_fork(
        before=_acquire_locks, after_in_parent=_release_locks, after_in_child=_start_forked
    )


class _Defaults:
    """How many contexts hold torch's default type now, and the type to restore."""

    def __init__(self) -> None:
        self.n_held = 0
        self.dtype = torch.float32
        self.here = threading.local()


_defaults = _Defaults()


@contextmanager
def isolate_torch() -> Iterator[None]:
    """Compute with torch's original defaults, and raise its errors as Python's.

    A user may have set another default device or type, or be in a context without gradients or
    with autocast. The type belongs to the process, so the first context sets it and the last one
    restores it. Torch has no class of its own for a lack of memory on the CPU, and one for
    singular matrices that is no `ValueError`.
    """
    _limit_forked()
    with _lock:
        if _defaults.n_held == 0:
            _defaults.dtype = torch.get_default_dtype()
        _defaults.n_held += 1
        depth = getattr(_defaults.here, "depth", 0)
        _defaults.here.depth = depth + 1
    try:
        _set_default_dtype(torch.float32)
        with ExitStack() as modes:
            for mode in _find_changed_modes():
                modes.enter_context(mode)
            yield
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise ValueError(
            f"the network's values became too large to compute with, or not finite ({error}): "
            'lower lr, scale the columns, or use init="pca"'
        ) from error
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise MemoryError(
            f"{error}. Make the network smaller, or pass fewer columns, n_draws or rows at a time"
        ) from error
    finally:
        with _lock:
            _defaults.n_held -= 1
            _defaults.here.depth = depth
            if _defaults.n_held == 0:
                _set_default_dtype(_defaults.dtype)


def _find_changed_modes() -> Iterator[AbstractContextManager[object]]:
    """Yield contexts that undo what this thread has changed."""
    # Older versions of `torch.get_default_device` don't know of `with torch.device`.
    if torch.empty(0).device.type != "cpu":
        yield torch.device("cpu")
    if torch.is_inference_mode_enabled():
        yield torch.inference_mode(False)
    if not torch.is_grad_enabled():
        yield torch.enable_grad()
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            yield torch.autocast(device, enabled=False)


def _set_default_dtype(dtype: torch.dtype) -> None:
    if torch.get_default_dtype() != dtype:
        torch.set_default_dtype(dtype)


def check_memory(n_bytes: int, purpose: str, remedy: str) -> None:
    """Raise if this machine has less memory than `purpose` needs.

    Systems grant more than they have, and end the process once it is used.
    """
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not known on every system
        total = sys.maxsize
    if n_bytes > total:
        raise MemoryError(
            f"{purpose} needs {min(n_bytes, 2**1000) / 2**30:.4g} GiB of memory, and this machine "
            f"has {total / 2**30:.4g} GiB: {remedy}"
        )


class RandomStreams:
    """Independent random generators drawn from one `random_state`.

    Parameters
    ----------
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        None takes fresh entropy from the operating system; NumPy's global state is neither
        read nor changed.
    """

    def __init__(self, random_state: RandomSource) -> None:
        if random_state is None:
            random_state = np.random.RandomState()
        if isinstance(random_state, np.random.Generator):
            self._draw_below = random_state.integers
        else:
            self._draw_below = check_random_state(random_state).randint

    def draw_seed(self) -> int:
        """Return a fresh seed."""
        return int(self._draw_below(np.iinfo(np.int32).max))

    def make_torch_generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a fresh generator on `device`."""
        return torch.Generator(device).manual_seed(self.draw_seed())

    def make_numpy_generator(self) -> np.random.Generator:
        """Return a fresh generator."""
        return np.random.default_rng(self.draw_seed())


@contextmanager
def seed_default_generator(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator for code that can use no other, then restore it."""
    with _generator_lock:
        found = torch.default_generator.get_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.default_generator.set_state(found)


# Frames of these packages stand between a user's line and a warning of ours.
_OTHERS = joblib, sklearn, skorch, torch
_NOT_THE_USERS = (
    *(
        f"{Path(file).parent}{os.sep}"
        for file in (__file__, *(str(one.__file__) for one in _OTHERS))
    ),
    contextlib.__file__,  # of contexts that decorate methods
)


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the user's line that called the package, directly or through scikit-learn."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
