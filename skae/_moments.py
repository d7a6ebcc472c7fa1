"""What the codes and errors of training rows say about the model that scores rows."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._blocks import evenly
from ._density import (
    SMALLEST_VARIANCE,
    CodeModel,
    block_length,
    decoder_jacobian,
    laplace_log_density,
    prior_factor,
)
from ._losses import kept_weight, squared_error
from ._training import AnyRows, TrainedModule
from .modules import EncoderDecoder

# Rows whose Jacobians are averaged, a mean needs no more, and columns of all of them together,
# each of which costs a backward pass of a row.
_JACOBIAN_ROWS = (64, 1000)
_JACOBIAN_COLUMNS = 2**14


@dataclass(frozen=True)
class CodeMoments:
    """Weighted moments of rows' codes and errors, which blocks of rows can add to.

    Attributes
    ----------
    total : float
        Weight of the rows.
    mean : ndarray of shape (n_components,)
        Mean of their codes.
    covariance : ndarray of shape (n_components, n_components)
        Covariance of their codes.
    error : float
        Mean squared error of their reconstruction, summed over columns.
    gain : ndarray of shape (n_components, n_components)
        Mean of `J'J`, `J` the decoder's Jacobian.
    n_features : int
        Number of columns.
    """

    total: float
    mean: np.ndarray
    covariance: np.ndarray
    error: float
    gain: np.ndarray
    n_features: int

    @classmethod
    def of(cls, rows: AnyRows, trained: TrainedModule, trim_fraction: float) -> "CodeMoments":
        """Return the moments of rows under a trained module; some of a stored table's do."""
        some = rows.some()
        X = some.table
        both = trained.apply(_code_and_error, X).astype(np.float64)
        codes, errors = both[:, :-1], both[:, -1]
        weight = kept_weight(errors, some.weight_array, trim_fraction)
        mean = np.average(codes, axis=0, weights=weight)
        centred = codes - mean
        return cls(
            float(weight.sum()) * len(rows) / len(some),
            mean,
            centred.T @ (centred * weight[:, None]) / weight.sum(),
            float(np.average(errors, weights=weight)),
            _mean_gain(X, weight, trained, codes.shape[1]),
            X.shape[1],
        )

    def merged(self, other: "CodeMoments") -> "CodeMoments":
        """Return the moments of the rows of both (Chan et al. 1983)."""
        total = self.total + other.total
        share = other.total / total
        step = other.mean - self.mean

        return CodeMoments(
            total,
            self.mean + share * step,
            (1 - share) * self.covariance
            + share * other.covariance
            + share * (1 - share) * np.outer(step, step),
            (1 - share) * self.error + share * other.error,
            (1 - share) * self.gain + share * other.gain,
            self.n_features,
        )

    def code_model(self, held_out: float | None) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the code's mean and covariance factor, and a cell's noise variance.

        A network fits its training rows better than others; where rows were held out,
        their mean error, if it is larger, is what the noise is taken from.

        Parameters
        ----------
        held_out : float or None
            Mean squared error of held-out rows, averaged over columns.
        """
        n_components = len(self.mean)
        error = self.error if held_out is None else max(self.error, held_out * self.n_features)
        freedom = self.n_features - n_components  # that the code leaves (Tipping 1999, eq. 8)
        variance = error / (freedom if freedom > 0 else self.n_features)
        variance = max(variance, SMALLEST_VARIANCE)
        factor = prior_factor(
            torch.from_numpy(self.covariance), variance, torch.from_numpy(self.gain)
        )
        return self.mean, factor.numpy(), variance


def fitted_code_score(
    known: dict[str, Any] | None,
    rows: AnyRows,
    trained: TrainedModule,
    trim_fraction: float,
    held_out: float | None,
) -> dict[str, Any]:
    """Return what the score of rows by their codes needs, as values any pickler can store.

    Parameters
    ----------
    known : dict or None
        What this function gave for the rows before these.
    rows : Rows or StoredRows
        Training rows.
    trained : TrainedModule
        The module.
    trim_fraction : float
        Share of rows, those of largest error, that doesn't count.
    held_out : float or None
        Mean squared error of held-out rows, averaged over columns.
    """
    moments = CodeMoments.of(rows, trained, trim_fraction)
    if known is not None:
        moments = CodeMoments(**known["moments"]).merged(moments)
    mean, factor, variance = moments.code_model(held_out)
    return {"moments": asdict(moments), "mean": mean, "factor": factor, "variance": variance}


def code_log_density(score: dict[str, Any], module: EncoderDecoder, rows: Tensor) -> Tensor:
    """Return the log-density of scaled rows, by their codes."""
    model = CodeModel(
        torch.as_tensor(score["mean"], device=rows.device),
        torch.as_tensor(score["factor"], device=rows.device),
        score["variance"],
    )
    return laplace_log_density(module.decode, rows, module.encode(rows), model)


def _code_and_error(module: EncoderDecoder, rows: Tensor) -> Tensor:
    code = module.encode(rows)
    return torch.cat([code, squared_error(module.decode(code), rows)[:, None]], dim=1)


def _mean_gain(
    X: np.ndarray, weight: np.ndarray, trained: TrainedModule, n_components: int
) -> np.ndarray:
    n_rows = int(np.clip(_JACOBIAN_COLUMNS // n_components, *_JACOBIAN_ROWS))
    some = evenly(len(X), n_rows)

    def gains(module: EncoderDecoder, part: torch.Tensor) -> torch.Tensor:
        jacobian = decoder_jacobian(module.decode, module.encode(part), X.shape[1])
        return jacobian.mT @ jacobian

    block = block_length(X.shape[1], n_components)
    each = trained.apply(gains, X[some].astype(np.float64), block=block)
    if not weight[some].any():
        return each.mean(axis=0)
    return np.average(each, axis=0, weights=weight[some])
