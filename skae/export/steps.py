"""The steps of a pipeline of scikit-learn: what they are given, and which can't be written."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.shape_inference
import skl2onnx
from skl2onnx.common import data_types
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion, Pipeline

from .._data.frames import find_library, open_columns, read_column
from .._imputation import AEImputer
from .arrays import OPSET
from .tables import ROWS, Input, check_name

#: The versions of ONNX's operators in models of skl2onnx.
OPSETS = {"": OPSET, "ai.onnx.ml": 3}

_OWN_ERRORS = (NotFittedError, ValueError, TypeError, ImportError)


class StepError(Exception):
    """An error of a step, on its way through skl2onnx.

    Parameters
    ----------
    step : estimator
        The step.
    reason : Exception
        The error.
    """

    def __init__(self, step: Any, reason: Exception) -> None:
        super().__init__(str(reason))
        self.step = step
        self.reason = reason

    def name_step(self, estimator: Any) -> Exception:
        """Return the error with the name that the step has in a pipeline."""
        names = [name for name, step in list_steps(estimator) if step is self.step]
        kind = next(each for each in (*_OWN_ERRORS, Exception) if isinstance(self.reason, each))
        return kind(f"{_name_step(names[0] if names else '', self.step)}: {self.reason}")


def _list_own(estimator: Any) -> list[tuple[str, Any]] | None:
    """Return an estimator's own steps and their names; None if it is a step itself."""
    if isinstance(estimator, Pipeline):
        return list(estimator.steps)
    if isinstance(estimator, FeatureUnion):
        return list(estimator.transformer_list)
    if isinstance(estimator, ColumnTransformer):
        return [(step[0], step[1]) for step in estimator.transformers_]
    return None


def list_steps(estimator: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the innermost steps of a fitted pipeline, and their names."""
    steps = _list_own(estimator)
    if steps is None:
        yield name, estimator
        return
    for own, step in steps:
        if not _is_word(step, "passthrough", "drop"):
            yield from list_steps(step, own)


def find_first(estimator: Any) -> Any:
    """Return the first step of a pipeline, or of one within it."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    return estimator


def _is_word(step: Any, *words: str) -> bool:
    return step is None or (isinstance(step, str) and step in words)


def list_column_inputs(estimator: Any, X: Any) -> list[Input]:
    """Return the inputs of a pipeline whose first step takes the columns of a frame.

    A column of dates, or of other cells that no graph takes, is none of them: steps that take
    columns by their names need not use it.

    Parameters
    ----------
    estimator : estimator
        The fitted pipeline.
    X : frame of shape (n_samples, n_features)
        Rows of its table.
    """
    names, natives = open_columns(X)
    known = dict(zip(names, natives, strict=True))
    wanted = getattr(estimator, "feature_names_in_", names)
    absent = [name for name in wanted if name not in known]
    if absent:
        raise ValueError(
            f"X must have the columns that the estimator was fitted on, and {absent[0]!r} is not "
            "there: pass a row of that table"
        )
    inputs = []
    for name in wanted:
        own = check_name(name)
        cells, dtype = read_column(known[name], name)
        if cells.kind == "empty":
            raise ValueError(
                f"X must show the type of each column, got no value in column {name!r}: pass rows "
                "that have one"
            )
        if cells.kind in ("text", "category") and all(isinstance(n, str) for n in cells.labels):
            inputs.append(Input(own, np.str_, (1,)))
        elif cells.kind == "boolean":
            inputs.append(Input(own, np.bool_, (1,)))
        elif cells.kind == "number":
            is_single = "float32" in str(dtype[-1]).lower()
            inputs.append(Input(own, np.float32 if is_single else np.float64, (1,)))
        elif not _takes_names(find_first(estimator)):
            raise ValueError(
                f"columns of a pipeline must hold numbers, booleans or text, got {cells.kind} in "
                f"column {name!r}: drop it and fit again, or take the others by their names, with "
                "a ColumnTransformer as the first step"
            )
    return _widen(inputs)


def _widen(inputs: list[Input]) -> list[Input]:
    """Return inputs whose numbers are all of one type, float64 unless all are of float32.

    skl2onnx joins columns in the type of one of them, and may cut off the decimals of others. Whole
    numbers are none of the types: it turns them into float32, which holds few of their digits.
    """
    numbers = {each.dtype for each in inputs} - {np.bool_, np.str_}
    if len(numbers) < 2:
        return inputs
    return [replace(each, dtype=np.float64) if each.dtype in numbers else each for each in inputs]


def count_booleans(inputs: list[Input]) -> list[Input]:
    """Return inputs whose booleans are numbers, 0 and 1, in the type of the others."""
    numbers = {each.dtype for each in inputs} - {np.bool_, np.str_}
    dtype = np.float32 if numbers == {np.float32} else np.float64
    return [
        replace(each, dtype=dtype, note="0 or 1, of a boolean") if each.dtype == np.bool_ else each
        for each in inputs
    ]


def check_types(model: onnx.ModelProto) -> None:
    """Raise for a model in which an operator is given values of types that it doesn't take."""
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


def join_columns(estimator: Any, inputs: list[Input]) -> Any:
    """Return a pipeline whose first step takes columns of floats as one table, exactly.

    skl2onnx joins the inputs of other steps than a ColumnTransformer in float32.
    """
    if len(inputs) < 2 or any(each.dtype not in (np.float32, np.float64) for each in inputs):
        return estimator
    if not isinstance(estimator, Pipeline):
        return _take_columns(estimator, inputs)
    (name, first), *others = estimator.steps
    return Pipeline([(name, join_columns(first, inputs)), *others])


def _take_columns(step: Any, inputs: list[Input]) -> Any:
    is_known = isinstance(step, ColumnTransformer | FeatureUnion)
    if is_known or hasattr(step, "predict") or type(step).__module__.startswith("skae."):
        return step  # predictors have several outputs, of which a ColumnTransformer takes one
    names = [each.name for each in inputs]
    joined = ColumnTransformer([("columns", step, names)])
    joined.transformers_ = [("columns", step, names)]
    joined.sparse_output_ = False
    return joined


def _takes_names(step: Any) -> bool:
    """Whether a step takes columns by their names, so that it misses none that it does not use."""
    if not isinstance(step, ColumnTransformer):
        return False
    taken = [columns for _, own, columns in step.transformers_ if not _is_word(own, "drop")]
    return all(
        isinstance(columns, str)
        or (not isinstance(columns, slice) and all(isinstance(name, str) for name in columns))
        for columns in taken
    )


def check_steps(estimator: Any) -> None:
    """Raise for a step that has no graph."""
    _check_words(estimator)
    for name, step in list_steps(estimator):
        if isinstance(step, AEImputer):
            raise ValueError(
                f"{_name_step(name, step)} can't be written: it looks up rows of its training "
                "table. Leave it out, as transformers of skae take missing cells as they are, or "
                "fill cells in Python before"
            )


def _check_words(estimator: Any) -> None:
    """Raise for a word in the place of an estimator, which only a ColumnTransformer may have."""
    for name, step in _list_own(estimator) or ():
        if not _is_word(step, "passthrough", "drop"):
            _check_words(step)
        elif not isinstance(estimator, ColumnTransformer):
            raise ValueError(
                f"each step must be an estimator, got {step!r} as step {name!r}: leave it out"
            )


def describe_failure(
    estimator: Any,
    X: Any,
    inputs: list[Input],
    error: Exception,
    dtype: npt.DTypeLike,
    conversions: dict[type, Any],
) -> str:
    """Return which step is the reason that skl2onnx failed, and what to do.

    Parameters
    ----------
    estimator : estimator
        The fitted pipeline.
    X : frame or None
        Rows of its table, as they were given.
    inputs : list of Input
        The inputs of the graph.
    error : Exception
        What skl2onnx raised.
    dtype : type
        Type of numbers.
    conversions : dict of {type: callable}
        The converters that take the place of skl2onnx's own.
    """
    reason, is_frame = _shorten(error), find_library(X) != "array"
    if "Unable to find column" in reason and is_frame:
        names = {str(name) for name in open_columns(X)[0]} - {each.name for each in inputs}
        return (
            "steps must use columns of numbers, booleans or text, got another kind in one of the "
            f"columns {sorted(names)} ({reason}): turn it into numbers before the pipeline, or "
            "drop it, and fit again"
        )
    if "Unable to find column" in reason:
        return (
            "X must be a row of the pipeline's table, a frame, as its first step takes columns by "
            "their names: pass X[:1]"
        )
    for name, step in list_steps(estimator):
        failure = _try_alone(step, dtype, conversions)
        if failure is None:
            continue
        remedy = "Leave that step in Python, or take another one"
        if dtype == np.float64 and _try_alone(step, np.float32, conversions) is None:
            way = "X with columns of float32" if is_frame else "dtype='float32'"
            remedy = f"Pass {way}, in which it can be written"
        return (
            "each step must be a transformer or detector of skae, or one that skl2onnx converts, "
            f"and {_name_step(name, step)} is not in {np.dtype(dtype)}: {_shorten(failure)}. "
            f"{remedy}"
        )
    return (
        f"skl2onnx must convert all steps together, and can't: {reason}. Pass X with columns of "
        "float32, or leave the first steps in Python"
    )


def _try_alone(step: Any, dtype: npt.DTypeLike, conversions: dict[type, Any]) -> Exception | None:
    """Return the error of a step that skl2onnx converts neither for numbers nor for text."""
    if type(step).__module__.startswith("skae."):
        return None
    number = {np.float32: data_types.FloatTensorType, np.float64: data_types.DoubleTensorType}
    shape = [None, getattr(step, "n_features_in_", 1)]
    failure = None
    for kind in (number[np.dtype(dtype).type], data_types.StringTensorType):
        try:
            check_types(
                skl2onnx.convert_sklearn(
                    step,
                    initial_types=[(ROWS, kind(shape))],
                    target_opset=OPSETS,
                    custom_conversion_functions=conversions,
                    options={"zipmap": False} if hasattr(step, "classes_") else None,
                )
            )
        except Exception as error:  # of many kinds
            failure = failure or error
        else:
            return None
    return failure


def _name_step(name: str, step: Any) -> str:
    kind = type(step).__name__
    return f"step {name!r} ({kind})" if name else kind


def _shorten(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(" You may raise an issue")[0].rstrip(".")
