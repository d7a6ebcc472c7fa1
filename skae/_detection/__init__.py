"""`AEAnomalyDetector`: anomalies with conformal thresholds, p-values and reasons."""

from .detector import AEAnomalyDetector

__all__ = ["AEAnomalyDetector"]
