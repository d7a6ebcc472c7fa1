"""One training: a skorch net around a module, run over its epochs."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from torch import nn

from .._data import AnyRows, OrderedBlocks, Rows, ShuffledBatches
from .._environment import RandomStreams, count_threads, limit_threads, warn_user
from .._processes import TrainingGroup, find_group
from .callbacks import FiniteLoss, FoldLosses, WeightDecay
from .checkpoint import CheckpointWriter, was_stopped_early
from .config import TrainingConfig
from .epoch_selection import HeldOutSelection
from .net import AutoencoderNet
from .net_state import write_net
from .objective import Module
from .progress import EpochProgress
from .saddle_escape import SaddleEscape
from .schedules import CosineSchedule, InverseRootSchedule, ObjectiveProgress, StreamSchedulers
from .shared_step import ShardSeeds, SharedEpochs, SharedStep
from .user_callbacks import check_monitors, find_schedulers, name_own
from .weight_average import WeightAverage
from .workload import count_products

_VALIDATION_BLOCK = 4096


def make_net(
    config: TrainingConfig[Module],
    module: Module,
    n_epochs: int,
    n_rows: int,
    generator: torch.Generator | None,
    callbacks: Sequence[Any],
) -> AutoencoderNet:
    """Return an uninitialized net around `module`."""
    net = AutoencoderNet(
        module,
        criterion=config.objective,
        fast_step=config.fast_step,
        optimizer=config.optimizer,
        lr=config.learning_rate(n_rows),
        max_epochs=n_epochs,
        batch_size=config.batch_length(n_rows),
        iterator_train=ShuffledBatches,
        iterator_train__generator=generator,
        iterator_valid=OrderedBlocks,
        iterator_valid__batch_size=_VALIDATION_BLOCK,
        train_split=None,
        callbacks=list(callbacks),
        device=config.device,
        compile=config.compile,
        use_caching=False,  # of predictions, for scores: a step has none
        verbose=0,
    )
    net.n_rows_, net.is_shared_ = n_rows, config.is_shared
    net.is_open_ = bool(config.callbacks)
    return net


def make_stream_net(
    config: TrainingConfig[Module], module: Module, n_rows: int, streams: RandomStreams
) -> AutoencoderNet:
    """Return an initialized net that trains one epoch on each block it is given."""
    check_monitors(config.callbacks, "partial_fit holds no rows out")
    generator = streams.make_torch_generator(config.device)
    own: list[Callback] = [WeightDecay(config.weight_decay), FiniteLoss()]
    if not find_schedulers(config.callbacks):
        own.insert(0, InverseRootSchedule())
    callbacks = [*name_own(own), *config.callbacks, *name_own([StreamSchedulers()])]
    return make_net(config.without_muon(), module, 1, n_rows, generator, callbacks).initialize()


def run_block(net: AutoencoderNet, rows: AnyRows) -> list[float]:
    """Train a stream's net on a block; return the loss."""
    _train(net, rows, 1)
    _note_interruption(net, 1)
    if net.stop_reason_ == "interrupted":  # no epoch ended, so nothing was learned
        raise KeyboardInterrupt
    warn_of_early_end(net, 1, "training")
    return loss_curve(net)[-1:]


def run(
    config: TrainingConfig[Module],
    module: Module,
    rows: AnyRows,
    valid: Rows | None,
    streams: RandomStreams,
    description: str,
    selection: HeldOutSelection | None = None,
    stop_after: int | None = None,
    warns: bool = True,
    fold_losses: Sequence[float] | None = None,
) -> AutoencoderNet:
    """Train once, over the whole horizon or the first `stop_after` epochs of it."""
    horizon = config.n_epochs(len(rows))
    n_epochs = horizon if stop_after is None else min(stop_after, horizon)
    callbacks: list[Callback] = [
        ObjectiveProgress(horizon),
        WeightDecay(config.weight_decay),
        FiniteLoss(),
    ]
    if not find_schedulers(config.callbacks):
        callbacks.insert(0, CosineSchedule(horizon))
    if fold_losses is not None:
        callbacks.append(FoldLosses(fold_losses))
    if selection is not None:
        callbacks.append(selection)
    has_held_out = selection is not None or fold_losses is not None
    if has_held_out:
        callbacks.insert(0, WeightAverage())
    if config.objective.has_saddle:
        callbacks.append(SaddleEscape(horizon, selection, has_held_out))
    if config.verbose:
        callbacks.append(EpochProgress(n_epochs, description))
    group = find_group()
    if group is not None:
        _check_can_share(config, group, len(rows))
        callbacks = [SharedEpochs(group), *callbacks, ShardSeeds(group)]
    generator = streams.make_torch_generator(config.device)
    checkpoint = config.checkpoint
    state = None if checkpoint is None else checkpoint.begin_training()
    writer = [] if checkpoint is None else [CheckpointWriter(checkpoint, state)]
    tasks = [] if config.tasks is None else [config.tasks.add_training(description, n_epochs)]
    every = [*name_own(callbacks), *config.callbacks, *name_own([*writer, *tasks])]
    net = make_net(config, module, n_epochs, len(rows), generator, every)
    net.set_params(train_split=None if valid is None else predefined_split(valid))
    net.initialize()
    if group is not None:
        _copy_first(group, net.module_)
    if state is not None and state["is_finished"]:
        write_net(net, state)
        for callback in writer:
            callback.on_train_end(net)
    else:
        _train(net, rows, n_epochs - (0 if state is None else len(state["history"])), group)
    net.set_params(train_split=None)  # let go of the rows
    _note_interruption(net, n_epochs)
    if group is not None:
        if net.stop_reason_ == "interrupted" and not was_stopped_early(net):
            raise KeyboardInterrupt  # the others may be in the midst of a step
        _copy_first(group, net.module_)
    if checkpoint is not None and (state is None or not state["is_finished"]):
        checkpoint.end_training(net)
    if warns:
        warn_of_early_end(net, n_epochs, description)
    return net


@contextmanager
def restore_on_failure(net: AutoencoderNet) -> Iterator[None]:
    """Restore a stream's net as it was if training on a block fails.

    The state of a user's own callbacks is theirs, but for schedulers of the learning rate.
    """
    n_epochs = len(net.history)
    weights = copy.deepcopy(net.module_.state_dict())
    momentum = copy.deepcopy(net.optimizer_.state_dict())
    own = InverseRootSchedule | WeightDecay | StreamSchedulers
    counting = [c for _, c in net.callbacks_ if isinstance(c, own)]
    counts = [vars(callback).copy() for callback in counting]
    schedulers = find_schedulers(callback for _, callback in net.callbacks_)
    policies = [(one, one.lr_scheduler_) for one in schedulers]
    paces = [copy.deepcopy(one.state_dict()) for _, one in policies if one is not None]
    generators = [(one, one.get_state()) for one in net.find_generators()]
    try:
        yield
    except BaseException:
        net.module_.load_state_dict(weights)
        net.optimizer_.load_state_dict(momentum)
        del net.history[n_epochs:]
        for callback, count in zip(counting, counts, strict=True):
            callback.__dict__ = count
        for scheduler, policy in policies:
            scheduler.lr_scheduler_ = policy
        for policy, pace in zip([p for _, p in policies if p is not None], paces, strict=True):
            policy.load_state_dict(pace)
        for generator, state in generators:
            generator.set_state(state)
        raise


def _check_can_share(config: TrainingConfig[Any], group: TrainingGroup, n_rows: int) -> None:
    """Raise unless each process has a row of each batch."""
    batch_length = config.batch_length(n_rows)
    if batch_length < group.size:
        raise ValueError(
            f"batch_size and the number of rows must be at least that of the processes that "
            f"share a fit, {group.size}, got batches of {batch_length} of {n_rows} rows"
        )


def _copy_first(group: TrainingGroup, module: nn.Module) -> None:
    group.copy_first([*module.parameters(), *module.buffers()])


def _train(
    net: AutoencoderNet, rows: AnyRows, n_epochs: int, group: TrainingGroup | None = None
) -> None:
    net.shared_step_ = None if group is None else SharedStep(group)
    with _limit_threads_for(net, rows.n_features), net.attached_parameters():
        try:
            net.partial_fit(rows.to_device(), None, epochs=n_epochs)
        except KeyError as error:
            if "not found in history" not in str(error):
                raise
            raise ValueError(
                f"callbacks must monitor a value that is recorded ({error.args[0]}): set "
                'monitor="train_loss" or "valid_loss", or record the value in a callback before'
            ) from error
        finally:
            net.shared_step_ = None


def _limit_threads_for(net: AutoencoderNet, n_features: int) -> AbstractContextManager[None]:
    n_products = count_products(net.module_, n_features)
    return limit_threads(count_threads(6.0 * n_products * net.batch_size))


def _note_interruption(net: AutoencoderNet, n_epochs: int) -> None:
    """Distinguish an interrupt, which skorch swallows, from early stopping and from an error."""
    if net.stop_reason_ == "diverged" and not net.was_finite_:
        raise ValueError(
            "the loss must be finite, and it was not from the first step on: check the output of "
            f"the architecture, or lower lr={net.lr:g} or alpha"
        )
    if net.stop_reason_ is None and net.n_finite_epochs_ < n_epochs:
        net.stop_reason_ = "interrupted"


def warn_of_early_end(
    net: AutoencoderNet, n_epochs: int, description: str, is_fold: bool = False
) -> None:
    """Warn that a training ended before its last epoch, and say what is left of it.

    Parameters
    ----------
    net : AutoencoderNet
        The net, after training.
    n_epochs : int
        How many epochs were planned.
    description : str
        What was trained.
    is_fold : bool, default=False
        Whether it was trained to select an epoch: its weights are not kept, and an interrupt leaves
        the initialization.
    """
    done = f"after {net.n_finite_epochs_} of {n_epochs} epochs"
    if net.stop_reason_ == "diverged":
        warn_user(
            f"{description} diverged {done}: the loss was not finite. "
            f"{'Its losses' if is_fold else 'The best weights'} before that are kept. Try a lower "
            f"lr than {net.lr:g}, or standardize=True.",
            ConvergenceWarning,
        )
    elif net.stop_reason_ == "interrupted":
        warn_user(
            f"{description} was interrupted {done}, from the keyboard or by a callback. "
            f"{'The initialization is' if is_fold else 'The best weights before that are'} kept.",
            ConvergenceWarning,
        )


def loss_curve(net: AutoencoderNet) -> list[float]:
    """Return the training losses of the epochs that ended."""
    return [float(row["train_loss"]) for row in net.history if "train_loss" in row]
