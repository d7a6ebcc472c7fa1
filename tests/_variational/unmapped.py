"""Models whose draws are their own, not mapped to the table's margins."""

import pickle
from dataclasses import replace


def forget_margins(model):
    """Return a copy of a model that knows nothing of the table's quantiles."""
    other = pickle.loads(pickle.dumps(model))
    state = other._state
    other._fitted = replace(state, known_density=replace(state.density, quantiles=None))
    return other
