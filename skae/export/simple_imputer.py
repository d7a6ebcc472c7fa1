"""scikit-learn's SimpleImputer for float64: runtimes have the operator for float32 alone."""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType


def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes that fill NaN with numbers; of other imputers, those of skl2onnx."""
    imputer, output = operator.raw_operator, operator.outputs[0]
    fill = np.asarray(imputer.statistics_)
    is_plain = fill.dtype.kind == "f" and bool(np.isfinite(fill).all())
    marker = imputer.missing_values
    if (
        not isinstance(output.type, DoubleTensorType)
        or not (isinstance(marker, float) and np.isnan(marker))
        or not is_plain
        or imputer.indicator_ is not None
    ):
        get_converter("SklearnSimpleImputer")(scope, operator, container)
        return
    double = {"to": TensorProto.DOUBLE}
    parts = [_add(scope, container, "Cast", [each.full_name], **double) for each in operator.inputs]
    rows = _add(scope, container, "Concat", parts, axis=1)
    known = scope.get_unique_variable_name("fill")
    container.add_initializer(known, TensorProto.DOUBLE, [1, len(fill)], fill.tolist())
    missing = _add(scope, container, "IsNaN", [rows])
    name = scope.get_unique_operator_name("Where")
    container.add_node("Where", [missing, known, rows], [output.full_name], name=name)


def _add(scope: Any, container: Any, kind: str, inputs: list[str], **attributes: Any) -> str:
    """Add a node, and return the name of its output."""
    output: str = scope.get_unique_variable_name(kind.lower())
    name = scope.get_unique_operator_name(kind)
    container.add_node(kind, inputs, [output], name=name, **attributes)
    return output
