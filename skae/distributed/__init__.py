"""Fits that several processes share, on one machine or on many."""

from .sharing import share_training

__all__ = ["share_training"]
