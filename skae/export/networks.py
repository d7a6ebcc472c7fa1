"""Networks as parts of a graph.

Multilayer perceptrons are written node by node. All others, a user's own among them, pass through
torch's exporter, which takes seconds for each.
"""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import spox.opset.ai.onnx.v18 as op
import torch
from spox import Var, inline
from torch import Tensor, nn

from ..modules import Bypass
from ..modules.architectures import OutputCheck
from ..modules.layers import has_default_parameters, has_hooks
from ..modules.mlp import TransposedLinear, is_perceptron
from ..modules.single_precision import LARGEST
from .arrays import OPSET, Array
from .requirements import require_packages

_ROOT_HALF = np.float32(np.sqrt(0.5))


def _gelu(x: Var) -> Var:
    half, one = op.const(np.float32(0.5)), op.const(np.float32(1.0))
    return op.mul(op.mul(half, x), op.add(one, op.erf(op.mul(x, op.const(_ROOT_HALF)))))


_ACTIVATIONS: dict[type[nn.Module], Callable[[Var], Var]] = {
    nn.ELU: op.elu,
    nn.GELU: _gelu,
    nn.Identity: lambda x: x,
    nn.LeakyReLU: lambda x: op.leaky_relu(x, alpha=0.01),
    nn.Sigmoid: op.sigmoid,
    nn.ReLU: op.relu,
    nn.SiLU: lambda x: op.mul(x, op.sigmoid(x)),
    nn.Tanh: op.tanh,
}

_Layer = nn.Linear | TransposedLinear


class Networks:
    """The networks of one graph, each written once however often it is applied."""

    def __init__(self) -> None:
        self._layers: dict[nn.Module, tuple[Var, Var]] = {}
        self._models: dict[nn.Module, onnx.ModelProto] = {}

    def apply_path(self, path: nn.Module, rows: Array, conditioned: Array | None = None) -> Array:
        """Return what a half of an autoencoder maps rows to, in float64.

        Parameters
        ----------
        path : torch.nn.Module
            A network, or a linear path with a network beside it.
        rows : Array of shape (n_rows, n_inputs)
            The rows.
        conditioned : Array or None, default=None
            What the network is given in their place.
        """
        given = rows if conditioned is None else conditioned
        if type(path) is not Bypass or has_hooks(path):
            return self.apply(path, given)
        linear = apply_affine(path.linear, rows)
        added = self.apply_gated(path, given)
        return linear if added is None else linear + added

    def apply_gated(self, path: Bypass, rows: Array) -> Array | None:
        """Return `gate * network(rows)`, None if that is nothing."""
        if path.nonlinear is None or path.gate is None or path.is_closed:
            return None
        return self.apply(path.nonlinear, rows) * read(path.gate)

    def apply(self, network: nn.Module, rows: Array) -> Array:
        """Return a network's output, computed in float32 as scores are."""
        single = rows.clip(-LARGEST, LARGEST).cast(np.float32).var
        activate = _find_activation(network.activation) if is_perceptron(network) else None
        if activate is None or not is_perceptron(network):
            return Array(self._inline(network, single)).cast(np.float64)
        *hidden, last = network.linear_layers
        for layer in hidden:
            single = activate(self._apply_layer(layer, single))
        return Array(self._apply_layer(last, single)).cast(np.float64)

    def _apply_layer(self, layer: _Layer, rows: Var) -> Var:
        if layer not in self._layers:
            weight, bias = _read_layer(layer)
            single = op.const(weight.astype(np.float32)), op.const(bias.astype(np.float32))
            self._layers[layer] = single
        return op.gemm(rows, *self._layers[layer])

    def _inline(self, network: nn.Module, rows: Var) -> Var:
        _, n_inputs = rows.unwrap_tensor().shape or (None, None)
        assert isinstance(n_inputs, int)  # the number of rows alone is open
        if network not in self._models:
            self._models[network] = _export_module(network, n_inputs)
        # Recurrent operators of runtimes end the process at zero rows, so they get one more.
        one = op.const(np.zeros((1, n_inputs), dtype=np.float32))
        (output,) = inline(self._models[network])(op.concat([rows, one], axis=0)).values()
        return Array(output).take(0, -1, axis=0).var


def _find_activation(activation: nn.Module) -> Callable[[Var], Var] | None:
    write = _ACTIVATIONS.get(type(activation))
    return None if write is None or not has_default_parameters(activation) else write


def apply_affine(path: nn.Module, rows: Array) -> Array:
    """Return an affine map of rows, in float64."""
    if isinstance(path, nn.Identity):
        return rows
    if not is_perceptron(path) or len(path.layers) > 1:
        raise TypeError(f"a linear path must be an affine map, got {type(path).__name__}")
    (layer,) = path.linear_layers
    weight, bias = _read_layer(layer)
    return rows @ weight + bias


def read(tensor: Tensor) -> np.ndarray:
    """Return a tensor's numbers in float64."""
    return tensor.detach().cpu().double().numpy()


def _read_layer(layer: _Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's weights (n_inputs, n_outputs) and biases."""
    bias = read(layer.bias)
    if isinstance(layer, TransposedLinear):
        return read(layer.weight)[:, : len(bias)], bias
    return read(layer.weight).T, bias


def _export_module(network: nn.Module, n_inputs: int) -> onnx.ModelProto:
    """Return a network as a graph of its own, by torch's exporter."""
    require_packages("onnxscript")
    module = copy.deepcopy(network).cpu().float().eval()
    for part in module.modules():
        for key, hook in list(part._forward_hooks.items()):
            if isinstance(hook, OutputCheck):
                del part._forward_hooks[key]
    rows = torch.zeros(3, n_inputs)
    try:
        with _without_notices():
            program = torch.export.export(
                module, (rows,), dynamic_shapes=({0: torch.export.Dim("n_rows")},), strict=True
            )
            exported = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False)
    except Exception as error:  # of many types, none of which are documented
        raise ValueError(
            f"torch.onnx.export must be able to write the network {type(network).__name__}, for "
            f"any number of rows, and failed with {type(error).__name__}: {error}: use operations "
            "that it knows, and no number of rows that is fixed"
        ) from error
    assert exported is not None
    return exported.model_proto


@contextmanager
def _without_notices() -> Iterator[None]:
    """Return a context in which torch's exporter is silent about what is not installed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
