"""Fits that succeed or leave no trace: they work on a draft, which replaces the estimator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from sklearn.base import BaseEstimator

Estimator = TypeVar("Estimator", bound=BaseEstimator)


def copy_shallow(estimator: Estimator) -> Estimator:
    """Return an estimator with the same attributes, which stays as it is when they change."""
    copied = object.__new__(type(estimator))
    copied.__dict__ = estimator.__dict__.copy()
    return copied


@contextmanager
def replace_when_done(estimator: Estimator) -> Iterator[Estimator]:
    """Give an estimator the attributes of the draft that is yielded, unless an error is raised.

    All attributes change at once, so that another thread sees the old ones or the new ones.
    """
    draft = copy_shallow(estimator)
    yield draft
    estimator.__dict__ = draft.__dict__
