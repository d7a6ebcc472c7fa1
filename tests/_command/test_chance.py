"""How p-values are spread by chance."""

import numpy as np
import pytest

from skae._command.chance import expect_share


@pytest.mark.parametrize("n_calibration", [1, 10, 18, 19, 20, 99, 100])
def test_shares_are_those_of_ranks(n_calibration):
    ranks = np.arange(1, n_calibration + 2)
    for twentieths in range(21):
        is_small = 20 * ranks <= twentieths * (n_calibration + 1)
        assert expect_share(twentieths / 20, n_calibration) == pytest.approx(is_small.mean())
