"""`DenoisingAutoencoder`: it begins at the best linear denoiser, and its errors give a density."""

from .estimator import DenoisingAutoencoder

__all__ = ["DenoisingAutoencoder"]
