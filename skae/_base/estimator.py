"""The base class of the transformers: rows in, a trained module, rows out."""

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Generic, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback
from torch import Tensor

from .._data import (
    SPOILING_SCALE,
    AnyRows,
    AnyTable,
    Batch,
    ColumnChoice,
    ColumnMoments,
    Columns,
    Complete,
    Rows,
    RowShape,
    ScaledTable,
    Scaling,
    StoredRows,
    StreamSample,
    TrainingTable,
    check_codes,
    check_sample_weight,
    encode_table,
    find_index,
    find_padding,
    find_row_shape,
    flatten_rows,
    keep_order,
    load_dask,
    load_rows,
    measure_columns,
    measure_distance,
    merge_copies,
    name_column,
    pad_target,
    read_table,
    row_blocks,
    subsample_indices,
    sum_weights,
    take_rows,
    write_out_copies,
)
from .._environment import (
    RandomSource,
    RandomStreams,
    check_memory,
    isolate_torch,
    resolve_device,
    warn_user,
)
from .._linear import COMPLETION_ROWS, WIDEST_COMPLETED, Completion, count_components
from .._processes import find_group, find_seed, refuse_group, take_part, wait_for_others
from .._training import (
    OPTIMIZERS,
    AutoencoderNet,
    Checkpoint,
    Module,
    Objective,
    TrainedModule,
    TrainingConfig,
    TrainingResult,
    TrainingStep,
    check_callbacks,
    leave_untrained,
    make_stream_net,
    open_checkpoint,
    restore_on_failure,
    run_block,
    train,
)
from .._training.losses import squared_error
from ..modules import Architecture, set_dropout_generator
from ..modules.cells import CellLayout
from .blueprints import (
    Blueprint,
    BlueprintT,
    NetworkConfig,
    find_sequences,
    has_shape,
    open_architecture,
)
from .callback_support import CallbackSupportMixin, begin_tasks, find_tasks
from .dask_support import DaskSupportMixin, by_blocks
from .density import Deferred, DensityT
from .documentation import DOC_LINK_TEMPLATE
from .drafts import copy_shallow, replace_when_done
from .fingerprint import describe_fit
from .imputation import Imputation, check_interval, show_limits
from .parameters import (
    Constraints,
    check_layer_sizes,
    is_share,
    validate_each_time,
    validate_parameter_constraints,
    validate_parameters,
)
from .persistence import FittedState, complete_rows, dump_state, load_state
from .seal import is_sealed, open_sealed, seal
from .sharing import check_same_estimator, check_same_table, check_shared_device

# In float32: a weight, its gradient, AdamW's two moments and Muon's momentum; the average of the
# weights and the weights that it stands in for; those of the last finite epoch and of the best one;
# and two vectors that a step needs for a while.
_BYTES_PER_WEIGHT = 44

_ERROR: Constraints = {"per_cell": ["boolean"]}


class GivenTable(NamedTuple, Generic[BlueprintT]):
    """A table to train on, and what a module for it is built from.

    Attributes
    ----------
    table : TrainingTable
        The distinct rows.
    columns : Columns or None
        What their columns stand for.
    total : float
        The weight of all rows.
    blueprint : Blueprint
        What a module is built from.
    row_shape : tuple of int or None
        The shape that rows were fitted with.
    has_sequences : bool
        Whether they are sequences, of which shorter ones are padded with NaN.
    """

    table: TrainingTable
    columns: Columns | None
    total: float
    blueprint: BlueprintT
    row_shape: RowShape
    has_sequences: bool

    @property
    def owner(self) -> np.ndarray | None:
        """Index of the table's own column behind each one that is computed with, see `Columns`."""
        return None if self.columns is None else self.columns.owner


class _Context(NamedTuple, Generic[BlueprintT]):
    """What stays as it is while blocks are trained on: parts of a `FittedState`."""

    blueprint: BlueprintT
    scaling: Scaling
    columns: Columns | None
    completion: Completion | None
    row_shape: RowShape
    has_sequences: bool


class BaseAutoencoder(
    CallbackSupportMixin,
    DaskSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    ABC,
    Generic[Module, BlueprintT, DensityT],
):
    """Abstract base: `fit`, `transform` and their inverses around a module.

    A subclass writes its own literal `__init__` and the abstract methods below. All that a fit
    leads to is one `FittedState`, set at its end.
    """

    n_components: float | None
    hidden_layer_sizes: Sequence[int]
    activation: str
    architecture: str | Architecture
    init: str
    standardize: bool | str
    categorical_features: Any
    max_categories: int | None
    dropout: float
    weight_decay: float
    max_epochs: int | str
    lr: float | str
    batch_size: int | str
    optimizer: str | Callable[..., torch.optim.Optimizer]
    device: str
    callbacks: Sequence[Callback] | None
    compile: bool
    early_stopping: bool
    validation_fraction: float
    gap: int | None
    n_iter_no_change: int
    tol: float
    trim_fraction: float
    warm_start: bool
    random_state: RandomSource
    checkpoint: str | os.PathLike[str] | None
    verbose: int

    _doc_link_module: ClassVar = "skae"
    _doc_link_template: ClassVar = DOC_LINK_TEMPLATE
    #: Returns a training step without autograd where there is one, see `TrainingConfig`.
    _fast_step: ClassVar["staticmethod[..., TrainingStep | None] | None"] = None
    #: Whether the density of a block adds to that of the blocks before; else it is of the sample.
    _density_accumulates: ClassVar[bool] = True
    _blueprint_class: type[BlueprintT]
    _fitted: FittedState[Module, BlueprintT, DensityT]

    def _can_add_density(self, blueprint: BlueprintT) -> bool:
        """Whether the density of a block adds to that of the blocks before."""
        return self._density_accumulates

    @abstractmethod
    def _make_blueprint(
        self, layout: CellLayout, has_target: bool, n_components: int | None
    ) -> BlueprintT:
        """Return what a module with a code of that size is built from."""

    @abstractmethod
    def _make_objective(
        self, blueprint: BlueprintT, scaling: Scaling, streams: RandomStreams
    ) -> Objective[Module]:
        """Return what training minimizes."""

    @abstractmethod
    def _initialize(
        self,
        blueprint: BlueprintT,
        scaling: Scaling,
        rows: AnyRows,
        config: TrainingConfig[Module],
        streams: RandomStreams,
    ) -> Module:
        """Return a module that is initialized from the rows that it will be trained on."""

    def _train_further(
        self,
        config: TrainingConfig[Module],
        result: TrainingResult[Module],
        given: "GivenTable[BlueprintT]",
        rows: AnyRows,
        streams: RandomStreams,
    ) -> TrainingResult[Module]:
        """Return the module after a second training, where the family has one."""
        return result

    @abstractmethod
    def _fit_density(
        self,
        trained: TrainedModule[Module],
        blueprint: BlueprintT,
        scaling: Scaling,
        rows: AnyRows,
        table: TrainingTable,
        result: TrainingResult[Module] | None,
        previous: DensityT | None,
    ) -> DensityT | Deferred[DensityT]:
        """Return the density of the module, from these rows and those of `previous`.

        `table` has the rows in their own units.
        """

    @staticmethod
    @abstractmethod
    def _load_density(state: dict[str, Any]) -> DensityT:
        """Return the density of a stored state."""

    @staticmethod
    def _measure_losses(module: Any, rows: Tensor) -> Tensor:
        """Return a number for each row that is finite if the module can be used on it."""
        return squared_error(module(rows), rows)

    @take_part()
    @validate_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train on a table.

        Parameters
        ----------
        X : array-like, frame or store of shape (n_samples, n_features)
            The rows. Arrays and stores of images or sequences may have more axes; what is given
            with a shape is returned with it. Sequences of unequal length may be a list of arrays
            `(n_steps,)` or `(n_steps, n_features)`, or be padded with NaN for an architecture of
            sequences; padding counts nothing. Columns of frames and of arrays of objects may hold
            numbers, booleans, categories, text, dates and durations; missing cells are learnt
            around. A store is a `numpy.memmap`, a `pyarrow.dataset` of Parquet files with columns
            as those of frames, an array or frame of dask, or an object that gives slices of rows as
            arrays, such as those of h5py and zarr. Beyond 256 MiB as float32, stores and arrays are
            read block by block and never copied as a whole. Sparse matrices are made dense, beyond
            that size block by block.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. In tables of up to 10,000 rows, copies included, and
            256 MiB, a weight of two and a row that is there twice give the same fit to the
            last bit.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X` has infinite values or no observed cell, if a column holds prose, if a
            parameter is out of its bounds, if the loss is not finite from the first step on, if
            the trained network's outputs for its training rows are not, or if `checkpoint` is
            another fit's. The estimator is then as it was.
        TypeError
            If `X` is no table, or if a column holds other things, such as lists.
        MemoryError
            If the network, or a dense array of sparse rows, is larger than this machine's memory.
        """
        with isolate_torch(), begin_tasks(self, X, y), replace_when_done(self) as draft:
            draft._fitted = draft._fit(X, y, sample_weight)
            wait_for_others()
        return self

    @validate_parameters
    def _fit_within(
        self, checkpoint: Checkpoint, X: ArrayLike, sample_weight: ArrayLike | None
    ) -> Self:
        with isolate_torch(), begin_tasks(self, X, None), replace_when_done(self) as draft:
            draft._fitted = draft._fit(X, None, sample_weight, checkpoint)
        return self

    def _fit(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None,
        checkpoint: Checkpoint | None = None,
    ) -> FittedState[Module, BlueprintT, DensityT]:
        previous = self._fitted if self.warm_start and self.__sklearn_is_fitted__() else None
        if previous is not None and previous.blueprint.is_closed_form:
            previous = None
        check_shared_device(self.device)
        check_same_estimator(self, previous is not None)
        given = self._prepare(X, y, sample_weight, previous)
        if checkpoint is not None or self.checkpoint is None:
            return self._fit_table(given, previous, find_seed(self.random_state), checkpoint)
        network = None if previous is None else previous.trained.module.state_dict()
        fingerprint = describe_fit(
            self, given.table, self.device, network, given.columns, given.row_shape
        )
        with open_checkpoint(self.checkpoint, fingerprint) as own:
            seed = own.seed if self.random_state is None else self.random_state
            return self._fit_table(given, previous, seed, own)

    def _fit_table(
        self,
        given: "GivenTable[BlueprintT]",
        previous: FittedState[Module, BlueprintT, DensityT] | None,
        random_state: RandomSource,
        checkpoint: Checkpoint | None,
    ) -> FittedState[Module, BlueprintT, DensityT]:
        table, blueprint = given.table, given.blueprint
        streams = RandomStreams(random_state)
        if previous is None:
            moments = measure_columns(self, table, float(len(table)), given.owner)
            scaling = self._make_scaling(moments, given)
            scaling = self._fit_margins(scaling, table, blueprint)
            completion = fit_completion(table, scaling)
        else:
            scaling, completion = previous.scaling, previous.completion
        check_same_table(table, scaling)
        complete = self._choose_complete(blueprint, scaling, completion)
        rows = _scale_rows(table, scaling, complete, resolve_device(self.device))
        if previous is None and is_share(self.n_components):
            blueprint = self._choose_code_size(given, rows)
        config = self._make_config(blueprint, scaling, streams, checkpoint)

        def initialize(rows: AnyRows) -> Module:
            if previous is None:
                module = self._initialize(blueprint, scaling, rows, config, streams)
            else:
                module = copy.deepcopy(previous.trained.module)
            return _prepare_module(module, config.device, streams)

        if blueprint.is_closed_form:
            result = leave_untrained(config, initialize(rows), len(rows))
        else:
            result = train(config, initialize, rows, streams, blueprint.network.linear_path)
            if not result.is_cut_short:
                result = self._train_further(config, result, given, rows, streams)
        trained = TrainedModule(result.module, rows.n_features)
        if not blueprint.is_closed_form:  # pretraining can diverge, and no epoch follow
            trained.check_outputs(rows, self._measure_losses, self.lr)
        return FittedState(
            trained,
            scaling,
            blueprint,
            self._fit_density(trained, blueprint, scaling, rows, table, result, None),
            given.columns,
            completion,
            Imputation.gather(table, scaling, blueprint.network.cells, given.columns, completion),
            result.n_epochs,
            result.loss_curve,
            result.validation_scores,
            result.gain,
            result.net,
            row_shape=given.row_shape,
            kept_epoch=None if result.selected is None else result.selected.epoch,
            has_sequences=given.has_sequences,
            share=self._find_share(),
        )

    @validate_each_time
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on a block of rows.

        The first block determines the columns' means and scales, the initialization, and how many
        components a share in `n_components` is, so it should be a fair sample of all blocks. Where
        later blocks show that a column's scale is off by a factor of two, all but the number of
        components is determined again, from a sample of up to 2,000 rows so far; at once and with a
        warning if the scale is a tenth of what it should be, else when the stream is twice as long.
        No rows are held out, and a linear autoencoder takes steps from PCA.

        Parameters of training that are set between blocks, such as `lr`, take effect in the next
        `fit`. A pickle has neither the sample nor the optimizer's moments: what is loaded goes on
        with the weights, means and scales, and a sample of the rows from then on.

        Parameters
        ----------
        X : array-like or store of shape (n_samples, n_features)
            The block.
        y : object, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            As in `fit`, and if the first block has fewer rows than determine a code.
        """
        refuse_group("partial_fit")
        with isolate_torch(), replace_when_done(self) as draft:
            draft._fitted = draft._partial_fit(X, y, sample_weight)
        return self

    def _partial_fit(
        self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None
    ) -> FittedState[Module, BlueprintT, DensityT]:
        previous = self._fitted if self.__sklearn_is_fitted__() else None
        given = self._prepare(X, y, sample_weight, previous)
        table, blueprint = given.table, given.blueprint
        block = measure_columns(self, table, given.total, given.owner)
        if previous is None:
            _check_first_block(table, given.total, blueprint)
            sample = StreamSample.begin(table, block)
            scaling = self._make_scaling(block, given)
            return self._begin_stream(given, table, sample, scaling, None)
        if previous.sample is None:  # the rows of a fit are not known
            self._warn_of_far_block(previous.scaling, block, given.owner)
            return self._continue_stream(given, None, previous)
        sample = previous.sample.extend(table, block)
        layout = blueprint.network.layout
        channels = blueprint.network.channels if previous.scaling.is_by_channel else None
        is_wrong, ratios = sample.find_wrong_scales(previous.scaling.is_common, layout, channels)
        known = sample.rows.make_table() if is_wrong.any() else None
        if known is None or len(known) <= blueprint.code_size:
            self._warn_of_far_block(previous.scaling, block, given.owner)
            return self._continue_stream(given, sample, previous)
        self._warn_of_wrong_scales(np.where(is_wrong, ratios, 1.0), given.owner)
        sample = sample.begin_again()
        known = known.set_total(sample.moments.total)
        # Of one kind with the scaling that is continued, whatever the parameter says by now.
        scaling = self._make_scaling(sample.moments, given, previous.scaling)
        return self._begin_stream(given, known, sample, scaling, previous)

    def _make_scaling(
        self,
        moments: ColumnMoments,
        given: "GivenTable[BlueprintT]",
        previous: Scaling | None = None,
    ) -> Scaling:
        """Return the scaling of columns; raise if they can't be computed with."""
        network, standardize = given.blueprint.network, self.standardize
        if previous is not None:
            standardize = False if previous.is_common else "column"
            standardize = "channel" if previous.is_by_channel else standardize
        channels = None if standardize in ("column", False) else network.channels
        if standardize == "channel" and channels is None:
            raise ValueError(
                'standardize="channel" requires an architecture with a shape, such as '
                f'"convolutional", got architecture={self.architecture!r}: use standardize=True'
            )
        return Scaling.from_moments(moments, bool(standardize), network.layout, channels)

    def _choose_complete(
        self, blueprint: BlueprintT, scaling: Scaling, completion: Completion | None
    ) -> Complete:
        """Return what fills the missing cells of rows that train."""
        return partial(complete_rows, completion=completion)

    def _fit_margins(
        self, scaling: Scaling, table: TrainingTable, blueprint: BlueprintT
    ) -> Scaling:
        """Return a scaling that maps numbers further, where the family wants it."""
        return scaling

    def _begin_stream(
        self,
        given: "GivenTable[BlueprintT]",
        known: TrainingTable,
        sample: StreamSample,
        scaling: Scaling,
        previous: FittedState[Module, BlueprintT, DensityT] | None,
    ) -> FittedState[Module, BlueprintT, DensityT]:
        """Initialize from known rows, and train on a block.

        Known rows are the block itself if it is the first, else the sample of the stream.
        """
        blueprint = given.blueprint
        streams = RandomStreams(self.random_state)
        scaling = self._fit_margins(scaling, known, blueprint)
        completion = fit_completion(known, scaling)
        complete = self._choose_complete(blueprint, scaling, completion)
        rows = _scale_rows(known, scaling, complete, resolve_device(self.device))
        if previous is None and is_share(self.n_components):
            blueprint = self._choose_code_size(given, rows)
        config = self._make_config(blueprint, scaling, streams)
        context = _Context(
            blueprint,
            scaling,
            given.columns,
            completion,
            given.row_shape,
            given.has_sequences,
        )
        module = self._initialize(blueprint, scaling, rows, config, streams)
        module = _prepare_module(module, config.device, streams)
        net = make_stream_net(config, module, len(known), streams)
        if previous is None:
            return self._train_on_block(net, rows, known, context, sample, None, None)
        run_block(net, rows)
        block = _scale_rows(given.table, scaling, complete, config.device)
        begun = self._train_on_block(net, block, given.table, context, sample, None, previous)
        # Of all rows so far, not of the last block.
        density = self._fit_density(begun.trained, blueprint, scaling, rows, known, None, None)
        return replace(begun, known_density=density)

    def _continue_stream(
        self,
        given: "GivenTable[BlueprintT]",
        sample: StreamSample | None,
        previous: FittedState[Module, BlueprintT, DensityT],
    ) -> FittedState[Module, BlueprintT, DensityT]:
        blueprint, scaling, completion = given.blueprint, previous.scaling, previous.completion
        streams = RandomStreams(self.random_state)
        config = self._make_config(blueprint, scaling, streams)
        if previous.is_stream and previous.net is not None:
            net = previous.net
        else:
            module = copy.deepcopy(previous.trained.module)
            module = _prepare_module(module, config.device, streams)
            net = make_stream_net(config, module, len(given.table), streams)
        complete = self._choose_complete(blueprint, scaling, completion)
        rows = _scale_rows(given.table, scaling, complete, config.device)
        with restore_on_failure(net):
            # A user may have set weights since the last block.
            net.module_.load_state_dict(previous.trained.module.state_dict())
            context = _Context(
                blueprint,
                scaling,
                previous.columns,
                completion,
                previous.row_shape,
                previous.has_sequences,
            )
            density = None
            if sample is None or self._can_add_density(blueprint):
                density = previous.density
            return self._train_on_block(net, rows, given.table, context, sample, density, previous)

    def _train_on_block(
        self,
        net: AutoencoderNet,
        rows: AnyRows,
        table: TrainingTable,
        context: "_Context[BlueprintT]",
        sample: StreamSample | None,
        density: DensityT | None,
        previous: FittedState[Module, BlueprintT, DensityT] | None,
    ) -> FittedState[Module, BlueprintT, DensityT]:
        losses = run_block(net, rows)
        blueprint, scaling, columns, completion, row_shape, has_sequences = context
        # A copy: the next block trains the net's module, maybe while rows are scored.
        trained: TrainedModule[Module] = TrainedModule(copy.deepcopy(net.module_), rows.n_features)
        trained.check_outputs(rows, self._measure_losses, self.lr)
        described: AnyRows = rows
        if sample is not None and not self._can_add_density(blueprint):
            table = sample.rows.make_table()
            complete = self._choose_complete(blueprint, scaling, completion)
            described = _scale_rows(table, scaling, complete, trained.device)
        imputation = None if previous is None else previous.imputation
        if sample is not None and len(sample.rows.X):
            imputation = None
            if np.isnan(sample.rows.X).any():  # to merge copies takes longer than to look
                kept = sample.rows.make_table().set_total(sample.moments.total)
                cells = blueprint.network.cells
                imputation = Imputation.gather(kept, scaling, cells, columns, completion)
        return FittedState(
            trained,
            scaling,
            blueprint,
            self._fit_density(trained, blueprint, scaling, described, table, None, density),
            columns,
            completion,
            imputation,
            1 if previous is None else previous.n_iter + 1,
            losses if previous is None else [*previous.loss_curve, *losses],
            None if previous is None else previous.validation_scores,
            None,  # no rows are held out
            net,
            is_stream=True,
            sample=sample,
            row_shape=row_shape,
            has_sequences=has_sequences,
            share=self._find_share(),
        )

    def _warn_of_far_block(
        self, scaling: Scaling, block: ColumnMoments, owner: np.ndarray | None
    ) -> None:
        distance = measure_distance(scaling, block)
        if distance.any():
            column = int(distance.argmax())
            warn_user(
                f"the block lies far from the rows so far: {name_column(self, column, owner)} is "
                f"{distance[column]:.2g} of its scales out. Check its units; its rows are trained "
                "on with the means and scales so far.",
                UserWarning,
            )

    def _warn_of_wrong_scales(self, ratios: np.ndarray, owner: np.ndarray | None) -> None:
        column = int(ratios.argmax())
        if ratios[column] <= SPOILING_SCALE:
            return
        warn_user(
            f"the stream does not go on as it began: {name_column(self, column, owner)} varies "
            f"{ratios[column]:.2g} times as much as its scale says. Means, scales and weights are "
            "determined again, from a sample of the rows so far. Shuffle the rows, or begin with "
            "a block that is a fair sample of them.",
            UserWarning,
        )

    def _prepare(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None,
        previous: FittedState[Module, BlueprintT, DensityT] | None,
    ) -> "GivenTable[BlueprintT]":
        """Return the distinct rows to train on, and what a module is built from."""
        check_callbacks(self.callbacks)
        if previous is None:
            choice = ColumnChoice(self.categorical_features, self.max_categories)
            are_sequences = find_sequences(self.architecture)
            read = read_table(self, X, choice, sample_weight, are_sequences=are_sequences)
            table, columns, row_shape, has_sequences = read
        else:
            columns, row_shape = previous.columns, previous.row_shape
            has_sequences, X = previous.has_sequences, previous.fit_sequences(X)
            table = encode_table(self, X, columns, row_shape=previous.expected_shape)
        self._check_cells(table, columns)
        weight = check_sample_weight(sample_weight, len(table))
        target = self._read_target(y, X, table, columns, has_sequences)
        layout = CellLayout.from_numbers(table.shape[1]) if columns is None else columns.layout
        if columns is not None and has_shape(self.architecture):
            _check_grid(columns)
        n_components: Any = self.n_components
        if is_share(n_components):  # how many that are, scaled rows tell, or the first ones have
            if previous is not None:
                previous.check_share(float(n_components))
            n_components = 1 if previous is None else previous.blueprint.code_size
        blueprint = self._plan_network(layout, target is not None, n_components, row_shape)
        if previous is not None:
            blueprint.check_continues(previous.blueprint)
        rows = table if target is None else table[:]
        total = float(len(table) if weight is None else sum_weights(weight))
        # Rows without numbers repeat: split one by one, none would be held out that has been seen.
        merge = merge_copies if layout.numbers or target is not None else write_out_copies
        merge = merge if self.gap is None else keep_order
        merged = merge(TrainingTable(rows, weight, target)).set_total(total)
        return GivenTable(merged, columns, total, blueprint, row_shape, has_sequences)

    def _find_share(self) -> float | None:
        """Return the share that determines how many components there are, None if a number does."""
        return float(self.n_components or 0) if is_share(self.n_components) else None

    def _plan_network(
        self,
        layout: CellLayout,
        has_target: bool,
        n_components: int | None,
        row_shape: tuple[int, ...] | None,
    ) -> BlueprintT:
        """Return what a module is built from, if it can be trained in memory."""
        blueprint = self._make_blueprint(layout, has_target, n_components).fit_shape(row_shape)
        n_weights = blueprint.count_weights()
        check_memory(
            _BYTES_PER_WEIGHT * n_weights,
            f"to train a network of {n_weights:,} weights",
            "choose a smaller n_components or hidden_layer_sizes, or fewer columns",
        )
        return blueprint

    def _choose_code_size(self, given: "GivenTable[BlueprintT]", rows: AnyRows) -> BlueprintT:
        """Return a blueprint whose code is as large as a share of the rows' variance needs."""
        has_target = isinstance(rows, Rows) and rows.batch.target is not None
        table = rows.target_table if isinstance(rows, Rows) else rows.table
        share, generator = float(self.n_components or 0), np.random.default_rng(0)
        n_components = count_components(
            table, rows.weight_array, share, self.trim_fraction, generator
        )
        cells = given.blueprint.network.cells
        return self._plan_network(cells, has_target, n_components, given.row_shape)

    def _read_target(
        self, y: Any, X: Any, table: AnyTable, columns: Columns | None, has_sequences: bool
    ) -> np.ndarray | None:
        """Return the rows to reconstruct, NaN beyond the ends of sequences; None if the table's."""
        if y is None or not has_sequences:
            return self._check_target(table, columns, _flatten_target(y, X))
        rows = load_rows(table)
        target = self._check_target(table, columns, _flatten_target(pad_target(y, rows), X))
        return None if target is None else np.where(find_padding(rows), np.nan, target)

    def _check_target(self, table: AnyTable, columns: Columns | None, y: Any) -> np.ndarray | None:
        """Return the rows to reconstruct, None if they are those of the table."""
        return None

    def _check_cells(self, table: AnyTable, columns: Columns | None) -> None:
        """Raise if the rows of a table can't be computed with."""

    def _make_config(
        self,
        blueprint: BlueprintT,
        scaling: Scaling,
        streams: RandomStreams,
        checkpoint: Checkpoint | None = None,
    ) -> TrainingConfig[Module]:
        optimizer, group = self.optimizer, find_group()
        return TrainingConfig(
            objective=self._make_objective(blueprint, scaling, streams),
            fast_step=self._fast_step,
            optimizer=OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer,
            lr=self.lr,
            weight_decay=self.weight_decay,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            device=resolve_device(self.device),
            compile=self.compile,
            callbacks=list(self.callbacks or ()),
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            gap=self.gap,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            verbose=int(self.verbose) if group is None or group.is_first else 0,
            checkpoint=checkpoint,
            tasks=find_tasks(self),
            is_shared=group is not None,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    @property
    def _state(self) -> FittedState[Module, BlueprintT, DensityT]:
        """The fitted state; an unfitted estimator raises `NotFittedError`."""
        if not self.__sklearn_is_fitted__():  # the check reads all tags first
            check_is_fitted(self)
        return self._fitted

    @property
    def module_(self) -> Module:
        """The trained module.

        Codes and rows follow changes of its weights in place. What `fit` measured with them, such
        as densities and thresholds, does not.
        """
        return self._state.trained.module

    @property
    def mean_(self) -> np.ndarray:
        """Means that columns are centred at."""
        return self._state.scaling.mean

    @property
    def scale_(self) -> np.ndarray:
        """Scales that centred columns are divided by."""
        return self._state.scaling.scale

    @property
    def n_components_(self) -> int:
        """Size of the code."""
        return self._state.blueprint.code_size

    @property
    def n_iter_(self) -> int:
        """Epochs that the weights have seen."""
        return self._state.n_iter

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss of each epoch that was run."""
        return self._state.loss_curve

    @property
    def validation_scores_(self) -> list[float] | None:
        """Mean loss on held-out rows at initialization and after each epoch."""
        return self._state.validation_scores

    @property
    def gain_(self) -> float | None:
        """How far the held-out loss of the weights is below that at initialization."""
        gain = self._state.gain
        return None if gain is None else gain[0]

    @property
    def gain_error_(self) -> float | None:
        """Standard error of `gain_`."""
        gain = self._state.gain
        return None if gain is None else gain[1]

    @property
    def net_(self) -> AutoencoderNet:
        """The skorch net around `module_`."""
        state = self._state
        if state.net is not None:
            return state.net

        def make() -> AutoencoderNet:
            with isolate_torch():
                config = self._make_config(state.blueprint, state.scaling, RandomStreams(0))
                config = replace(config, is_shared=state.is_shared)
                # Earlier versions did not store the number of rows.
                return leave_untrained(config, state.trained.module, state.n_rows or 1).net

        return state.loaded_net.get(make)

    @property
    def components_(self) -> np.ndarray:
        """Weights of the encoder's linear path."""
        weights = self._linear_weights(self.module_)
        if weights is None:
            raise AttributeError('components_ belongs to the linear path; init="random" has none')
        return weights.detach().cpu().numpy()

    @staticmethod
    @abstractmethod
    def _linear_weights(module: Any) -> Tensor | None:
        """Return the weights of the encoder's linear path, None if there is none."""

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the codes of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_components)
            Their codes, in the precision of `X`.
        """
        return self._apply(X, lambda module, rows: module.encode(rows))

    @by_blocks
    def inverse_transform(self, X: ArrayLike, lengths: ArrayLike | None = None) -> np.ndarray:
        """Return the rows that codes decode to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            The codes.
        lengths : int or array-like of int of shape (n_samples,), default=None
            For sequences: the number of steps of each, beyond which it is padded with NaN. None
            gives all the length of the longest one in `fit`.

        Returns
        -------
        X_original : ndarray or frame of shape (n_samples, n_features)
            The rows: a frame like the one that was fitted, if that had columns that aren't
            numbers, else an array in the units of the table and the precision of `X`.
        """
        state = self._state
        codes = check_codes(self, X, state.blueprint.code_size)
        form = state.make_length_form(lengths, len(codes))
        rows = state.trained.apply(
            lambda module, part: module.decode(part), codes, finish=state.scaling.inverse
        )
        return state.restore(rows, form, find_index(X))

    @by_blocks
    def reconstruct(self, X: ArrayLike) -> np.ndarray:
        """Return rows encoded and decoded.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        X_reconstructed : ndarray or frame of shape (n_samples, n_features)
            Their reconstructions, in the form that `inverse_transform` gives; sequences of a list
            in a list, each with its length, and others with their padding.
        """
        return self._apply_and_restore(X, lambda module, rows: module(rows))

    @by_blocks
    def impute(self, X: ArrayLike, *, interval: float | None = None) -> Any:
        """Return a table with its missing cells filled.

        Observed cells stay as they are. A missing one becomes what is expected of it given the
        observed cells of its row; a category, the likeliest of its levels. If the table of `fit`
        had missing cells too, similar rows of it are looked up for each of them; how far, rows
        that were held out have decided. Otherwise cells are expected as from a normal
        distribution, by linear regression on the observed ones.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            The rows.
        interval : float, default=None
            Also return limits that a missing number is within with this probability, in (0, 1).

        Returns
        -------
        X_imputed : array or frame of shape (n_samples, n_features)
            The rows, in the form and the types of `X`. Still missing are labels of columns whose
            labels identify rows, columns that had no observed cell in `fit`, and what lies beyond
            the end of a sequence.
        low, high : array or frame of shape (n_samples, n_features)
            With `interval`: the limits of numbers and dates that are missing in `X`, missing for
            all other cells, and where too few cells were hidden to tell. They are as far below
            the estimate as above it, which may lie outside of what its column holds and is cut to
            that in `X_imputed`. They are calibrated on cells hidden at random from held-out rows.

        Raises
        ------
        ValueError
            If `interval` is out of its bounds, or if no cell was missing in `fit`.
        """
        check_interval(interval)
        table, state = self._read(X)
        half = None if interval is None else state.find_half_widths(float(interval))
        expected = state.expect(table)
        values = state.clip(table, expected)
        filled = state.fill(X, values.astype(table.dtype))
        if half is None:
            return filled
        form, (flat, _) = state.find_form(X), flatten_rows(state.fit_sequences(X))
        limits = show_limits(flat, table, values, expected, half, state.columns)
        return filled, *(form.restore(limit) for limit in limits)

    @by_blocks
    def reconstruction_error(self, X: ArrayLike, *, per_cell: bool = False) -> np.ndarray:
        """Return the squared error of each row's reconstruction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        per_cell : bool, default=False
            Return an error for each cell instead of its mean over the columns.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            In units of the columns' variances, or of the channels' where these are standardized.
            So the mean over the training rows is the share of variance left unexplained, if no
            column is constant. With `standardize=False` it is in squared units of the table. All
            columns count alike, also those of categories. Missing cells have NaN, and no part in a
            mean.
        """
        given = {"per_cell": per_cell}
        validate_parameter_constraints(_ERROR, given, caller_name="reconstruction_error")

        table, state = self._read(X)
        columns = state.columns

        def squares(module: Module, batch: Batch) -> Tensor:
            errors = (module(batch.input) - batch.input).square()
            if batch.mask is None and columns is None:
                return errors if per_cell else errors.mean(dim=1)
            errors = _sum_cells(errors, batch.mask, columns)
            return errors if per_cell else errors.nanmean(dim=1)

        finish = state.scaling.inverse_squares
        errors = state.trained.apply_to_batches(squares, table, state.prepare, finish=finish)
        return state.find_form(X).restore(errors) if per_cell else errors

    @by_blocks
    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the log-density of each row, in nats, in the units of the table.

        Of a row with missing cells it is that of the observed ones; booleans and categories
        contribute the logarithm of a probability. Comparable with the `score_samples` of
        `sklearn.decomposition.PCA`, `sklearn.mixture.GaussianMixture` and
        `sklearn.neighbors.KernelDensity`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Always float64.
        """
        table, state = self._read(X)
        density = state.density
        in_single = density.tolerates_single(state.trained.module)
        scores = apply_exactly(state, table, density.log_density, in_single)
        return subtract_units(state, table, scores)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return the mean log-density of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            Mean of `score_samples(X)`: higher is better, so that `GridSearchCV` and
            `cross_val_score` can choose by it.
        """
        return float(load_dask(self.score_samples(X).mean()))

    def _apply(self, X: ArrayLike, function: Callable[[Module, Tensor], Tensor]) -> np.ndarray:
        """Return a function of completed rows, in the precision of the rows."""
        table, state = self._read(X)
        return state.trained.apply_to_batches(
            lambda module, batch: function(module, batch.input), table, state.prepare
        )

    def _apply_and_restore(self, X: ArrayLike, function: Callable[[Module, Tensor], Tensor]) -> Any:
        """Return rows that are a function of completed ones, in the form of the table."""
        table, state = self._read(X)
        rows = state.trained.apply_to_batches(
            lambda module, batch: function(module, batch.input),
            table,
            state.prepare,
            finish=state.scaling.inverse,
        )
        return state.restore(rows, state.find_form(X), find_index(X))

    def _read(self, X: ArrayLike) -> tuple[AnyTable, FittedState[Module, BlueprintT, DensityT]]:
        """Return a checked table and the fitted state, both of one moment.

        Another thread may fit the estimator anew in the meantime.
        """
        now = copy_shallow(self)
        state = now._state
        X = state.fit_sequences(X)
        table = encode_table(now, X, state.columns, row_shape=state.expected_shape)
        now._check_cells(table, state.columns)
        return table, state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.three_d_array = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of an architecture that is given by its name.

        Parameters
        ----------
        **params : dict
            Values by name. `architecture__channels` is a parameter of `architecture`, and turns
            "convolutional" into the `ConvolutionalArchitecture` that has it.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no parameter of that name.
        """
        for name in ("architecture", "discriminator"):
            start = f"{name}__"
            own = {key: value for key, value in params.items() if key.startswith(start)}
            if own and hasattr(self, name):
                opened = open_architecture(name, params.get(name, getattr(self, name)))
                # Before it takes the place of a name: a wrong parameter raises.
                opened.set_params(**{key.removeprefix(start): own[key] for key in own})
                params = {key: params[key] for key in params if key not in own} | {name: opened}
        super().set_params(**params)
        return self

    def _make_network_config(self, layout: CellLayout) -> NetworkConfig:
        return NetworkConfig(
            layout.n_encoded,
            self.architecture,
            check_layer_sizes(self.hidden_layer_sizes),
            self.activation,
            float(self.dropout),
            linear_path=self.init == "pca",
            layout=None if layout.is_numeric else layout,
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_fitted" not in state:
            return state
        with isolate_torch():
            return seal({**state, "_fitted": dump_state(state["_fitted"])})

    def __setstate__(self, state: dict[str, Any]) -> None:
        if is_sealed(state) or "_fitted" in state:
            state = open_sealed(self, state)
        fitted = state.get("_fitted")
        super().__setstate__({name: value for name, value in state.items() if name != "_fitted"})
        if fitted is not None:
            blueprint = self._blueprint_class.from_state(fitted["blueprint"])
            with isolate_torch():
                self._fitted = load_state(fitted, blueprint, self._load_density, self.device)


def fit_within(
    estimator: BaseAutoencoder[Any, Any, Any],
    checkpoint: Checkpoint,
    X: Any,
    sample_weight: ArrayLike | None,
) -> Any:
    """Return an estimator fitted as a part of another fit, which has the checkpoint."""
    return estimator._fit_within(checkpoint, X, sample_weight)


def apply_exactly(
    state: FittedState[Module, BlueprintT, DensityT],
    table: AnyTable,
    function: Callable[[Module, Batch], Tensor],
    in_single: bool = False,
) -> np.ndarray:
    """Return a function of scaled rows, in float64 and in the density's blocks.

    With `in_single`, networks beside a linear path compute in float32.
    """
    return state.trained.apply_to_batches(
        function,
        table,
        lambda rows: state.prepare(rows, np.float64),
        state.density.block_length(),
        is_mixed=in_single,
    )


def subtract_units(
    state: FittedState[Module, BlueprintT, DensityT], table: AnyTable, log_density: np.ndarray
) -> np.ndarray:
    """Return log-densities of scaled rows in the units of the table's observed numbers."""
    cells = state.blueprint.network.cells
    if isinstance(table, np.ndarray) and cells.is_numeric and not np.isnan(table).any():
        return log_density - state.scaling.log_determinant
    units = np.where(cells.is_number, np.log(state.scaling.scale), 0.0)
    out = log_density.copy()
    for rows in row_blocks(table):
        out[rows] -= ~np.isnan(table[rows]) @ units
        out[rows] += state.scaling.log_slope(table[rows])
    return out


def fit_completion(table: TrainingTable, scaling: Scaling) -> Completion | None:
    """Return what fills missing cells, None for tables so wide that their means have to do."""
    if table.X.shape[1] > WIDEST_COMPLETED:
        return None
    indices = subsample_indices(len(table), COMPLETION_ROWS)
    rows = take_rows(table.X, indices)
    weight = None if table.weight is None else table.weight[indices]
    return Completion.fit(scaling.forward(rows, np.float64), weight)


def _flatten_target(y: Any, X: Any) -> Any:
    """Return the rows to reconstruct as flat ones; raise if their shape isn't that of `X`."""
    y, row_shape = flatten_rows(load_dask(y))
    if row_shape is not None:
        expected = find_row_shape(X)
        if expected is not None and expected != row_shape:
            raise ValueError(
                f"y must be the clean rows behind X, of the same shape {expected}, got rows of "
                f"the shape {row_shape}: reshape y"
            )
    return y


def _sum_cells(errors: Tensor, mask: Tensor | None, columns: Columns | None) -> Tensor:
    """Return the sums over each column's encoded ones; NaN for cells that are not observed."""
    if mask is not None:
        errors = errors.masked_fill(~mask, torch.nan)
    if columns is None:
        return errors
    sums = errors.new_full((len(errors), len(columns.columns)), torch.nan)
    owner = torch.from_numpy(columns.owner).to(errors.device)
    sums[:, owner.unique()] = 0.0
    return sums.index_add_(1, owner, errors)


def _check_grid(columns: Columns) -> None:
    """Raise unless each cell of a row with a shape is a number."""
    for index, (_, own) in enumerate(columns.slices()):
        if own.stop - own.start != 1:
            holds = "no observed cell" if own.start == own.stop else "no numbers"
            raise ValueError(
                "an architecture with a shape takes numbers, some of them observed in each cell of "
                f"a row, and cell {index} of the flat rows holds {holds}: fill it in one row at "
                'least, or use architecture="mlp"'
            )


def _check_first_block(table: TrainingTable, n_rows: float, blueprint: Blueprint[Any]) -> None:
    """Raise unless a stream's first block has the rows that determine a code."""
    wanted = min(blueprint.code_size, table.X.shape[1]) + 1
    n_rows = max(n_rows, len(table))  # weights need not be counts
    if n_rows < wanted or len(table) < 2:
        raise ValueError(
            f"the first block of partial_fit must have at least {wanted} rows to determine a code "
            f"of {blueprint.code_size} columns, and two that differ; got {n_rows:g} rows, "
            f"{len(table)} of them different: pass a larger first block"
        )


def _scale_rows(
    table: TrainingTable, scaling: Scaling, complete: Complete, device: torch.device
) -> AnyRows:
    """Return rows that train: scaled on the device, or to be scaled as they are read."""
    weight = table.weight
    if not isinstance(table.X, np.ndarray):
        known = None if weight is None else weight.astype(np.float32)
        return StoredRows(ScaledTable(table.X, scaling, complete), known, device, table.unit)
    rows, target = complete(scaling.forward(table.X, np.float32)), None
    if table.target is not None:
        target = complete(scaling.forward(table.target, np.float32)).values
    return Rows.from_arrays(rows.values, weight, device, target, table.unit, rows.observed)


def _prepare_module(module: Module, device: torch.device, streams: RandomStreams) -> Module:
    """Return a module on a device, with dropout drawn from a generator of the fit's own."""
    module = module.to(device)
    set_dropout_generator(module, streams.make_torch_generator(device))
    return module.train()
