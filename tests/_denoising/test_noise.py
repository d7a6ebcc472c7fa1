"""Noises do to rows what they say, and draw from their generator alone."""

import pytest
import torch

from skae._denoising.noise import NOISES, Corruption


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


def test_what_hit_cells_become(rows):
    level = torch.ones(2000, 1)
    assert (NOISES["masking"](rows, level, generator()) == 0).all()
    extreme = NOISES["salt_and_pepper"](rows, level, generator())
    assert ((extreme == rows.amax(0)) | (extreme == rows.amin(0))).all()
    swapped = NOISES["swap"](rows, level, generator())
    for column, values in zip(swapped.T, rows.T, strict=True):
        assert torch.isin(column, values).all()
    assert (swapped != rows).all()  # of another row, never of its own


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
