"""
Search over architectures
=========================

Estimators of skae are estimators of scikit-learn, so that its searches work. A transformer needs no
``scoring``: its ``score`` is the log-density of held-out rows, which codes of different sizes and
networks of different depths can be compared by.
"""

# %%
# Three sizes of the code times three networks, in two folds each:
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer

X = load_digits().data[::2]
search = GridSearchCV(
    AutoencoderTransformer(standardize=False, max_epochs=30, random_state=0),
    {
        "n_components": [2, 4, 8],
        "hidden_layer_sizes": [(), (32,), (128, 128)],
    },
    cv=2,
)
search.fit(X)
print(search.best_params_)

# %%
import matplotlib.pyplot as plt
import pandas as pd

results = pd.DataFrame(search.cv_results_)
results["network"] = results["param_hidden_layer_sizes"].map(str)
table = results.pivot(index="network", columns="param_n_components", values="mean_test_score").loc[
    ["()", "(32,)", "(128, 128)"]
]

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
image = ax.imshow(table, cmap="cividis", aspect="auto")
for (line, column), value in pd.DataFrame(table.to_numpy()).stack().items():
    is_dark = value < table.to_numpy().mean()
    ax.text(
        column,
        line,
        f"{value:.0f}",
        ha="center",
        va="center",
        color="white" if is_dark else "black",
    )
ax.set_xticks(range(table.shape[1]), labels=table.columns)
ax.set_yticks(range(table.shape[0]), labels=["PCA", "one layer of 32", "two layers of 128"])
ax.set_xlabel("numbers in the code")
ax.set_title("log-density of held-out rows (nats per row)")

# %%
# The same on a Dask cluster
# --------------------------
# ``n_jobs=-1`` fits on all cores of this machine. On a cluster the search is the same, with another
# backend of joblib. Here the cluster is one worker in this process; give ``Client`` the address of
# a scheduler to use yours.
import joblib
from dask.distributed import Client

small = search.set_params(param_grid={"n_components": [2, 4]})
with Client(processes=False, n_workers=1, dashboard_address=None), joblib.parallel_config("dask"):
    small.fit(X)
print(small.cv_results_["mean_test_score"] - table.loc["(128, 128)", [2, 4]].to_numpy())
