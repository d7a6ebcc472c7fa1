"""What the estimators share: rows in, a trained module, rows out."""

import copy
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from ._environment import RandomStreams, limited_threads, n_threads_for, resolve_device
from ._parameters import OPTIMIZERS, validates_parameters
from ._scaling import Scaling
from ._table import check_sample_weight, distinct_rows
from ._training import (
    AutoencoderNet,
    Objective,
    Rows,
    Trained,
    TrainedModule,
    Training,
    make_stream_net,
    run_block,
    train,
    untrained,
)
from .modules import Autoencoder

_FLOATS = (np.float64, np.float32)
_NOT_PICKLED = ("_net", "_trained", "module_")


class BaseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """Abstract base: `fit`, `transform` and their inverses around a module.

    A subclass writes its own literal `__init__` with the shared parameters, and says what
    is its own by the abstract methods below.
    """

    # What a subclass says -------------------------------------------------------------

    @abstractmethod
    def _blueprint(self, n_features: int) -> dict[str, Any]:
        """Return what the module is built from, as values that any pickler can store."""

    @staticmethod
    @abstractmethod
    def _build(blueprint: dict[str, Any], seed: int) -> Autoencoder:
        """Return the module of a blueprint, on the CPU, with weights drawn from `seed`."""

    @abstractmethod
    def _start(
        self, blueprint: dict[str, Any], rows: Rows, training: Training, streams: RandomStreams
    ) -> Autoencoder:
        """Return a module where training on `rows` begins."""

    @abstractmethod
    def _objective(self) -> Objective:
        """Return what training minimises."""

    @abstractmethod
    def _is_solved_by_start(self) -> bool:
        """Whether the start is the optimum, so that there is nothing to train."""

    @abstractmethod
    def _fit_density(
        self, rows: Rows, trained: TrainedModule, held_out: float | None, go_on: bool
    ) -> None:
        """Estimate from rows what the score needs; `go_on` adds to what is known."""

    @abstractmethod
    def _log_density(self, module: Autoencoder, rows: Tensor) -> Tensor:
        """Return the log-density of scaled rows."""

    # Fitting --------------------------------------------------------------------------

    @validates_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train on a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. In tables of up to 10,000 rows a weight of two and
            a row that is there twice give the same fit to the last bit.

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
        goes_on = self.warm_start and hasattr(self, "module_") and not self._is_solved_by_start()
        X = validate_data(self, X, dtype=_FLOATS, reset=not goes_on)
        weight = check_sample_weight(sample_weight, len(X))
        training, streams = self._training(), RandomStreams(self.random_state)
        blueprint = self._blueprint(X.shape[1])
        X, weight = distinct_rows(X, weight)
        if goes_on:
            self._check_same_blueprint(blueprint)
            scaling, found = self._scaling, self.module_

            def start(rows: Rows) -> Autoencoder:
                return copy.deepcopy(found).train()
        else:
            scaling = Scaling.of(X, weight, self.standardize)

            def start(rows: Rows) -> Autoencoder:
                return self._start(blueprint, rows, training, streams)

        rows = _on_device(X, weight, scaling, training.device)
        with self._threads(training, blueprint, len(rows)):
            if self._is_solved_by_start():
                trained = untrained(training, start(rows), rows)
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
        held out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The block.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        is_first = not hasattr(self, "module_")
        X = validate_data(self, X, dtype=_FLOATS, reset=is_first)
        weight = check_sample_weight(sample_weight, len(X))
        training, streams = self._training(), RandomStreams(self.random_state)
        X, weight = distinct_rows(X, weight)
        if is_first:
            self._begin_stream(X, weight, training, streams)
        elif not self._streams:
            self._net = make_stream_net(training, self.module_, len(X), streams)
            self._streams = True
        rows = _on_device(X, weight, self._scaling, training.device)
        with self._threads(training, self._built_from, len(rows)):
            self.loss_curve_ = [*self.loss_curve_, *run_block(self._net, rows)]
            self.n_iter_ += 1
            self._trained = TrainedModule(self.module_)
            self._fit_density(rows, self._trained, None, go_on=not is_first)
        return self

    def _begin_stream(
        self, X: np.ndarray, weight: np.ndarray | None, training: Training, streams: RandomStreams
    ) -> None:
        blueprint = self._blueprint(X.shape[1])
        scaling = Scaling.of(X, weight, self.standardize)
        rows = _on_device(X, weight, scaling, training.device)
        module = self._start(blueprint, rows, training, streams)
        self._net = make_stream_net(training, module, len(X), streams)
        self._streams = True
        self._scaling, self._built_from, self.module_ = scaling, blueprint, module
        self.n_components_ = blueprint["n_components"]
        self.n_iter_, self.loss_curve_, self.validation_scores_ = 0, [], None

    def _training(self) -> Training:
        """Return how to train, resolved from the parameters."""
        optimizer = self.optimizer
        return Training(
            objective=self._objective(),
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
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            verbose=int(self.verbose),
        )

    def _threads(self, training: Training, blueprint: dict[str, Any], n_rows: int) -> Any:
        n_weights = sum(p.numel() for p in self._build(blueprint, seed=0).parameters())
        work = 6.0 * n_weights * training.batch_length(n_rows)
        return limited_threads(n_threads_for(work))

    def _keep(
        self, trained: Trained, scaling: Scaling, blueprint: dict[str, Any], rows: Rows
    ) -> None:
        """Set the fitted attributes, all of them after all that can fail."""
        module = trained.net.module_
        network = TrainedModule(module)
        self._fit_density(rows, network, trained.held_out, go_on=False)
        self._net, self._trained, self.module_ = trained.net, network, module
        self._scaling, self._built_from = scaling, blueprint
        self._streams = False
        self.n_components_ = blueprint["n_components"]
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

    def _check_same_blueprint(self, blueprint: dict[str, Any]) -> None:
        changed = sorted(k for k, v in blueprint.items() if self._built_from.get(k) != v)
        if changed:
            raise ValueError(
                f"warm_start=True with another {', '.join(changed)} than the fitted network "
                "has was got, expected the same network; fit with warm_start=False"
            )

    # Using what was fitted --------------------------------------------------------------

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
        X = self._check_rows(X)
        return self._trained.apply(lambda module, rows: module.encode(rows), X, self._scaled)

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
        X = check_array(X, dtype=_FLOATS)
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} columns, but inverse_transform of "
                f"{type(self).__name__} expects codes of {self.n_components_}"
            )
        decoded = self._trained.apply(lambda module, codes: module.decode(codes), X)
        return self._scaling.inverse(decoded)

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
        X = self._check_rows(X)
        rebuilt = self._trained.apply(lambda module, rows: module(rows), X, self._scaled)
        return self._scaling.inverse(rebuilt)

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
            the share of variance left unexplained; with `standardize=False` in squared
            units of the table.
        """
        X = self._check_rows(X)

        def squares(module: Autoencoder, rows: Tensor) -> Tensor:
            errors = (module(rows) - rows).square()
            return errors if per_cell else errors.mean(dim=1)

        error = self._trained.apply(squares, X, self._scaled)
        return error if self.standardize else error * X.dtype.type(self._scaling.scale[0] ** 2)

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
        X = self._check_rows(X)
        density = self._trained.apply(
            self._log_density,
            X,
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

    @abstractmethod
    def _rows_at_a_time(self) -> int:
        """Return how many rows are scored at a time."""

    @property
    def net_(self) -> AutoencoderNet:
        """The skorch net around `module_`."""
        check_is_fitted(self)
        if self._net is None:
            n_rows = self._training().batch_length(2**31)
            self._net = untrained(self._training(), self.module_, n_rows).net
        return self._net

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _check_rows(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=_FLOATS, reset=False)

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return self._scaling.forward(X, X.dtype)

    # Storing ----------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in _NOT_PICKLED:
            state.pop(name, None)
        if hasattr(self, "module_"):
            state["_weights"] = {
                name: value.detach().cpu().numpy()
                for name, value in self.module_.state_dict().items()
            }
            state["_scaling"] = (self._scaling.mean, self._scaling.scale)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is None:
            return
        self._scaling = Scaling(*state["_scaling"])
        module = self._build(self._built_from, seed=0)
        module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        self.module_ = module.to(_device_or_cpu(self.device))
        self._trained = TrainedModule(self.module_)
        self._net, self._streams = None, False


def _on_device(
    X: np.ndarray, weight: np.ndarray | None, scaling: Scaling, device: torch.device
) -> Rows:
    tensor = torch.from_numpy(scaling.forward(X, np.float32)).to(device)
    if weight is None:
        return Rows(tensor)
    return Rows(tensor, torch.from_numpy(weight.astype(np.float32)).to(device))


def _device_or_cpu(device: str) -> torch.device:
    """Return the device, or the CPU where the machine that fitted had another."""
    try:
        return resolve_device(device)
    except ValueError:
        return torch.device("cpu")
