"""
PCA or an autoencoder?
======================

An autoencoder begins training at PCA, so that the question is whether a table has anything to gain.
Here are the digits of scikit-learn, with rows that neither model has seen.
"""

# %%
# One fit for each number of components, of both models:
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.inspection import ComparisonDisplay, LearningCurveDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

sizes = (1, 2, 4, 8)
models = {
    "PCA": [PCA(size).fit(X_train) for size in sizes],
    "autoencoder": [
        AutoencoderTransformer(size, standardize=False, random_state=0).fit(X_train)
        for size in sizes
    ],
}

# %%
# On the left, the share of the variance that each model keeps. Four numbers of the autoencoder keep
# about as much as twelve of PCA would. On the right, the test rows by two numbers: PCA mixes most
# digits, and the autoencoder keeps many of them apart, although it has never seen a label.
ComparisonDisplay.from_estimators(models, X_test, y_test, label_name="digit")

# %%
# The losses of the training show how the gain came about. The dotted line is PCA, where training
# begins; the mark is the epoch that was kept, by the loss on rows that training did not use.
LearningCurveDisplay.from_estimator(models["autoencoder"][1])

# %%
# Reconstruction is one yardstick, density is another. ``score`` is the mean log-density of rows in
# nats, for both:
print(f"PCA:         {models['PCA'][3].score(X_test):.0f} nats per row")
print(f"autoencoder: {models['autoencoder'][3].score(X_test):.0f} nats per row")

# %%
# On a table without curved structure the answer is PCA itself, and the display says so.
import numpy as np

noise = np.random.default_rng(0).normal(size=(1000, 10))
model = AutoencoderTransformer(2, random_state=0).fit(noise)
LearningCurveDisplay.from_estimator(model)
