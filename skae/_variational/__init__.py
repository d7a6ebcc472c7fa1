"""`VAETransformer`: a generative model that begins at probabilistic PCA."""

from .estimator import VAETransformer

__all__ = ["VAETransformer"]
