"""
Encode and decode digits, plain and sparse
==========================================

A code of two numbers can be drawn. A code of 32 numbers, of which few are on at a time, keeps
more of a digit; t-SNE then makes a map of it.
"""

# %%
# Plain: two numbers for each digit
# ---------------------------------
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.inspection import LatentDisplay, ReconstructionDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

plain = AutoencoderTransformer(2, standardize=False, random_state=0).fit(X_train)
ReconstructionDisplay.from_estimator(plain, X_test, image_shape=(8, 8))

# %%
# Sparse: 32 numbers, mostly off
# ------------------------------
# The penalty ``"kl"`` asks each unit of the code for a mean activity of 0.05 (Ng 2011).
sparse = AutoencoderTransformer(
    32, penalty="kl", alpha=10.0, standardize=False, random_state=0
).fit(X_train)
ReconstructionDisplay.from_estimator(sparse, X_test, image_shape=(8, 8))

# %%
# Below is the mean activity of each unit for each digit, with the units sorted by the digit that
# they answer to most.
import matplotlib.pyplot as plt
import numpy as np

codes = sparse.transform(X_test)
activity = np.stack([codes[y_test == digit].mean(axis=0) for digit in range(10)])
order = np.argsort(activity.argmax(axis=0), kind="stable")
fig, ax = plt.subplots(figsize=(8, 3), layout="constrained")
image = ax.imshow(activity[:, order], aspect="auto", cmap="Greys", vmin=0)
ax.set(xlabel="units of the code", ylabel="digit", xticks=[], yticks=range(10))
fig.colorbar(image, label="mean activity")
print(f"mean activity: {codes.mean():.2f}")

# %%
# The codes themselves, and t-SNE of the sparse codes
# ---------------------------------------------------
# The plain code is a map as it is, on which new rows have a place. t-SNE separates more, but
# knows only the rows that it was computed from. The title says how far neighbours on the map are
# neighbours in the table.
from sklearn.manifold import TSNE

fig, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
LatentDisplay.from_estimator(plain, X_test, y_test, spread="squash", label_name="digit", ax=left)
embedded = TSNE(random_state=0).fit_transform(codes)
LatentDisplay.from_predictions(embedded, y_test, X=X_test, label_name="digit", ax=right)
# sphinx_gallery_thumbnail_number = 4
