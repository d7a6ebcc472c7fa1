"""Kinds of noise, their levels, and the checks of a user's level."""

import pickle

import numpy as np
import pytest
import torch

from skae import DenoisingAutoencoder
from skae._data import Scaling
from skae._denoising.noise import (
    NOISES,
    Corruption,
    UserNoise,
    check_level,
    make_noise,
    resolve_noise_range,
    scale_noise_range,
)
from skae.modules import NoiseLevels
from skae.modules.cells import CellLayout


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def rows():
    return torch.randn(2000, 6, generator=generator(1))


def test_gaussian_noise_has_the_level_of_its_row(rows):
    level = torch.where(torch.arange(2000)[:, None] < 1000, 0.1, 2.0)
    noise = NOISES["gaussian"](rows, level, generator()) - rows
    assert noise[:1000].std().item() == pytest.approx(0.1, rel=0.05)
    assert noise[1000:].std().item() == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("name", ["masking", "salt_and_pepper", "swap"])
def test_a_share_of_the_cells_is_hit(name, rows):
    noisy = NOISES[name](rows, torch.full((2000, 1), 0.3), generator())
    assert (noisy != rows).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_hit_cells_get_the_documented_values(rows):
    level = torch.ones(2000, 1)
    assert (NOISES["masking"](rows, level, generator()) == 0).all()
    extreme = NOISES["salt_and_pepper"](rows, level, generator())
    assert ((extreme == rows.amax(0)) | (extreme == rows.amin(0))).all()
    assert (extreme == rows.amax(0)).float().mean().item() == pytest.approx(0.5, abs=0.02)
    swapped = NOISES["swap"](rows, level, generator())
    for column, values in zip(swapped.T, rows.T, strict=True):
        assert torch.isin(column, values).all()
    assert (swapped != rows).all()  # the value of another row


@pytest.mark.parametrize("name", sorted(NOISES))
def test_same_generator_same_noise(name, rows):
    corruption = Corruption(NOISES[name], 0.1, 0.5)
    first, second = corruption.draw(rows, generator(3)), corruption.draw(rows, generator(3))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], corruption.draw(rows, generator(4))[0])


def test_levels_are_log_uniform():
    levels = Corruption(NOISES["gaussian"], 0.01, 1.0).draw_levels(
        20_000, generator(), torch.zeros(1)
    )
    assert levels.shape == (20_000, 1)
    assert levels.min() >= 0.01
    assert levels.max() <= 1.0
    assert levels.log10().mean().item() == pytest.approx(-1.0, abs=0.02)
    assert levels.log10().std().item() == pytest.approx(2 / 12**0.5, abs=0.02)


def test_a_single_row_has_no_other_to_swap_with():
    row = torch.ones(1, 3)
    assert torch.equal(NOISES["swap"](row, torch.ones(1, 1), generator()), row)


def test_all_other_rows_are_swapped_in_equally_often():
    rows = torch.arange(4.0)[:, None].repeat(1, 20_000)
    swapped = NOISES["swap"](rows, torch.ones(4, 1), generator())
    for number in range(4):
        shares = torch.bincount(swapped[number].long(), minlength=4) / 20_000
        expected = torch.full((4,), 1 / 3).index_fill(0, torch.tensor(number), 0.0)
        torch.testing.assert_close(shares, expected, atol=0.02, rtol=0)


def test_user_noise_is_in_the_units_of_the_table():
    scaling = Scaling(np.array([1.0, -2.0]), np.array([10.0, 0.1]))
    rows = torch.tensor([[0.5, 1.0], [-1.0, 0.0]])
    noise = UserNoise(lambda X, generator: X + torch.tensor([5.0, 0.2]), scaling)
    expected = rows + torch.tensor([0.5, 2.0])
    torch.testing.assert_close(noise(rows, torch.zeros(2, 1), None), expected)


@pytest.mark.parametrize("unit", [1e-200, 1e140])
def test_user_noise_in_units_that_float32_does_not_hold(unit):
    scaling = Scaling(np.zeros(2), np.full(2, unit))
    rows = torch.tensor([[0.5, 1.0], [-1.0, 0.0]])
    noise = UserNoise(lambda X, generator: X + 0.5 * unit, scaling)
    got = noise(rows, torch.zeros(2, 1), None)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, rows + 0.5)


@pytest.mark.parametrize("far", [1e60, np.inf, np.nan])
def test_user_noise_must_be_comparable_with_the_columns(far):
    scaling = Scaling(np.zeros(2), np.full(2, 1e-3))
    noise = UserNoise(lambda X, generator: X.double() + far, scaling)
    with pytest.raises(ValueError, match=r"noise must return finite numbers .*0.001 to 0.001; got"):
        noise(torch.zeros(3, 2), torch.zeros(3, 1), None)


@pytest.mark.parametrize(
    ("noise", "level", "expected"),
    [
        ("gaussian", "auto", (0.02, 3.0)),
        ("swap", "auto", (0.2, 0.2)),
        ("gaussian", 7, (7.0, 7.0)),
        ("gaussian", [0.1, 0.1], (0.1, 0.1)),
        ("gaussian", np.float32(0.5), (0.5, 0.5)),
        ("gaussian", (np.float16(0.5), np.int8(3)), (0.5, 3.0)),
        ("masking", (0.5, 1.0), (0.5, 1.0)),
        (lambda X, generator: X, "auto", (0.0, 0.0)),
    ],
)
def test_valid_levels(noise, level, expected):
    assert resolve_noise_range(noise, level) == expected


@pytest.mark.parametrize("level", [0.0, (0.0, 0.5), (0.5, 1.1), (-0.1, 0.2), (0.1,)])
def test_invalid_levels(level):
    with pytest.raises(ValueError, match="noise_level must be"):
        resolve_noise_range("masking", level)


@pytest.mark.parametrize("level", [1e-20, (1e-30, 1.0), 1e20, (0.1, 1e30)])
@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e150])
def test_levels_that_float32_cannot_hold(level, unit):
    low, high = resolve_noise_range("gaussian", level)
    with pytest.raises(ValueError, match=r"noise_level must be from .*float32.* got .*: choose"):
        scale_noise_range(low * unit, high * unit, unit)
    assert scale_noise_range(0.5 * unit, 2 * unit, unit) == pytest.approx((0.5, 2))


@pytest.mark.parametrize("unit", [1e-200, 1e140])
@pytest.mark.parametrize("level", [0.2, (0.1, 0.5)])
def test_levels_far_from_the_units_of_the_table(level, unit):
    X = unit * np.random.default_rng(0).normal(size=(20, 3))
    ours = DenoisingAutoencoder(
        2, noise_level=level, standardize=False, hidden_layer_sizes=(), n_draws=2, random_state=0
    )
    with pytest.raises(ValueError, match="noise_level must be from"):
        ours.fit(X)
    levels = np.multiply(level, unit)
    ours.set_params(noise_level=levels.tolist()).fit(X)
    np.testing.assert_allclose(ours.noise_levels_, (levels.min(), levels.max()), rtol=1e-6)
    assert np.isfinite(ours.score_samples(X)).all()


def test_levels_at_the_ends_of_the_range_are_inside_it():
    levels = NoiseLevels(noise_conditional=True)
    levels.low.fill_(0.02)  # float32 is a little less than 0.02, and a little more than 0.7
    levels.high.fill_(0.7)
    for level in (0.02, 0.1, 0.7):
        assert check_level(levels, 10 * level, 10.0) == pytest.approx(level)
    for level in (0.019, 0.71):
        with pytest.raises(ValueError, match=r"0.2 to 7; got"):
            check_level(levels, 10 * level, 10.0)


# Rows with categories ------------------------------------------------------------------------


LAYOUT = CellLayout(numbers=(0,), booleans=(4,), categories=((1, 4), (5, 7)))


def draw_indicators(n_rows):
    first = torch.randint(3, (n_rows,), generator=generator(5))
    second = torch.randint(2, (n_rows,), generator=generator(6))
    rows = torch.randn(n_rows, 7, generator=generator(7))
    rows[:, 1:4] = torch.nn.functional.one_hot(first, 3) - 0.4
    rows[:, 5:7] = torch.nn.functional.one_hot(second, 2) - 0.3
    return rows


@pytest.mark.parametrize("name", ["masking", "salt_and_pepper", "swap"])
def test_indicators_of_a_category_are_hit_together(name):
    rows = draw_indicators(3000)
    noisy = make_noise(name, LAYOUT)(rows, torch.full((3000, 1), 0.3), generator())
    untouched = (noisy == rows)[:, 1:4]
    if name == "masking":
        assert (untouched.all(dim=1) | ~untouched.any(dim=1)).all()
        assert (~untouched).float().mean().item() == pytest.approx(0.3, abs=0.03)
    if name == "swap":  # still one level each
        assert ((noisy[:, 1:4] > 0).sum(dim=1) == 1).all()
        assert ((noisy[:, 5:7] > 0).sum(dim=1) == 1).all()
        assert not untouched.all()
    if name == "salt_and_pepper":
        hit = ~untouched.all(dim=1)
        assert (noisy[hit, 1:4].amax(dim=1) == noisy[hit, 1:4].amin(dim=1)).all()


def test_cells_of_other_columns_are_hit_on_their_own():
    rows = draw_indicators(3000)
    hit = make_noise("masking", LAYOUT)(rows, torch.full((3000, 1), 0.5), generator()) != rows
    columns = torch.stack([hit[:, 0], hit[:, 1], hit[:, 4], hit[:, 5]]).double()
    assert (torch.corrcoef(columns) - torch.eye(4)).abs().max() < 0.1


@pytest.mark.parametrize("name", sorted(NOISES))
def test_rows_of_numbers_get_the_noise_itself(name):
    assert make_noise(name, CellLayout.from_numbers(3)) is NOISES[name]


def test_noise_of_cells_can_be_compared_and_stored():
    noise = make_noise("swap", LAYOUT)
    assert pickle.loads(pickle.dumps(noise)) == noise
    assert make_noise("gaussian", LAYOUT) is NOISES["gaussian"]
