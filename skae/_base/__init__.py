"""What the three transformers share: the base class and the types that its parts exchange."""

from .blueprints import Blueprint, NetworkConfig
from .density import DeferredDensity, Density
from .estimator import BaseAutoencoder

__all__ = ["BaseAutoencoder", "Blueprint", "DeferredDensity", "Density", "NetworkConfig"]
