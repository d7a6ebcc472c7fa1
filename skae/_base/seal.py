"""Seals of stored estimators: the version that stored them, and a digest of all that is stored.

Without it, one flipped bit of a file can load as another model.
"""

import hashlib
import struct
import warnings
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

VERSION = version("skae")

#: Raised by one when a stored state means something else than before.
FORMAT = 1

_SEAL = "_skae"


def seal(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an estimator with a seal."""
    stamp = {"format": FORMAT, "version": VERSION, "digest": _compute_digest(state)}
    return {**state, _SEAL: stamp}


def is_sealed(state: dict[str, Any]) -> bool:
    """Whether a state is that of a fitted estimator: it has a seal."""
    return _SEAL in state


def open_sealed(estimator: BaseEstimator, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state without its seal; what was fitted has arrays of its own.

    Raises
    ------
    ValueError
        If the state is damaged, or has a format that this version does not know.

    Warns
    -----
    InconsistentVersionWarning
        If another version stored it.
    """
    name = type(estimator).__name__
    rest = {key: value for key, value in state.items() if key != _SEAL}
    stamp = state.get(_SEAL)
    if not isinstance(stamp, dict) or set(stamp) != {"format", "version", "digest"}:
        raise ValueError(
            f"the stored {name} has no seal of skae: the file is damaged, or it was not stored by "
            "skae; store the estimator again"
        )
    if stamp["format"] != FORMAT:
        raise ValueError(
            f"the stored {name} has format {stamp['format']!r} of skae {stamp['version']}, and "
            f"skae {VERSION} reads format {FORMAT}: load it with the version that stored it, "
            "or fit again"
        )
    if stamp["digest"] != _compute_digest(rest):
        raise ValueError(
            f"the stored {name} is not what was stored: its digest differs, so the file is "
            "damaged; take another copy, or fit again"
        )
    if stamp["version"] != VERSION:
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=name,
                current_sklearn_version=f"{VERSION} of skae",
                original_sklearn_version=f"{stamp['version']} of skae",
            ),
            stacklevel=3,
        )
    parameters = type(estimator)._get_param_names()  # which stay the objects that they are
    return {k: value if k in parameters else _make_writable(value) for k, value in rest.items()}


def _make_writable(value: Any) -> Any:
    """Return a value with copies for arrays that are read-only, of which torch makes no tensors.

    Those of a file that is mapped are, and those that processes share, as Ray's and joblib's do.
    """
    if isinstance(value, np.ndarray):
        return value if value.flags.writeable else np.array(value)
    if type(value) is dict:
        return {key: _make_writable(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_make_writable(part) for part in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_make_writable(part) for part in value))
    if is_dataclass(value) and type(value).__module__.startswith("skae."):
        for field in fields(value):
            object.__setattr__(value, field.name, _make_writable(getattr(value, field.name)))
    return value


def _compute_digest(state: dict[str, Any]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    _update(digest, state)
    return digest.hexdigest()


def _update(digest: hashlib.blake2b, value: Any) -> None:
    """Add a value. Picklers give back equal values, but maybe lists for tuples."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype != object:
        _add(digest, "array", f"{value.dtype.str} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, float):
        _add(digest, "float", struct.pack("<d", value))
    elif value is None or isinstance(value, bool | int | str | bytes):
        _add(digest, type(value).__name__, repr(value).encode())
    elif isinstance(value, dict):
        _add(digest, "dict", str(len(value)).encode())
        for key in sorted(value, key=repr):
            _update(digest, key)
            _update(digest, value[key])
    elif isinstance(value, list | tuple | np.ndarray):
        _add(digest, "list", str(len(value)).encode())
        for part in value:
            _update(digest, part)
    elif is_dataclass(value) and not isinstance(value, type):
        # Without the defaults of fields that an earlier version had not, and did not store.
        own = vars(value)
        _update(
            digest, {field.name: own[field.name] for field in fields(value) if field.name in own}
        )
    elif isinstance(value, BaseEstimator):
        # Those of this package are their stored state; its own seal names the version of today.
        is_own = type(value).__module__.startswith("skae.")
        state = value.__getstate__() if is_own else vars(value)
        _add(digest, "object", type(value).__qualname__.encode())
        _update(digest, {key: part for key, part in state.items() if key != _SEAL})
    else:  # functions, callbacks, and what compiled code holds
        _add(digest, "object", type(value).__qualname__.encode())


def _add(digest: hashlib.blake2b, kind: str, content: bytes) -> None:
    digest.update(f"{kind} {len(content)} ".encode() + content)
