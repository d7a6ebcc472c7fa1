"""
Compress rows, and find similar ones
====================================

A code of eight numbers in the place of 64 pixels is a compression, and an index: rows with
similar codes are similar rows.
"""

# %%
# How well do eight numbers serve to look up digits? For each test digit, the share of its ten
# nearest training digits that have its label.
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from skae import AutoencoderTransformer
from skae.inspection import ManifoldDisplay, ReconstructionDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)


def look_up(model):
    """Return the ten training rows whose codes are nearest, for each test row."""
    index = NearestNeighbors(n_neighbors=10).fit(model.transform(X_train))
    return index.kneighbors(model.transform(X_test), return_distance=False)


def measure_precision(found):
    return (y_train[found] == y_test[:, None]).mean()


sizes = (2, 3, 4, 6, 8)
precision = {"PCA": [], "autoencoder": []}
for size in sizes:
    pca = PCA(size).fit(X_train)
    model = AutoencoderTransformer(size, standardize=False, random_state=0).fit(X_train)
    precision["PCA"].append(measure_precision(look_up(pca)))
    precision["autoencoder"].append(measure_precision(look_up(model)))

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.plot(sizes, precision["PCA"], "s--", color="#0072B2", label="PCA")
ax.plot(sizes, precision["autoencoder"], "o-", color="#D55E00", label="autoencoder")
ax.set(xlabel="numbers in the code", ylabel="neighbours with the same label", ylim=(0, 1))
ax.set_xticks(sizes)
ax.grid(axis="y", color="0.9")
ax.legend(frameon=False)

# %%
# Five queries in the first column, and what the index returns for them:
queries = [int(np.flatnonzero(y_test == digit)[0]) for digit in (1, 3, 5, 8, 9)]
found = look_up(model)[queries]
pictures = np.concatenate([X_test[queries][:, None], X_train[found]], axis=1)
display = ManifoldDisplay(decoded=pictures, image_shape=(8, 8)).plot()
display.ax_.axvline(1, color="black", linewidth=2)

# %%
# What eight numbers keep of a digit:
ReconstructionDisplay.from_estimator(model, X_test, image_shape=(8, 8))
# sphinx_gallery_thumbnail_number = 2
