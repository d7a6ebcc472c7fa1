"""Training from a start to its best epoch: on held-out rows, by folds, or to the end."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from .._environment import RandomStreams
from ._callbacks import HeldOutLosses
from ._judgement import Rule, best_epoch
from ._loop import Training, loss_curve, make_net, run
from ._net import AutoencoderNet
from ._rows import Rows
from ._stored_rows import AnyRows

# With fewer rows every row is held out once, by folds, and the network then trained on
# all of them; with fewer than _TOO_FEW no epoch can be told from another.
_HOLD_OUT_FROM = 500
_TOO_FEW = 10
_N_FOLDS = 5

#: Builds a module at its starting point from the rows that it will be trained on.
Start = Callable[[AnyRows], nn.Module]


@dataclass(frozen=True)
class Trained:
    """What training led to.

    Attributes
    ----------
    net : AutoencoderNet
        The skorch net; `net.module_` is the trained module.
    n_epochs : int
        Epochs that its weights have seen; 0 if it is the start.
    loss_curve : list of float
        Training loss of each epoch.
    validation_scores : list of float or None
        Mean loss on held-out rows at the start and after each epoch.
    held_out : float or None
        That of the weights kept, if they were trained.
    valid : Rows or None
        The rows held out from training them.
    """

    net: AutoencoderNet
    n_epochs: int
    loss_curve: list[float]
    validation_scores: list[float] | None = None
    held_out: float | None = None
    valid: Rows | None = None


def train(
    training: Training, start: Start, rows: AnyRows, streams: RandomStreams, starts_at_pca: bool
) -> Trained:
    """Train from `start`, to the epoch that is surely better than it if rows can tell.

    Parameters
    ----------
    training : Training
        How to train.
    start : callable
        `start(rows)` returns a module to train on those rows.
    rows : Rows or StoredRows
        All rows.
    streams : RandomStreams
        Where shuffles and splits are drawn.
    starts_at_pca : bool
        Whether the start is worth keeping as it is, where no epoch is surely better.
    """
    if not training.early_stopping:
        return _train_to_the_end(training, start, rows, streams)
    if len(rows) < _TOO_FEW:
        if not starts_at_pca:
            return _train_to_the_end(training, start, rows, streams)
        return untrained(training, start(rows), len(rows))
    if len(rows) < _HOLD_OUT_FROM:
        return _train_by_folds(training, start, rows, streams, starts_at_pca)
    return _train_with_held_out_rows(training, start, rows, streams, starts_at_pca)


def untrained(training: Training, module: nn.Module, n_rows: int) -> Trained:
    """Return a module as it is, in a net that is ready to train it."""
    net = make_net(training, module, training.n_epochs(n_rows), n_rows, None, [])
    net.initialize()
    return Trained(net, 0, [])


def _train_to_the_end(
    training: Training, start: Start, rows: AnyRows, streams: RandomStreams
) -> Trained:
    net = run(training, start(rows), rows, None, streams, "training")
    return Trained(net, net.n_finite_epochs_, loss_curve(net))


def _train_with_held_out_rows(
    training: Training, start: Start, rows: AnyRows, streams: RandomStreams, starts_at_pca: bool
) -> Trained:
    valid, part = rows.split(training.validation_fraction, streams.numpy_generator())
    judge = _judge(training, _rule(training, starts_at_pca), keep_best=True)
    net = run(training, start(part), part, valid, streams, "training", judge)
    losses = loss_curve(net)
    if judge.best_epoch_ == 0 and starts_at_pca:  # of all rows then, not of a part
        net = untrained(training, start(rows), len(rows)).net
    return Trained(
        net,
        judge.best_epoch_,
        losses,
        judge.means_,
        judge.means_[judge.best_epoch_] if judge.best_epoch_ > 0 else None,
        valid if judge.best_epoch_ > 0 else None,
    )


def _train_by_folds(
    training: Training, start: Start, rows: AnyRows, streams: RandomStreams, starts_at_pca: bool
) -> Trained:
    folds = np.array_split(streams.numpy_generator().permutation(len(rows)), _N_FOLDS)
    alike = _as_if_on_all(training, len(rows))
    rule = _rule(training, starts_at_pca)
    curves, weights = [], []
    has_warned = False
    for number, fold in enumerate(folds, 1):
        others = np.setdiff1d(np.arange(len(rows)), fold)
        part, valid = rows.take(others), rows.take(np.sort(fold))
        judge = _judge(alike, rule, keep_best=False)
        name = f"fold {number}/{_N_FOLDS}"
        net = run(alike, start(part), part, valid, streams, name, judge, warns=not has_warned)
        has_warned |= net.stop_reason_ in ("diverged", "interrupted")
        if net.stop_reason_ == "interrupted":
            return untrained(training, start(rows), len(rows))
        curves.append(judge.losses_)
        weights.append(valid.weight_array)
    n_epochs, means = best_epoch(curves, weights, rule)
    if n_epochs == 0:
        return replace(untrained(training, start(rows), len(rows)), validation_scores=means)
    net = run(training, start(rows), rows, None, streams, "training", stop_after=n_epochs)
    n_finite = net.n_finite_epochs_
    return Trained(net, n_finite, loss_curve(net), means, means[n_finite])


def _as_if_on_all(training: Training, n_rows: int) -> Training:
    """Return how to train on a fold so that its epochs are those of all rows.

    The same rate over the same horizon, in as many steps an epoch, on fewer rows each.
    """
    n_batches = math.ceil(n_rows / training.batch_length(n_rows))
    return replace(
        training,
        callbacks=[],
        max_epochs=training.n_epochs(n_rows),
        lr=training.learning_rate(n_rows),
        batch_size=math.ceil(n_rows * (1 - 1 / _N_FOLDS) / n_batches),
    )


def _rule(training: Training, starts_at_pca: bool) -> Rule:
    objective = training.objective
    return Rule(objective.trim_fraction, starts_at_pca, objective.worth)


def _judge(training: Training, rule: Rule, keep_best: bool) -> HeldOutLosses:
    return HeldOutLosses(rule, training.n_iter_no_change, training.tol, keep_best)
