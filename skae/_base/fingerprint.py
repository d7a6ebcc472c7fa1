"""What a fit depends on, described so that an equal fit can be told from another."""

import functools
import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback, ParamMapper

from .._data import AnyTable, Columns, RowShape, TrainingTable, row_blocks
from .._environment import resolve_device
from .._processes import find_group
from .._training import Fingerprint
from ..modules import ParametrizedArchitecture

# Parameters that say how a fit is shown or stored, and nothing of its result.
_WITHOUT_EFFECT = ("checkpoint", "verbose")

# Packages whose versions may change a result's last bits, or what a state means.
_PACKAGES = ("skae", "numpy", "scipy", "skorch", "torch")

# Longer descriptions are replaced by their digest; what lies deeper is known by its type.
_LONGEST, _DEEPEST = 200, 20


def describe_fit(
    estimator: BaseEstimator,
    table: TrainingTable,
    device: str,
    network: Any = None,
    columns: Columns | None = None,
    row_shape: RowShape = None,
) -> Fingerprint:
    """Return a description of all that the result of a fit depends on.

    Parameters
    ----------
    estimator : estimator
        Its parameters.
    table : TrainingTable
        The rows that it is fitted on.
    device : str
        The parameter of that name of the estimator that trains.
    network : object, default=None
        The weights that it continues from.
    columns : Columns or None, default=None
        What the rows' columns stand for; None if they are the table's own numbers.
    row_shape : tuple of int or None, default=None
        The shape of a row; None is a flat one.
    """
    group = find_group()
    return {
        **describe_parameters(estimator),
        "X": _digest_table(table.X),
        "the columns": _shorten(_describe(None if columns is None else columns.get_state(), set())),
        "the shape of a row": _shorten(_describe(row_shape, set())),
        "sample_weight": _shorten(_describe(table.weight, set())),
        "the total of sample_weight": _shorten(_describe(table.unit.given, set())),
        "the target": _shorten(_describe(table.target, set())),
        "the network that warm_start continues": _shorten(_describe(network, set())),
        "the device": resolve_device(device).type,
        "the number of processes": str(1 if group is None else group.size),
        **{f"the version of {name}": version(name) for name in _PACKAGES},
    }


def describe_parameters(estimator: BaseEstimator) -> Fingerprint:
    """Return a description of the parameters that the result of a fit depends on."""
    return {
        name: _shorten(_describe(value, set()))
        for name, value in sorted(estimator.get_params(deep=True).items())
        if name.rpartition("__")[2] not in _WITHOUT_EFFECT
    }


def _digest_table(table: AnyTable) -> str:
    digest = hashlib.sha256(f"{table.shape} {table.dtype}".encode())
    for rows in row_blocks(table):
        digest.update(np.ascontiguousarray(table[rows]).data)
    return digest.hexdigest()


def _shorten(description: Any) -> str:
    text = json.dumps(description, default=repr)
    return text if len(text) <= _LONGEST else hashlib.sha256(text.encode()).hexdigest()


def _describe(value: Any, around: set[int]) -> Any:
    """Return a form of a value for JSON that is the same in every process.

    `around` has the identities of the values that contain this one.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value).tobytes() if value.dtype != object else b"object"
        return [str(value.dtype), list(value.shape), hashlib.sha256(content).hexdigest()]
    if id(value) in around or len(around) > _DEEPEST:
        return _name(type(value))
    around = around | {id(value)}
    if isinstance(value, list | tuple | set | frozenset):
        is_ordered = isinstance(value, list | tuple)
        parts: Iterable[Any] = value if is_ordered else sorted(value, key=repr)
        return [_describe(part, around) for part in parts]
    if isinstance(value, dict):
        return {str(name): _describe(part, around) for name, part in value.items()}
    if isinstance(value, np.random.RandomState):
        return ["RandomState", _describe(value.get_state(legacy=True), around)]
    if isinstance(value, np.random.Generator):
        return ["Generator", _describe(value.bit_generator.state, around)]
    if isinstance(value, functools.partial):
        return [_describe(part, around) for part in (value.func, value.args, value.keywords)]
    return _describe_object(value, around)


def _describe_object(value: Any, around: set[int]) -> Any:
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        inside = (value.__defaults__, value.__kwdefaults__, cells)
        return [_name(value), _describe_code(value.__code__), _describe(inside, around)]
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return _name(value if hasattr(value, "__qualname__") else type(value))
    if isinstance(value, ParametrizedArchitecture):  # maybe one inside a function
        return [_name(type(value)), _describe(value.get_params(deep=False), around)]
    if isinstance(value, BaseEstimator):  # its parameters are described under names of their own
        return _name(type(value))
    if isinstance(value, Callback):
        return [_name(type(value)), _describe_settings(value)]
    if hasattr(value, "__func__"):  # a bound method
        return [_describe(value.__func__, around), _describe(value.__self__, around)]
    return [_name(type(value)), _describe(vars(value), around)]


def _describe_settings(callback: Callback) -> Any:
    """Return the plain settings of one of skorch's; others may change theirs as they run."""
    if not type(callback).__module__.startswith("skorch.") or isinstance(callback, ParamMapper):
        return None
    settings = {name: value for name, value in vars(callback).items() if not name.endswith("_")}
    return {n: v for n, v in settings.items() if isinstance(v, bool | int | float | str)}


def _describe_code(code: CodeType) -> str:
    """Return a digest of what a function does, which a notebook may change under one name."""
    digest = hashlib.sha256(code.co_code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            known = _describe_code(constant)
        elif isinstance(constant, frozenset):  # whose order differs between processes
            known = repr(sorted(map(repr, constant)))
        else:
            known = repr(constant)
        digest.update(known.encode())
    digest.update(repr((code.co_names, code.co_varnames)).encode())
    return digest.hexdigest()


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
