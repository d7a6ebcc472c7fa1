"""Which rows lie far beyond all known ones, guessed from how the scores of these fall off."""

import numpy as np

# The share of the known rows, the strangest, that the tail is guessed from.
_TAIL_SHARE = 0.2

# The probability that a table without an anomaly has a row called far, if the tail is exponential.
# Heavier tails exceed it many times, hence it is small.
_LEVEL = 0.001


def count_far(scores: np.ndarray, known: np.ndarray) -> int:
    """Return how many rows lie too far beyond the known ones for chance; low scores are strange."""
    is_far = _guess_p_values(scores, known) <= _LEVEL / len(scores)
    return int((is_far & (scores < known.min())).sum())


def _guess_p_values(scores: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the probability that a row is as strange, if the known ones' tail is exponential.

    Its scale is estimated from as many rows as the tail has: with few, the probability falls off as
    a power of the distance, so that only a row very far out is surprising.
    """
    ordered = np.sort(-known)
    n_tail = max(1, round(_TAIL_SHARE * len(ordered)))
    if n_tail == len(ordered):
        return np.ones(len(scores))
    start = ordered[-n_tail - 1]
    excess = (ordered[-n_tail:] - start).sum()
    # Known rows that are all alike have no scale.
    if excess <= 0:
        return np.ones(len(scores))
    beyond = np.maximum(-scores - start, 0)
    return n_tail / len(ordered) * (1 + beyond / excess) ** -n_tail
