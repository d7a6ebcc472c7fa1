"""Losses by their definitions."""

import pytest
import torch

from skae._training.losses import squared_error, weighted_mean


def test_squared_error_is_a_sum_over_columns():
    a, b = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[0.0, 0.0], [3.0, -1.0]])
    assert squared_error(a, b).tolist() == [5.0, 9.0]


def test_weighted_mean():
    values, weight = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.0, 3.0])
    assert weighted_mean(values).item() == pytest.approx(7 / 3)
    assert weighted_mean(values, weight).item() == pytest.approx(13 / 4)
