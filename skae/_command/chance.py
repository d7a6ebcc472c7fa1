"""How conformal p-values are spread where nothing differs."""

import math

#: Rows with p-values up to this are counted.
SMALL = 0.05


def expect_share(level: float, n_calibration: int) -> float:
    """Return the share of p-values up to a level among rows like those that calibrate.

    The p-values are multiples of `1 / (n_calibration + 1)`, and each is as likely.
    """
    n_multiples = n_calibration + 1
    # A level that is a multiple counts, whatever its last bit.
    return math.floor(level * n_multiples + 1e-9) / n_multiples
