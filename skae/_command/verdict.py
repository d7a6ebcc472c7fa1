"""The answer, in a sentence or two."""

from dataclasses import dataclass

import numpy as np

from .comparison import Pair

# A difference counts if it is this many standard errors of the rows' differences, and if it
# matters: a twentieth of the error, or a twentieth of a nat a row.
_STANDARD_ERRORS = 2.0
_SHARE_THAT_MATTERS = 0.05
_NATS_THAT_MATTER = 0.05

# Columns have unit variance, so a mean squared error below this is rounding.
_NO_ERROR = 1e-6


@dataclass(frozen=True)
class Verdict:
    """What the figures say.

    Attributes
    ----------
    n_components : int
        The number of components that the verdict is about.
    unexplained_ratio : float or None
        What the autoencoder leaves unexplained there, as a share of what PCA leaves.
    text : str
        The answer.
    """

    n_components: int
    unexplained_ratio: float | None
    text: str


def reach_verdict(results: dict[int, Pair]) -> Verdict:
    """Say which model to use, given the measurements by number of components."""
    size = _choose_size(results)
    ratio = compute_unexplained_ratio(results[size])
    signs = {other: _compare_errors(pair) for other, pair in results.items()}
    text = f"At {_name_sizes(size)} "
    if ratio is None:
        return Verdict(size, None, text + "PCA leaves nothing unexplained; use PCA.")
    text += f"the autoencoder leaves {ratio:.2f} of what PCA leaves unexplained"
    text += _describe_shares(results[size])
    others = [other for other, sign in signs.items() if (sign > 0) != (signs[size] > 0)]
    text += _conclude(signs[size], results[size], is_final=not others)
    if others and signs[size] > 0:
        as_good = "as good" if all(signs[other] == 0 for other in others) else "as good or better"
        text += f" At {_name_sizes(*others)} PCA is {as_good}."
    elif others:
        text += f" At {_name_sizes(*others)} the autoencoder explains more."
    return Verdict(size, ratio, text)


def compute_unexplained_ratio(pair: Pair) -> float | None:
    """Return the autoencoder's squared error over PCA's; None if PCA makes no error."""
    if pair.pca.errors.mean() < _NO_ERROR:
        return None
    return float(pair.autoencoder.errors.sum() / pair.pca.errors.sum())


def _choose_size(results: dict[int, Pair]) -> int:
    """Return the number of components with the best held-out log-likelihood of either model.

    A search by `score` would choose the same. The one where the autoencoder gains most would
    flatter it. Of rows that PCA has no density of, the autoencoder's counts. Without
    log-likelihoods the middle one is as good as any.
    """
    best: dict[int, float] = {}
    own: dict[int, float] = {}
    for size, pair in results.items():
        pca, autoencoder = pair.pca.log_likelihood, pair.autoencoder.log_likelihood
        if autoencoder is not None:
            own[size] = autoencoder
        if pca is not None and autoencoder is not None:
            best[size] = max(pca, autoencoder)
    if best or own:
        return max(best or own, key=(best or own).__getitem__)
    return sorted(results)[(len(results) - 1) // 2]


def _describe_shares(pair: Pair) -> str:
    """Return both unexplained shares: a small ratio of almost nothing is no great gain."""
    pca, autoencoder = pair.pca.explained_variance, pair.autoencoder.explained_variance
    if pca is None or autoencoder is None:
        return ""
    return f" ({1 - autoencoder:.2g} against {1 - pca:.2g} of the variance)"


def _conclude(sign: int, pair: Pair, is_final: bool) -> str:
    """Return the end of the sentence; it advises only if it is final."""
    if pair.autoencoder.n_epochs == 0:
        # Its log-likelihood may differ, as it estimates the noise otherwise; its codes don't.
        finding = ": training found nothing beyond PCA"
        return f"{finding}; use PCA." if is_final else f"{finding} there."
    gain = _compute_density_gain(pair)
    higher = f"the autoencoder's log-likelihood is {abs(gain):.1f} nats a row higher"
    if sign > 0 and gain > 0:
        return f", and its log-likelihood is {gain:.1f} nats a row higher."
    if sign > 0:
        return f", but its log-likelihood is {-gain:.1f} nats a row lower." if gain < 0 else "."
    if gain > 0:
        return f": PCA explains {'more' if sign < 0 else 'as much'}, but {higher}."
    finding = "PCA is better" if sign < 0 else "PCA is as good"
    return f": {finding}; use PCA." if is_final else f": {finding} there."


def _compare_errors(pair: Pair) -> int:
    """Return 1 if the autoencoder surely explains more than PCA, -1 if less, else 0."""
    ratio = compute_unexplained_ratio(pair)
    if ratio is None or abs(ratio - 1) < _SHARE_THAT_MATTERS:
        return 0
    gains = pair.pca.errors - pair.autoencoder.errors
    return int(np.sign(gains.mean())) if _is_sure(gains) else 0


def _compute_density_gain(pair: Pair) -> float:
    """Return by how many nats a row the autoencoder's density is higher; 0 if not surely."""
    if pair.pca.log_densities is None or pair.autoencoder.log_densities is None:
        return 0.0
    gains = pair.autoencoder.log_densities - pair.pca.log_densities
    mean = float(gains.mean())
    return mean if abs(mean) >= _NATS_THAT_MATTER and _is_sure(gains) else 0.0


def _is_sure(differences: np.ndarray) -> bool:
    """Return whether the mean of paired differences stands out from their noise."""
    if len(differences) < 2:
        return False
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return bool(abs(differences.mean()) > _STANDARD_ERRORS * error)


def _name_sizes(*sizes: int) -> str:
    *first, last = map(str, sizes)
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"{listed} component" if sizes == (1,) else f"{listed} components"
