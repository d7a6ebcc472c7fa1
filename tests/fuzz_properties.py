"""What holds of every call of the fuzz: a clear error and nothing changed, or finite output."""

import contextlib
import io
import os
import re
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import sklearn
import sympy  # noqa: F401 - torch imports it late, and it adds a filter of warnings
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from torch import nn

from skae._base import BaseAutoencoder
from skae._data.frames import find_library, open_columns, read_column
from skae._training import loop

EXPECTED = (ValueError, TypeError, NotFittedError, OSError, MemoryError)

# What messages of torch, NumPy and scikit-learn's internals say, which help no user.
_INTERNALS = re.compile(
    r"mat1 and mat2|Tensor-likes|object has no attribute|index out of|singular|broadcast|"
    r"not aligned|size of tensor|expected scalar type|cannot reshape|size mismatch|"
    r"not subscriptable|not iterable|unsupported operand|out of bounds|unexpected keyword|"
    r"reduction operation|positional argument|__\w+__|must be real number, not|"
    r"zero-size array|not implemented for|state_dict|list index|NoneType' object|ambiguous"
)

# Training had to begin for the cause to be known.
_OF_TRAINING = re.compile(
    r"\blr\b|diverged|loss must be finite|not finite|must give numbers|"
    r"noise must return|architecture"
)

# The warnings that a call may give: ours, with a remedy, and scikit-learn's of names.
_WARNINGS = (
    (ConvergenceWarning, re.compile(r"diverged after|was interrupted after")),
    (UserWarning, re.compile(r"the block lies far from|the stream does not go on as it began")),
    (UserWarning, re.compile(r"valid feature names|X has feature names")),
    (UserWarning, re.compile(r"X has no observed cell in|X has a label for nearly every row in")),
    (UserWarning, re.compile(r"X has numbers or dates as text in")),
    (UserWarning, re.compile(r"alpha=.* will not hold: with the")),
    (UserWarning, re.compile(r"no row (can be|is) found at false_discovery_rate=")),
)


class Wrong(AssertionError):
    """A property that does not hold."""


# States --------------------------------------------------------------------------------------


def describe(value, name="", found=None):
    """Return all values that an object holds, to the last bit, by the path to each."""
    found = {} if found is None else found
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic):
        found[name] = repr(value)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        found[name] = (str(value.dtype), value.shape, value.tobytes())
    elif isinstance(value, torch.Tensor):
        describe(value.detach().cpu().numpy(), name, found)
    elif isinstance(value, torch.Generator):
        describe(value.get_state(), name, found)
    elif sparse.issparse(value):
        describe(value.tocoo().data, f"{name}.data", found)
        describe(value.toarray(), name, found)
    elif isinstance(value, pd.DataFrame):
        found[f"{name}.index"] = (repr([*value.columns]), repr([*value.index]), repr(value.dtypes))
        for i in range(value.shape[1]):
            describe(value.iloc[:, i].to_numpy(dtype=object), f"{name}[{i}]", found)
    elif isinstance(value, pl.DataFrame):
        describe(value.to_dict(as_series=False), name, found)
    elif isinstance(value, pa.Table):
        describe(value.to_pydict(), name, found)
    elif isinstance(value, dict):
        for key in value:
            if key != "dur":
                describe(value[key], f"{name}[{key!r}]", found)
    elif isinstance(value, list | tuple | np.ndarray):
        found[f"{name}.length"] = len(value)
        for i, part in enumerate(value):
            describe(part, f"{name}[{i}]", found)
    elif isinstance(value, nn.Module):
        describe(dict(value.state_dict()), name, found)
        found[f"{name}.training"] = value.training
    elif isinstance(value, torch.optim.Optimizer):
        describe(value.state_dict(), name, found)
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            describe(getattr(value, part.name), f"{name}.{part.name}", found)
    elif hasattr(value, "module_") and hasattr(value, "optimizer_"):  # a net
        for part in ("module_", "optimizer_", "lr", "history"):
            describe(getattr(value, part), f"{name}.{part}", found)
    elif type(value).__module__.startswith(("skae", "sklearn")):
        describe(vars(value) if hasattr(value, "__dict__") else {}, name, found)
    else:
        found[name] = type(value).__name__
    return found


def describe_estimator(estimator):
    """All that an estimator holds, but for what is made when first asked for."""
    deferred = ("_double", "_mixed", "model']", "_gap_score", "known_density")
    return {
        name: value
        for name, value in describe(estimator).items()
        if not any(part in name for part in deferred)
    }


def describe_process():
    return {
        "NumPy's random state": np.random.get_state()[1].tobytes(),  # noqa: NPY002
        "torch's random state": torch.get_rng_state().numpy().tobytes(),
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warnings": [repr(each) for each in warnings.filters],
        "errors of NumPy": np.geterr(),
        "scikit-learn": sklearn.get_config(),
        "folder": os.getcwd(),
    }


def require_same(before, after, what):
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if changed:
        raise Wrong(f"{what} changed: {', '.join(map(str, changed[:5]))}")


# Calls ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a call returned or raised."""

    result: Any = None
    error: Exception | None = None

    @property
    def is_refused(self):
        return self.error is not None


@contextmanager
def count_trainings():
    """Count the trainings that begin."""
    with mock.patch.object(loop, "_train", wraps=loop._train) as train:
        yield train


def warns_by_itself(estimator):
    """Whether NumPy's warnings may be another's: a detector's forest gives its own."""
    inner = getattr(estimator, "estimator", None)
    return inner is not None and not isinstance(inner, BaseAutoencoder)


def call(function, *args, name, owner=None, changes=False, is_ours=True, **kwargs):
    """Call a function, and see that all holds that must, whatever it does.

    `owner` is the estimator that must stay as it is, unless the call `changes` it and succeeds.
    """
    inputs = {**dict(enumerate(args)), **kwargs}
    process, given = describe_process(), describe(inputs)
    before = None if owner is None else describe_estimator(owner)
    outcome = Outcome()
    with (
        warnings.catch_warnings(record=True) as caught,
        count_trainings() as trainings,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        kind = "error" if is_ours else "ignore"  # an error's traceback says where
        warnings.simplefilter(kind, RuntimeWarning)
        filters = [repr(each) for each in warnings.filters]
        try:
            outcome = Outcome(function(*args, **kwargs))
        except EXPECTED as error:
            outcome = Outcome(error=error)
        except Exception as error:
            trace = "".join(traceback.format_exception(error)[-6:])
            raise Wrong(f"{name} raised {type(error).__name__}: {error}\n{trace}") from error
        if [repr(each) for each in warnings.filters] != filters:
            raise Wrong(f"{name} changed the warnings' filters")
    require_same(process, describe_process(), f"{name}: the process")
    require_same(given, describe(inputs), f"{name}: the input")
    _check_warnings(caught, name)
    if outcome.is_refused:
        _check_error(outcome.error, name, trainings.call_count)
    if before is not None and (outcome.is_refused or not changes):
        require_same(before, describe_estimator(owner), f"{name}: the estimator")
    return outcome


def _check_warnings(caught, name):
    for each in caught:
        text = str(each.message)
        if not any(
            issubclass(each.category, kind) and pattern.search(text) for kind, pattern in _WARNINGS
        ):
            place = f"{each.filename}:{each.lineno}"
            raise Wrong(f"{name} warned: {each.category.__name__}: {text} ({place})")


def _check_error(error, name, n_trainings):
    text = str(error)
    trace = "".join(traceback.format_exception(error)[-3:])
    if len(re.findall(r"\w+", text)) < 4 or _INTERNALS.search(text):
        raise Wrong(f"{name} has no clear error: {type(error).__name__}: {text!r}\n{trace}")
    if n_trainings and not _OF_TRAINING.search(text):
        raise Wrong(f"{name} trained before it raised: {type(error).__name__}: {text!r}")


# Outputs -------------------------------------------------------------------------------------


def check_array(values, shape, name, dtype=None):
    """Raise unless an output is finite, of this shape and, if given, this type."""
    if not isinstance(values, np.ndarray):
        raise Wrong(f"{name} returned {type(values).__name__}")
    if values.shape != shape:
        raise Wrong(f"{name} returned shape {values.shape}, not {shape}")
    if dtype is not None and values.dtype != dtype:
        raise Wrong(f"{name} returned {values.dtype}, not {np.dtype(dtype)}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise Wrong(f"{name} returned {wrong} in {(~np.isfinite(values)).sum()} of {values.size}")


def list_cells(X):
    """The columns of a table of any form, as arrays of objects with NaN for missing cells."""
    if isinstance(X, pa.Table):
        columns = [column.to_pylist() for column in X.columns]
    elif isinstance(X, pl.DataFrame):
        columns = [column.to_list() for column in X.get_columns()]
    elif isinstance(X, pd.DataFrame):
        columns = [X.iloc[:, i].astype(object) for i in range(X.shape[1])]
    else:
        columns = list(np.asarray(X).T)
    found = [np.array([*column, None], dtype=object)[:-1] for column in columns]
    return [np.where(pd.isna(column), np.nan, column) for column in found]


def find_lost(cells, column):
    """Which cells say nothing: missing ones, labels that are new, columns that had no cell."""
    missing = pd.isna(cells)
    coding = getattr(column, "coding", None)
    levels = getattr(coding, "levels", ())
    if levels and len(coding.decoded) == len(levels):  # none is infrequent
        return missing | ~pd.Series(cells).isin(levels).to_numpy()
    return missing | (coding is not None and coding.n_encoded == 0)


def check_like_fit(result, shape, columns, name):
    """Raise unless a table has the library, the names and the types of the one that was fitted.

    Only columns without an observed cell, or with labels that identify rows, may be missing.
    """
    if find_library(result) != columns.library:
        raise Wrong(f"{name} returned {type(result).__name__}, not one of {columns.library}")
    if tuple(result.shape) != shape:
        raise Wrong(f"{name} returned shape {result.shape}, not {shape}")
    names, natives = open_columns(result)
    if names != columns.names:
        raise Wrong(f"{name} returned the columns {names}, not {columns.names}")
    if columns.library == "array" and str(result.dtype) != columns.array_dtype:
        raise Wrong(f"{name} returned {result.dtype}, not {columns.array_dtype}")
    for column, native, cells in zip(columns.columns, natives, list_cells(result), strict=True):
        missing = pd.isna(cells)
        if missing.any() and column.coding.n_encoded > 1:
            raise Wrong(f"{name} returned missing cells in {column.name!r}")
        if not missing.any() and columns.library != "array":
            dtype = read_column(native, column.name)[1]
            known = dtype[:1] if dtype[0] == "object" else dtype
            if known != column.dtype[: len(known)]:
                raise Wrong(f"{name} returned {dtype}, not {column.dtype}, in {column.name!r}")
        if columns.library != "array" and cells.dtype.kind == "f":
            check_array(cells[~missing], cells[~missing].shape, name)


def check_filled(result, X, columns, name):
    """Raise unless observed cells are as they were, and the others are filled."""
    if hasattr(X, "columns"):
        if type(result) is not type(X) or [*open_columns(result)[0]] != [*open_columns(X)[0]]:
            raise Wrong(f"{name} returned {type(result).__name__}")
        if isinstance(X, pd.DataFrame) and not result.index.equals(X.index):
            raise Wrong(f"{name} returned other names of rows")
    elif not isinstance(result, np.ndarray):
        raise Wrong(f"{name} returned {type(result).__name__}")
    for place, (old, new) in enumerate(zip(list_cells(X), list_cells(result), strict=True)):
        known = ~pd.isna(old)
        if not (old[known] == new[known]).all():
            raise Wrong(f"{name} changed observed cells of column {place}")
        is_lost = columns is not None and -1 in getattr(
            columns.columns[place].coding, "decoded", []
        )
        is_lost |= columns is not None and columns.columns[place].coding.n_encoded == 0
        if pd.isna(new).any() and not is_lost:
            raise Wrong(f"{name} left cells of column {place} missing")
        numbers = [cell for cell in new[~known] if isinstance(cell, float | np.floating)]
        if np.isinf(numbers).any():
            raise Wrong(f"{name} filled in infinity")


def require_equal_bits(a, b, name):
    if not np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True):
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        gap = np.abs(a - b).max() if a.shape == b.shape else f"shapes {a.shape} and {b.shape}"
        raise Wrong(f"{name}: results differ by {gap}")


def require_close(a, b, name, tolerance=1e-5):
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    with np.errstate(all="ignore"):
        scale = 1 + np.maximum(np.abs(a), np.abs(b)).max(initial=0)
        gap = np.abs(a / scale - b / scale).max(initial=0)
    if not gap <= tolerance:
        raise Wrong(f"{name}: results differ by {gap:.3g} of {scale:.3g}")


def is_fitted(estimator):
    if not isinstance(estimator, BaseEstimator):
        return False
    return "_fitted" in vars(estimator) or "estimator_" in vars(estimator)
