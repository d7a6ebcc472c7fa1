"""
Many rows, few labels
=====================

Labels are costly, rows are not. An autoencoder that has seen all rows, without labels, gives a
classifier codes that need fewer labels.
"""

# %%
# Codes are learnt from all training rows. The classifier is the same in all cases, and gets the
# labels of a few of them. Each point is the mean of twenty draws of the labelled rows.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)

models = {
    "pixels": None,
    "PCA": PCA(16).fit(X_train),
    "autoencoder": DenoisingAutoencoder(16, noise_level=4, standardize=False, random_state=0).fit(
        X_train
    ),
}
codes = {
    name: (X_train, X_test)
    if model is None
    else (model.transform(X_train), model.transform(X_test))
    for name, model in models.items()
}

# %%
sizes = (10, 20, 40, 80, 160, 320)
rng = np.random.default_rng(0)
accuracy = {name: np.zeros(len(sizes)) for name in models}
for place, size in enumerate(sizes):
    for _ in range(20):
        each_digit = [
            rng.choice(np.flatnonzero(y_train == digit), size // 10) for digit in range(10)
        ]
        labelled = np.concatenate(each_digit)
        for name, (train, test) in codes.items():
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
            classifier.fit(train[labelled], y_train[labelled])
            accuracy[name][place] += classifier.score(test, y_test) / 20

# %%
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
looks = {
    "pixels": ("#555555", ":", "^"),
    "PCA": ("#0072B2", "--", "s"),
    "autoencoder": ("#D55E00", "-", "o"),
}
for name, (colour, line, mark) in looks.items():
    ax.plot(sizes, accuracy[name], color=colour, linestyle=line, marker=mark, label=name)
ax.set_xscale("log", base=2)
ax.set_xticks(sizes, labels=[str(size) for size in sizes])
ax.minorticks_off()
ax.set(xlabel="labelled rows", ylabel="accuracy on test rows")
ax.grid(axis="y", color="0.9")
ax.legend(frameon=False)
