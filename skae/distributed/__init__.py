"""Fits that several processes share, on one machine or on many."""

from .sharing import share_training
from .workers import run_on_workers

__all__ = ["run_on_workers", "share_training"]
