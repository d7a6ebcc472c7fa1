"""The command `python -m skae`: PCA and an autoencoder, side by side on a table."""

from ._main import main

__all__ = ["main"]
