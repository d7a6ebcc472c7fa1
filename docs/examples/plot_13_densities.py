"""
Five densities of one table
===========================

``score_samples`` is a log-density in all transformers of skae, as it is in those of scikit-learn.
So models can be compared by one number: how likely they find rows that they have not seen.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

X, _ = make_moons(2000, noise=0.08, random_state=0)
X_train, X_test = X[:1000], X[1000:]

models = {
    "PCA": PCA(2),
    "Gaussian mixture": GaussianMixture(8, random_state=0),
    "AutoencoderTransformer": AutoencoderTransformer(2, random_state=0),
    "VAETransformer": VAETransformer(2, random_state=0),
    "DenoisingAutoencoder": DenoisingAutoencoder(random_state=0),
}

# %%
# Each picture is the density of a model over the plane; the title is the mean log-density of test
# rows, where higher is better.
x, y = np.linspace(-1.8, 2.8, 50), np.linspace(-1.2, 1.7, 44)
grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

fig, axes = plt.subplots(2, 3, figsize=(10, 5.6), layout="constrained", sharex=True, sharey=True)
axes[0, 0].plot(*X_train.T, ".", markersize=3, color="#0072B2", alpha=0.5)
axes[0, 0].set_title("the rows")
for ax, (name, model) in zip(axes.flat[1:], models.items(), strict=True):
    model.fit(X_train)
    density = np.exp(model.score_samples(grid)).reshape(len(y), len(x))
    ax.pcolormesh(x, y, density, cmap="cividis", vmin=0, vmax=0.6, shading="gouraud")
    ax.set_title(f"{name}: {model.score(X_test):.2f}")
axes[0, 0].set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))

# %%
# A density adds up to one. This is a check of the claim, and not a matter of course: the sum over
# the grid, times the area of its cells.
area = (x[1] - x[0]) * (y[1] - y[0])
for name, model in models.items():
    print(f"{name:24} {np.exp(model.score_samples(grid)).sum() * area:.2f}")
