"""
Remove noise, and fill pixels that are off
==========================================

A denoiser is fitted to clean rows: training adds the noise. Its floor is the best linear filter, so
what it gains is what the shapes of digits say beyond correlations.
"""

# %%
# Gaussian noise
# --------------
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder
from skae.inspection import ReconstructionDisplay

X_train, X_test = train_test_split(load_digits().data, random_state=0)
rng = np.random.default_rng(0)
noisy = X_test + 4 * rng.normal(size=X_test.shape)

denoiser = DenoisingAutoencoder(noise_level=4, standardize=False, random_state=0)
denoiser.fit(X_train)
ReconstructionDisplay.from_predictions(
    noisy, denoiser.denoise(noisy), target=X_test, image_shape=(8, 8)
)

# %%
# The linear filter, with the same noise:
wiener = DenoisingAutoencoder(noise_level=4, standardize=False, hidden_layer_sizes=())
wiener.fit(X_train)


def measure_error(filtered):
    return np.square(filtered - X_test).mean()


print(f"mean squared error, noisy digits:  {measure_error(noisy):.1f}")
print(f"after the best linear filter:      {measure_error(wiener.denoise(noisy)):.1f}")
print(f"after the denoising autoencoder:   {measure_error(denoiser.denoise(noisy)):.1f}")

# %%
# Half of the pixels off
# ----------------------
# The noise may be a function of your own. It takes rows as a tensor, and a random generator.
import torch


def switch_off(rows, generator):
    """Set half of the pixels to zero."""
    stays_on = torch.rand(rows.shape, generator=generator) < 0.5
    return rows * stays_on


restorer = DenoisingAutoencoder(noise=switch_off, standardize=False, random_state=0)
restorer.fit(X_train)
dark = X_test * (rng.random(X_test.shape) < 0.5)
restored = restorer.denoise(dark)
ReconstructionDisplay.from_predictions(dark, restored, target=X_test, image_shape=(8, 8))

# %%
print(f"mean squared error with half of the pixels off: {measure_error(dark):.1f}")
print(f"after the denoising autoencoder:                {measure_error(restored):.1f}")
