"""What a denoiser's training minimizes."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skae import DenoisingAutoencoder
from skae._autoencoder.penalties import NO_PENALTY, CodePenalty
from skae._data import Batch
from skae._denoising.fast_step import make_fast_step
from skae._denoising.noise import NOISES, Corruption
from skae._denoising.objective import DenoisingObjective, PairObjective, relative_errors
from skae._training import MINIMUM_IMPROVEMENT_NATS
from skae.modules import MLPArchitecture, make_row_denoiser

SMALL = DenoisingAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)


def test_nets_can_be_copied(curve):
    net = clone(SMALL).fit(curve).net_
    again = copy.deepcopy(net)
    assert again.criterion_.generator is None
    assert pickle.loads(pickle.dumps(net)).criterion_.corruption == net.criterion_.corruption


def test_trimming_ranks_rows_by_errors_relative_to_their_level():
    """By their losses alone, rows with low noise levels would be trimmed instead of far rows.

    A trimmed row has no influence on the loss, so its gradient is zero.
    """
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(size=(180, 2)), rng.normal(size=(20, 2)) + 8])
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=(), trim_fraction=0.1).fit(rows)
    objective, module = ours.net_.criterion, ours.module_.train()
    objective.generator = torch.Generator().manual_seed(0)
    scaled = torch.from_numpy((rows - ours.mean_) / ours.scale_).float()
    is_far = np.arange(200) >= 180
    by_objective, by_loss = [], []
    for _ in range(50):
        X = scaled.clone().requires_grad_()
        state = objective.generator.get_state()
        objective.loss(module, Batch(X)).backward()
        is_trimmed = (X.grad == 0).all(dim=1).numpy()
        assert is_trimmed.sum() == 20
        by_objective.append(is_far[is_trimmed].mean())
        objective.generator.set_state(state)
        losses = objective.row_losses(module, Batch(scaled)).detach().numpy()
        by_loss.append(is_far[losses.argsort()[-20:]].mean())
    assert np.mean(by_objective) > 0.5
    assert np.mean(by_objective) > np.mean(by_loss) + 0.03


# Expected losses -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linear(normal):
    train = normal[0]
    ours = DenoisingAutoencoder(
        None, hidden_layer_sizes=(), standardize=False, noise_level=(0.1, 3.0)
    ).fit(train)
    scaled = torch.from_numpy((train - ours.mean_) / ours.scale_).float()
    return ours.module_, scaled


def make_objective(low, high, *, is_range, penalty=NO_PENALTY, trim_fraction=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corruption = Corruption(NOISES["gaussian"], low, high)
    return DenoisingObjective(corruption, generator, penalty, trim_fraction, is_range, None)


def expected_error(X, level):
    variances = np.linalg.eigvalsh(np.cov(X.T, bias=True))
    return (variances * level**2 / (variances + level**2)).sum()


def test_loss_of_one_level_is_the_mean_squared_error(linear):
    module, X = linear
    objective = make_objective(0.5, 0.5, is_range=False)
    found = objective.row_losses(module.eval(), Batch(X)).mean().item()
    assert found == pytest.approx(expected_error(X.numpy(), 0.5) / 5, rel=0.02)


@pytest.mark.parametrize("is_training", [True, False])
def test_loss_of_a_range_is_the_integral_of_errors_over_signal_to_noise_ratios(linear, is_training):
    """Half the integral of the error over `1 / s^2`, by quadrature over the logarithm of `s`."""
    module, X = linear
    objective = make_objective(0.1, 3.0, is_range=True)
    logs = np.linspace(np.log(0.1), np.log(3.0), 2001)
    errors = np.array([expected_error(X.numpy(), np.exp(each)) for each in logs])
    expected = np.trapezoid(0.5 * errors / np.exp(2 * logs), logs) / 5
    draws = [objective.row_losses(module.train(is_training), Batch(X)).mean() for _ in range(4)]
    assert float(sum(draws)) / 4 == pytest.approx(expected, rel=0.03)
    assert objective.loss(module, Batch(X)).item() == pytest.approx(expected, rel=0.1)


def test_held_out_rows_get_the_same_noise_and_training_rows_fresh_noise(linear):
    module, X = linear
    objective = make_objective(0.1, 3.0, is_range=True)
    found = [objective.row_losses(module.eval(), Batch(X)) for _ in range(2)]
    assert torch.equal(*found)
    fresh = [objective.row_losses(module.train(), Batch(X)) for _ in range(2)]
    assert not torch.equal(*fresh)
    assert found[0].std() < 0.7 * fresh[0].std()  # a mean of several draws


def test_noise_comes_in_pairs_of_opposite_sign(linear):
    _, X = linear
    objective = make_objective(0.1, 3.0, is_range=True)
    noisy, level, twice = objective.draw_pairs(X, objective.generator)
    torch.testing.assert_close(noisy[: len(X)] + noisy[len(X) :], 2 * X)
    assert torch.equal(twice, torch.cat([X, X]))
    assert (noisy[: len(X)] - X).std() > 0.1
    assert level.shape == (len(X), 1)


@pytest.mark.parametrize("is_range", [True, False])
@pytest.mark.parametrize("trim_fraction", [0.0, 0.1])
def test_rows_of_no_weight_have_no_influence(linear, is_range, trim_fraction):
    module, X = linear
    low = 0.1 if is_range else 0.5
    objective = make_objective(low, 0.5, is_range=is_range, trim_fraction=trim_fraction)
    X = X[:200].clone().requires_grad_()
    weight = (torch.arange(200) < 120).float()
    objective.loss(module.train(), Batch(X, weight=weight)).backward()
    has_influence = (X.grad != 0).any(dim=1)
    assert not has_influence[120:].any()
    assert has_influence[:120].sum() == round(120 * (1 - trim_fraction))


@pytest.mark.parametrize("noise_level", [0.5, (0.1, 0.5)])
def test_the_penalty_is_added_to_the_errors(curve, noise_level):
    ours = DenoisingAutoencoder(2, hidden_layer_sizes=(4,), max_epochs=1, noise_level=noise_level)
    module = ours.fit(curve).module_.train()
    X = torch.from_numpy((curve - ours.mean_) / ours.scale_).float()
    is_range = isinstance(noise_level, tuple)
    low, high = noise_level if is_range else (noise_level, noise_level)

    def losses(penalty):
        objective = make_objective(low, high, is_range=is_range, penalty=penalty, seed=3)
        return objective.row_losses(module, Batch(X)).detach()

    found = losses(CodePenalty("l1", 0.7)) - losses(NO_PENALTY)
    generator = torch.Generator().manual_seed(3)
    noisy, level = Corruption(NOISES["gaussian"], low, high).draw(X, generator)
    sides = (noisy, 2 * X - noisy) if is_range else (noisy,)
    costs = [module.encode(side, level).abs().sum(dim=1) for side in sides]
    expected = 0.7 * torch.stack(costs).mean(dim=0).detach() / X.shape[1]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_loss_of_pairs_is_the_mean_squared_error_to_the_clean_rows(curve):
    noisy = curve + 0.1
    ours = DenoisingAutoencoder(2, hidden_layer_sizes=(4,), max_epochs=1).fit(noisy, curve)
    X, Y = (torch.from_numpy((each - ours.mean_) / ours.scale_).float() for each in (noisy, curve))
    found = PairObjective(NO_PENALTY, 0.0).row_losses(ours.module_, Batch(X, target=Y))
    torch.testing.assert_close(found, (ours.module_.denoise(X) - Y).square().mean(dim=1))


def test_a_denoiser_with_one_level_is_not_judged_in_nats(curve):
    """Training must win 0.03 nats a column only where losses are log-densities."""
    for parameters, expected in [
        ({"n_components": None}, MINIMUM_IMPROVEMENT_NATS),
        ({"n_components": 2}, None),
        ({"n_components": None, "noise_level": 0.5}, None),
        ({"n_components": None, "noise": "masking", "noise_level": (0.1, 0.5)}, None),
    ]:
        ours = DenoisingAutoencoder(hidden_layer_sizes=(4,), max_epochs=1).set_params(**parameters)
        assert ours.fit(curve).net_.criterion_.minimum_improvement == expected


# Missing cells -------------------------------------------------------------------------------


def masked_batch(n_rows=200):
    rng = np.random.default_rng(0)
    clean = torch.from_numpy(rng.normal(size=(n_rows, 4))).float()
    return Batch(clean, mask=torch.from_numpy(rng.random((n_rows, 4)) < 0.7))


@pytest.fixture(params=["range", "one level", "pairs"])
def missing(request):
    """An objective, and a network for it of four columns."""
    if request.param == "pairs":
        objective = PairObjective(NO_PENALTY, 0.0)
    else:
        is_range = request.param == "range"
        objective = make_objective(0.2, 2.0 if is_range else 0.2, is_range=is_range)
    X = np.random.default_rng(1).normal(size=(300, 4))
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=(), noise_level=(0.2, 2.0)).fit(X)
    return objective, ours.module_.eval()


def test_all_observed_is_no_mask(missing):
    objective, module = missing
    batch = masked_batch()
    everything = batch._replace(mask=torch.ones_like(batch.mask))
    whole = objective.row_losses(module, batch._replace(mask=None))
    torch.testing.assert_close(objective.row_losses(module, everything), whole)


def test_observed_cells_count_alone(missing):
    """The losses of a mask and of the other cells add up to that of all cells."""
    objective, module = missing
    batch = masked_batch()
    parts = [batch, batch._replace(mask=~batch.mask)]
    first, second = (objective.row_losses(module, part) for part in parts)
    whole = objective.row_losses(module, batch._replace(mask=None))
    torch.testing.assert_close(first + second, whole)
    none = batch._replace(mask=torch.zeros_like(batch.mask))
    assert (objective.row_losses(module, none) == 0).all()


def test_losses_are_means_over_the_columns_of_the_table(missing):
    objective, module = missing
    batch = masked_batch()
    before = objective.row_losses(module, batch)
    objective.n_columns = 2
    torch.testing.assert_close(objective.row_losses(module, batch), 2 * before)


def test_trimming_does_not_prefer_rows_with_few_cells():
    batch = masked_batch(1000)
    batch.mask[:500, :3] = False
    batch.mask[:, 3] = True
    errors = torch.where(batch.mask, 1.0, 0.0).sum(dim=1).repeat(2)
    relative = relative_errors(errors, torch.full((1000, 1), 4.0), batch.mask)
    torch.testing.assert_close(relative, torch.ones(1000))
    nothing = relative_errors(torch.zeros(2), torch.ones(1, 1), torch.zeros(1, 4, dtype=torch.bool))
    assert torch.isfinite(nothing).all()


@pytest.mark.parametrize("trim_fraction", [0.0, 0.23])
def test_the_fast_step_counts_observed_cells_alone(trim_fraction):
    """As autograd does, to rounding."""
    architecture = partial(MLPArchitecture((6, 5)), generator=torch.Generator().manual_seed(1))
    module = make_row_denoiser(4, architecture, n_axes=4, noise_conditional=True).double().train()
    module.levels.low.fill_(0.1)
    module.levels.high.fill_(3.0)
    for parameter in module.parameters():  # open the gate
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(2))
    batch = masked_batch(60)
    batch = batch._replace(input=batch.input.double())
    found = []
    for by_autograd in (True, False):
        objective = make_objective(0.1, 3.0, is_range=True, trim_fraction=trim_fraction)
        objective.n_columns = 3
        if by_autograd:
            loss = objective.loss(module, batch)
            module.zero_grad()
            loss.backward()
        else:
            module.zero_grad()
            loss = make_fast_step(module, objective)(batch)
        gradients = [parameter.grad.clone() for parameter in module.parameters()]
        found.append((loss.detach(), gradients))
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-12)
