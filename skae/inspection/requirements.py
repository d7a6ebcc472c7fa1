"""What displays require of the estimators that they are given."""

from typing import Any

from sklearn.utils.validation import check_is_fitted


def require(estimator: Any, name: str, kind: str) -> None:
    """Raise unless an estimator is fitted and has a method or a fitted attribute.

    Parameters
    ----------
    estimator : object
        The estimator.
    name : str
        The method or the attribute.
    kind : str
        What has it, for the message.
    """
    check_is_fitted(estimator)
    if not hasattr(estimator, name):
        raise TypeError(
            f"estimator must be {kind}, which has {name}, got {type(estimator).__name__}: pass the "
            "last step of a pipeline, or the estimator_ of a detector or search"
        )
