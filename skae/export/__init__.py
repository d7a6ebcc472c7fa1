"""Fitted estimators outside of Python; the packages that this needs are imported when it is used.

They are installed with `pip install "skae[onnx]"`.
"""

from .writing import to_onnx

__all__ = ["to_onnx"]
