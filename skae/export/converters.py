"""Pipelines and other estimators of scikit-learn around those of skae, by skl2onnx.

A step of skae becomes a function of the model, in whose place its nodes are put in the end: they
have graphs within, which skl2onnx does not order.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
import onnx.shape_inference
import skl2onnx
from onnx import helper
from skl2onnx.common import data_types
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._autoencoder import AutoencoderTransformer
from .._base.seal import VERSION
from .._data.frames import find_library
from .._denoising import DenoisingAutoencoder
from .._detection import AEAnomalyDetector
from .._variational import VAETransformer
from .graphs import build_model, check_names, make_graph
from .simple_imputer import convert_imputer
from .steps import (
    OPSETS,
    StepError,
    check_steps,
    check_types,
    count_booleans,
    describe_failure,
    find_first,
    join_columns,
    list_column_inputs,
)
from .tables import ROWS, Input

_CLASSES = (AutoencoderTransformer, DenoisingAutoencoder, VAETransformer, AEAnomalyDetector)
_CONVERSIONS = {SimpleImputer: convert_imputer}
_DOMAIN = "skae"
_TYPES: dict[type, Any] = {
    np.float32: data_types.FloatTensorType,
    np.float64: data_types.DoubleTensorType,
    np.int64: data_types.Int64TensorType,
    np.bool_: data_types.BooleanTensorType,
    np.str_: data_types.StringTensorType,
}


def convert_estimator(estimator: Any, X: Any, dtype: npt.DTypeLike) -> onnx.ModelProto:
    """Return the model of an estimator of scikit-learn.

    Parameters
    ----------
    estimator : estimator
        A fitted pipeline, or another one that skl2onnx knows.
    X : frame or None
        Rows whose columns have the types of the inputs; None takes numbers, or what a first step
        of skae was fitted on.
    dtype : type
        Type of numbers, float32 or float64.
    """
    check_steps(estimator)
    inputs = _list_inputs(estimator, X, dtype)
    numbers = count_booleans(inputs)
    if numbers == inputs:
        return _convert(estimator, X, dtype, inputs)
    try:
        return _convert(estimator, X, dtype, inputs)
    except ValueError:  # many steps that take booleans in Python don't in skl2onnx
        return _convert(estimator, X, dtype, numbers)


def _convert(estimator: Any, X: Any, dtype: npt.DTypeLike, inputs: list[Input]) -> onnx.ModelProto:
    """Return the model of an estimator with these inputs."""
    steps = _Steps(_find_last(estimator))
    types = [(each.name, _make_type(each)) for each in inputs]
    try:
        model = skl2onnx.convert_sklearn(
            join_columns(estimator, inputs),
            name=_DOMAIN,
            initial_types=types,
            target_opset=OPSETS,
            custom_conversion_functions={**dict.fromkeys(_CLASSES, steps.convert), **_CONVERSIONS},
            custom_shape_calculators=dict.fromkeys(_CLASSES, lambda operator: None),
            custom_parsers=dict.fromkeys(_CLASSES, steps.parse),
            options={"zipmap": False} if hasattr(estimator, "classes_") else None,
        )
    except StepError as error:
        raise error.name_step(estimator) from error.reason
    except MemoryError:
        raise
    except Exception as error:  # skl2onnx raises errors of all kinds
        message = describe_failure(estimator, X, inputs, error, dtype, _CONVERSIONS)
        raise ValueError(message) from error
    # skl2onnx gives such an input another name.
    check_names([name for name, _ in types], [output.name for output in model.graph.output])
    model.functions.extend(steps.functions)
    # skl2onnx writes operators of the version that it is asked for, and may declare a lower one.
    del model.opset_import[:]
    versions = {**OPSETS, _DOMAIN: 1}
    model.opset_import.extend(helper.make_opsetid(*each) for each in versions.items())
    model = onnx.inliner.inline_local_functions(model)
    _restore_names(model.graph, [name for name, _ in types])
    for given, described in zip(model.graph.input, inputs, strict=True):
        given.doc_string = described.note
    model.producer_name, model.producer_version = "skae", VERSION
    try:  # skl2onnx joins some columns in different types, so that no runtime loads the model
        check_types(model)
    except onnx.shape_inference.InferenceError as error:
        message = describe_failure(estimator, X, inputs, error, dtype, _CONVERSIONS)
        raise ValueError(message) from error
    return model


def _restore_names(graph: onnx.GraphProto, names: list[str]) -> None:
    """Give inputs the names of their columns, of which skl2onnx makes identifiers."""
    written = [given.name for given in graph.input]
    for name, given in zip(names, graph.input, strict=True):
        if name == given.name:
            continue
        if name in written:
            other = names[written.index(name)]
            raise ValueError(
                "columns within a pipeline must have names that differ in letters and digits, got "
                f"{other!r} and {name!r}: rename one and fit again"
            )
        graph.node.insert(0, helper.make_node("Identity", [name], [given.name]))
        given.name = name


def _find_last(estimator: Any) -> Any:
    """Return the last step of a pipeline, or of one within it."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def _list_inputs(estimator: Any, X: Any, dtype: npt.DTypeLike) -> list[Input]:
    """Return the inputs of a pipeline's graph."""
    first = find_first(estimator)
    if isinstance(first, _CLASSES):
        return make_graph(first, dtype).inputs
    if find_library(X) != "array":
        return list_column_inputs(estimator, X)
    return [Input(ROWS, dtype, (first.n_features_in_,))]


def _make_type(given: Input) -> Any:
    return _TYPES[np.dtype(given.dtype).type]([None, *given.shape])


def _cast(scope: Any, container: Any, given: Any, elem_type: int) -> str:
    """Return the name of an input of a step in the type that it takes."""
    name: str = given.onnx_name
    if given.type.to_onnx_type().tensor_type.elem_type == elem_type:
        return name
    cast: str = scope.get_unique_variable_name("cast")
    own = scope.get_unique_operator_name("Cast")
    container.add_node("Cast", [name], [cast], name=own, to=elem_type)
    return cast


class _Steps:
    """The steps of skae of one pipeline.

    Parameters
    ----------
    last : object
        The pipeline's last step, of which all outputs are returned; of others the codes alone.
    """

    def __init__(self, last: Any) -> None:
        self.last = last
        self.functions: list[onnx.FunctionProto] = []
        self._models: dict[int, onnx.ModelProto] = {}

    def parse(self, scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> Any:
        """Return a step's outputs as variables of skl2onnx."""
        operator = scope.declare_local_operator("SkaeStep", model)
        operator.inputs = inputs
        outputs = self._build(model, inputs).graph.output
        for output in outputs if model is self.last else outputs[:1]:
            kind = output.type.tensor_type
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type).type
            shape = [each.dim_value or None for each in kind.shape.dim]
            made = _TYPES.get(dtype, data_types.StringTensorType)(shape)
            operator.outputs.append(scope.declare_local_variable(output.name, made))
        return operator.outputs

    def convert(self, scope: Any, operator: Any, container: Any) -> None:
        """Add a step's node, and its function."""
        model = self._build(operator.raw_operator, operator.inputs)
        name = f"step{len(self.functions)}"
        graph = model.graph
        self.functions.append(
            helper.make_function(
                _DOMAIN,
                name,
                [each.name for each in graph.input],
                [each.name for each in graph.output[: len(operator.outputs)]],
                graph.node,
                model.opset_import,
            )
        )
        inputs = [
            _cast(scope, container, each, wanted.type.tensor_type.elem_type)
            for each, wanted in zip(operator.inputs, graph.input, strict=True)
        ]
        outputs = [each.onnx_name for each in operator.outputs]
        node = scope.get_unique_operator_name(name)
        container.nodes.append(helper.make_node(name, inputs, outputs, node, domain=_DOMAIN))

    def _build(self, model: Any, inputs: list[Any]) -> onnx.ModelProto:
        """Return a step as a model with these inputs."""
        if id(model) not in self._models:
            try:
                self._models[id(model)] = self._write(model, inputs)
            except MemoryError:
                raise
            except Exception as error:
                raise StepError(model, error) from error
        return self._models[id(model)]

    @staticmethod
    def _write(model: Any, inputs: list[Any]) -> onnx.ModelProto:
        check_is_fitted(model)
        is_single = any(isinstance(each.type, data_types.FloatTensorType) for each in inputs)
        graph = make_graph(model, np.float32 if is_single else np.float64)
        if len(inputs) != len(graph.inputs):
            raise ValueError(
                f"{type(model).__name__} within a pipeline must be its first step or be given "
                f"one table of numbers, and takes {len(graph.inputs)} inputs, got "
                f"{len(inputs)}: let the steps before it return an array"
            )
        return build_model(graph)
