"""Displays of what models do with a table; matplotlib is imported only to draw one."""

from .comparison import ComparisonDisplay
from .metrics import explained_variance

__all__ = ["ComparisonDisplay", "explained_variance"]
