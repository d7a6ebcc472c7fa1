"""A display to draw."""

import numpy as np

from skae.inspection import ComparisonDisplay


def make_display(labels=None, n_rows=60, **options):
    rng = np.random.default_rng(0)
    return ComparisonDisplay(
        n_components=[2, 4, 8],
        explained_variance={"PCA": [0.2, 0.4, 0.6], "Autoencoder": [0.3, 0.6, 0.7]},
        codes={name: rng.normal(size=(n_rows, 2)) for name in ("PCA", "Autoencoder")},
        labels=labels,
        **options,
    )


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]
