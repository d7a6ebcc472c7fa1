"""The mean over rows that are not trimmed."""

import copy
import pickle

import pytest
import torch

from skae._training import Objective

LOSSES = torch.tensor([3.0, 9.0, 1.0, 4.0, 7.0], dtype=torch.float64)
WEIGHT = torch.tensor([1.0, 2.0, 0.0, 3.0, 2.0], dtype=torch.float64)


class Distance(Objective):
    """A loss that needs no network."""

    def row_losses(self, module, batch):
        return batch.input.square().sum(dim=1)


@pytest.mark.parametrize("trim_fraction", [0.0, 0.3])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
@pytest.mark.parametrize("rank_by", [None, -LOSSES], ids=["by loss", "by another order"])
def test_shares_are_the_weights_of_the_mean(trim_fraction, weight, rank_by):
    objective = Distance(trim_fraction)
    shares = objective.weight_shares(LOSSES, weight, rank_by)
    assert shares.sum().item() == pytest.approx(1)
    assert (shares @ LOSSES).item() == pytest.approx(
        objective.reduce(LOSSES, weight, rank_by).item()
    )


def test_the_largest_losses_are_trimmed():
    objective = Distance(0.4)  # two of five rows
    assert objective.reduce(LOSSES, None).item() == pytest.approx((3 + 1 + 4) / 3)
    assert objective.reduce(LOSSES, None, -LOSSES).item() == pytest.approx((9 + 4 + 7) / 3)
    assert Distance().reduce(LOSSES, None).item() == pytest.approx(24 / 5)
    assert Distance().reduce(LOSSES, WEIGHT).item() == pytest.approx((3 + 18 + 12 + 14) / 8)


def test_a_generator_is_copied_with_an_objective_and_not_stored():
    objective = Distance(0.1, torch.Generator().manual_seed(3))
    torch.rand(5, generator=objective.generator)
    copied, stored = copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))
    assert copied.trim_fraction == stored.trim_fraction == 0.1
    assert stored.generator is None
    assert copied.generator is not objective.generator
    draws = [torch.rand(5, generator=one.generator) for one in (copied, objective)]
    assert torch.equal(*draws)
