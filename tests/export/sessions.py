"""Estimators as ONNX, run by onnxruntime."""

import numpy as np
import pytest
import torch

from skae.export import to_onnx
from skae.modules import Bypass

REASON = "graphs need the packages of the extra onnx"


def require_onnx():
    for name in ("spox", "onnxruntime", "skl2onnx"):
        pytest.importorskip(name, reason=REASON)


def run(estimator, feeds, folder, dtype="float64", X=None):
    """Return the outputs of an estimator's graph by name."""
    import onnxruntime

    path = folder / "model.onnx"
    to_onnx(estimator, path, X, dtype=dtype)
    session = onnxruntime.InferenceSession(path.read_bytes())
    names = [output.name for output in session.get_outputs()]
    if not isinstance(feeds, dict):
        feeds = {"X": feeds.astype(dtype)}
    return dict(zip(names, session.run(None, feeds), strict=True))


def read_columns(frame):
    """Return a frame's columns as the inputs of a graph."""
    feeds = {}
    for name, column in frame.items():
        if column.dtype.kind == "M":
            feeds[name] = column.to_numpy().astype("int64")[:, None]
        elif column.dtype.kind in "if" or column.dtype == "boolean":
            feeds[name] = column.to_numpy("float64", na_value=np.nan)[:, None]
        else:
            text = column.astype(object).where(column.notna(), "")
            feeds[name] = text.to_numpy(dtype=object)[:, None]
    return feeds


def open_gates(estimator):
    """Make networks count beside the linear paths, as after a long training."""
    with torch.no_grad():
        for part in estimator.module_.modules():
            if isinstance(part, Bypass) and part.gate is not None:
                part.gate.fill_(0.5)
    # Copies in other precisions may be of the module as it was.
    trained = estimator._fitted.trained
    trained._double = trained._mixed = None
    return estimator
