"""Series in time: their windows as rows of a table, and anomalies by time step."""

from .detector import SeriesAnomalyDetector
from .windows import Windows

__all__ = ["SeriesAnomalyDetector", "Windows"]
