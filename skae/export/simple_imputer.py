"""scikit-learn's SimpleImputer of numbers, which runtimes have for some types and markers alone."""

from typing import Any

import numpy as np
from onnx import helper
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import Int64TensorType, StringTensorType

from .steps import StepError


def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes that fill numbers; of text, those of skl2onnx."""
    imputer, output = operator.raw_operator, operator.outputs[0]
    if imputer.indicator_ is not None:
        raise StepError(
            imputer,
            ValueError("add_indicator must be False in a graph, got True: fit again without it"),
        )
    if isinstance(output.type, StringTensorType):
        get_converter("SklearnSimpleImputer")(scope, operator, container)
        return
    is_whole = isinstance(output.type, Int64TensorType)
    fill = _read_fill(imputer, is_whole)
    kind = output.type.to_onnx_type().tensor_type.elem_type
    parts = [_add(scope, container, "Cast", [each.full_name], to=kind) for each in operator.inputs]
    rows = _add(scope, container, "Concat", parts, axis=1)
    name = scope.get_unique_operator_name("Where")
    if fill is None:
        container.add_node("Identity", [rows], [output.full_name], name=name)
        return
    known = _add_numbers(scope, container, kind, fill)
    if np.isnan(imputer.missing_values):
        missing = _add(scope, container, "IsNaN", [rows])
    else:
        marker = _add_numbers(scope, container, kind, np.asarray([imputer.missing_values]))
        missing = _add(scope, container, "Equal", [rows, marker])
    container.add_node("Where", [missing, known, rows], [output.full_name], name=name)


def _read_fill(imputer: Any, is_whole: bool) -> np.ndarray | None:
    """Return what fills the cells of each column; None if no cell can be missing."""
    marker = imputer.missing_values
    if not isinstance(marker, float | int | np.number):
        raise StepError(
            imputer,
            ValueError(
                f"missing_values must be a number in a graph, got {marker!r}: fit again with NaN"
            ),
        )
    fill = np.asarray(imputer.statistics_).astype(np.float64)
    empty = np.flatnonzero(np.isnan(fill))
    if len(empty):
        raise StepError(
            imputer,
            ValueError(
                f"X must have values in each column, got none in the training of column {empty[0]},"
                " which the imputer drops: drop it and fit again, or set keep_empty_features=True"
            ),
        )
    if not is_whole:
        return fill
    if np.isnan(marker):
        return None
    if not np.array_equal(fill, np.rint(fill)):
        raise StepError(
            imputer,
            ValueError(
                f"columns of whole numbers must be filled with such, got {fill.tolist()}: pass X "
                "with columns of floats"
            ),
        )
    return fill


def _add_numbers(scope: Any, container: Any, kind: int, values: np.ndarray) -> str:
    """Add a row of numbers, and return its name."""
    name: str = scope.get_unique_variable_name("numbers")
    typed = values.astype(helper.tensor_dtype_to_np_dtype(kind))
    container.add_initializer(name, kind, [1, len(values)], typed.tolist())
    return name


def _add(scope: Any, container: Any, kind: str, inputs: list[str], **attributes: Any) -> str:
    """Add a node, and return the name of its output."""
    output: str = scope.get_unique_variable_name(kind.lower())
    name = scope.get_unique_operator_name(kind)
    container.add_node(kind, inputs, [output], name=name, **attributes)
    return output
