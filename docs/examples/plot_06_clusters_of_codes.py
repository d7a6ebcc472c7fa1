"""
k-means on codes
================

k-means looks for round clusters of equal size. In a few principal components digits are no such
clusters; in as many numbers of an autoencoder they come nearer to it.
"""

# %%
# The same k-means on the codes of PCA and on those of an autoencoder, for codes of several sizes.
# No label is used; the adjusted Rand index then compares clusters with labels, 1 for perfect
# agreement and 0 for chance.
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from skae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)


def cluster(codes):
    return KMeans(10, n_init=5, random_state=0).fit_predict(codes)


sizes = (2, 3, 4, 6, 8)
clusters = {
    "PCA": [cluster(PCA(size).fit_transform(X)) for size in sizes],
    "autoencoder": [
        cluster(AutoencoderTransformer(size, standardize=False, random_state=0).fit_transform(X))
        for size in sizes
    ],
}

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
looks = {"PCA": ("#0072B2", "s--"), "autoencoder": ("#D55E00", "o-")}
for name, (colour, look) in looks.items():
    agreement = [adjusted_rand_score(y, found) for found in clusters[name]]
    ax.plot(sizes, agreement, look, color=colour, label=name)
ax.axhline(adjusted_rand_score(y, cluster(X)), color="#555555", linestyle=":", label="64 pixels")
ax.set(xlabel="numbers in the code", ylabel="adjusted Rand index", ylim=(0, 1))
ax.set_xticks(sizes)
ax.legend(frameon=False)

# %%
# What each cluster of codes of four numbers holds: the share of each digit in it. A cluster with
# one dark cell is one that could be named after a digit.
import numpy as np
import pandas as pd

shares = pd.crosstab(clusters["autoencoder"][sizes.index(4)], y, normalize="index")
shares = shares.iloc[np.argsort(shares.to_numpy().argmax(axis=1), kind="stable")]
fig, ax = plt.subplots(figsize=(5, 4.4), layout="constrained")
image = ax.imshow(shares, cmap="Greys", vmin=0, vmax=1)
ax.set(xticks=range(10), yticks=[], xlabel="digit", ylabel="clusters")
fig.colorbar(image, label="share of the cluster")
