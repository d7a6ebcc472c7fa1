"""Training to the selected epoch: by held-out rows, by folds, or to the end."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple

import numpy as np

from .._data import AnyRows, Rows, TimeSplit
from .._environment import RandomStreams
from .config import TrainingConfig
from .epoch_selection import HeldOutSelection, SelectionRule, select_epoch
from .loop import loss_curve, make_net, run
from .net import AutoencoderNet
from .objective import Module
from .user_callbacks import check_monitors, check_scoring_monitors, copy_schedulers

# With fewer rows every row is held out once, by folds, and the network is then trained on all of
# them; with fewer than _TOO_FEW no epoch can be told from another.
_HOLD_OUT_FROM = 500
_TOO_FEW = 10
_N_FOLDS = 5

#: Returns a module, initialized from the rows that it will be trained on.
Initialize = Callable[[AnyRows], Module]


@dataclass(frozen=True)
class TrainingResult(Generic[Module]):
    """A trained module, and how training went.

    Attributes
    ----------
    module : EncoderDecoder
        The trained module.
    net : AutoencoderNet
        The skorch net around it.
    n_epochs : int
        Epochs that its weights have seen; 0 if it is the initialization.
    loss_curve : list of float
        Training loss of each epoch.
    validation_scores : list of float or None
        Mean loss on held-out rows at initialization and after each epoch.
    held_out_loss : float or None
        That of the weights that were kept, if they were trained.
    held_out : Rows or None
        The rows that these weights have not seen.
    trained_on : Rows, StoredRows or None
        The others, if there are such rows.
    """

    module: Module
    net: AutoencoderNet
    n_epochs: int
    loss_curve: list[float]
    validation_scores: list[float] | None = None
    held_out_loss: float | None = None
    held_out: Rows | None = None
    trained_on: AnyRows | None = None

    def measure_improvement(self) -> float | None:
        """Return by how much held-out rows' loss fell, None if no rows were held out."""
        if self.validation_scores is None or self.held_out_loss is None:
            return None
        return self.validation_scores[0] - self.held_out_loss


def train(
    config: TrainingConfig[Module],
    initialize: Initialize[Module],
    rows: AnyRows,
    streams: RandomStreams,
    keeps_initialization: bool,
) -> TrainingResult[Module]:
    """Train to the epoch that is surely better than the initialization, if rows can tell.

    Parameters
    ----------
    config : TrainingConfig
        How to train.
    initialize : callable
        `initialize(rows)` returns a module to train on those rows.
    rows : Rows or StoredRows
        All rows.
    streams : RandomStreams
        Source of shuffles and splits.
    keeps_initialization : bool
        Whether the initialization is kept where no epoch is surely better.
    """
    if not config.early_stopping:
        return _train_to_the_end(config, initialize, rows, streams)
    n_judged = len(rows) if config.gap is None else _split_in_time(config, len(rows)).n_train
    if n_judged < _TOO_FEW:
        if not keeps_initialization:
            return _train_to_the_end(config, initialize, rows, streams)
        return leave_untrained(config, initialize(rows), len(rows))
    if len(rows) < _HOLD_OUT_FROM:
        return _train_by_folds(config, initialize, rows, streams, keeps_initialization)
    return _train_with_held_out_rows(config, initialize, rows, streams, keeps_initialization)


def leave_untrained(
    config: TrainingConfig[Module], module: Module, n_rows: int
) -> TrainingResult[Module]:
    """Return a module as it is, in a net that is ready to train it."""
    net = make_net(config, module, config.n_epochs(n_rows), n_rows, None, [])
    net.initialize()
    return TrainingResult(net.module_, net, 0, [])


def _train_to_the_end(
    config: TrainingConfig[Module],
    initialize: Initialize[Module],
    rows: AnyRows,
    streams: RandomStreams,
) -> TrainingResult[Module]:
    reason = f"fewer than {_TOO_FEW} rows" if config.early_stopping else "early_stopping=False"
    check_monitors(config.callbacks, f"no rows are held out, by {reason}")
    net = run(config, initialize(rows), rows, None, streams, "training")
    return TrainingResult(net.module_, net, net.n_finite_epochs_, loss_curve(net))


def _train_with_held_out_rows(
    config: TrainingConfig[Module],
    initialize: Initialize[Module],
    rows: AnyRows,
    streams: RandomStreams,
    keeps_initialization: bool,
) -> TrainingResult[Module]:
    generator = streams.make_numpy_generator()
    if config.gap is None:
        valid, part = rows.split(config.validation_fraction, generator)
    else:
        valid, part = rows.split_in_time(_split_in_time(config, len(rows)))
    selection = _make_selection(config, _make_rule(config, keeps_initialization), True)
    net = run(config, initialize(part), part, valid, streams, "training", selection)
    losses, best = loss_curve(net), selection.best_epoch_
    if best == 0 and keeps_initialization:  # from all rows then, not from a part
        net = leave_untrained(config, initialize(rows), len(rows)).net
    return TrainingResult(
        net.module_,
        net,
        best,
        losses,
        selection.means_,
        selection.means_[best] if best > 0 else None,
        valid if best > 0 else None,
        part if best > 0 else None,
    )


def _train_by_folds(
    config: TrainingConfig[Module],
    initialize: Initialize[Module],
    rows: AnyRows,
    streams: RandomStreams,
    keeps_initialization: bool,
) -> TrainingResult[Module]:
    check_scoring_monitors(config.callbacks, f"rows are held out in folds, under {_HOLD_OUT_FROM}")
    folds = _make_folds(config, len(rows), streams.make_numpy_generator())
    fold_config = _adapt_to_folds(config, len(rows))
    rule = _make_rule(config, keeps_initialization)
    curves, weights = [], []
    has_warned = False
    for number, fold in enumerate(folds, 1):
        part, valid = rows.take(fold.train), rows.take(fold.held_out)
        selection = _make_selection(fold_config, rule, False)
        name = f"fold {number}/{len(folds)}"
        module = initialize(part)
        net = run(fold_config, module, part, valid, streams, name, selection, warns=not has_warned)
        has_warned |= net.stop_reason_ in ("diverged", "interrupted")
        if net.stop_reason_ == "interrupted":
            return leave_untrained(config, initialize(rows), len(rows))
        curves.append(selection.losses_)
        weights.append(valid.weight_array)
    n_epochs, means = select_epoch(curves, weights, rule)
    if n_epochs == 0:
        result = leave_untrained(config, initialize(rows), len(rows))
        return replace(result, validation_scores=means)
    module = initialize(rows)
    net = run(
        config,
        module,
        rows,
        None,
        streams,
        "training",
        stop_after=n_epochs,
        fold_losses=means[1:],
    )
    n_finite = net.n_finite_epochs_
    return TrainingResult(net.module_, net, n_finite, loss_curve(net), means, means[n_finite])


class _Fold(NamedTuple):
    """Indices of rows that train, and of those that are held out."""

    train: np.ndarray
    held_out: np.ndarray


def _make_folds(
    config: TrainingConfig[Any], n_rows: int, generator: np.random.Generator
) -> list[_Fold]:
    """Return folds that hold each row out once; of rows in the order of time, the last ones."""
    every = np.arange(n_rows)
    if config.gap is not None:
        split = _split_in_time(config, n_rows)
        return [_Fold(every[: split.n_train], every[-split.n_held_out :])]
    parts = np.array_split(generator.permutation(n_rows), _N_FOLDS)
    return [_Fold(np.setdiff1d(every, part), np.sort(part)) for part in parts]


def _split_in_time(config: TrainingConfig[Any], n_rows: int) -> TimeSplit:
    """Return how rows in the order of time are split; of few of them, a fifth is held out."""
    fraction = config.validation_fraction if n_rows >= _HOLD_OUT_FROM else 1 / _N_FOLDS
    return TimeSplit.from_fraction(n_rows, fraction, config.gap or 0)


def _adapt_to_folds(config: TrainingConfig[Module], n_rows: int) -> TrainingConfig[Module]:
    """Return a configuration under which a fold's epochs are like those of all rows.

    The rate and the horizon are the same, and an epoch has as many steps, on fewer rows each.
    """
    n_batches = math.ceil(n_rows / config.batch_length(n_rows))
    n_train = n_rows * (1 - 1 / _N_FOLDS)
    if config.gap is not None:
        n_train = _split_in_time(config, n_rows).n_train
    return replace(
        config,
        callbacks=copy_schedulers(config.callbacks, has_held_out_rows=True),
        max_epochs=config.n_epochs(n_rows),
        lr=config.learning_rate(n_rows),
        batch_size=math.ceil(n_train / n_batches),
    )


def _make_rule(config: TrainingConfig[Any], keeps_initialization: bool) -> SelectionRule:
    objective = config.objective
    return SelectionRule(
        objective.trim_fraction, keeps_initialization, objective.minimum_improvement
    )


def _make_selection(
    config: TrainingConfig[Any], rule: SelectionRule, restores_best: bool
) -> HeldOutSelection:
    return HeldOutSelection(rule, config.n_iter_no_change, config.tol, restores_best)
