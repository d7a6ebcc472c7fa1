"""Drawings of what models do with a table; matplotlib is imported when one is drawn."""

from ._comparison_display import ComparisonDisplay
from ._explained_variance import explained_variance

__all__ = ["ComparisonDisplay", "explained_variance"]
