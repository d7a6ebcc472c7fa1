"""What an autoencoder's training minimizes, by its definition."""

from functools import partial

import numpy as np
import pytest
import torch

from skae._autoencoder.objective import ReconstructionObjective
from skae._autoencoder.penalties import CodePenalty, contractive_penalty, kl_penalty, l1_penalty
from skae._data import Batch
from skae.modules import MLPArchitecture, make_autoencoder


def make_module(code_activation="logistic"):
    generator = torch.Generator().manual_seed(0)
    architecture = partial(MLPArchitecture((6,), "tanh"), generator=generator)
    return make_autoencoder(
        5, 3, architecture, code_activation=code_activation, generator=generator
    ).double()


X = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 5)))
WEIGHT = torch.tensor([1.0, 0.5, 2.0, 0.0, 1.0, 3.0, 1.0, 1.0], dtype=torch.float64)


def expected_penalty(module, kind, weight):
    rows = X.clone().requires_grad_()
    code = module.encode(rows)
    if kind == "l1":
        return l1_penalty(code)
    return kl_penalty(code, weight) if kind == "kl" else contractive_penalty(code, rows)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("kind", ["l1", "kl", "contractive"])
def test_a_row_loses_its_squared_error_and_its_penalty_over_the_columns(kind, trains, weight):
    module = make_module()
    expected = (module(X) - X).square().sum(dim=1) + 0.7 * expected_penalty(module, kind, weight)
    objective = ReconstructionObjective(CodePenalty(kind, 0.7))
    with torch.set_grad_enabled(trains):  # a contractive penalty is a gradient in validation too
        losses = objective.row_losses(module, Batch(X, weight=weight))
    torch.testing.assert_close(losses.detach(), expected.detach() / 5)
    if trains:
        losses.sum().backward()
        assert module.encoder.linear.layers[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [None, "l1"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
@pytest.mark.parametrize("trim_fraction", [0.0, 0.3])
def test_the_loss_of_a_batch_is_the_mean_of_its_rows(kind, weight, trim_fraction):
    module, batch = make_module("identity"), Batch(X, weight=weight)
    objective = ReconstructionObjective(CodePenalty(kind, 0.7), trim_fraction)
    losses = objective.row_losses(module, batch)
    torch.testing.assert_close(objective.loss(module, batch), objective.reduce(losses, weight))
    counts = np.ones(8) if weight is None else weight.numpy()
    if trim_fraction == 0:
        expected = np.average(losses.detach().numpy(), weights=counts)
        assert objective.loss(module, batch).item() == pytest.approx(expected)
    else:
        assert objective.loss(module, batch) < np.average(losses.detach().numpy(), weights=counts)


@pytest.mark.parametrize("n_columns", [None, 2])
def test_only_observed_cells_count(n_columns):
    """Errors are divided by all columns of the table, so that rows with gaps count less."""
    module, mask = make_module("identity"), torch.rand(X.shape, generator=torch.Generator()) > 0.4
    objective = ReconstructionObjective(n_columns=n_columns)
    batch = Batch(X, mask=mask)
    expected = ((module(X) - X).square() * mask).sum(dim=1) / (n_columns or 5)
    torch.testing.assert_close(objective.row_losses(module, batch), expected)
    torch.testing.assert_close(objective.loss(module, batch), expected.mean())
    spoilt = objective.loss(module, Batch(X, mask=torch.zeros_like(mask)))
    assert spoilt == 0


def test_a_table_with_categories_has_fewer_columns_than_the_rows():
    module = make_module("identity")
    losses = [ReconstructionObjective(n_columns=n).loss(module, Batch(X)) for n in (None, 2)]
    torch.testing.assert_close(losses[1], losses[0] * 5 / 2)
