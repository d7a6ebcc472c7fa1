"""A user's callbacks: checked before training, and the learning-rate schedulers among them."""

import copy
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    LoadInitState,
    LRScheduler,
)
from skorch.callbacks.scoring import convert_sklearn_metric_function

# What skorch's loop passes to each hook, besides the net.
_HOOKS: dict[str, tuple[str, ...]] = {
    "on_train_begin": ("X", "y"),
    "on_train_end": ("X", "y"),
    "on_epoch_begin": ("dataset_train", "dataset_valid"),
    "on_epoch_end": ("dataset_train", "dataset_valid"),
    "on_batch_begin": ("batch", "training"),
    "on_batch_end": ("batch", "training", "loss", "y_pred"),
    "on_grad_computed": ("named_parameters", "batch", "training"),
}

# Names of the callbacks that every net has, and what those of this package begin with.
_TAKEN = {"epoch_timer", "train_loss", "valid_loss"}
_OWN = "skae."


def name_own(callbacks: Sequence[Callback]) -> list[tuple[str, Callback]]:
    """Return callbacks of this package under names that a user's cannot have."""
    return [(_OWN + type(callback).__name__, callback) for callback in callbacks]


def check_callbacks(callbacks: Sequence[Any] | None) -> None:
    """Raise unless these are callbacks, or named ones, whose hooks skorch's loop can call."""
    names, kinds = [], Counter[str]()
    for entry in callbacks or ():
        if isinstance(entry, tuple | list):
            names.append(_find_name(entry))
            _check_callback(entry[1])
        else:
            _check_callback(entry)
            kinds[type(entry).__name__] += 1
    # skorch names the others by their class, with a number if there are several.
    numbered = {f"{kind}_{i + 1}" for kind, n in kinds.items() if n > 1 for i in range(n)}
    for i, name in enumerate(names):
        if name in {*names[:i], *kinds, *numbered, *_TAKEN} or name.startswith(_OWN):
            raise ValueError(
                f"callbacks must have names of their own, got {name!r}, which another callback "
                "has: rename it"
            )


def _find_name(entry: Sequence[Any]) -> str:
    name = entry[0] if len(entry) == 2 else None
    if not isinstance(name, str) or not name or "__" in name:
        raise ValueError(
            'callbacks must be callbacks or pairs ("name", callback), with names that have no two '
            f"underscores, got {entry!r}"
        )
    return name


def _check_callback(callback: Any) -> None:
    if isinstance(callback, type) and issubclass(callback, Callback):
        raise TypeError(
            f"callbacks must be instances, got the class {callback.__name__}: write "
            f"{callback.__name__}()"
        )
    if not isinstance(callback, Callback):
        raise TypeError(
            "callbacks must be instances of skorch.callbacks.Callback, got "
            f"{callback!r} of type {type(callback).__name__}"
        )
    for hook, arguments in _HOOKS.items():
        try:
            signature = inspect.signature(getattr(callback, hook))
        except ValueError:  # code without one, in C say
            continue
        try:
            signature.bind(None, **dict.fromkeys(arguments))
        except TypeError as error:
            raise TypeError(
                f"callbacks must have hooks that take the net and keywords, got {hook} of "
                f"{type(callback).__name__}, which does not take {', '.join(arguments)} ({error}): "
                f"write {hook}(self, net, **kwargs)"
            ) from error
    if isinstance(callback, LoadInitState):
        raise ValueError(
            "callbacks must not have LoadInitState, whose epochs would count as those of this fit: "
            "set checkpoint to go on with a fit, or warm_start=True to continue from its result"
        )
    if isinstance(callback, EarlyStopping) and not isinstance(callback.monitor, str):
        raise TypeError(
            "callbacks must have EarlyStopping with the name of a recorded value, got monitor="
            f'{callback.monitor!r}: set monitor="valid_loss" or "train_loss"'
        )
    if isinstance(callback, LRScheduler):
        _check_policy(callback)
    _check_scoring(callback)


def _check_policy(scheduler: LRScheduler) -> None:
    try:
        scheduler._get_policy_cls()
    except AttributeError as error:
        raise ValueError(
            f"callbacks must have LRScheduler with a policy that skorch knows, got "
            f"{scheduler.policy!r}: pass the class, such as torch.optim.lr_scheduler.StepLR"
        ) from error


def _check_scoring(callback: Callback) -> None:
    """Raise for scores that compare predictions with targets: an autoencoder's rows have none."""
    if isinstance(callback, BatchScoring):
        raise ValueError(
            "callbacks must not have BatchScoring, which takes batches for pairs of X and y: "
            "record a value by net.history.record_batch in on_batch_end, and average it by "
            "PassthroughScoring, or use EpochScoring"
        )
    if isinstance(callback, EpochScoring):
        scoring = convert_sklearn_metric_function(callback.scoring)
        if not callable(scoring) or scoring is not callback.scoring or hasattr(scoring, "_sign"):
            raise ValueError(
                "callbacks must have EpochScoring with a function scoring(net, rows, y), where y "
                f"is None, got scoring={callback.scoring!r}: rows have no targets to compare with"
            )


def check_monitors(callbacks: Sequence[Any], reason: str) -> None:
    """Raise if a callback monitors a value of held-out rows, where there are none."""
    found = list(_unwrap(callbacks))
    of_held_out = {"valid_loss"}
    for callback in found:
        if isinstance(callback, EpochScoring) and not callback.on_train:
            of_held_out.add(callback.initialize().name_)
    _refuse_monitors(found, of_held_out, reason)


def check_scoring_monitors(callbacks: Sequence[Any], reason: str) -> None:
    """Raise if a callback monitors a score of held-out rows, where only their loss is known."""
    found = list(_unwrap(callbacks))
    scorings = [c for c in found if isinstance(c, EpochScoring) and not c.on_train]
    _refuse_monitors(found, {scoring.initialize().name_ for scoring in scorings}, reason)


def _refuse_monitors(callbacks: Sequence[Callback], names: set[str], reason: str) -> None:
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        is_used = not isinstance(callback, LRScheduler) or _follows_a_loss(callback)
        if isinstance(monitor, str) and is_used and monitor.removesuffix("_best") in names:
            other = "train_loss_best" if monitor.endswith("_best") else "train_loss"
            raise ValueError(
                f"callbacks must not monitor {monitor!r} where {reason}, got "
                f'{type(callback).__name__}(monitor={monitor!r}): set monitor="{other}"'
            )


def _unwrap(callbacks: Iterable[Any]) -> Iterator[Callback]:
    for entry in callbacks:
        yield entry[1] if isinstance(entry, tuple | list) else entry


# Schedulers of the learning rate -----------------------------------------------------------


def find_schedulers(callbacks: Iterable[Any]) -> list[LRScheduler]:
    """Return the learning-rate schedulers among callbacks, and those that callbacks contain."""
    found: list[LRScheduler] = []
    for callback in _unwrap(callbacks):
        if isinstance(callback, LRScheduler):
            found.append(callback)
        else:
            found += [part for part in _list_parts(callback) if isinstance(part, LRScheduler)]
    return found


def _list_parts(callback: Callback) -> Iterator[Any]:
    for value in vars(callback).values():
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list | tuple):
            yield from value
        else:
            yield value


def copy_schedulers(callbacks: Sequence[Any], has_held_out_rows: bool) -> list[LRScheduler]:
    """Return unused copies of a user's schedulers, for a training that others don't see."""
    return [_copy_scheduler(each, has_held_out_rows) for each in find_schedulers(callbacks)]


def _copy_scheduler(scheduler: LRScheduler, has_held_out_rows: bool) -> LRScheduler:
    copied = copy.copy(scheduler)
    copied.__dict__ = {n: value for n, value in vars(scheduler).items() if not n.endswith("_")}
    known = {"train_loss"} | ({"valid_loss"} if has_held_out_rows else set())
    if isinstance(copied.monitor, str) and copied.monitor not in known:
        copied.monitor = "valid_loss" if has_held_out_rows else "train_loss"
    return copied


def _follows_a_loss(scheduler: LRScheduler) -> bool:
    policy = scheduler.policy
    return "ReduceLROnPlateau" in (policy, getattr(policy, "__name__", None))
