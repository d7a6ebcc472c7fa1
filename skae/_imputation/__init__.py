"""`AEImputer`: missing cells filled by masked autoencoding, as a step of a pipeline."""

from .imputer import AEImputer

__all__ = ["AEImputer"]
