"""Fits within a time limit, and the curve of the test error during training."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNet
from skorch.callbacks import Callback

from skae import AutoencoderTransformer

# Epochs that are timed to choose the number of epochs; with four layers, pretraining gives
# one to each.
_N_TIMED = 4
# Share of the budget left unused, for epochs that take longer than those timed.
_RESERVE = 0.03
_N_MARKS = 24
_BLOCK = 2500


@dataclass(frozen=True)
class Curve:
    """The test error against the time of the fit.

    Attributes
    ----------
    seconds, epochs, errors : list
        Time and epoch of each record, and the squared error per image.
    """

    seconds: list[float] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class TimedFit:
    """A fit, its time and its error.

    Attributes
    ----------
    model : AutoencoderTransformer
        The fitted estimator.
    seconds : float
        Wall time of `fit`, without the time for recording the curve.
    n_epochs : int
        Epochs that fit into the time limit.
    error : float
        Squared error per test image at the end.
    curve : Curve
        The test error during training.
    """

    model: AutoencoderTransformer
    seconds: float
    n_epochs: int
    error: float
    curve: Curve


class EpochClock(Callback):
    """Take the time at the end of every epoch."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget an earlier training."""
        self.ends_: list[float] = []

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Take the time."""
        self.ends_.append(time.perf_counter())


class ErrorRecorder(Callback):
    """Record the test error after some epochs, on a clock that is paused meanwhile.

    The records do not influence the training.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_pixels)
        The test images, centred and scaled as the module expects them.
    scale : ndarray of shape (n_pixels,)
        That scale.
    n_epochs : int
        Number of epochs, over which the records are spread; the last one is always recorded.
    """

    def __init__(self, X: np.ndarray, scale: np.ndarray, n_epochs: int) -> None:
        self.X = X
        self.scale = scale
        self.n_epochs = n_epochs

    def start(self) -> None:
        """Start the clock."""
        self.began_ = time.perf_counter()
        self.paused_ = 0.0
        self.curve_ = Curve()
        # Denser at first, where the error falls fastest.
        shares = np.linspace(0, 1, _N_MARKS + 1)[1:] ** 1.5
        self.marks_ = {max(1, round(share * self.n_epochs)) for share in shares}

    def seconds(self) -> float:
        """Return how long the clock has run."""
        return time.perf_counter() - self.began_ - self.paused_

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the error, if this is one of the epochs for it."""
        epoch = len(net.history)
        if epoch not in self.marks_:
            return
        stopped = time.perf_counter()
        self.curve_.seconds.append(stopped - self.began_ - self.paused_)
        self.curve_.epochs.append(epoch)
        self.curve_.errors.append(squared_error(net.module_, self.X, self.scale))
        print(
            f"  epoch {epoch}/{self.n_epochs}, {self.curve_.seconds[-1]:.0f} s: "
            f"{self.curve_.errors[-1]:.3f}",
            flush=True,
        )
        self.paused_ += time.perf_counter() - stopped


@torch.no_grad()
def squared_error(module: torch.nn.Module, X: np.ndarray, scale: np.ndarray) -> float:
    """Return the mean over images of the squared error summed over pixels, in float32."""
    was_training = module.training
    module.eval()
    rows, factor = torch.from_numpy(X).float(), torch.from_numpy(scale).float()
    total = 0.0
    with torch.autocast("cpu", enabled=False):
        for part in rows.split(_BLOCK):
            total += float(((module(part) - part) * factor).square().sum())
    module.train(was_training)
    return total / len(X)


class BFloat16Products(Callback):
    """Let torch multiply matrices in bfloat16 during training.

    Weights, sums and losses stay in float32. The cache of converted weights is off, because
    training steps would make it stale.
    """

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Start."""
        self.autocast_ = torch.autocast("cpu", torch.bfloat16, cache_enabled=False)
        self.autocast_.__enter__()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Go back to float32."""
        self.autocast_.__exit__(None, None, None)


def fit_within(
    estimator: AutoencoderTransformer,
    X: np.ndarray,
    X_test: np.ndarray,
    budget: float,
    bfloat16: bool,
) -> TimedFit:
    """Fit for as many epochs as a time limit allows.

    The schedule of the learning rate needs the number of epochs in advance, so a short fit is
    timed first. Its time is not counted, because a repeated fit can use the known number.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        The estimator; its `max_epochs` and `callbacks` are replaced.
    X, X_test : ndarray of shape (n_images, n_pixels)
        Training images, and the images for the curve.
    budget : float
        Seconds.
    bfloat16 : bool
        Multiply matrices in bfloat16 during training.
    """
    n_epochs, trial = epochs_within(estimator, X, budget, bfloat16)
    recorder = ErrorRecorder((X_test - trial.mean_) / trial.scale_, trial.scale_, n_epochs)
    products = [BFloat16Products()] if bfloat16 else []
    model = clone(estimator).set_params(max_epochs=n_epochs, callbacks=[*products, recorder])
    recorder.start()
    model.fit(X)
    seconds = recorder.seconds()
    error = float(np.square(model.reconstruct(X_test) - X_test).sum(axis=1, dtype=float).mean())
    return TimedFit(model, seconds, n_epochs, error, recorder.curve_)


def epochs_within(estimator: Any, X: np.ndarray, budget: float, bfloat16: bool) -> tuple[int, Any]:
    """Return how many epochs a time limit allows, and the short fit that was timed."""
    pretrains = bool(getattr(estimator, "pretrain", None))  # not all estimators have it
    plain = clone(estimator).set_params(pretrain=None) if pretrains else estimator
    total, epoch, trial = _trial(plain, X, bfloat16)
    once = max(0.0, total - _N_TIMED * epoch)  # initialization and density
    pretraining = 0.0
    if pretrains:  # every layer alone, for its share of the epochs
        n_layers = 1 + len(estimator.hidden_layer_sizes)
        one_each, _, _ = _trial(estimator, X, bfloat16)
        pretraining = max(0.0, one_each - total) / n_layers
    n_epochs = max(1, int((budget * (1 - _RESERVE) - once) / (epoch + pretraining)))
    print(
        f"  {epoch:.2f} s per epoch, {pretraining:.2f} s of pretraining: {n_epochs} epochs in "
        f"{budget / 60:g} minutes",
        flush=True,
    )
    return n_epochs, trial


def _trial(estimator: Any, X: np.ndarray, bfloat16: bool) -> tuple[float, float, Any]:
    """Fit a few epochs; return the time of the fit, the time of an epoch, and the fit."""
    clock = EpochClock()
    products = [BFloat16Products()] if bfloat16 else []
    trial = clone(estimator).set_params(max_epochs=_N_TIMED, callbacks=[*products, clock])
    began = time.perf_counter()
    trial.fit(X)
    return time.perf_counter() - began, float(np.mean(np.diff(clock.ends_))), trial
