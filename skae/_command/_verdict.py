"""The answer, in a sentence or two."""

from dataclasses import dataclass

import numpy as np

from ._comparison import AUTOENCODER_NAME, PCA_NAME, Measured, Results

# A difference counts if it is this many standard errors of the rows' differences, and
# large enough to matter: a twentieth of the error, or a twentieth of a nat a row.
_STANDARD_ERRORS = 2.0
_SHARE_THAT_MATTERS = 0.05
_NATS_THAT_MATTER = 0.05

# Columns have unit variance; what is left below this is rounding.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Verdict:
    """What the figures say.

    Attributes
    ----------
    n_components : int
        The number of components that is spoken of.
    unexplained_ratio : float or None
        What the autoencoder leaves unexplained there, as a share of what PCA does.
    text : str
        The answer.
    """

    n_components: int
    unexplained_ratio: float | None
    text: str


def verdict_of(results: Results) -> Verdict:
    """Return the answer."""
    size = _size_to_speak_of(results)
    ratio = unexplained_ratio(results[size])
    signs = {other: _sign_of_errors(pair) for other, pair in results.items()}
    text = f"At {_components(size)} "
    if ratio is None:
        return Verdict(size, None, text + "PCA leaves nothing unexplained; use PCA.")
    text += f"the autoencoder leaves {ratio:.2f} of what PCA leaves unexplained"
    text += _shares_left(results[size])
    others = [other for other, sign in signs.items() if (sign > 0) != (signs[size] > 0)]
    text += _ending(signs[size], results[size], final=not others)
    if others and signs[size] > 0:
        as_good = "as good" if all(signs[other] == 0 for other in others) else "as good or better"
        text += f" At {_components(*others)} PCA is {as_good}."
    elif others:
        text += f" At {_components(*others)} the autoencoder explains more."
    return Verdict(size, ratio, text)


def unexplained_ratio(pair: dict[str, Measured]) -> float | None:
    """Return the autoencoder's squared error over PCA's; None if PCA's is nothing."""
    pca, autoencoder = pair[PCA_NAME].errors, pair[AUTOENCODER_NAME].errors
    if pca.mean() < _NOTHING:
        return None
    return float(autoencoder.sum() / pca.sum())


def _size_to_speak_of(results: Results) -> int:
    """Return the number of components at which either model's held-out density is best.

    It is the number that a search by `score` would choose. To take the one where the
    autoencoder gains most would be to flatter it. Where a density is missing the middle
    one is as good as any.
    """
    best: dict[int, float] = {}
    for size, pair in results.items():
        found = [measured.log_likelihood for measured in pair.values()]
        scores = [score for score in found if score is not None]
        if len(scores) == len(pair):
            best[size] = max(scores)
    if best:
        return max(best, key=best.__getitem__)
    return sorted(results)[(len(results) - 1) // 2]


def _shares_left(pair: dict[str, Measured]) -> str:
    """Return both shares, for a small part of almost nothing is no great gain."""
    left = [pair[name].explained_variance for name in (AUTOENCODER_NAME, PCA_NAME)]
    if left[0] is None or left[1] is None:
        return ""
    return f" ({1 - left[0]:.2g} against {1 - left[1]:.2g} of the variance)"


def _ending(sign: int, pair: dict[str, Measured], final: bool) -> str:
    if pair[AUTOENCODER_NAME].n_epochs == 0:
        # Its density may differ, by how the noise is estimated; its codes don't.
        found = ": training found nothing beyond PCA"
        return f"{found}; use PCA." if final else f"{found} there."
    gain = _density_gain(pair)
    higher = f"the autoencoder's log-likelihood is {abs(gain):.1f} nats a row higher"
    if sign > 0 and gain > 0:
        return f", and its log-likelihood is {gain:.1f} nats a row higher."
    if sign > 0:
        return f", but its log-likelihood is {-gain:.1f} nats a row lower." if gain < 0 else "."
    if gain > 0:
        return f": PCA explains {'more' if sign < 0 else 'as much'}, but {higher}."
    judgement = "PCA is better" if sign < 0 else "PCA is as good"
    return f": {judgement}; use PCA." if final else f": {judgement} there."


def _sign_of_errors(pair: dict[str, Measured]) -> int:
    """Return 1 where the autoencoder surely explains more than PCA, -1 where less."""
    ratio = unexplained_ratio(pair)
    if ratio is None or abs(ratio - 1) < _SHARE_THAT_MATTERS:
        return 0
    gains = pair[PCA_NAME].errors - pair[AUTOENCODER_NAME].errors
    return int(np.sign(gains.mean())) if _is_sure(gains) else 0


def _density_gain(pair: dict[str, Measured]) -> float:
    """Return by how many nats a row the autoencoder's density is higher; 0 if not surely."""
    pca, autoencoder = pair[PCA_NAME].log_densities, pair[AUTOENCODER_NAME].log_densities
    if pca is None or autoencoder is None:
        return 0.0
    gains = autoencoder - pca
    mean = float(gains.mean())
    return mean if abs(mean) >= _NATS_THAT_MATTER and _is_sure(gains) else 0.0


def _is_sure(differences: np.ndarray) -> bool:
    """Whether a mean of paired differences is beyond the noise of its rows."""
    if len(differences) < 2:
        return False
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return bool(abs(differences.mean()) > _STANDARD_ERRORS * error)


def _components(*sizes: int) -> str:
    *first, last = map(str, sizes)
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"{listed} component" if sizes == (1,) else f"{listed} components"
