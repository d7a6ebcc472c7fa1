"""`AutoencoderTransformer`: least squares from PCA on, with penalties and layerwise pretraining."""

from .estimator import AutoencoderTransformer

__all__ = ["AutoencoderTransformer"]
