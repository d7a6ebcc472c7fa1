"""
A VAE-GAN beside a VAE
======================

A variational autoencoder draws blurred images: the mean of what a code could stand for. With a
discriminator, the decoder also learns to draw what a second network can't tell from rows.
"""

# %%
# Both models have the same parameters, and no less training without the discriminator.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from skae import VAETransformer
from skae.inspection import ManifoldDisplay

X_train, X_test = train_test_split(load_digits().data / 16, random_state=0)
parameters = {
    "n_components": 12,
    "likelihood": "bernoulli",
    "standardize": False,
    "early_stopping": False,
    "random_state": 0,
}
model = VAETransformer(max_epochs=100, discriminator="mlp", **parameters).fit(X_train)
plain = VAETransformer(max_epochs=200, **parameters).fit(X_train)

# %%
# Drawn with a discriminator
# --------------------------
# Samples without the noise of the likelihood, which are what the discriminator saw.
drawn = {
    "VAE-GAN": model.sample(1000, random_state=1, noise=False),
    "VAE": plain.sample(1000, random_state=1, noise=False),
}
ManifoldDisplay(
    decoded=drawn["VAE-GAN"][:60].reshape(4, 15, 64), image_shape=(8, 8), limits=(0, 1)
).plot()

# %%
# And without
# -----------
ManifoldDisplay(
    decoded=drawn["VAE"][:60].reshape(4, 15, 64), image_shape=(8, 8), limits=(0, 1)
).plot()

# %%
# Sharper, and a worse density
# ----------------------------
# Grey pixels are what blurs an image. The samples of the VAE-GAN have more black and white ones, as
# digits have:
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
bins = np.linspace(0, 1, 17)
for (name, rows), style in zip(
    {"test digits": X_test, **drawn}.items(), ["-", "--", ":"], strict=True
):
    counts, _ = np.histogram(rows, bins)
    ax.stairs(counts / rows.size, bins, label=name, linestyle=style, linewidth=1.8)
ax.set(xlabel="brightness of a pixel", ylabel="share of the pixels", yscale="log")
ax.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5], ["2 %", "5 %", "10 %", "20 %", "50 %"])
ax.minorticks_off()
ax.legend()

# %%
# Sharpness has a price. The score, a log-density, is lower with a discriminator, and drawn digits
# and those of the test set lie further apart: a blurred digit is a mean of several, and near to all
# of them.


def measure_distance(rows, others):
    """Return the mean distance from rows to their nearest others."""
    return NearestNeighbors(n_neighbors=1).fit(others).kneighbors(rows)[0].mean()


for name, estimator in {"VAE-GAN": model, "VAE": plain}.items():
    rows = drawn[name]
    print(
        f"{name:8} drawn to digit {measure_distance(rows, X_test):.2f}, "
        f"digit to drawn {measure_distance(X_test, rows):.2f}, "
        f"score {estimator.score(X_test):.2f} nats"
    )
