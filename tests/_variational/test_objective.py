"""What a variational autoencoder's training minimizes."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skae import VAETransformer
from skae._data import Batch
from skae._training import MINIMUM_IMPROVEMENT_NATS
from skae._variational.objective import VariationalObjective
from skae.modules import MLPArchitecture, make_variational
from skae.modules.cells import CellLayout


def test_warm_up_raises_the_weight_of_the_divergence(curve, trained):
    batch = Batch(torch.from_numpy((curve - trained.mean_) / trained.scale_).float())
    module = copy.deepcopy(trained.module_)

    def losses(beta, kl_warmup=0.0, done=1.0, is_training=True):
        generator = torch.Generator().manual_seed(0)
        objective = VariationalObjective(beta, kl_warmup, True, generator)
        objective.advance(done)
        return objective.row_losses(module.train(is_training), batch).detach()

    for done, beta in ((0.1, 0.4), (0.25, 1.0), (0.5, 2.0), (1.0, 2.0)):
        torch.testing.assert_close(losses(2.0, 0.5, done), losses(beta))
    held_out = losses(2.0, 0.5, 0.1, is_training=False)
    torch.testing.assert_close(held_out, losses(2.0, is_training=False))
    assert not torch.allclose(losses(0.4), losses(2.0))


def test_nets_can_be_copied(trained, curve):
    """The copy has a generator of its own, in the state of the first."""
    own = trained.net_.criterion_
    criterion = copy.deepcopy(own)
    assert criterion.generator is not own.generator
    assert torch.equal(criterion.generator.get_state(), own.generator.get_state())
    assert criterion.beta == 1.0


def test_binarize_draws_cells_anew_at_each_step(digits):
    """Trained on probabilities, it scores 0/1 draws of other rows better than one draw does."""
    X = digits / 16
    rng = np.random.default_rng(0)
    drawn = (rng.uniform(size=X.shape) < X).astype(float)
    plain = VAETransformer(
        8, likelihood="bernoulli", max_epochs=150, early_stopping=False, random_state=0
    )
    anew = clone(plain).set_params(binarize=True).fit(X[:500])
    assert anew.score(drawn[1000:]) > plain.fit(drawn[:500]).score(drawn[1000:]) + 0.5
    short = clone(anew).set_params(max_epochs=2)
    again = clone(short).fit(X).transform(X)
    np.testing.assert_array_equal(short.fit(X).transform(X), again)


def expected_loss(ours, X, beta):
    """The negative bound a column, of a linear Gaussian model and in closed form."""
    module = copy.deepcopy(ours.module_).double()
    mean, log_variance = module.posterior(X)
    loadings = module.linear_layers[1].weight
    noise = module.likelihood.variance
    rest = X - module.decode(mean)
    squares = rest.square().sum(1) + (log_variance.exp() @ loadings.square().T).sum(1)
    log_likelihood = -0.5 * (squares / noise + X.shape[1] * (2 * torch.pi * noise).log())
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return ((beta * divergence - log_likelihood) / X.shape[1]).detach()


@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0])
def test_losses_are_the_negative_bound_in_nats_a_column(curve, beta):
    ours = VAETransformer(
        2, hidden_layer_sizes=(), standardize=False, prior="standard", noise_per_column=False
    ).fit(curve)
    X = torch.from_numpy((curve - ours.mean_) / ours.scale_)
    module = copy.deepcopy(ours.module_).double()
    objective = VariationalObjective(beta, 0.5, True, torch.Generator().manual_seed(0))
    for is_training in (True, False):  # a stream, without an end, has no warm-up
        module.train(is_training)
        losses = torch.stack([objective.row_losses(module, Batch(X)) for _ in range(4)])
        expected = expected_loss(ours, X, beta).mean()
        torch.testing.assert_close(losses.mean().detach(), expected, atol=0.03, rtol=0)


def test_held_out_cells_are_binarized_alike_at_each_epoch(digits):
    ours = VAETransformer(2, likelihood="bernoulli", binarize=True, max_epochs=1, standardize=False)
    module = ours.fit(digits[:100] / 16).module_
    rows = torch.from_numpy((digits[:100] / 16 - ours.mean_) / ours.scale_).float()
    objective = VariationalObjective(1.0, 0.0, False, torch.Generator().manual_seed(0), True)
    found = [objective.row_losses(module.eval(), Batch(rows)) for _ in range(2)]
    assert torch.equal(*found)
    fresh = [objective.row_losses(module.train(), Batch(rows)) for _ in range(2)]
    assert not torch.equal(*fresh)


def test_training_must_gain_0_03_nats_a_column_on_a_density_and_any_on_a_mass():
    density = VariationalObjective(1.0, 0.0, True, None)
    mass = VariationalObjective(1.0, 0.0, False, None)
    assert density.minimum_improvement == MINIMUM_IMPROVEMENT_NATS == 0.03
    assert mass.minimum_improvement == 0


def test_trimmed_rows_have_no_influence(trained, curve):
    objective = VariationalObjective(
        1.0, 0.0, True, torch.Generator().manual_seed(0), trim_fraction=0.1
    )
    X = torch.from_numpy((curve - trained.mean_) / trained.scale_).float()
    X[:60] += 10
    X.requires_grad_()
    objective.loss(copy.deepcopy(trained.module_).train(), Batch(X)).backward()
    is_trimmed = (X.grad == 0).all(dim=1)
    assert is_trimmed[:60].all()
    assert not is_trimmed[60:].any()


def test_binarize_changes_training(digits):
    ours = VAETransformer(2, likelihood="bernoulli", max_epochs=2, early_stopping=False)
    X = digits[:200] / 16
    codes = [
        clone(ours).set_params(binarize=each, random_state=0).fit(X).transform(X)
        for each in (False, True)
    ]
    assert np.abs(codes[0] - codes[1]).max() > 1e-4


def mixed_module():
    layout = CellLayout(numbers=(0, 4), categories=((1, 4),))
    generator = torch.Generator().manual_seed(0)
    module = make_variational(
        5,
        2,
        partial(MLPArchitecture((4,), "silu"), generator=generator),
        layout=layout,
        generator=generator,
    )
    rows = torch.randn(6, 5, generator=generator)
    rows[:, 1:4] = torch.eye(3)[rows[:, 1:4].argmax(1)]
    return module.eval(), layout, rows


def test_losses_are_of_observed_cells_and_a_column_of_the_table():
    module, layout, rows = mixed_module()
    mask = torch.ones(6, 5, dtype=torch.bool)
    mask[0, 0] = mask[1, 1:4] = mask[2] = False
    objective = VariationalObjective(1.0, 0.0, True, None, layout=layout)
    found = objective.row_losses(module, Batch(rows, mask=mask))
    whole = objective.row_losses(module, Batch(rows))
    free = VariationalObjective(0.0, 0.0, True, None, layout=layout)
    assert free.row_losses(module, Batch(rows, mask=mask))[2].item() == 0.0
    torch.testing.assert_close(found[3:], whole[3:])
    generator = torch.Generator().manual_seed(20140416)
    mean, log_variance = module.posterior(rows)
    noise = torch.empty_like(mean).normal_(generator=generator)
    code = mean + noise * torch.exp(0.5 * log_variance)
    bound = module.log_likelihood(rows, code, mask) - module.divergence(mean, log_variance, code)
    torch.testing.assert_close(found, -bound / 3)  # two numbers and a category


def test_numbers_must_gain_their_share_of_nats():
    layout = CellLayout(numbers=(0,), booleans=(1,), categories=((2, 5), (5, 7)))
    mixed = VariationalObjective(1.0, 0.0, True, None, layout=layout)
    assert mixed.minimum_improvement == pytest.approx(MINIMUM_IMPROVEMENT_NATS / 4)
    none = VariationalObjective(1.0, 0.0, True, None, layout=CellLayout((), (0, 1)))
    assert none.minimum_improvement == 0
