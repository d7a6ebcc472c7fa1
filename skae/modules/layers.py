"""The small parts of the networks."""

import copy
import math
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.utils import parametrize

#: The module behind each name of an activation.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


# Where torch keeps the hooks of a module and of a weight.
_HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
_WEIGHT_HOOKS = "_backward_hooks", "_post_accumulate_grad_hooks"


def make_linear(
    n_inputs: int, n_outputs: int, generator: torch.Generator | None = None
) -> nn.Linear:
    """Return a `torch.nn.Linear` with torch's default weights, drawn from `generator`.

    `torch.nn.Linear()` itself draws from the global generator, which would make the
    result depend on what other threads draw, and change the caller's random state.
    """
    layer = nn.utils.skip_init(nn.Linear, n_inputs, n_outputs)
    bound = 1 / math.sqrt(max(n_inputs, 1))
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


ModuleT = TypeVar("ModuleT", bound=nn.Module)


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) with a generator of its own.

    Parameters
    ----------
    p : float
        Probability that an element is zeroed while training.
    generator : torch.Generator, default=None
        Source of the masks; None is torch's global generator.
    """

    def __init__(self, p: float, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.p = p
        self.generator = generator

    def __getstate__(self) -> dict[str, Any]:
        # A generator can't be pickled; what is loaded uses torch's global generator until it gets
        # one of its own.
        return {**self.__dict__, "generator": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy_with_generator(self, memo)

    def forward(self, input: Tensor) -> Tensor:
        """Zero each element with probability `p` and scale the others up."""
        if not self.training or self.p == 0.0:
            return input
        keep = torch.empty_like(input).bernoulli_(1 - self.p, generator=self.generator)
        return input * keep / (1 - self.p)

    def extra_repr(self) -> str:
        """Return the text that `repr` shows between the brackets."""
        return f"p={self.p}"


def copy_with_generator(module: ModuleT, memo: dict[int, Any]) -> ModuleT:
    """Return a deep copy of a module whose generator, if it has one, draws as the module's.

    Parameters
    ----------
    module : torch.nn.Module
        A module with an attribute `generator`.
    memo : dict
        That of `__deepcopy__`: modules that share a generator share its copy.
    """
    state = dict(vars(module))
    generator = state.pop("generator")
    if generator is not None and id(generator) not in memo:
        memo[id(generator)] = torch.Generator(generator.device).set_state(generator.get_state())
    copied: ModuleT = object.__new__(type(module))
    memo[id(module)] = copied
    copied.__dict__.update(copy.deepcopy(state, memo))
    copied.__dict__["generator"] = None if generator is None else memo[id(generator)]
    return copied


class BatchNormalization(nn.BatchNorm1d):
    """Batch normalization (Ioffe and Szegedy 2015) of channels, whatever the axes behind them.

    Running statistics are plain means until there have been as many batches as they average over:
    few steps would leave much of their initial values. A channel with a single value, as one row
    may have, is normalized by them in training too.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return channels of mean 0 and variance 1, scaled and shifted."""
        is_training = self.training and input.numel() > input.shape[1]
        share = 0.0
        if is_training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = max(self.momentum or 0.0, 1 / int(self.num_batches_tracked))
        return batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            is_training,
            share,
            self.eps,
        )


class _FixedColumnNorm(nn.Module):
    """A weight matrix whose columns keep their initial length."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("length", weight.detach().norm(dim=0, keepdim=True))

    def forward(self, weight: Tensor) -> Tensor:
        shortest = torch.finfo(weight.dtype).tiny
        return weight * (self.length / weight.norm(dim=0, keepdim=True).clamp_min(shortest))


def has_default_parameters(activation: nn.Module) -> bool:
    """Whether an activation is its class's function: no other slope, no hook, nothing in place."""
    given, default = (_read_parameters(one) for one in (activation, type(activation)()))
    return given == default and not has_hooks(activation)


def _read_parameters(activation: nn.Module) -> dict[str, Any]:
    state = {name: value for name, value in vars(activation).items() if name[0] != "_"}
    return {**state, "training": None}


def has_hooks(*modules: nn.Module) -> bool:
    """Whether calls of modules, or their gradients, are more than their class's `forward`.

    Parameters
    ----------
    *modules : torch.nn.Module
        Without their parts.
    """
    return any(
        "forward" in vars(module)
        or any(getattr(module, name) for name in _HOOKS)
        or any(
            getattr(weight, name, None)
            for weight in module.parameters(recurse=False)
            for name in _WEIGHT_HOOKS
        )
        for module in modules
    )


def fix_column_norms(layer: nn.Linear) -> None:
    """Let training rotate the columns of a layer's weight, but not stretch them.

    A network can avoid a penalty on its code by shrinking the code and stretching the decoder.
    Columns of fixed length prevent that, as in dictionary learning (Olshausen and Field 1997).
    """
    parametrize.register_parametrization(layer, "weight", _FixedColumnNorm(layer.weight))


def set_weight(layer: nn.Linear, weight: Tensor) -> None:
    """Copy `weight` into a layer; if it keeps its columns' lengths, it keeps the new ones.

    Parameters
    ----------
    layer : torch.nn.Linear
        Changed in place.
    weight : Tensor of shape (out_features, in_features)
        The weight.
    """
    if not parametrize.is_parametrized(layer, "weight"):
        layer.weight.copy_(weight)
        return
    held = layer.get_submodule("parametrizations.weight")
    held.get_parameter("original").copy_(weight)
    held.get_submodule("0").get_buffer("length").copy_(weight.norm(dim=0, keepdim=True))
