"""
Remove watermarks, from pairs
=============================

Where noise can't be described, pairs can show it: ``fit`` takes the marked rows and the clean
ones, and learns the way from the former to the latter.
"""

# %%
# A cross is stamped on each digit, at a random place and with a random strength.
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder
from skae.inspection import LearningCurveDisplay, ReconstructionDisplay

CROSS = np.maximum(np.eye(5), np.eye(5)[::-1])


def stamp(rows, rng):
    """Return rows with a cross on each."""
    images = rows.reshape(-1, 8, 8).copy()
    for image in images:
        top, left = rng.integers(0, 4, size=2)
        image[top : top + 5, left : left + 5] += rng.uniform(5, 10) * CROSS
    return np.minimum(images, 16).reshape(rows.shape)


rng = np.random.default_rng(0)
clean, clean_test = train_test_split(load_digits().data, random_state=0)
# Three stamps for each digit.
clean = np.tile(clean, (3, 1))
marked, marked_test = stamp(clean, rng), stamp(clean_test, rng)

# %%
model = DenoisingAutoencoder(standardize=False, random_state=0).fit(marked, clean)
restored = model.denoise(marked_test)
ReconstructionDisplay.from_predictions(marked_test, restored, target=clean_test, image_shape=(8, 8))

# %%
# Training begins at the best linear map from marked to clean rows. No linear map knows where the
# cross is, so that most of the gain comes after:
LearningCurveDisplay.from_estimator(model)

# %%
print(f"mean squared error with the mark: {np.square(marked_test - clean_test).mean():.1f}")
print(f"without it:                       {np.square(restored - clean_test).mean():.1f}")
