"""The density of rows under an autoencoder, by Laplace's approximation."""

import math
from dataclasses import dataclass, fields
from typing import Any, Generic, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .._base import SINGLE_VARIANCE, Density
from .._data import AnyRows, Batch, Rows, block_length, subsample_indices, trim_weight_array
from .._linear import SMALLEST_VARIANCE, Moments, draw_missing, fit_with_missing
from .._training import Module, TrainedModule
from .._training.losses import squared_error
from ..modules import EncoderDecoder
from ..modules.jacobian import Decoder, decode_with_jacobian, decoder_jacobian, push_tangents
from ..modules.single_precision import SinglePrecision
from .mixed_density import MixedDensity, MixedTask, fit_mixed_density
from .tangent_mixture import TangentMixture, Tangents, fit_tangent_mixture

# Cells of a block's largest array (rows x columns x components), and of what a row has at least.
_BLOCK_CELLS, _LEAST_CELLS = 2**19, 512

# Products of so many rows, or of a multiple, are computed alike: a row's density does not depend on
# the other rows.
_ROWS_OF_A_PRODUCT = 8

# Rows whose Jacobians are averaged, a mean needs no more; columns of all of them together, each of
# which costs a backward pass of a row; and cells of all, which cost the more the wider rows are.
_JACOBIAN_ROWS = (64, 1000)
_JACOBIAN_COLUMNS = 2**14
_JACOBIAN_CELLS = 2**24

# Rows that a mixture is fitted to, rows that its sizes are compared on, and cells of the latter's
# Jacobians.
_MIXTURE_ROWS = 2000
_TANGENT_ROWS = 500
_TANGENT_CELLS = 2**22

# What missing cells of training rows are drawn from: rows and steps of its estimation, the weight,
# in rows, of uncorrelated columns, and the draws' seed.
_GAP_ROWS = 2000
_GAP_STEPS = 50
_GAP_RIDGE = 5.0
_GAP_SEED = 20050701

# Draws of each row: so many that there are this many rows, but no more than that.
_DRAWN_ROWS = 10_000
_MOST_DRAWS = 5


@dataclass(frozen=True)
class CodeModel:
    """The Gaussian model `z ~ N(mean, factor factor')`, `x | z ~ N(g(z), variance I)`.

    Attributes
    ----------
    mean : Tensor of shape (n_components,)
        Mean of the codes.
    factor : Tensor of shape (n_components, n_components)
        A square root of the codes' covariance, which may be singular.
    variance : float
        Variance of a cell around its reconstruction.
    """

    mean: Tensor
    factor: Tensor
    variance: float


@dataclass(frozen=True)
class CodeMoments:
    """Weighted moments of rows' codes and errors, which blocks of rows can add to.

    Attributes
    ----------
    codes : Moments
        Of the codes.
    error : float
        Mean squared error of the reconstruction, summed over columns.
    gain : ndarray of shape (n_components, n_components)
        Mean of `J'J`, where `J` is the decoder's Jacobian.
    n_features : int
        Number of columns.
    observed_error : float or None
        That part of the error which training counts: of the cells that were observed. None is
        the whole.
    """

    codes: Moments
    error: float
    gain: np.ndarray
    n_features: int
    observed_error: float | None = None

    @classmethod
    def from_rows(
        cls, rows: AnyRows, trained: TrainedModule[Module], trim_fraction: float
    ) -> "CodeMoments":
        """Return the moments of rows under a trained module, by a subsample of a stored table."""
        return MomentsTask.gather(rows, trained, trim_fraction).finish(trained)

    def merge(self, other: "CodeMoments") -> "CodeMoments":
        """Return the moments of the rows of both."""
        codes = self.codes.merge(other.codes)
        share = other.codes.total / codes.total
        counted = None
        if self.observed_error is not None or other.observed_error is not None:
            counted = (1 - share) * self.counted_error + share * other.counted_error
        return CodeMoments(
            codes,
            (1 - share) * self.error + share * other.error,
            (1 - share) * self.gain + share * other.gain,
            self.n_features,
            counted,
        )

    @property
    def counted_error(self) -> float:
        """The part of the error that training counts."""
        return self.error if self.observed_error is None else self.observed_error

    def compare(self, held_out_loss: float | None) -> float:
        """Return how many times larger the error of held-out rows is, at least 1."""
        if held_out_loss is None or self.counted_error == 0:
            return 1.0
        return max(1.0, held_out_loss * self.n_features / self.counted_error)

    def make_model(self, held_out_loss: float | None) -> CodeModel:
        """Return the model of codes and cells.

        A network fits its training rows better than others, so the noise comes from the mean
        error of held-out rows if that is larger.

        Parameters
        ----------
        held_out_loss : float or None
            Mean squared error of held-out rows, averaged over columns.
        """
        n_components = len(self.codes.mean)
        error = self.error * self.compare(held_out_loss)
        freedom = self.n_features - n_components  # of the residual (Tipping 1999, eq. 8)
        variance = error / (freedom if freedom > 0 else self.n_features)
        variance = max(variance, SMALLEST_VARIANCE)
        factor = prior_factor(
            torch.from_numpy(self.codes.covariance), variance, torch.from_numpy(self.gain)
        )
        return CodeModel(torch.from_numpy(self.codes.mean), factor, variance)


@dataclass(frozen=True)
class MomentsTask:
    """The moments of rows without the decoder's Jacobians, and the rows that these are taken of.

    Attributes
    ----------
    codes, error, observed_error
        As in `CodeMoments`.
    rows : ndarray of shape (n_tangents, n_features)
        Some of the rows.
    weight : ndarray of shape (n_tangents,)
        How often they count.
    """

    codes: Moments
    error: float
    observed_error: float | None
    rows: np.ndarray
    weight: np.ndarray

    @classmethod
    def gather(
        cls, rows: AnyRows, trained: TrainedModule[Module], trim_fraction: float
    ) -> "MomentsTask":
        """Return what the moments of rows under a trained module consist of."""
        sample = rows.subsample()
        X, observed = sample.table, sample.observed
        counted, n_draws = None, 1
        if observed is None:
            both = trained.apply(_code_and_error, X).astype(np.float64)
            codes, errors = both[:, :-1], both[:, -1]
        else:
            _, left = np.split(trained.apply(_code_and_rest, X), [-X.shape[1]], axis=1)
            counted = (np.square(left) * observed).sum(axis=1)
            X, n_draws = draw_gaps(X, observed, sample.given_weight)
            codes, left = np.split(trained.apply(_code_and_rest, X), [-X.shape[1]], axis=1)
            # Each column's error is that of its observed cells, which stand for the others.
            given = sample.given_weight
            seen = given @ observed
            factor = np.where(seen > 0, given.sum() / np.where(seen > 0, seen, 1.0), 0.0)
            squares = np.square(left).reshape(n_draws, *observed.shape).mean(axis=0)
            errors = (squares * observed) @ factor
        weight = trim_weight_array(errors, sample.given_weight, trim_fraction)
        total = float(weight.sum()) * len(rows) / len(sample)
        each = weight if n_draws == 1 else np.tile(weight, n_draws)
        n_columns = min(_JACOBIAN_COLUMNS, _JACOBIAN_CELLS // X.shape[1])
        n_tangents = int(np.clip(n_columns // codes.shape[1], *_JACOBIAN_ROWS))
        indices = subsample_indices(len(X), n_tangents)
        return cls(
            Moments.from_rows(codes, each, total),
            float(np.average(errors, weights=weight)),
            None if counted is None else float(np.average(counted, weights=weight)),
            X[indices].astype(np.float64),
            each[indices],
        )

    def finish(self, trained: TrainedModule[Module]) -> CodeMoments:
        """Return the moments."""
        gain = _average_gain(self.rows, self.weight, trained, len(self.codes.mean))
        return CodeMoments(self.codes, self.error, gain, self.rows.shape[1], self.observed_error)


@dataclass(frozen=True)
class LaplaceTask(Generic[Module]):
    """What a density is fitted from, without the whole table: Jacobians may take many epochs.

    Attributes
    ----------
    moments : MomentsTask
        Of all rows.
    sample : Rows or None
        The rows that a mixture is fitted to; None without one.
    trained : TrainedModule
        The module.
    trim_fraction, held_out_loss
        As for `LaplaceDensity.fit`.
    """

    moments: MomentsTask
    sample: Rows | None
    trained: TrainedModule[Module]
    trim_fraction: float
    held_out_loss: float | None

    @classmethod
    def gather(
        cls,
        rows: AnyRows,
        trained: TrainedModule[Module],
        trim_fraction: float,
        held_out_loss: float | None,
        is_mixture: bool,
    ) -> "LaplaceTask[Module]":
        """Return the task of fitting the density of rows, see `LaplaceDensity.fit`."""
        sample = None
        if is_mixture:
            sample = rows.subsample()
            sample = sample.take(subsample_indices(len(sample), _MIXTURE_ROWS))
        moments = MomentsTask.gather(rows, trained, trim_fraction)
        return cls(moments, sample, trained, trim_fraction, held_out_loss)


@dataclass(frozen=True)
class LaplaceDensity(Density[Module]):
    """The density of rows by way of their codes.

    Attributes
    ----------
    moments : CodeMoments
        Moments of the training rows.
    model : CodeModel
        The model that they determine.
    mixture : TangentMixture or None
        The model that scores rows instead, if there is one.
    mixed : MixedDensity or None
        What scores rows of which not all cells are numbers.
    """

    moments: CodeMoments
    model: CodeModel
    mixture: TangentMixture | None = None
    mixed: MixedDensity | None = None

    @classmethod
    def fit(
        cls,
        rows: AnyRows,
        trained: TrainedModule[Module],
        trim_fraction: float,
        held_out_loss: float | None,
        previous: "LaplaceDensity[Module] | None",
        is_mixture: bool = False,
    ) -> Self:
        """Return the density of rows and of those of `previous`.

        Parameters
        ----------
        rows : Rows or StoredRows
            Training rows.
        trained : TrainedModule
            The module.
        trim_fraction : float
            Share of rows, those of largest error, that doesn't count.
        held_out_loss : float or None
            Mean squared error of held-out rows, averaged over columns.
        previous : LaplaceDensity or None
            The density of earlier blocks of rows.
        is_mixture : bool, default=False
            Whether a mixture scores rows. Blocks of rows cannot add to it.
        """
        task = LaplaceTask.gather(rows, trained, trim_fraction, held_out_loss, is_mixture)
        return cls.finish(task, previous)

    @classmethod
    def finish(
        cls, task: "LaplaceTask[Module]", previous: "LaplaceDensity[Module] | None" = None
    ) -> Self:
        """Return the density of a task's rows and of those of `previous`."""
        moments, mixture = task.moments.finish(task.trained), None
        if task.sample is not None:
            tangents = measure_tangents(task.sample, task.trained, task.trim_fraction)
            mixture = fit_tangent_mixture(tangents).widen(moments.compare(task.held_out_loss))
        if previous is not None:
            moments = previous.moments.merge(moments)
        return cls(moments, moments.make_model(task.held_out_loss), mixture)

    @classmethod
    def finish_mixed(
        cls,
        task: "LaplaceTask[Module]",
        cells: MixedTask,
        previous: "LaplaceDensity[Module] | None" = None,
    ) -> Self:
        """Return the density of a task's rows, of which not all cells are numbers.

        Of the densities of two sets of rows, that of more rows is kept.
        """
        moments = task.moments.finish(task.trained)
        ratio = moments.compare(task.held_out_loss)
        mixed = None if previous is None else previous.mixed
        if previous is None or mixed is None or cells.n_rows >= mixed.n_rows:
            mixed = fit_mixed_density(cells, task.trained, ratio)
        else:
            moments = previous.moments.merge(moments)
        return cls(moments, moments.make_model(task.held_out_loss), None, mixed)

    def log_density(self, module: Module, batch: Batch) -> Tensor:
        """Return the log-density of each row's observed cells, in nats."""
        if self.mixed is not None:
            return self.mixed.log_density(module, batch)
        rows, mask, n_rows = batch.input, batch.mask, len(batch.input)
        if self.mixture is not None:
            if mask is None and (n_missing := -n_rows % _ROWS_OF_A_PRODUCT):
                rows = pad(rows, (0, 0, 0, n_missing))
            code = module.encode(rows)
            pushed = push_tangents(module, code)
            if pushed is None:
                pushed = decode_with_jacobian(module.decode, code, rows.shape[1])
            decoded, jacobian = pushed
            mixture, error = self.mixture.to(rows.device), rows - decoded
            found = mixture.log_density(rows, code, error, jacobian, module.decode, mask)
            return found[:n_rows]
        model = CodeModel(
            self.model.mean.to(rows.device),
            self.model.factor.to(rows.device),
            self.model.variance,
        )
        return laplace_log_density(module.decode, rows, module.encode(rows), model, mask)

    def block_length(self) -> int:
        """Return how many rows to score at a time."""
        if self.mixed is not None:
            return self.mixed.block_length()
        return _jacobian_block(self.moments.n_features, len(self.moments.codes.mean))

    def tolerates_single(self, module: Module) -> bool:
        """Whether networks in float32 change log-densities by no more than 1e-3 nats."""
        # Smaller blocks would be padded to that length at each pass of a Jacobian.
        if self.mixed is not None or self.block_length() < SinglePrecision.length:
            return False
        if self.mixture is None:
            return self.model.variance >= SINGLE_VARIANCE
        # A row of the whitening matrix is as long as the inverse of a column's noise.
        return float(self.mixture.whitening.square().sum(dim=-1).max()) <= 1 / SINGLE_VARIANCE

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays, which any pickler can store."""
        moments, codes = self.moments, self.moments.codes
        return {
            "codes": {field.name: getattr(codes, field.name) for field in fields(codes)},
            "error": moments.error,
            "gain": moments.gain,
            "n_features": moments.n_features,
            "observed_error": moments.observed_error,
            "mean": self.model.mean.numpy(),
            "factor": self.model.factor.numpy(),
            "variance": self.model.variance,
            "mixture": None if self.mixture is None else self.mixture.get_state(),
            "mixed": None if self.mixed is None else self.mixed.get_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the density of a stored state."""
        codes = Moments(**state["codes"])
        counted = state.get("observed_error")  # nor is the mixture in states of earlier versions
        moments = CodeMoments(codes, state["error"], state["gain"], state["n_features"], counted)
        mean, factor = (torch.from_numpy(state[name]) for name in ("mean", "factor"))
        known = state.get("mixture")
        mixture = None if known is None else TangentMixture.from_state(known)
        cells = state.get("mixed")
        mixed = None if cells is None else MixedDensity.from_state(cells)
        return cls(moments, CodeModel(mean, factor, state["variance"]), mixture, mixed)


def laplace_log_density(
    decode: Decoder, input: Tensor, code: Tensor, model: CodeModel, mask: Tensor | None = None
) -> Tensor:
    """Return the log-density of each row's observed cells, in nats.

    Laplace's approximation of `log int N(z; m, S) N(x; g(z), s2 I) dz` around `z = f(x)`,
    with the Gauss-Newton Hessian and one Newton step to the mode: the decoder is replaced
    by its tangent at the code, `g(z + d) = g(z) + J d`, and the integral is then exactly
    `log N(x; g(z) + J (m - z), J S J' + s2 I)`. For a linear decoder it is exact whether
    or not the code is the posterior's mode, so that a linear autoencoder's score is
    probabilistic PCA's (MacKay 2003, chapter 27; Tipping and Bishop 1999).

    Parameters
    ----------
    decode : callable
        Maps codes `(n_rows, n_components)` to rows `(n_rows, n_features)`.
    input : Tensor of shape (n_rows, n_features)
        The rows.
    code : Tensor of shape (n_rows, n_components)
        Their codes.
    model : CodeModel
        The codes' distribution and the cells' noise.
    mask : Tensor of bool of shape (n_rows, n_features) or None, default=None
        Which cells are observed; None is all. The lines of the others drop out.
    """
    n_features = input.shape[1]
    decoded, jacobian = decode_with_jacobian(decode, code, n_features)
    error = input - decoded
    n_observed: int | Tensor = n_features
    if mask is not None:
        jacobian, error = jacobian * mask.unsqueeze(2), error * mask
        n_observed = mask.sum(dim=1).to(input)
    tangent = jacobian @ model.factor
    offset = error + (jacobian @ (code - model.mean).unsqueeze(2)).squeeze(2)
    precision = tangent.mT @ tangent / model.variance
    precision.diagonal(dim1=1, dim2=2).add_(1)
    cholesky = torch.linalg.cholesky(precision)
    mode = torch.cholesky_solve(tangent.mT @ offset.unsqueeze(2) / model.variance, cholesky)
    # A sum of squares, where the textbook's difference of two would cancel.
    unexplained = (offset.unsqueeze(2) - tangent @ mode).squeeze(2)
    squares = unexplained.square().sum(1) / model.variance + mode.squeeze(2).square().sum(1)
    log_determinant = 2 * cholesky.diagonal(dim1=1, dim2=2).log().sum(1)
    constant = n_observed * math.log(2 * math.pi * model.variance)
    return -0.5 * (constant + log_determinant + squares)


def prior_factor(covariance: Tensor, variance: float, gain: Tensor) -> Tensor:
    """Return a factor of the codes' covariance without the part that is noise.

    The encoder's code of a row is its true code plus noise of covariance `variance (J'J)^-1`,
    which is subtracted. In the linear case this makes the model probabilistic PCA (Tipping
    and Bishop 1999, equation 7).

    Parameters
    ----------
    covariance : Tensor of shape (n_components, n_components)
        Covariance of the training rows' codes.
    variance : float
        Variance of a cell around its reconstruction.
    gain : Tensor of shape (n_components, n_components)
        Mean of `J'J` over rows, where `J` is the decoder's Jacobian.
    """
    noise = variance * torch.linalg.pinv(gain, hermitian=True)
    values, vectors = torch.linalg.eigh(covariance - noise)
    return vectors * values.clamp_min(0).sqrt()


def _code_and_error(module: EncoderDecoder, rows: Tensor) -> Tensor:
    code = module.encode(rows)
    return torch.cat([code, squared_error(module.decode(code), rows)[:, None]], dim=1)


def measure_tangents(rows: Rows, trained: TrainedModule[Module], trim_fraction: float) -> Tangents:
    """Return codes, errors and tangents of evenly spread rows."""
    sample = rows.take(subsample_indices(len(rows), _MIXTURE_ROWS))
    X, observed, n_draws = sample.table.astype(np.float64), sample.observed, 1
    if observed is not None:
        X, n_draws = draw_gaps(X, observed, sample.given_weight)
        observed = np.tile(observed, (n_draws, 1))
    both = trained.apply(_code_and_rest, X)
    codes, errors = np.split(both, [both.shape[1] - X.shape[1]], axis=1)
    squares = np.square(errors if observed is None else errors * observed).sum(axis=1)
    counts = sample.counts if n_draws == 1 else np.tile(sample.counts / n_draws, n_draws)
    weight = trim_weight_array(squares, counts, trim_fraction)
    n_cells = X.shape[1] * codes.shape[1]
    n_tangents = int(np.clip(_TANGENT_CELLS // n_cells, 1, _TANGENT_ROWS))
    indices = subsample_indices(len(X), n_tangents)

    def find_jacobian(module: Module, part: torch.Tensor) -> torch.Tensor:
        return decoder_jacobian(module.decode, module.encode(part), part.shape[1])

    block = _jacobian_block(X.shape[1], codes.shape[1])
    jacobians = trained.apply(find_jacobian, X[indices], block=block)
    return Tangents(codes, errors, weight, jacobians, indices, X[indices], observed, n_draws)


def draw_gaps(X: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Return rows whose missing cells are drawn from a normal distribution, given the others.

    Codes of rows whose cells are filled with means would vary too little: what codes add to the
    noise would be missing. Of few rows there are several draws, one below the other; their number
    is returned too.
    """
    gaps = np.where(observed, X, np.nan).astype(np.float64)
    few = subsample_indices(len(X), _GAP_ROWS)
    moments = fit_with_missing(gaps[few], weight[few], ridge=_GAP_RIDGE, max_iter=_GAP_STEPS)
    n_draws = int(np.clip(_DRAWN_ROWS // len(X), 1, _MOST_DRAWS))
    generator = np.random.default_rng(_GAP_SEED)
    return draw_missing(np.tile(gaps, (n_draws, 1)), moments, generator), n_draws


def _code_and_rest(module: EncoderDecoder, rows: Tensor) -> Tensor:
    code = module.encode(rows)
    return torch.cat([code, rows - module.decode(code)], dim=1)


def _average_gain(
    X: np.ndarray, weight: np.ndarray, trained: TrainedModule[Module], n_components: int
) -> np.ndarray:
    def gains(module: Module, part: torch.Tensor) -> torch.Tensor:
        jacobian = decoder_jacobian(module.decode, module.encode(part), X.shape[1])
        return jacobian.mT @ jacobian

    each = trained.apply(gains, X, block=_jacobian_block(X.shape[1], n_components))
    return np.average(each, axis=0, weights=weight if weight.any() else None)


def _jacobian_block(n_features: int, n_components: int) -> int:
    """Return how many rows' Jacobians to compute at a time."""
    cells = max(n_features * n_components, _LEAST_CELLS)
    return block_length(cells, _BLOCK_CELLS, most_rows=_BLOCK_CELLS)
