"""What the anomaly detector is made of: scores, thresholds and reasons."""

from ._conformal import (
    conformal_p_values,
    conformal_threshold,
    n_kept_apart,
    score_at_share,
)
from ._parts import (
    Parting,
    check_takes_weights,
    default_estimator,
    fitted,
    score_of,
    seeded,
    strangeness_of,
)
from ._repair import candidates_of, repaired
from ._strangeness import Strangeness

__all__ = [
    "Parting",
    "Strangeness",
    "candidates_of",
    "check_takes_weights",
    "conformal_p_values",
    "conformal_threshold",
    "default_estimator",
    "fitted",
    "n_kept_apart",
    "repaired",
    "score_at_share",
    "score_of",
    "seeded",
    "strangeness_of",
]
