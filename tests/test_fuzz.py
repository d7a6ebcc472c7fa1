"""A part of the fuzz; `python tests/fuzz.py N` runs more of it."""

import pytest

from .fuzz import CHECKS, OTHERS, list_methods, list_parameters, run_case
from .fuzz_draws import ESTIMATORS, find_draws

GROUP = 5


@pytest.mark.parametrize(
    "first", range(0, 250, GROUP), ids=lambda seed: f"{seed}-{seed + GROUP - 1}"
)
def test_a_clear_error_or_finite_output(first):
    for seed in range(first, first + GROUP):
        run_case(seed)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_has_values_to_draw(cls):
    for name in list_parameters(cls):
        assert find_draws(cls, name).usual
        assert len(find_draws(cls, name).wrong) > 0


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_method_has_a_check(cls):
    assert {*list_methods(cls())} <= {*CHECKS} | OTHERS
