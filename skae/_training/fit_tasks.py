"""A fit as scikit-learn's callbacks see it: a task, whose subtasks are trainings and epochs."""

from dataclasses import dataclass
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from .callbacks import stop_training


class EpochTasks(Callback):
    """Tell scikit-learn's callbacks of a training and its epochs, and end it if they ask for that.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    training : sklearn.callback.CallbackContext
        The task of the training.
    """

    def __init__(self, estimator: Any, training: Any) -> None:
        self.estimator = estimator
        self.training = training

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin the training; a user may train the net again, which is not a part of the fit."""
        self._is_over = hasattr(self, "_epoch")
        self._epoch: Any = None
        if not self._is_over:
            self.training.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin an epoch."""
        if not self._is_over:
            self._epoch = self.training.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """End the epoch."""
        if self._end_epoch():
            stop_training(net, "callback")

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """End the training, and an epoch in which another callback ended it."""
        self._end_epoch()
        if not self._is_over:
            self.training.call_on_fit_task_end(estimator=self.estimator)

    def _end_epoch(self) -> bool:
        """Return whether a callback asks to end the training, after an epoch that had begun."""
        epoch, self._epoch = self._epoch, None
        return epoch is not None and bool(epoch.call_on_fit_task_end(estimator=self.estimator))


@dataclass(frozen=True)
class FitTasks:
    """The task of a fit.

    Attributes
    ----------
    estimator : estimator
        What is fitted.
    context : sklearn.callback.CallbackContext
        The task.
    """

    estimator: Any
    context: Any

    def add_training(self, description: str, n_epochs: int) -> EpochTasks:
        """Return a callback that makes a training a part of the task."""
        training = self.context.subcontext(task_name=description, max_subtasks=n_epochs)
        return EpochTasks(self.estimator, training)
