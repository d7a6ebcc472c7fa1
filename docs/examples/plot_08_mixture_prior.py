"""
Clusters that one can name
==========================

The prior of a variational autoencoder may be a mixture: codes then come in clusters, of which the
model knows the place, the shape and the share. Each decodes to a typical row, by which one can
name it.
"""

# %%
# Up to sixteen Gaussians; the fit chooses how many it needs. All pixels have the same noise, so
# that those at the edge, which are nearly always off, do not outweigh the others.
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from skae import VAETransformer
from skae.inspection import ManifoldDisplay

X, y = load_digits(return_X_y=True)
model = VAETransformer(
    10,
    prior="mixture",
    n_prior_components=16,
    noise_per_column=False,
    standardize=False,
    random_state=0,
).fit(X)
component = model.predict_component(X)
print(f"{len(np.unique(component))} clusters of {np.bincount(component).max()} rows at most")

# %%
# A line for each cluster: first its mean code, decoded, then nine rows of it.
codes = model.transform(X)
lines = []
for cluster in np.unique(component):
    chosen = component == cluster
    mean = model.inverse_transform(codes[chosen].mean(axis=0, keepdims=True))
    lines.append(np.concatenate([mean, X[chosen][:9]]))
display = ManifoldDisplay(decoded=np.stack(lines), image_shape=(8, 8), limits=(0, 16)).plot()
display.ax_.axvline(1, color="black", linewidth=2)

# %%
# Who is in there:
members = pd.DataFrame({"cluster": component, "digit": y})
names = members.groupby("cluster")["digit"].agg(
    rows="size",
    name=lambda digits: digits.mode()[0],
    share=lambda digits: round((digits == digits.mode()[0]).mean(), 2),
)
names

# %%
# A row's cluster is a probability, and a low one is a row between clusters. These are the ten least
# certain:
certainty = model.predict_component_proba(X).max(axis=1)
unsure = np.argsort(certainty)[:10]
ManifoldDisplay(decoded=X[unsure][None], image_shape=(8, 8)).plot()
