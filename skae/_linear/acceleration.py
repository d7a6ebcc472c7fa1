"""Fixed points of expectation maximization, in fewer steps.

Steps of expectation maximization become small long before they end. Two of them tell how they
shrink, and so about where they end (SQUAREM, Varadhan and Roland 2008, "Simple and globally
convergent methods for accelerating the convergence of any EM algorithm").
"""

from collections.abc import Callable

import numpy as np

# Of the stretch of two steps. With longer ones, rounding decides where slow steps have come to when
# no more are made; with these a difference stays as small as it is, for little more steps.
_LONGEST = 4.0


def find_fixed_point(
    step: Callable[[np.ndarray], tuple[np.ndarray, float]],
    start: np.ndarray,
    has_converged: Callable[[np.ndarray], bool],
    most_steps: int,
) -> np.ndarray:
    """Return where steps end.

    A stretched point that is worse than one from plain steps is dropped, so that the loss never
    rises.

    Parameters
    ----------
    step : callable
        Maps a point to the next one and to the loss at the point that is given.
    start : ndarray of shape (n_parameters,)
        The first point.
    has_converged : callable
        Whether a step, the difference of two points, is so small that it is the last.
    most_steps : int
        Number of steps after which no further ones are begun.
    """
    point, n_steps = start, 0
    while n_steps < most_steps:
        first, _ = step(point)
        if has_converged(first - point):
            return first
        second, loss = step(first)
        if has_converged(second - first):
            return second
        move, bend = first - point, second - 2 * first + point
        curvature = float(bend @ bend)
        wanted = np.sqrt(float(move @ move) / curvature) if curvature > 0 else _LONGEST
        stretch = min(max(wanted, 1.0), _LONGEST)
        stretched, stretched_loss = step(point + 2 * stretch * move + stretch**2 * bend)
        n_steps += 3
        point = stretched if stretched_loss <= loss else second
    return point
