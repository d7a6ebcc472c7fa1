"""The contestants: the same network trained by a loop, skae, skorch, PyOD and scikit-learn."""

import math
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from _report import is_installed
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn
from torch.nn.functional import mse_loss

from skae import AutoencoderTransformer
from skae.modules import mlp_autoencoder

from ._tables import Size
from ._timing import seconds_of

LR = 1e-3  # for contestants without a default
SEED = 0

HAS_PYOD = is_installed("pyod")
WITHOUT_PYOD = "PyOD is missing because it is not installed (`pip install pyod`)."


# The hand-written loop ----------------------------------------------------------------


def make_module(size: Size, seed: int = SEED) -> nn.Module:
    """Return the module that skae trains, with random weights."""
    torch.manual_seed(seed)
    return mlp_autoencoder(size.columns, size.code, size.hidden)


def make_plain(size: Size, seed: int = SEED) -> nn.Sequential:
    """Return a network of the same widths, without the linear path."""
    torch.manual_seed(seed)
    widths = [size.columns, *size.hidden, size.code, *reversed(size.hidden), size.columns]
    layers: list[nn.Module] = []
    for number, (n_inputs, n_outputs) in enumerate(pairwise(widths)):
        if number not in (0, len(size.hidden) + 1):  # no activation on the row and the code
            layers.append(nn.SiLU())
        layers.append(nn.Linear(n_inputs, n_outputs))
    return nn.Sequential(*layers)


def fit_loop(module: nn.Module, X: np.ndarray, n_epochs: int, batch_size: int) -> nn.Module:
    """Train in plain PyTorch with fused AdamW and slices of rows shuffled once per epoch."""
    return train_loop(module, torch.from_numpy(X), n_epochs, batch_size)


def train_loop(
    module: nn.Module,
    rows: torch.Tensor,
    n_epochs: int,
    batch_size: int,
    at_epoch_end: Callable[[], None] = lambda: None,
) -> nn.Module:
    """Train on a tensor, on its device."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=LR, fused=True)
    for _ in range(n_epochs):
        shuffled = rows.index_select(0, torch.randperm(len(rows), device=rows.device))
        for batch in shuffled.split(batch_size):
            optimizer.zero_grad()
            mse_loss(module(batch), batch).backward()
            optimizer.step()
        at_epoch_end()
    return module


def rebuild_with_module(module: nn.Module, X: np.ndarray) -> np.ndarray:
    """Return the reconstruction of rows by a module on the CPU."""
    with torch.inference_mode():
        return module(torch.from_numpy(X)).numpy()


# skae and the peers -------------------------------------------------------------------


def make_skae(size: Size, seed: int = SEED, **settings: Any) -> AutoencoderTransformer:
    """Return skae on the CPU with its defaults, apart from widths and `settings`."""
    return AutoencoderTransformer(
        size.code,
        hidden_layer_sizes=size.hidden,
        device="cpu",
        random_state=seed,
        **settings,
    )


def fit_skae(
    size: Size, X: np.ndarray, n_epochs: int, batch_size: int | str, **settings: Any
) -> AutoencoderTransformer:
    """Train with skae for a number of epochs."""
    settings = {"early_stopping": False, **settings}
    estimator = make_skae(size, max_epochs=n_epochs, batch_size=batch_size, **settings).fit(X)
    expected = str(make_module(size))
    if str(estimator.module_) != expected:  # the comparison would be meaningless
        raise RuntimeError(f"skae trained {estimator.module_}, expected {expected}")
    return estimator


def make_skorch(size: Size, **settings: Any) -> NeuralNetRegressor:
    """Return a stock skorch net around the same module, silent."""
    torch.manual_seed(SEED)
    return NeuralNetRegressor(
        mlp_autoencoder,
        module__n_features=size.columns,
        module__n_components=size.code,
        module__hidden_layer_sizes=size.hidden,
        verbose=0,
        **settings,
    )


def fit_skorch(size: Size, X: np.ndarray, n_epochs: int, batch_size: int) -> NeuralNetRegressor:
    """Train with skorch and its DataLoader, all rows in every epoch."""
    net = make_skorch(
        size,
        optimizer=torch.optim.AdamW,
        lr=LR,
        batch_size=batch_size,
        max_epochs=n_epochs,
        iterator_train__shuffle=True,
        train_split=None,
    )
    return net.fit(X, X)


def fit_pyod(X: np.ndarray, **settings: Any) -> Any:
    """Train PyOD's autoencoder, silent, on the CPU."""
    from pyod.models.auto_encoder import AutoEncoder

    # PyOD accepts a torch device or its name.
    return AutoEncoder(random_state=SEED, verbose=0, device="cpu", **settings).fit(X)


def rebuild_with_pyod(detector: Any, X: np.ndarray) -> np.ndarray:
    """Return the reconstruction of rows by a fitted PyOD autoencoder, in the units of `X`.

    PyOD has no method for this. Its network runs in evaluation mode on preprocessed rows, and
    the preprocessing is undone.
    """
    from pyod.utils.torch_utility import TorchDataset

    rows = TorchDataset(X, mean=detector.X_mean, std=detector.X_std)
    detector.model.eval()
    with torch.no_grad():
        rebuilt = detector.model(rows[:].to(detector.device)).cpu().double().numpy()
    return rebuilt * (detector.X_std + rows.eps) + detector.X_mean


def fit_mlp(size: Size, X: np.ndarray, **settings: Any) -> MLPRegressor:
    """Train scikit-learn's perceptron to reconstruct its input."""
    widths = (*size.hidden, size.code, *reversed(size.hidden))
    model = MLPRegressor(hidden_layer_sizes=widths, random_state=SEED, **settings)
    with warnings.catch_warnings():  # the number of epochs is fixed
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, X)


def squared_error(rebuilt: np.ndarray, X: np.ndarray) -> float:
    """Return the mean squared error over cells; for standardized rows in units of variances."""
    return float(np.square(rebuilt.astype(np.float64) - X).mean())


# The limit of the machine -------------------------------------------------------------


def products_of_a_step(module: nn.Module, X: np.ndarray) -> Callable[[], None]:
    """Return a function that computes only the matrix products of a training step.

    For each linear layer these are the output, the gradient of the weight, and the gradient of
    the input unless the input is the row itself. Each is computed directly or transposed,
    whichever is faster.
    """
    rows = torch.from_numpy(X)
    seen: list[tuple[torch.Tensor, nn.Linear, bool]] = []

    def note(layer: nn.Linear, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        seen.append((given[0].detach().clone(), layer, given[0].requires_grad))

    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in linear]
    module(rows)
    for hook in hooks:
        hook.remove()
    pairs = []
    for given, layer, needs_gradient in seen:
        weight, out = layer.weight.detach(), torch.ones(len(given), layer.out_features)
        pairs += [(given, weight.T), (out.T, given)]
        pairs += [(out, weight)] if needs_gradient else []
    jobs = [min((job(a, b), job(b.T, a.T)), key=least_seconds) for a, b in pairs]

    def run() -> None:
        for call in jobs:
            call()

    return run


def job(a: torch.Tensor, b: torch.Tensor) -> Callable[[], Any]:
    """Return a function that computes a product into the same memory."""
    return partial(torch.mm, a, b, out=torch.empty(a.shape[0], b.shape[1]))


def least_seconds(call: Callable[[], Any], n_calls: int = 20) -> float:
    """Return the shortest of several times of a call."""
    return min(seconds_of(call) for _ in range(n_calls))


def run_products(run: Callable[[], None], n_rows: int, n_epochs: int, batch_size: int) -> None:
    """Compute the products of a number of epochs."""
    for _ in range(n_epochs * math.ceil(n_rows / batch_size)):
        run()
