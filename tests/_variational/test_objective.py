"""What a variational autoencoder's training minimizes."""

import copy

import numpy as np
import torch
from sklearn.base import clone

from skae import VAETransformer
from skae._data import Batch
from skae._variational.objective import VariationalObjective


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
    """A generator cannot be copied; the copy has none."""
    criterion = copy.deepcopy(trained.net_.criterion_)
    assert criterion.generator is None
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
