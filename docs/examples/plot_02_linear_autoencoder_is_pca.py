"""
The linear autoencoder is PCA
=============================

Without hidden layers an autoencoder has nothing to learn that PCA does not know (Baldi and Hornik
1989). ``hidden_layer_sizes=()`` therefore is PCA, in closed form: the same components, the same
reconstructions and the same density.
"""

# %%
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.inspection import LearningCurveDisplay, ManifoldDisplay

X = load_digits().data
pca = PCA(8).fit(X)
linear = AutoencoderTransformer(8, hidden_layer_sizes=(), standardize=False).fit(X)

# %%
# Components are images as well. Above are those of PCA, below those of the autoencoder.
import matplotlib.pyplot as plt

plt.figure(figsize=(9, 2.6), layout="constrained")
components = np.stack([pca.components_, linear.components_])
ManifoldDisplay(decoded=components, image_shape=(8, 8)).plot()

# %%
# Reconstructions and log-densities agree to the precision of the network:
by_pca, by_autoencoder = pca.inverse_transform(pca.transform(X)), linear.reconstruct(X)
print(f"largest difference of a pixel:  {np.abs(by_pca - by_autoencoder).max():.0e}, of 16")
print(f"log-density by PCA:             {pca.score(X):.2f} nats per row")
print(f"log-density by the autoencoder: {linear.score(X):.2f} nats per row")

# %%
# A network of linear layers that is trained from random weights ends there too, if it is given
# time. It is what a deep autoencoder without activations learns; skae spares you the way.
trained = AutoencoderTransformer(
    8,
    init="random",
    hidden_layer_sizes=(32,),
    activation="identity",
    standardize=False,
    weight_decay=0.0,
    early_stopping=False,
    max_epochs=40,
    random_state=0,
).fit(X)

display = LearningCurveDisplay.from_estimator(trained)
floor = np.square(by_pca - X).mean() / trained.scale_[0] ** 2  # training scales the rows
display.ax_.axhline(floor, color="black", linestyle=":", label="PCA")
display.ax_.legend(frameon=False)
display.ax_.set_ylim(0, None)
