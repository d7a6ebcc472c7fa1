"""What a fit has done so far, in a file that an equal fit goes on from."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, final

from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping

from .._environment import RandomStreams, warn_user
from .._processes import find_group, find_seed, wait_for_others
from .checkpoint_file import CheckpointFile, SharedFile, TakenError
from .net import AutoencoderNet
from .net_state import NotPlainError, read_net, write_net

#: What a fit depends on: a description of each part, by name.
Fingerprint = dict[str, str]

# Between two writes lie so many seconds, and so many times as long as a write takes: 2 % of the
# time goes into writing, and small networks don't wear out the disk.
_LEAST_PAUSE = 10.0
_PAUSE_PER_WRITE = 50.0

# Descriptions that are longer, such as digests, are not shown.
_SHOWN = 40


@final
class Checkpoint:
    """The trainings of a fit, in their order: those that ended, and the state of the next.

    An equal fit does again all that lies between the trainings, which is fast and gives the
    same, and takes trainings from here.

    Parameters
    ----------
    file : CheckpointFile or SharedFile
        Where they are.
    fingerprint : dict of str
        What the fit depends on.
    seed : int
        The seed where the fit has no other.
    trainings : list of dict
        The states of the trainings.
    """

    def __init__(
        self,
        file: CheckpointFile | SharedFile,
        fingerprint: Fingerprint,
        seed: int,
        trainings: list[dict[str, Any]],
    ) -> None:
        self.file = file
        self.fingerprint = fingerprint
        self.seed = seed
        self.trainings = trainings
        self.is_interrupted = False
        self._index = -1
        self._is_written = True
        self._has_warned = False
        self._written_at, self._seconds_per_write = time.monotonic(), 0.0

    @classmethod
    def open(cls, path: str | os.PathLike[str], fingerprint: Fingerprint) -> Self:
        """Return what an equal fit has left, or a new checkpoint; raise if neither can be."""
        group = find_group()
        file = CheckpointFile(path) if group is None else SharedFile(path, group)
        stored = file.read()
        if stored is None:
            seed = RandomStreams(find_seed(None)).draw_seed()
            checkpoint = cls(file, fingerprint, seed, [])
        else:
            _check_equal(file.name, stored["fingerprint"], fingerprint)
            checkpoint = cls(file, fingerprint, stored["seed"], stored["trainings"])
        try:
            checkpoint._write_file()
        except (OSError, TakenError) as error:
            raise OSError(
                f"checkpoint={file.name!r} cannot be written ({error}): choose another path"
            ) from error
        return checkpoint

    def begin_training(self) -> dict[str, Any] | None:
        """Return the state of the training that begins now, None if it has none."""
        self._index += 1
        if self._index < len(self.trainings):
            return self.trainings[self._index]
        if self.trainings:  # only the last one's net may be the fit's
            self.trainings[-1]["optimizer"] = None
        return None

    def save_epoch(self, net: AutoencoderNet) -> None:
        """Save the training as it is after an epoch, if enough time has gone by."""
        if not self.is_interrupted and self._is_due() and self._save(net, is_finished=False):
            self.write()

    def end_training(self, net: AutoencoderNet) -> None:
        """Save the training's result; after an interrupt nothing is saved any more."""
        if self.is_interrupted:
            return
        if net.stop_reason_ == "interrupted" and not was_stopped_early(net):
            self.flush()
            self.is_interrupted = True
            return
        self._is_written = not self._save(net, is_finished=True)
        if self._is_due():
            self.flush()

    def flush(self) -> None:
        """Write trainings that ended since the last write."""
        if not self._is_written and not self.is_interrupted:
            self.write()

    def write(self) -> None:
        """Write the file; if that fails, warn once, and the fit goes on."""
        try:
            self._write_file()
        except TakenError:
            self.is_interrupted = True
            self._warn("another fit has written to it. Give each fit a path of its own")
        except OSError as error:
            self._warn(str(error))
        self._is_written = True

    def remove(self) -> None:
        """Remove the file: the fit is done."""
        try:
            self.file.remove()
        except OSError as error:
            self._warn(str(error))

    def _save(self, net: AutoencoderNet, is_finished: bool) -> bool:
        """Save a training, and return whether its state could be read."""
        try:
            state = read_net(net, is_finished)
        except NotPlainError:
            self._warn(
                f"the state of {type(net.optimizer_).__name__} is not of tensors and numbers"
            )
            return False
        self.trainings[self._index :] = [state]
        return True

    def _is_due(self) -> bool:
        pause = max(_LEAST_PAUSE, _PAUSE_PER_WRITE * self._seconds_per_write)
        return time.monotonic() - self._written_at >= pause

    def _write_file(self) -> None:
        began = time.monotonic()
        try:
            self.file.write(
                {"fingerprint": self.fingerprint, "seed": self.seed, "trainings": self.trainings}
            )
        finally:
            self._written_at = time.monotonic()
            self._seconds_per_write = self._written_at - began

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warn_user(
                f"checkpoint={self.file.name!r} could not be written: {reason}. The fit goes on "
                "without it.",
                UserWarning,
            )


@contextmanager
def open_checkpoint(path: str | os.PathLike[str], fingerprint: Fingerprint) -> Iterator[Checkpoint]:
    """Open a fit's checkpoint, which is removed at the end unless the fit was interrupted."""
    checkpoint = Checkpoint.open(path, fingerprint)
    try:
        yield checkpoint
        wait_for_others()  # one of which may have failed, and all go on from the file then
    except BaseException:
        checkpoint.flush()
        raise
    if not checkpoint.is_interrupted:
        checkpoint.remove()


class CheckpointWriter(Callback):
    """Set a net to the state that training goes on from, and save it after each epoch.

    It belongs behind all other callbacks, whose state it saves.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where to save.
    state : dict or None
        The state to go on from.
    """

    def __init__(self, checkpoint: Checkpoint, state: dict[str, Any] | None) -> None:
        self.checkpoint: Checkpoint | None = checkpoint
        self.state = state

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set the net to the state, once all other callbacks have begun."""
        if self.state is not None:
            write_net(net, self.state)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Save the epoch."""
        if self.checkpoint is not None:
            self.checkpoint.save_epoch(net)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Let go of both: a user may train the net further."""
        self.checkpoint, self.state = None, None


def was_stopped_early(net: AutoencoderNet) -> bool:
    """Whether it was skorch's early stopping that raised what Ctrl-C does."""
    stoppers = [c for _, c in net.callbacks_ if isinstance(c, EarlyStopping)]
    return any(stopper.misses_ == stopper.patience for stopper in stoppers)


def _check_equal(name: str, stored: Fingerprint, own: Fingerprint) -> None:
    """Raise if a checkpoint is another fit's, and name what differs."""
    differing = []
    for part in {**stored, **own}:
        there, here = stored.get(part, "none"), own.get(part, "none")
        if there != here:
            is_short = max(len(there), len(here)) <= _SHOWN
            differing.append(f"{part} ({there} there, {here} here)" if is_short else part)
    if differing:
        raise ValueError(
            f"checkpoint={name!r} is of another fit, which differs in {', '.join(differing)}: "
            "choose another path, or delete the file if that fit is not to go on"
        )
