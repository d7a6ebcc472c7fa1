"""Training to the selected epoch: by held-out rows, by folds, or to the end."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple

import numpy as np

from .._data import AnyRows, Rows, TimeSplit
from .._environment import RandomStreams
from .config import TrainingConfig
from .epoch_selection import (
    HeldOutSelection,
    SelectedEpoch,
    SelectionRule,
    has_promise,
    select_epoch,
)
from .loop import loss_curve, make_net, run, warn_of_early_end
from .net import AutoencoderNet
from .objective import Module
from .progress import show_line
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
        Training loss of each epoch that was run.
    selected : SelectedEpoch or None
        What held-out rows say of the epochs.
    held_out : Rows or None
        The rows that these weights have not seen.
    trained_on : Rows, StoredRows or None
        The others, if there are such rows.
    is_cut_short : bool
        Whether a user interrupted it, or losses were no numbers any more.
    """

    module: Module
    net: AutoencoderNet
    n_epochs: int
    loss_curve: list[float]
    selected: SelectedEpoch | None = None
    held_out: Rows | None = None
    trained_on: AnyRows | None = None
    is_cut_short: bool = False

    @property
    def validation_scores(self) -> list[float] | None:
        """Mean loss on held-out rows at initialization and after each epoch."""
        return None if self.selected is None else self.selected.losses

    @property
    def gain(self) -> tuple[float, float] | None:
        """What the weights gain over the initialization on held-out rows, and its error."""
        return None if self.selected is None else self.selected.gain

    @property
    def held_out_loss(self) -> float | None:
        """The loss of weights that were trained on rows that they have not seen."""
        selected = self.selected
        return selected.losses[selected.epoch] if selected and selected.epoch > 0 else None

    def measure_improvement(self) -> float | None:
        """Return by how much held-out rows' loss fell, None if no rows were held out."""
        if self.selected is None or self.held_out_loss is None:
            return None
        return self.selected.losses[0] - self.held_out_loss


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
    n_trained = len(rows) if config.gap is None else _split_in_time(config, len(rows)).n_train
    if config.early_stopping and n_trained < 1:
        raise ValueError(
            f"gap must leave rows to train on, got gap={config.gap} and {len(rows)} rows, the last "
            "of which are held out: choose a smaller gap, or early_stopping=False"
        )
    is_too_few = n_trained < _TOO_FEW
    if not config.early_stopping or (is_too_few and not keeps_initialization):
        return _train_to_the_end(config, initialize, rows, streams)
    if is_too_few:
        if config.verbose:
            show_line(f"kept the initialization: fewer than {_TOO_FEW} rows can't select an epoch")
        return leave_untrained(config, initialize(rows), len(rows))
    select = _train_by_folds if len(rows) < _HOLD_OUT_FROM else _train_with_held_out_rows
    result = select(config, initialize, rows, streams, keeps_initialization)
    if config.verbose and result.selected is not None:
        show_line(result.selected.describe(result.loss_curve))
    return result


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
    n_finite, is_cut_short = net.n_finite_epochs_, _is_cut_short(net)
    return TrainingResult(net.module_, net, n_finite, loss_curve(net), is_cut_short=is_cut_short)


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
    losses, selected = loss_curve(net), selection.selected
    best, is_cut_short = selected.epoch, _is_cut_short(net)
    if best == 0 and keeps_initialization:  # from all rows then, not from a part
        net = leave_untrained(config, initialize(rows), len(rows)).net
    return TrainingResult(
        net.module_,
        net,
        best,
        losses,
        selected,
        valid if best > 0 else None,
        part if best > 0 else None,
        is_cut_short,
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
    curves, weights, losses = [], [], []
    has_warned = False
    for number, fold in enumerate(folds, 1):
        part, valid = rows.take(fold.train), rows.take(fold.held_out)
        selection = _make_selection(fold_config, rule, False)
        name = f"fold {number}/{len(folds)}"
        module = initialize(part)
        net = run(fold_config, module, part, valid, streams, name, selection, warns=False)
        if net.stop_reason_ == "interrupted" and not keeps_initialization:
            raise KeyboardInterrupt  # random weights are no result
        if not has_warned:
            n_epochs = fold_config.n_epochs(len(part))
            warn_of_early_end(net, n_epochs, name, is_fold=True)
        has_warned |= _is_cut_short(net)
        if net.stop_reason_ == "interrupted":
            untrained = leave_untrained(config, initialize(rows), len(rows))
            return replace(untrained, is_cut_short=True)
        curves.append(selection.losses_)
        weights.append(valid.weight_array)
        losses.append(loss_curve(net))
        is_open = keeps_initialization and number < len(folds)
        if is_open and not has_promise(curves, weights, rule, len(folds)):
            break  # these folds select no epoch either
    selected = select_epoch(curves, weights, rule)
    if selected.epoch == 0:
        result = leave_untrained(config, initialize(rows), len(rows))
        return replace(result, loss_curve=_average_curves(losses), selected=selected)
    module = initialize(rows)
    net = run(
        config,
        module,
        rows,
        None,
        streams,
        "training",
        stop_after=selected.epoch,
        fold_losses=selected.losses[1:],
    )
    n_finite = net.n_finite_epochs_
    selected = replace(selected, epoch=n_finite)
    is_cut_short = _is_cut_short(net)
    return TrainingResult(
        net.module_, net, n_finite, loss_curve(net), selected, is_cut_short=is_cut_short
    )


def _is_cut_short(net: AutoencoderNet) -> bool:
    return net.stop_reason_ in ("diverged", "interrupted")


def _average_curves(curves: list[list[float]]) -> list[float]:
    """Return the mean loss at each epoch; a curve that ended stays as it was."""
    n_epochs = max(len(curve) for curve in curves)
    known = [curve + curve[-1:] * (n_epochs - len(curve)) for curve in curves]
    return [float(mean) for mean in np.mean(known, axis=0)]


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
        objective.trim_fraction,
        keeps_initialization,
        objective.minimum_improvement,
        config.gap or 0,
    )


def _make_selection(
    config: TrainingConfig[Any], rule: SelectionRule, restores_best: bool
) -> HeldOutSelection:
    return HeldOutSelection(rule, config.n_iter_no_change, config.tol, restores_best)
