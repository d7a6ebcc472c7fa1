"""
A latent plane, samples, and what lies between two rows
=======================================================

A variational autoencoder knows how codes are distributed, so that any code decodes to something
that could have been a row.
"""

# %%
# Two numbers span a plane. Each cell below decodes a point of it; steps are such that equally
# many rows lie between them.
from sklearn.datasets import load_digits

from skae import VAETransformer
from skae.inspection import LatentDisplay, ManifoldDisplay

X, y = load_digits(return_X_y=True)
plane = VAETransformer(2, noise_per_column=False, standardize=False, random_state=0).fit(X)
ManifoldDisplay.from_estimator(plane, X, n_steps=14, image_shape=(8, 8))

# %%
# The same plane with the rows in it. An ellipse is the posterior of a row's code: what the row
# leaves open. Both axes are drawn by rank, so that no row is far out.
LatentDisplay.from_estimator(plane, X, y, label_name="digit", spread="rank")

# %%
# Distances on a map are not those in the table. The shade shows how far a row moves for a small
# step: dark seams separate rows that look close.
LatentDisplay.from_estimator(plane, X, y, label_name="digit", shade="stretch", ellipses=False)

# %%
# More numbers say more. With twelve, these are rows that nobody wrote:
model = VAETransformer(12, noise_per_column=False, standardize=False, random_state=0).fit(X)
drawn = model.sample(60, random_state=0, noise=False)
ManifoldDisplay(decoded=drawn.reshape(4, 15, 64), image_shape=(8, 8), limits=(0, 16)).plot()

# %%
# And these lie between rows that somebody did write, on the straight line between their codes:
ManifoldDisplay.from_rows(model, X[:5], X[15:20], n_steps=12, image_shape=(8, 8))
# sphinx_gallery_thumbnail_number = 2
