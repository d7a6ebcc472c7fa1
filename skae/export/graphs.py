"""Fitted estimators as models of ONNX."""

import warnings
from collections.abc import Iterable
from typing import Any, Protocol

import numpy.typing as npt
import onnx
from spox import build

from .._base import BaseAutoencoder
from .._base.seal import VERSION
from .._detection import AEAnomalyDetector
from .arrays import Array
from .detectors import DetectorGraph
from .tables import Input
from .transformers import TransformerGraph


class EstimatorGraph(Protocol):
    """A fitted estimator as a graph."""

    @property
    def inputs(self) -> list[Input]:
        """What it is given."""

    def compute(self, arguments: list[Array]) -> dict[str, Array]:
        """Return the outputs by name."""


def make_graph(estimator: Any, dtype: npt.DTypeLike) -> EstimatorGraph:
    """Return a fitted estimator of skae as a graph, or raise if it can't be one."""
    if isinstance(estimator, AEAnomalyDetector):
        return DetectorGraph(estimator, dtype)
    if isinstance(estimator, BaseAutoencoder):
        return TransformerGraph(estimator, dtype)
    raise TypeError(
        "estimator must be a transformer or an AEAnomalyDetector of skae, or a pipeline of "
        f"scikit-learn with such steps, got {type(estimator).__name__}: fit one of these"
    )


def check_names(inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Raise an error if a column, which is an input, has the name of an output."""
    taken = set(outputs)
    twice = next((name for name in inputs if name in taken), None)
    if twice is not None:
        raise ValueError(
            "columns must have other names than the outputs of the graph, got the column "
            f"{twice!r} beside an output of this name: rename the column and fit again"
        )


def build_model(graph: EstimatorGraph) -> onnx.ModelProto:
    """Return the model of a graph."""
    arguments = {each.name: each.make_argument() for each in graph.inputs}
    with warnings.catch_warnings():
        # spox does not follow shapes through loops.
        warnings.filterwarnings("ignore", "Output type for variable")
        outputs = graph.compute([Array(var) for var in arguments.values()])
        check_names(arguments, outputs)
        model = build(
            arguments,
            {name: output.var for name, output in outputs.items()},
            drop_unused_inputs=False,
        )
    for given, described in zip(model.graph.input, graph.inputs, strict=True):
        given.doc_string = described.note
    model.producer_name, model.producer_version = "skae", VERSION
    return model
