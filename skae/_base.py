"""What the estimators share: rows in, a trained module, rows out."""

import copy
from abc import ABC
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ._building import check_same_network, ready_to_train
from ._environment import RandomStreams
from ._intake import (
    AnyTable,
    checked_codes,
    counted_rows,
    rows_of,
    scaling_of,
    validated_table,
)
from ._own_network import NetworkOfItsOwn
from ._parameters import resolved_training, validates_parameters
from ._scaling import Scaling
from ._storage import restore_module, stored_state
from ._table import check_sample_weight
from ._training import (
    AnyRows,
    AutoencoderNet,
    Trained,
    TrainedModule,
    Training,
    make_stream_net,
    run_block,
    train,
    untrained,
)
from .modules import EncoderDecoder


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, NetworkOfItsOwn, ABC
):
    """Abstract base: `fit`, `transform` and their inverses around a module.

    A subclass writes its own literal `__init__`, and the methods of `NetworkOfItsOwn`.
    """

    module_: EncoderDecoder
    n_iter_: int
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    _scaling: Scaling
    _trained: TrainedModule
    _built_from: dict[str, Any]
    _net: AutoencoderNet | None
    _is_stream: bool  # whether `_net` is one that takes blocks

    @validates_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train on a table.

        Parameters
        ----------
        X : array-like or store of shape (n_samples, n_features)
            The rows. A store is a `numpy.memmap` or what gives slices of rows as arrays, as
            h5py, zarr and dask do. Beyond 256 MiB as float32, stores and arrays are read
            block by block and never copied as a whole.
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
            If `X` has values that are missing or infinite, or a parameter is out of its
            bounds; or if the loss is not finite from the first step on.
        """
        goes_on = self.warm_start and hasattr(self, "module_")
        goes_on = goes_on and not self._is_solved_by_start(self._built_from)
        table, weight, blueprint = self._given(X, y, sample_weight, reset=not goes_on)
        streams = RandomStreams(self.random_state)
        if goes_on:
            check_same_network(self._built_from, blueprint)
            scaling = self._scaling
        else:
            scaling = scaling_of(table, weight, blueprint["n_features"], self.standardize)
        training = self._training(blueprint, scaling, streams)

        def start(rows: AnyRows) -> EncoderDecoder:
            module = (
                copy.deepcopy(self.module_)
                if goes_on
                else self._start(blueprint, rows, training, streams)
            )
            return ready_to_train(module, training.device, streams)

        rows = rows_of(table, weight, scaling, training.device)
        if self._is_solved_by_start(blueprint):
            trained = untrained(training, start(rows), len(rows))
        else:
            trained = train(training, start, rows, streams, self.init == "pca")
        self._keep(trained, scaling, blueprint, rows)
        return self

    @validates_parameters
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on a block of rows.

        The first block gives the columns' means and scales and the start of training, so
        it should be a fair sample of what follows, and larger than the code. No rows are
        held out, and a linear autoencoder takes steps from the first block's PCA.

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
        """
        is_first = not hasattr(self, "module_")
        table, weight, blueprint = self._given(X, y, sample_weight, reset=is_first)
        streams = RandomStreams(self.random_state)
        if is_first:
            scaling = scaling_of(table, weight, blueprint["n_features"], self.standardize)
        else:
            check_same_network(self._built_from, blueprint)
            scaling = self._scaling
        training = self._training(blueprint, scaling, streams)
        rows = rows_of(table, weight, scaling, training.device)
        if not is_first and self._is_stream:
            net = self.net_
        else:
            begin = self._start(blueprint, rows, training, streams) if is_first else self.module_
            module = ready_to_train(begin, training.device, streams)
            net = make_stream_net(training, module, len(table), streams)
        losses = run_block(net, rows)
        if is_first:
            self.n_iter_, self.loss_curve_, self.validation_scores_ = 0, [], None
        self._scaling, self._built_from, self.module_ = scaling, blueprint, net.module_
        self._net, self._is_stream, self._trained = net, True, TrainedModule(net.module_)
        self.n_components_ = blueprint.get("n_components", blueprint["n_features"])
        self.n_iter_ += 1
        self.loss_curve_ = [*self.loss_curve_, *losses]
        self._fit_density(self._trained, rows, None, go_on=not is_first)
        return self

    def _given(
        self, X: ArrayLike, y: Any, sample_weight: Any, reset: bool
    ) -> tuple[AnyTable, np.ndarray | None, dict[str, Any]]:
        """Return the distinct rows, their weights, and what a module for them is built from."""
        table = self._validated(X, reset)
        weight = check_sample_weight(sample_weight, len(table))
        joined = self._joined(table, y)
        blueprint = self._blueprint(table.shape[1], joined.shape[1] > table.shape[1])
        return *counted_rows(joined, weight), blueprint

    def _joined(self, table: AnyTable, y: Any) -> AnyTable:
        """Return rows with what else training needs of each in columns beside them."""
        return table

    def _training(
        self, blueprint: dict[str, Any], scaling: Scaling, streams: RandomStreams
    ) -> Training:
        return resolved_training(self, self._objective(blueprint, scaling, streams))

    def _keep(
        self, trained: Trained, scaling: Scaling, blueprint: dict[str, Any], rows: AnyRows
    ) -> None:
        """Set the fitted attributes, all of them after all that can fail."""
        module = trained.net.module_
        network = TrainedModule(module)
        self._fit_density(network, rows, trained, go_on=False)
        self._net, self._trained, self.module_ = trained.net, network, module
        self._scaling, self._built_from = scaling, blueprint
        self._is_stream = False
        self.n_components_ = blueprint.get("n_components", blueprint["n_features"])
        self.n_iter_ = trained.n_epochs
        self.loss_curve_ = trained.loss_curve
        self.validation_scores_ = trained.validation_scores

    @property
    def mean_(self) -> np.ndarray:
        """What columns are centred at."""
        return self._scaling.mean

    @property
    def scale_(self) -> np.ndarray:
        """What centred columns are divided by."""
        return self._scaling.scale

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
        rows = self._checked(X)
        return self._trained.apply(lambda module, part: module.encode(part), rows, self._scaled)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Return the rows that codes stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            The codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The rows, in the units of the table and the precision of `X`.
        """
        check_is_fitted(self)
        codes = checked_codes(self, X)
        return self._trained.apply(
            lambda module, part: module.decode(part), codes, finish=self._scaling.inverse
        )

    def reconstruct(self, X: ArrayLike) -> np.ndarray:
        """Return rows encoded and decoded.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            What the code keeps of them, in the units of the table.
        """
        rows = self._checked(X)
        return self._trained.apply(
            lambda module, part: module(part), rows, self._scaled, finish=self._scaling.inverse
        )

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
            In units of the columns' variances, so that the mean over the training rows is
            the share of variance left unexplained, if no column is constant; with
            `standardize=False` in squared units of the table.
        """

        def squares(module: EncoderDecoder, rows: Tensor) -> Tensor:
            errors = (module(rows) - rows).square()
            return errors if per_cell else errors.mean(dim=1)

        rows = self._checked(X)
        finish = None if self.standardize else self._scaling.squares_inverse
        return self._trained.apply(squares, rows, self._scaled, finish=finish)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the log-density of each row, in nats, in the units of the table.

        Comparable with the `score_samples` of `sklearn.decomposition.PCA`,
        `sklearn.mixture.GaussianMixture` and `sklearn.neighbors.KernelDensity`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Always float64.
        """
        table = self._checked(X)
        density = self._trained.apply(
            self._log_density,
            table,
            lambda rows: self._scaling.forward(rows, np.float64),
            self._rows_at_a_time(),
        )
        return density - self._scaling.log_determinant

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
        return float(self.score_samples(X).mean())

    @property
    def net_(self) -> AutoencoderNet:
        """The skorch net around `module_`."""
        check_is_fitted(self)
        if self._net is None:
            # Stored without it: how many rows it will be given is not known any more.
            training = self._training(self._built_from, self._scaling, RandomStreams(0))
            self._net = untrained(training, self.module_, n_rows=1).net
        return self._net

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _checked(self, X: ArrayLike) -> AnyTable:
        check_is_fitted(self)
        return self._validated(X, reset=False)

    def _validated(self, X: ArrayLike, reset: bool) -> AnyTable:
        return validated_table(self, X, reset)

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return self._scaling.forward(X, X.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return stored_state(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({name: v for name, v in state.items() if name != "_weights"})
        if "_weights" in state:
            self._scaling = Scaling(*state["_scaling"])
            built = self._build(self._built_from, seed=0)
            self.module_ = restore_module(built, state["_weights"], self.device)
            self._trained = TrainedModule(self.module_)
            self._net, self._is_stream = None, False
