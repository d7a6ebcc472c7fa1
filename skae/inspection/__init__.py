"""Displays of what models do with a table; matplotlib is imported only to draw one."""

from .comparison import ComparisonDisplay
from .latent import LatentDisplay
from .learning_curve import LearningCurveDisplay
from .manifold import ManifoldDisplay
from .metrics import explained_variance
from .reasons import ReasonsDisplay
from .reconstruction import ReconstructionDisplay
from .threshold import ThresholdDisplay
from .units import UnitsDisplay

__all__ = [
    "ComparisonDisplay",
    "LatentDisplay",
    "LearningCurveDisplay",
    "ManifoldDisplay",
    "ReasonsDisplay",
    "ReconstructionDisplay",
    "ThresholdDisplay",
    "UnitsDisplay",
    "explained_variance",
]
