"""
Half of a photograph's pixels are off
=====================================

A convolution learns a pattern once for all places of an image. Everything else stays as it is:
images go in as arrays, training begins at the best linear map, and images come out.
"""

# %%
# Patches of two photographs to train on, from their left and right parts. The middle of each
# photograph is kept to test.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_sample_images

from skae import DenoisingAutoencoder
from skae.inspection import UnitsDisplay
from skae.modules import ConvolutionalArchitecture

SIDE = 16
photographs = [picture / 255 for picture in load_sample_images().images]
rng = np.random.default_rng(0)


def draw_patches(picture, n_patches):
    """Return square patches from random places."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (SIDE, SIDE), axis=(0, 1))
    places = rng.integers(windows.shape[:2], size=(n_patches, 2))
    return np.moveaxis(windows[tuple(places.T)], 1, -1)


parts = [part for picture in photographs for part in (picture[:, :208], picture[:, 416:])]
patches = np.concatenate([draw_patches(part, 2000) for part in parts])
patches.shape

# %%
# The noise is a function: half of the pixels lose all of their colours. The restorer is not told
# which ones.


def switch_off(rows, generator):
    """Set half of the pixels of flat rows to black."""
    stays_on = torch.rand((len(rows), SIDE**2, 1), generator=generator) < 0.5
    return (rows.view(len(rows), -1, 3) * stays_on).flatten(1)


architecture = ConvolutionalArchitecture((16, 32), pooling="max", upsampling="nearest")
model = DenoisingAutoencoder(
    architecture=architecture,
    noise=switch_off,
    standardize=False,
    max_epochs=12,
    random_state=0,
).fit(patches)
linear = DenoisingAutoencoder(
    hidden_layer_sizes=(), noise=switch_off, standardize=False, random_state=0
).fit(patches)

# %%
# Both are put together from patches that lie side by side.


def restore(picture, restorer):
    """Return a picture restored patch by patch."""
    rows, columns = picture.shape[0] // SIDE, picture.shape[1] // SIDE
    tiles = picture.reshape(rows, SIDE, columns, SIDE, 3).swapaxes(1, 2)
    restored = restorer.denoise(tiles.reshape(-1, SIDE, SIDE, 3)).reshape(tiles.shape)
    return restored.swapaxes(1, 2).reshape(picture.shape).clip(0, 1)


def measure_decibels(picture, wanted):
    return -10 * np.log10(np.square(picture - wanted).mean())


fig, axes = plt.subplots(2, 4, figsize=(9, 5.4), layout="constrained")
for row, picture in enumerate(photographs):
    wanted = picture[112 : 112 + 13 * SIDE, 208:416]
    dark = wanted * (rng.random((*wanted.shape[:2], 1)) < 0.5)
    shown = {
        "half off": dark,
        "best linear map": restore(dark, linear),
        "convolutions": restore(dark, model),
        "the photograph": wanted,
    }
    for ax, (name, image) in zip(axes[row], shown.items(), strict=True):
        ax.imshow(image)
        ax.set_axis_off()
        decibels = "" if image is wanted else f"\n{measure_decibels(image, wanted):.1f} dB"
        ax.set_title(name + decibels, fontsize="medium")

# %%
# What units respond to
# ---------------------
# A unit of the second layer sees a few pixels. On the left are the patches of clean photographs
# that excite each of eight units most. On the right, the response is projected back to the pixels,
# by the way it came: through pooling to where the maxima were, and through the convolutions.
UnitsDisplay.from_estimator(model, patches, layer=1)

# %%
# The units behind them see more:
UnitsDisplay.from_estimator(model, patches, layer=2)
