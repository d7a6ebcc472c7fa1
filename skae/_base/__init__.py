"""What the three transformers share: the base class and the types that its parts exchange."""

from .blueprints import Blueprint, NetworkConfig
from .density import SINGLE_VARIANCE, Deferred, Density
from .estimator import BaseAutoencoder

__all__ = [
    "SINGLE_VARIANCE",
    "BaseAutoencoder",
    "Blueprint",
    "Deferred",
    "Density",
    "NetworkConfig",
]
