"""The state of a net in training as plain values and tensors, and back."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor, nn

from .net import AutoencoderNet

# What marks values that are neither plain nor tensors.
_ARRAY, _SCALAR, _STATE = "__ndarray__", "__scalar__", "__state_dict__"

_NET_ATTRIBUTES = ("stop_reason_", "n_finite_epochs_", "was_finite_")


class NotPlainError(Exception):
    """A value that cannot be stored."""


def read_net(net: AutoencoderNet, is_finished: bool) -> dict[str, Any]:
    """Return all that training goes on from, or its result depends on.

    Callbacks give their fitted attributes, whose names end with an underscore, as far as these
    are plain values, arrays, tensors, or objects with a `state_dict`. After a training the
    latter, which may be copies of the weights, are not needed any more.

    Raises
    ------
    NotPlainError
        If the optimizer's state has a part that cannot be stored.
    """
    tensors = dict(_name_tensors(net.module_))
    storages = {tensor.untyped_storage().data_ptr() for tensor in tensors.values()}
    return {
        "is_finished": is_finished,
        "module": {name: _copy(tensor) for name, tensor in tensors.items()},
        "trainable": [parameter.requires_grad for parameter in net.module_.parameters()],
        "optimizer": _pack_all(net.optimizer_.state_dict()),
        "is_flat": net.flat_parameters_ is not None,
        "history": _pack(list(net.history), set()),
        "net": {name: _pack(getattr(net, name), set()) for name in _NET_ATTRIBUTES},
        "callbacks": {
            name: dict(_read_attributes(callback, storages, not is_finished))
            for name, callback in net.callbacks_
        },
        "generators": [generator.get_state() for generator in net.find_generators()],
    }


def write_net(net: AutoencoderNet, state: dict[str, Any]) -> None:
    """Set an initialized net, which is like the one that was read, to a state."""
    with torch.no_grad():
        for name, tensor in _name_tensors(net.module_):
            tensor.copy_(state["module"][name])
    for parameter, is_trainable in zip(net.module_.parameters(), state["trainable"], strict=True):
        parameter.requires_grad_(is_trainable)
    if net.flat_parameters_ is not None and not state["is_flat"]:
        net.separate_parameters()
    if state["optimizer"] is not None:
        net.optimizer_.load_state_dict(_unpack(state["optimizer"]))
    net.history[:] = _unpack(state["history"])
    for name, value in state["net"].items():
        setattr(net, name, value)
    for name, callback in net.callbacks_:
        _write_attributes(callback, state["callbacks"].get(name, {}))
    for generator, value in zip(net.find_generators(), state["generators"], strict=True):
        generator.set_state(value)


def _name_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _copy(tensor: Tensor) -> Tensor:
    # A view would be stored with all that it is a view of.
    return tensor.detach().cpu().clone()


def _read_attributes(
    callback: Any, storages: set[int], with_objects: bool
) -> Iterator[tuple[str, Any]]:
    for name, value in vars(callback).items():
        if name.startswith("_") or not name.endswith("_"):
            continue
        try:
            if _has_state(value):
                if with_objects:
                    yield name, {_STATE: _pack(value.state_dict(), set())}
            else:
                yield name, _pack(value, storages)
        except NotPlainError:
            continue


def _write_attributes(callback: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if isinstance(value, dict) and _STATE in value:
            present = getattr(callback, name, None)
            if present is not None and _has_state(present):
                present.load_state_dict(_unpack(value[_STATE]))
        else:
            setattr(callback, name, _unpack(value))


def _has_state(value: Any) -> bool:
    if isinstance(value, nn.Module | torch.optim.Optimizer | NeuralNet | type):
        return False
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


def _pack(value: Any, storages: set[int]) -> Any:
    """Return a plain form of a value; parts of dictionaries that have none are left out.

    Parameters
    ----------
    value : object
        The value.
    storages : set of int
        Addresses of the module's tensors: a tensor that shares one is the module's, not a value.
    """
    if isinstance(value, np.generic):  # first: some are floats too
        return {_SCALAR: _to_tensor(np.asarray(value))}
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Tensor):
        if isinstance(value, nn.Parameter) or value.untyped_storage().data_ptr() in storages:
            raise NotPlainError
        return _copy(value)
    if isinstance(value, np.ndarray):
        return {_ARRAY: _to_tensor(value)}
    if isinstance(value, dict):
        return dict(_pack_items(value.items(), storages))
    if type(value) in (list, tuple):
        return type(value)(_pack(part, storages) for part in value)
    raise NotPlainError


def _pack_all(value: Any) -> Any:
    """Return the plain form of nested dictionaries, or raise if any part has none."""
    if isinstance(value, dict):
        return {name: _pack_all(part) for name, part in value.items()}
    if type(value) is list:
        return [_pack_all(part) for part in value]
    return _pack(value, set())


def _to_tensor(value: np.ndarray) -> Tensor:
    try:
        return torch.from_numpy(value.copy())
    except TypeError:  # of strings, objects, dates
        raise NotPlainError from None


def _pack_items(items: Iterable[tuple[Any, Any]], storages: set[int]) -> Iterator[tuple[Any, Any]]:
    for name, value in items:
        if isinstance(name, str | int):
            try:
                yield name, _pack(value, storages)
            except NotPlainError:
                continue


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        if _ARRAY in value:
            return value[_ARRAY].numpy().copy()
        if _SCALAR in value:
            return value[_SCALAR].numpy()[()]
        return {name: _unpack(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_unpack(part) for part in value)
    return value
