"""The transformers as graphs."""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import BaseAutoencoder
from .._base.persistence import FittedState
from .._data import Columns, RowShape
from ..modules import Autoencoder, Denoiser, VariationalAutoencoder
from .arrays import Array
from .autoencoders import AutoencoderGraph, VariationalGraph
from .completion import FilledRows, fill_rows
from .denoisers import DenoiserGraph
from .networks import Networks
from .scaling import restore_rows, scale_rows
from .sequences import hide_padding
from .tables import EncodedRows, Input, decode_rows, encode_inputs, list_inputs


class TransformerGraph:
    """A fitted transformer as a graph.

    Parameters
    ----------
    estimator : AutoencoderTransformer, DenoisingAutoencoder or VAETransformer
        The transformer.
    dtype : type
        Type of numbers, float32 or float64.
    """

    def __init__(self, estimator: BaseAutoencoder[Any, Any, Any], dtype: npt.DTypeLike) -> None:
        self.state: FittedState[Any, Any, Any] = estimator._state
        self.dtype = dtype
        if self.state.scaling.margins is not None:
            raise ValueError(
                f"{type(estimator).__name__} maps numbers beside categories and booleans to normal "
                "scores, which ONNX has no operators for: fit it with standardize=False, or encode "
                "the categories before, with sklearn.preprocessing.OneHotEncoder in a pipeline"
            )
        self.inputs = self._list_inputs(estimator.n_features_in_)

    def _list_inputs(self, n_features: int) -> list[Input]:
        return list_inputs(self.columns, n_features, self.row_shape, self.dtype)

    @property
    def columns(self) -> Columns | None:
        """What encoded columns stand for."""
        return self.state.columns

    @property
    def row_shape(self) -> RowShape:
        """The shape of a row."""
        return self.state.row_shape

    def compute(self, arguments: list[Array]) -> dict[str, Array]:
        """Return the outputs by name."""
        state = self.state
        encoded = encode_inputs(self.flatten(arguments), self.columns)
        rows = self.prepare(encoded, self.dtype).values
        module = make_module(state, Networks())
        codes = module.encode(rows)
        found = {"reconstruction": module.decode(codes)}
        if isinstance(module, DenoiserGraph):
            found["denoised"] = module.denoise(rows)
        outputs = {"codes": codes.cast(self.dtype)}
        for name, scaled in found.items():
            restored = restore_rows(state.scaling, scaled, self.dtype)
            if state.sequence_shape is not None and self.columns is None:
                restored = hide_padding(restored, encoded.missing, state.sequence_shape)
            outputs |= decode_rows(name, restored, self.columns, self.row_shape, self.dtype)
        return outputs

    def flatten(self, arguments: list[Array]) -> list[Array]:
        """Return inputs whose rows are flat."""
        if self.row_shape is None or len(arguments) > 1:
            return arguments
        return [arguments[0].reshape(-1, int(np.prod(self.row_shape)))]

    def prepare(self, rows: EncodedRows, dtype: npt.DTypeLike) -> FilledRows:
        """Return encoded rows as the network sees them, within what a type can hold."""
        scaled = scale_rows(self.state.scaling, rows.values, rows.missing, dtype)
        return fill_rows(scaled, rows.missing, self.state.completion)


def make_module(
    state: FittedState[Any, Any, Any], networks: Networks
) -> AutoencoderGraph | DenoiserGraph | VariationalGraph:
    """Return the functions of a fitted module."""
    # On the processor, whatever the device, and in float64: networks are written in float32.
    module = copy.deepcopy(state.trained.module).cpu().double()
    if isinstance(module, Denoiser):
        return DenoiserGraph(module, networks)
    if isinstance(module, VariationalAutoencoder):
        return VariationalGraph(module, state.blueprint.code_size, networks)
    assert isinstance(module, Autoencoder)
    return AutoencoderGraph(module, networks)
