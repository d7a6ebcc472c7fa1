"""What a variational autoencoder can do with rows, beside encoding them."""

from abc import ABC
from dataclasses import asdict
from numbers import Integral
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ._base import BaseAutoencoder
from ._code_spread import CodeSpread
from ._environment import RandomStreams
from ._evidence import evidence_bound, importance_bound, rows_at_a_time
from ._intake import AnyTable
from ._table import check_probabilities
from ._training import AnyRows, Trained, TrainedModule
from .modules import EncoderDecoder, VariationalAutoencoder

# Variance of a code unit's posterior means above which it is active (Burda et al. 2016).
_ACTIVE_FROM = 0.01


class EvidenceBound(NamedTuple):
    """The evidence lower bound of rows, and its parts, in nats.

    Attributes
    ----------
    bound : ndarray of shape (n_samples,)
        `log_likelihood - divergence`; never above the log-density, on average over draws.
    log_likelihood : ndarray of shape (n_samples,)
        Expected log-density of a row given its code, in the units of the table.
    divergence : ndarray of shape (n_samples,)
        Divergence of the code's posterior from its prior: nats that the code tells.
    """

    bound: np.ndarray
    log_likelihood: np.ndarray
    divergence: np.ndarray


def _has_mixed_prior(estimator: "GenerativeAutoencoder") -> bool:
    if estimator.prior == "standard":
        raise AttributeError(
            'prior="standard" was got, expected "mixture" or "vamp": one Gaussian has no '
            "components to tell apart"
        )
    return True


class GenerativeAutoencoder(BaseAutoencoder, ABC):
    """Abstract base of estimators around a `VariationalAutoencoder`.

    A subclass has the parameters that are named here, and those of its base.
    """

    likelihood: str
    prior: str
    n_draws: int
    module_: VariationalAutoencoder
    _spread: dict[str, Any]

    @property
    def active_units_(self) -> np.ndarray:
        """Which units of the code say something about rows."""
        check_is_fitted(self)
        return self._spread["variance"] > _ACTIVE_FROM

    def posterior(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the Gaussians that the encoder gives for rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        mean, scale : ndarray of shape (n_samples, n_components)
            Mean, which is `transform(X)`, and standard deviation of each code unit, in
            the precision of `X`.
        """

        def both(module: EncoderDecoder, rows: Tensor) -> Tensor:
            mean, log_variance = cast(VariationalAutoencoder, module).posterior(rows)
            return torch.stack([mean, torch.exp(0.5 * log_variance)], dim=1)

        table = self._checked(X)
        values = self._trained.apply(both, table, self._scaled)
        return values[:, 0], values[:, 1]

    def elbo(self, X: ArrayLike) -> EvidenceBound:
        """Return the evidence lower bound of each row and its two parts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        elbo : EvidenceBound
            The named arrays `bound`, `log_likelihood` and `divergence`, in nats and the
            units of the table, with `beta` left out; always float64.
        """

        def parts(module: EncoderDecoder, rows: Tensor) -> Tensor:
            return evidence_bound(cast(VariationalAutoencoder, module), rows, self.n_draws)

        table = self._checked(X)
        values = self._trained.apply(parts, table, self._exactly, self._rows_at_a_time())
        log_likelihood = values[:, 0] - self._log_determinant
        return EvidenceBound(log_likelihood - values[:, 1], log_likelihood, values[:, 1])

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        noise: bool = True,
    ) -> np.ndarray:
        """Draw rows from the model: a code from the prior, a row given the code.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState instance or None, default=None
            Fixes the draws. None takes fresh entropy.
        noise : bool, default=True
            Draw rows given their codes; otherwise return the rows expected for them.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, in the units of the table, in float64.
        """
        check_is_fitted(self)
        n_rows = check_scalar(n_samples, "n_samples", Integral, min_val=1)
        module = cast(VariationalAutoencoder, self._trained.in_precision(torch.float64))
        device = next(module.parameters()).device
        generator = RandomStreams(random_state).torch_generator(device)

        def draw(module: EncoderDecoder, code: Tensor) -> Tensor:
            output = cast(VariationalAutoencoder, module).decoder(code)
            likelihood = cast(VariationalAutoencoder, module).likelihood
            return likelihood.draw(output, generator) if noise else likelihood.mean(output)

        with torch.no_grad():
            codes = module.mixture().draw(int(n_rows), generator).cpu().numpy()
        rows = self._scaling.inverse(self._trained.apply(draw, codes))
        return rows.round() if noise and self.likelihood == "bernoulli" else rows

    @available_if(_has_mixed_prior)
    def predict_component_proba(self, X: ArrayLike) -> np.ndarray:
        """Return how likely each of the prior's Gaussians made a row's code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        responsibilities : ndarray of shape (n_samples, n_mixed)
            Of each Gaussian for the posterior's mean. With `prior="vamp"` the first
            column is of the standard Gaussian, the others of the pseudo-rows.
        """

        def shares(module: EncoderDecoder, rows: Tensor) -> Tensor:
            module = cast(VariationalAutoencoder, module)
            return module.mixture().responsibilities(module.encode(rows))

        table = self._checked(X)
        return self._trained.apply(shares, table, self._scaled)

    @available_if(_has_mixed_prior)
    def predict_component(self, X: ArrayLike) -> np.ndarray:
        """Return which of the prior's Gaussians most likely made a row's code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        component : ndarray of shape (n_samples,)
            Column of the largest value of `predict_component_proba(X)`.
        """
        return self.predict_component_proba(X).argmax(axis=1)

    def _validated(self, X: ArrayLike, reset: bool) -> AnyTable:
        table = super()._validated(X, reset)
        if self.likelihood == "bernoulli":
            check_probabilities(table)
        return table

    def _exactly(self, X: np.ndarray) -> np.ndarray:
        return self._scaling.forward(X, np.float64)

    @property
    def _log_determinant(self) -> float:
        return self._scaling.log_determinant if self.likelihood == "gaussian" else 0.0

    def _fit_density(
        self, module: TrainedModule, rows: AnyRows, trained: Trained | None, go_on: bool
    ) -> None:
        spread = CodeSpread.of(rows, module)
        self._spread = asdict(CodeSpread(**self._spread).merged(spread) if go_on else spread)

    def _log_density(self, module: EncoderDecoder, rows: Tensor) -> Tensor:
        bound = importance_bound(cast(VariationalAutoencoder, module), rows, self.n_draws)
        # A mass has no units, and what is taken off for them is given back.
        return bound + (self._scaling.log_determinant - self._log_determinant)

    def _rows_at_a_time(self) -> int:
        hidden = self._built_from["hidden_layer_sizes"]
        n_mixed = len(self.module_.prior.state_dict().get("logit", [0]))
        widest = max(self.n_features_in_, self.n_components_ * n_mixed, *hidden, 1)
        return rows_at_a_time(self.n_draws, widest)
