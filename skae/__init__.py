"""Autoencoders that drop into scikit-learn."""

from ._autoencoder import AutoencoderTransformer
from ._denoising import DenoisingAutoencoder
from ._variational import VAETransformer

__all__ = ["AutoencoderTransformer", "DenoisingAutoencoder", "VAETransformer", "__version__"]
__version__ = "0.1.0.dev0"
