"""Fitted states as plain values and arrays: one form for pickle, joblib, cloudpickle and skops.

Optimizers are not stored, and rows only where `impute` looks them up.
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from typing import Any, Generic, cast

import numpy as np
import torch

from .._data import (
    AnyTable,
    ColumnMoments,
    Columns,
    CompletedRows,
    KeptRows,
    RowForm,
    RowShape,
    Scaling,
    StreamSample,
    fill_table,
    find_row_shape,
    find_sequence_form,
    fit_sequences,
    flatten_rows,
    make_length_form,
)
from .._environment import OwnLock, resolve_device
from .._linear import Completion, ScoredColumns
from .._training import AutoencoderNet, Module, TrainedModule
from ..modules.architectures import ShapedArchitecture
from .blueprints import BlueprintT
from .density import Deferred, DensityT
from .imputation import Imputation, fill_blocks


class LoadedNet:
    """The net around a module that was loaded, made when it is first asked for."""

    def __init__(self) -> None:
        self._net: AutoencoderNet | None = None
        self._lock = OwnLock()

    def get(self, make: Callable[[], AutoencoderNet]) -> AutoencoderNet:
        """Return the net; threads that ask at the same time wait for the first."""
        with self._lock:
            if self._net is None:
                self._net = make()
            return self._net


@dataclass(frozen=True)
class FittedState(Generic[Module, BlueprintT, DensityT]):
    """All that a fit leads to.

    Attributes
    ----------
    trained : TrainedModule
        The module.
    scaling : Scaling
        The scaling of its columns.
    blueprint : Blueprint
        What it was built from.
    known_density : Density or Deferred
        What its score needs, which may be fitted when it is first asked for.
    columns : Columns or None
        What the encoded columns stand for; None if they are the table's own numbers.
    completion : Completion or None
        What missing cells are to the network; None is the columns' means.
    imputation : Imputation or None
        What `impute` learns from; None if no cell was missing.
    n_iter : int
        Epochs that its weights have seen.
    loss_curve : list of float
        Training loss of each epoch.
    validation_scores : list of float or None
        Mean loss on held-out rows at initialization and after each epoch.
    gain : tuple of (float, float) or None
        What the weights gain over the initialization on held-out rows, and its standard error.
    net : AutoencoderNet or None
        The skorch net around it; None if it was loaded.
    is_stream : bool
        Whether the net continues a stream.
    sample : StreamSample or None
        What is kept of the stream; None after `fit`. If it was loaded, it has no rows.
    row_shape : tuple of int or None, default=None
        The shape of the rows that were fitted; None is flat ones.
    kept_epoch : int or None, default=None
        The epoch that held-out rows chose, 0 for the initialization; None without such rows.
    has_sequences : bool, default=False
        Whether rows are sequences, which may be shorter than the longest one.
    share : float or None, default=None
        The share of the variance that has determined how many components there are.
    n_rows : int or None, default=None
        How many rows the net was made to train on; None if an earlier version stored the state.
    is_shared : bool, default=False
        Whether a loaded net was made to train together with other processes.
    loaded_net : LoadedNet
        The net if it was loaded.
    """

    trained: TrainedModule[Module]
    scaling: Scaling
    blueprint: BlueprintT
    known_density: DensityT | Deferred[DensityT]
    columns: Columns | None
    completion: Completion | None
    imputation: Imputation | None
    n_iter: int
    loss_curve: list[float]
    validation_scores: list[float] | None
    gain: tuple[float, float] | None
    net: AutoencoderNet | None = None
    is_stream: bool = False
    sample: StreamSample | None = None
    row_shape: RowShape = None
    kept_epoch: int | None = None
    has_sequences: bool = False
    share: float | None = None
    n_rows: int | None = None
    is_shared: bool = False
    loaded_net: LoadedNet = field(default_factory=LoadedNet, compare=False)

    def __post_init__(self) -> None:
        if self.net is not None:  # a stored state has what is known of the net, not the net
            object.__setattr__(self, "n_rows", self.net.n_rows_)
            object.__setattr__(self, "is_shared", self.net.is_shared_)

    def check_share(self, share: float) -> None:
        """Raise unless training continues with the share that has determined the components."""
        if share != self.share:
            known = self.blueprint.code_size if self.share is None else f"the share {self.share}"
            raise ValueError(
                f"n_components must be {known}, as in the fit that training continues, got the "
                f"share {share}: restore it, or fit with warm_start=False"
            )

    @property
    def density(self) -> DensityT:
        """What the score needs."""
        known = self.known_density
        return known.get() if isinstance(known, Deferred) else known

    @property
    def expected_shape(self) -> RowShape:
        """The shape that rows may have: that of the fitted ones, else that of the architecture."""
        if self.row_shape is not None:
            return self.row_shape
        architecture = self.blueprint.network.architecture
        if not isinstance(architecture, ShapedArchitecture) or architecture.shape is None:
            return None
        return tuple(architecture.shape)

    @property
    def sequence_shape(self) -> tuple[int, ...] | None:
        """The shape of the longest sequence, None if rows are no sequences."""
        if not self.has_sequences:
            return None
        n_cells = self.blueprint.network.n_features
        return self.expected_shape or (
            n_cells if self.columns is None else len(self.columns.columns),
        )

    def fit_sequences(self, X: Any) -> Any:
        """Return a table whose sequences have the length of the longest one; others as they are.

        Parameters
        ----------
        X : object
            A table as users pass it.

        Raises
        ------
        ValueError
            If one is longer.
        """
        shape = self.sequence_shape
        found = None if shape is None else fit_sequences(X, shape)
        return X if found is None else found.rows

    def find_form(self, X: Any) -> RowForm:
        """Return the form of a table's rows, which results take.

        Parameters
        ----------
        X : object
            A table as users pass it.
        """
        shape = self.sequence_shape
        found = None if shape is None else find_sequence_form(X, shape)
        return RowForm(find_row_shape(X)) if found is None else found

    def make_length_form(self, lengths: Any, n_rows: int) -> RowForm:
        """Return the form of rows that are decoded or drawn, see `make_length_form`."""
        return make_length_form(lengths, n_rows, self.sequence_shape, self.row_shape)

    def prepare(self, rows: np.ndarray, dtype: np.dtype | type | None = None) -> CompletedRows:
        """Return rows of the encoded table as the network sees them.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_encoded)
            The rows; NaN is a missing cell.
        dtype : type or None, default=None
            Their precision; None is that of the rows.
        """
        scaled = self.scaling.forward(rows, rows.dtype if dtype is None else dtype)
        return complete_rows(scaled, self.completion)

    def restore(self, values: np.ndarray, form: RowForm, index: Any = None) -> Any:
        """Return rows of the encoded table in the form of the table that was fitted.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_encoded)
            The rows.
        form : RowForm
            The form that they take.
        index : pandas.Index or None, default=None
            Names of the rows of a pandas frame.
        """
        rows = values if self.columns is None else self.columns.decode(values, index=index)
        return form.restore(rows)

    def expect(self, table: AnyTable) -> np.ndarray:
        """Return rows of the encoded table, missing cells as they are expected.

        Parameters
        ----------
        table : ndarray or stored table of shape (n_rows, n_encoded)
            The rows.
        """
        if self.imputation is not None:
            return fill_blocks(table, self.imputation.expect)
        return fill_blocks(
            table, lambda rows: self.scaling.inverse(self.prepare(rows, np.float64).values)
        )

    def clip(self, table: AnyTable, values: np.ndarray) -> np.ndarray:
        """Return rows of which filled numbers are within what their columns hold, if it is known.

        Parameters
        ----------
        table : ndarray or stored table of shape (n_rows, n_encoded)
            The rows.
        values : ndarray of shape (n_rows, n_encoded)
            The same with missing cells filled.
        """
        return values if self.imputation is None else self.imputation.clip(table, values)

    def fill(self, X: Any, values: np.ndarray) -> Any:
        """Return a table whose missing cells are those of rows of the encoded table.

        Parameters
        ----------
        X : frame or array of shape (n_rows, n_features)
            The table.
        values : ndarray of shape (n_rows, n_encoded)
            The rows.
        """
        flat, _ = flatten_rows(self.fit_sequences(X))
        return self.find_form(X).restore(fill_table(flat, values, self.columns))

    def find_half_widths(self, coverage: float) -> np.ndarray:
        """Return how far, in the table's units, the truth may be from what fills a number."""
        if self.imputation is None:
            raise ValueError(
                "interval requires a table with missing cells in fit, to learn how far filled "
                "ones are off, and no cell was missing: leave it out, or fit on rows with gaps"
            )
        return self.imputation.find_half_widths(coverage)


def complete_rows(scaled: np.ndarray, completion: Completion | None) -> CompletedRows:
    """Return scaled rows with missing cells filled; by the columns' means without a model."""
    if completion is not None:
        return completion.complete(scaled)
    observed = ~np.isnan(scaled)
    if observed.all():
        return CompletedRows(np.ascontiguousarray(scaled))
    return CompletedRows(np.where(observed, scaled, 0).astype(scaled.dtype), observed)


def dump_state(fitted: FittedState[Module, BlueprintT, DensityT]) -> dict[str, Any]:
    """Return a fitted state as plain values and arrays."""
    weights = fitted.trained.module.state_dict()
    margins = cast(ScoredColumns | None, fitted.scaling.margins)
    # Not where there is none: a detector's digest is also of its estimator's state, and states of
    # earlier versions don't have it.
    share = {} if fitted.share is None else {"share": fitted.share}
    length = {} if fitted.n_rows is None else {"n_rows": fitted.n_rows}
    processes = {"is_shared": True} if fitted.is_shared else {}
    return {
        "weights": {name: value.cpu().numpy().copy() for name, value in weights.items()},
        "scaling": astuple(replace(fitted.scaling, margins=None)),
        "margins": None if margins is None else margins.get_state(),
        "blueprint": fitted.blueprint.get_state(),
        "density": fitted.density.get_state(),
        "columns": None if fitted.columns is None else fitted.columns.get_state(),
        "completion": None if fitted.completion is None else fitted.completion.get_state(),
        "imputation": None if fitted.imputation is None else fitted.imputation.get_state(),
        "n_iter": fitted.n_iter,
        "loss_curve": fitted.loss_curve,
        "validation_scores": fitted.validation_scores,
        "gain": fitted.gain,
        "kept_epoch": fitted.kept_epoch,
        "stream": None if fitted.sample is None else _dump_sample(fitted.sample),
        "row_shape": fitted.row_shape,
        "has_sequences": fitted.has_sequences,
        **share,
        **length,
        **processes,
    }


def load_state(
    state: dict[str, Any],
    blueprint: BlueprintT,
    load_density: Callable[[dict[str, Any]], DensityT],
    device: str,
) -> FittedState[Module, BlueprintT, DensityT]:
    """Return the fitted state of a dumped one, on `device` or, where that isn't here, the CPU.

    Raises
    ------
    ValueError
        If its weights or scales are not those of a fitted network, as in a state that was not
        written by `dump_state`.
    """
    module: Module = blueprint.build(seed=0)
    scaling = Scaling(*state["scaling"])
    margins = state.get("margins")  # not in the states of earlier versions
    if margins is not None:
        scaling = replace(scaling, margins=ScoredColumns.from_state(margins))
    _check_scaling(scaling, blueprint.network.n_features)
    _load_weights(module, state["weights"])
    # Not in the states of earlier versions.
    stored, known, gaps = (state.get(name) for name in ("columns", "completion", "imputation"))
    gain = state.get("gain")
    row_shape = state.get("row_shape")
    completion = None if known is None else Completion.from_state(known)
    columns = None if stored is None else Columns.from_state(stored)
    cells = blueprint.network.cells
    imputation = None
    if gaps is not None:
        imputation = Imputation.from_state(gaps, scaling, cells, columns, completion)
    try:
        module = module.to(resolve_device(device))
    except ValueError:
        module = module.cpu()
    return FittedState(
        TrainedModule(module, blueprint.network.n_features),
        scaling,
        blueprint,
        load_density(state["density"]),
        columns,
        completion,
        imputation,
        state["n_iter"],
        state["loss_curve"],
        state["validation_scores"],
        None if gain is None else tuple(gain),
        is_stream=state["stream"] is not None,
        sample=None if state["stream"] is None else _load_sample(state["stream"]),
        row_shape=None if row_shape is None else tuple(row_shape),
        kept_epoch=state.get("kept_epoch"),
        has_sequences=state.get("has_sequences", False),
        share=state.get("share"),
        n_rows=state.get("n_rows"),
        is_shared=state.get("is_shared", False),
    )


def _dump_sample(sample: StreamSample) -> dict[str, Any]:
    """Return the moments of a stream's columns; its rows are not stored."""
    return {"moments": astuple(sample.moments), "scaled_by": astuple(sample.scaled_by)}


def _load_sample(state: dict[str, Any]) -> StreamSample:
    moments, scaled_by = (ColumnMoments(*state[name]) for name in ("moments", "scaled_by"))
    return StreamSample(moments, scaled_by, KeptRows.make_empty(len(moments.mean)))


def _check_scaling(scaling: Scaling, n_features: int) -> None:
    shape = (n_features,)
    if not (np.shape(scaling.mean) == np.shape(scaling.scale) == shape):
        raise ValueError(
            f"stored means and scales must have the shape {shape}, got {np.shape(scaling.mean)} "
            f"and {np.shape(scaling.scale)}"
        )
    if not (np.isfinite(scaling.mean).all() and np.isfinite(scaling.scale).all()):
        raise ValueError("stored means and scales must be finite")
    if not (scaling.scale > 0).all():
        raise ValueError(f"stored scales must be positive, got {scaling.scale.min():g}")


def _load_weights(module: Module, weights: dict[str, np.ndarray]) -> None:
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise ValueError(f"stored weights must be finite, and {name} is not")
    try:
        module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    except RuntimeError as error:
        expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        found = {name: np.shape(value) for name, value in weights.items()}
        wrong = sorted(n for n in {*expected, *found} if expected.get(n) != found.get(n))
        raise ValueError(
            f"stored weights must be those of the network, and {', '.join(wrong)} differ: the "
            "architecture has changed since it was stored"
        ) from error
