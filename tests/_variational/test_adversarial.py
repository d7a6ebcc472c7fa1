"""A discriminator beside a variational autoencoder."""

import copy
import math
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from skae import VAETransformer
from skae._data import Batch
from skae._variational.adversarial import AdversarialObjective, Adversary, find_last_layer
from skae._variational.objective import VariationalObjective
from skae.modules import MLP, MLPArchitecture, make_variational

from ..resumption import are_equal, describe_result

SMALL = {
    "hidden_layer_sizes": (8,),
    "max_epochs": 2,
    "batch_size": 100,
    "n_draws": 2,
    "random_state": 0,
}


def small(**parameters):
    return VAETransformer(2, **{"discriminator": "mlp", **SMALL, **parameters})


@pytest.fixture
def game(curve):
    """A module, an adversary past its steps alone, their objective, and a batch."""
    generator = torch.Generator().manual_seed(0)
    mlp = partial(MLPArchitecture((8,)), generator=generator)
    module = make_variational(6, 2, mlp, prior="mixture", generator=generator)
    nn.init.constant_(module.decoder.gate, 0.5)  # closed, the nonlinear path would have no gradient
    discriminator = MLP(6, 1, (8,), generator=generator)
    adversary = Adversary(discriminator, find_last_layer(discriminator, 6))
    adversary.n_steps = 100
    plain = VariationalObjective(1.0, 0.5, True, generator)
    batch = Batch(torch.from_numpy(curve[:50]).float())

    def make(weight, feature_weight=0.0, seed=3):
        source = generator.manual_seed(seed)
        return AdversarialObjective(plain, adversary, weight, feature_weight, source)

    return module, adversary, make, batch, plain


def find_gradients(module):
    return {n: None if p.grad is None else p.grad.clone() for n, p in module.named_parameters()}


def compute_gradients(module, loss):
    module.zero_grad()
    loss.backward()
    return find_gradients(module)


# Gradients --------------------------------------------------------------------------------


def test_the_discriminators_step_leaves_the_network_alone(game):
    module, adversary, _, batch, _ = game
    drawn = module.decode(torch.ones(20, 2, requires_grad=True))
    before = copy.deepcopy(adversary.discriminator.state_dict())
    adversary.train(batch.input, torch.full((50,), 1 / 50), drawn)
    assert all(gradient is None for gradient in find_gradients(module).values())
    after = adversary.discriminator.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_the_decoders_gradient_leaves_the_discriminator_alone(game):
    module, adversary, make, batch, _ = game
    adversary.train(batch.input, torch.full((50,), 1 / 50), batch.input + 1)
    own = find_gradients(adversary.discriminator)
    before = copy.deepcopy(adversary.discriminator.state_dict())
    drawn = module.decode(torch.ones(20, 2))
    adversary.find_gradient(drawn)
    found = find_gradients(adversary.discriminator)
    assert all(torch.equal(own[name], found[name]) for name in own)
    make(1.0).loss(module, batch).backward()  # takes one step of its own, before the decoder's
    trained = find_gradients(adversary.discriminator)
    assert adversary.n_steps == 102
    assert any(not torch.equal(own[name], trained[name]) for name in own)
    after = adversary.discriminator.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_the_second_term_reaches_the_decoder_alone_and_not_the_value(game):
    """The gradient is that of the loss as Larsen et al. write it."""
    module, adversary, make, batch, plain = game
    fixed = copy.deepcopy(adversary.discriminator)
    plain.generator.manual_seed(3)
    loss = plain.loss(module, batch)
    gradients = compute_gradients(module, loss)
    code = module.mixture().draw(50, plain.generator).detach()
    objective = make(0.5)
    adversary.optimizer.param_groups[0]["lr"] = 0.0  # so that it stays as it was copied
    both = objective.loss(module, batch)
    assert torch.equal(both, loss)
    found = compute_gradients(module, both)
    passed = -torch.log(torch.sigmoid(fixed(module.decode(code)))).mean()
    second = compute_gradients(module, 0.5 * passed)
    for name, gradient in gradients.items():
        part = second[name]
        assert (part is not None and bool(part.any())) == name.startswith("decoder."), name
        expected = gradient if part is None else gradient + part
        torch.testing.assert_close(found[name], expected, msg=name)


def test_the_third_term_is_the_likelihood_of_features(game):
    """It reaches encoder and decoder, and neither the value nor the discriminator."""
    module, adversary, make, batch, plain = game
    nn.init.constant_(module.encoder.gate, 0.5)
    fixed = copy.deepcopy(adversary.discriminator)
    adversary.optimizer.param_groups[0]["lr"] = 0.0  # so that it stays as it was copied
    without = compute_gradients(module, make(0.5).loss(module, batch))
    plain.generator.manual_seed(3)
    loss = plain.loss(module, batch)
    module.mixture().draw(50, plain.generator)
    mean, log_variance = module.posterior(batch.input)
    noise = torch.empty_like(mean).normal_(generator=plain.generator)
    rows = module.decode(mean + noise * torch.exp(0.5 * log_variance))

    def features(x):  # of an MLP of one hidden layer
        return fixed.activation(fixed.layers[0](x))

    log_density = torch.distributions.Normal(features(rows), 1.0).log_prob(features(batch.input))
    third = compute_gradients(module, -2.0 / 6 * log_density.sum(dim=1).mean())
    objective = make(0.5, feature_weight=2.0)
    both = objective.loss(module, batch)
    assert torch.equal(both, loss)
    found = compute_gradients(module, both)
    for part in ("encoder.", "decoder."):
        assert any(g is not None and g.any() for n, g in third.items() if n.startswith(part))
    for name, gradient in without.items():
        expected = gradient if third[name] is None else gradient + third[name]
        torch.testing.assert_close(found[name], expected, msg=name)


def test_rows_without_weight_have_no_features_to_match(game):
    _, adversary, _, batch, _ = game
    shares = torch.tensor([0.5, 0.5] + 48 * [0.0])
    gradient = adversary.find_feature_gradient(batch.input, shares, batch.input + 1)
    assert gradient[:2].abs().min() > 0
    assert not gradient[2:].any()


def test_the_discriminator_is_alone_at_first(game):
    module, adversary, make, batch, plain = game
    for n_steps, is_alone in ((0, True), (14, True), (15, False)):
        plain.generator.manual_seed(3)
        expected = compute_gradients(module, plain.loss(module, batch))
        objective = make(5.0)
        adversary.n_steps = n_steps
        found = compute_gradients(module, objective.loss(module, batch))
        alike = all(torch.equal(found[name], expected[name]) for name in expected)
        assert alike == is_alone


def test_rows_count_by_their_weights_and_trimmed_ones_not(game):
    _, adversary, _, batch, _ = game
    twin = copy.deepcopy(adversary)
    drawn = torch.zeros(5, 6)
    adversary.train(batch.input, torch.tensor([0.5, 0.25, 0.25] + 47 * [0.0]), drawn)
    twin.train(batch.input[[0, 0, 1, 2]], torch.full((4,), 0.25), drawn)
    for one, other in zip(
        adversary.discriminator.parameters(), twin.discriminator.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_warm_up_of_the_divergence_is_over(game):
    _, _, make, _, _ = game
    objective = make(1.0)
    objective.advance(0.1)
    assert objective.current_beta(True) == 1.0


# Fits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [60, 600])
def test_the_training_before_is_that_without_a_discriminator(curve, n_rows):
    """To the last bit; then follow as many epochs as it may have had."""
    ours = small(init="random", batch_size=60)
    plain = clone(ours).set_params(discriminator=None).fit(curve[:n_rows])
    ours.fit(curve[:n_rows])
    assert ours.loss_curve_[:-2] == plain.loss_curve_
    assert ours.validation_scores_ == plain.validation_scores_
    assert ours.n_iter_ == plain.n_iter_ + 2
    # Rows that are held out stay so.
    n_trained = n_rows if n_rows < 500 else 540
    assert ours.net_.criterion_.adversary.n_steps == 2 * math.ceil(n_trained / 60)
    assert not np.array_equal(ours.transform(curve), plain.transform(curve))


def test_the_weight_draws_the_decoder_and_nothing_else_differs(curve):
    """A weight of nearly nothing is more training by the likelihood."""
    fits = [small(max_epochs=8, adversarial_weight=w).fit(curve) for w in (1e-12, 1e-11, 5.0)]
    rows = [fitted.inverse_transform(np.ones((1, 2))) for fitted in fits]
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    assert np.abs(rows[0] - rows[2]).max() > 1e-3


@pytest.mark.parametrize("name", ["convolutional", "recurrent"])
def test_features_are_those_before_the_last_layer(name):
    images = np.random.default_rng(0).uniform(size=(60, 8, 6))
    ours = small(discriminator=name, init="random", likelihood="bernoulli", batch_size=6)
    plain, features = (clone(ours).set_params(feature_weight=w).fit(images) for w in (0, 1.0))
    assert not np.array_equal(plain.transform(images), features.transform(images))
    adversary = features.net_.criterion_.adversary
    rows = torch.rand(5, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        last = find_last_layer(adversary.discriminator, 48)
        odds = last(adversary._find_features(rows)).reshape(5, -1)
        torch.testing.assert_close(odds, adversary.discriminator(rows).reshape(5, -1))


def test_the_last_layer_is_the_one_that_is_called_last():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.end = nn.Linear(4, 1)
            self.begin = nn.Linear(6, 4)
            self.spare = nn.Linear(3, 3)
            self.normalize = nn.BatchNorm1d(4)

        def forward(self, rows):
            return self.end(self.normalize(self.begin(rows)))

    with torch.random.fork_rng():
        odd = Odd()
    before = copy.deepcopy(odd.state_dict())
    assert find_last_layer(odd, 6) is odd.end
    assert odd.training
    assert all(torch.equal(before[name], value) for name, value in odd.state_dict().items())
    assert not any(part._forward_hooks for part in odd.modules())


def test_equal_seeds_give_equal_fits(curve):
    ours = small(dropout=0.2, max_epochs=10)
    fits = [clone(ours).fit(curve) for _ in range(2)]
    assert are_equal(*(describe_result(fitted, curve) for fitted in fits))
    other = clone(ours).set_params(random_state=1).fit(curve)
    assert not np.array_equal(other.transform(curve), fits[0].transform(curve))


@pytest.mark.parametrize(
    "parameters",
    [
        {"likelihood": "bernoulli", "binarize": True},
        {"likelihood": "bernoulli", "standardize": False},
        {"prior": "vamp"},
        {"prior": "standard", "beta": 0.0},
        {"trim_fraction": 0.2, "optimizer": "sgd"},
        {"early_stopping": False, "kl_warmup": 1.0},
        {
            "callbacks": [
                LRScheduler("ExponentialLR", gamma=0.5),
                LRScheduler("StepLR", step_size=1),
            ]
        },
    ],
    ids=lambda parameters: ", ".join(parameters),
)
def test_it_goes_with_all_parameters(curve, parameters):
    X = (curve - curve.min(axis=0)) / np.ptp(curve, axis=0)
    ours = small(**parameters).fit(X, sample_weight=np.arange(600) % 3)
    assert np.isfinite(ours.score_samples(X)).all()
    assert len(ours.net_.history) == 2
    assert ours.net_.criterion_.adversary.n_steps == 8


class Interrupt(Callback):
    """Does what Ctrl-C does after the second epoch."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("early_stopping", [True, False])
def test_an_interrupted_training_is_not_followed_by_another(curve, early_stopping):
    ours = small(callbacks=[Interrupt()], max_epochs=6, early_stopping=early_stopping)
    with pytest.warns(UserWarning, match="interrupted after 2 of"):
        ours.fit(curve)
    assert ours.n_iter_ <= 2
    assert len(ours.loss_curve_) <= 2


def test_few_rows(curve):
    for n_rows in (3, 12):
        ours = small(batch_size=256).fit(curve[:n_rows])
        assert np.isfinite(ours.score_samples(curve)).all()


def test_a_fit_is_continued(curve):
    ours = small(warm_start=True).fit(curve)
    first = ours.transform(curve)
    assert not np.array_equal(ours.fit(curve).transform(curve), first)
    assert ours.set_params(discriminator=None).fit(curve).n_iter_ <= 2


def test_an_architecture_builds_the_discriminator(curve):
    roles = []

    def build(role, n_inputs, n_outputs):
        roles.append((role, n_inputs, n_outputs))
        return nn.Sequential(nn.Linear(n_inputs, 4), nn.Dropout(0.3), nn.Linear(4, n_outputs))

    fits = [small(discriminator=build).fit(curve) for _ in range(2)]
    assert set(roles) == {("discriminator", 6, 1)}
    np.testing.assert_array_equal(*(fitted.transform(curve) for fitted in fits))
    mlp = small().fit(curve).net_.criterion_.adversary.discriminator
    assert [layer.out_features for layer in mlp.linear_layers] == [8, 1]


@pytest.mark.parametrize("name", ["convolutional", "recurrent"])
def test_rows_with_a_shape_go_with_discriminators_of_that_shape(name):
    images = np.random.default_rng(0).uniform(size=(60, 8, 6))
    ours = small(discriminator=name, init="random", likelihood="bernoulli").fit(images)
    assert ours.sample(3, random_state=0).shape == (3, 8, 6)
    found = {type(part).__name__ for part in ours.net_.criterion_.adversary.discriminator.modules()}
    assert {"convolutional": "Conv2d", "recurrent": "GRU"}[name] in found


def ring(n_rows, seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n_rows)
    radius = 1 + 0.05 * rng.normal(size=n_rows)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def energy_distance(a, b):
    """Zero for two samples of one distribution only (Szekely and Rizzo 2013, equation 5)."""

    def mean(x, y):
        return np.linalg.norm(x[:, None] - y, axis=2).mean()

    return 2 * mean(a, b) - mean(a, a) - mean(b, b)


@pytest.mark.parametrize("seed", range(2))
def test_samples_of_a_ring_come_closer_to_it(seed):
    """The rows that the discriminator sees: those expected of drawn codes."""
    plain = VAETransformer(
        2,
        hidden_layer_sizes=(64, 64),
        init="random",
        prior="standard",
        early_stopping=False,
        max_epochs=40,
        batch_size=100,
        random_state=seed,
    )
    ours = clone(plain).set_params(discriminator="mlp", adversarial_weight=0.2)
    known, unseen = ring(500, 0), ring(1000, 1)
    distances = [
        energy_distance(fitted.sample(1000, random_state=2, noise=False), unseen)
        for fitted in (plain.fit(known), ours.fit(known))
    ]
    assert distances[1] < 0.7 * distances[0]


# Storing ----------------------------------------------------------------------------------


def test_what_is_stored_has_no_discriminator(curve):
    wide = small(hidden_layer_sizes=(64,))  # whose discriminator takes 2,000 bytes
    ours, plain = wide.fit(curve), clone(wide).set_params(discriminator=None).fit(curve)
    for dumped, other in (
        (pickle.dumps(ours), pickle.dumps(plain)),
        (skops.io.dumps(ours), skops.io.dumps(plain)),
    ):
        assert abs(len(dumped) - len(other)) < 1000
    stored = skops.io.dumps(ours)
    untrusted = skops.io.get_untrusted_types(data=stored)
    assert untrusted == ["skae._variational.estimator.VAETransformer"]
    for loaded in (pickle.loads(pickle.dumps(ours)), skops.io.loads(stored, trusted=untrusted)):
        np.testing.assert_array_equal(loaded.score_samples(curve), ours.score_samples(curve))
        assert loaded.discriminator == "mlp"


# Errors -----------------------------------------------------------------------------------


class MeanOfRow(nn.Module):
    def forward(self, rows):
        return rows.mean(dim=1, keepdim=True)


def check_refused(ours, X, message, method="fit"):
    class Train(Callback):
        def on_train_begin(self, net, **kwargs):
            raise AssertionError("it trained")

    ours.set_params(callbacks=[Train()])
    with pytest.raises(ValueError, match=message):
        getattr(ours, method)(X)
    assert not hasattr(ours, "_fitted")


def test_what_it_does_not_go_with(curve):
    gaps = curve.copy()
    gaps[3, 2] = np.nan
    frame = pd.DataFrame(curve, columns=list("abcdef")).assign(job=["x", "y"] * 300)
    mlp = "discriminator='mlp'"
    check_refused(small(), gaps, f"{mlp} requires complete rows, got .* column 2: fill them .*AEIm")
    check_refused(small(), frame, f"{mlp} requires numbers, got column 'job', .*discriminator=None")
    check_refused(
        small(hidden_layer_sizes=()), curve, rf"{mlp} requires .* hidden_layer_sizes=\(\): give"
    )
    check_refused(small(), curve, f"partial_fit .* discriminator=None, got {mlp}", "partial_fit")
    check_refused(small(discriminator="cnn"), curve, "The 'discriminator' parameter .* 'cnn'")
    check_refused(small(discriminator="convolutional"), curve, "must know the shape of a row")
    check_refused(small(adversarial_weight=0), curve, "The 'adversarial_weight' parameter .* Got 0")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(6, 2), r"of shape \(n, 1\)|of shape \(2, 1\)"),
        (MeanOfRow(), "must have weights to tr"),
    ],
    ids=["two outputs", "no weights"],
)
def test_a_discriminator_that_is_none(curve, module, message):
    def build(role, n_inputs, n_outputs):
        return module

    check_refused(
        small(discriminator=build), curve, rf"architecture\('discriminator', 6, 1\).*({message})"
    )


def test_features_require_a_last_layer(curve):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, rows):
            return self.scale * rows.mean(dim=1, keepdim=True)

    ours = small(discriminator=lambda role, n_inputs, n_outputs: Scaled(), feature_weight=0.1)
    check_refused(ours, curve, "feature_weight=0.1 requires .*Linear.* Scaled: give it one, or set")
    check_refused(small(feature_weight=-1), curve, "The 'feature_weight' parameter .* Got -1")


def test_gaps_are_scored_after_a_fit_without(curve):
    ours = small().fit(curve)
    gaps = curve[:5].copy()
    gaps[0, 0] = np.nan
    assert np.isfinite(ours.score_samples(gaps)).all()
