"""Fitted estimators written as files of ONNX."""

import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .requirements import require_packages

_DTYPES = {"float32": np.float32, "float64": np.float64}


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str],
    X: Any = None,
    *,
    dtype: str = "float64",
) -> None:
    """Write a fitted estimator as a file that ONNX runtimes read, in any language.

    The whole estimator is written: the scaling of columns, the codes of categories, what fills
    missing cells, and the networks. The user guide's page on serving says what the graph computes,
    how near to Python it is, and how columns are passed.

    Parameters
    ----------
    estimator : estimator
        A fitted transformer, an `AEAnomalyDetector` with a denoiser of a range of Gaussian noise,
        or a pipeline or another estimator of scikit-learn with such steps, whose other steps
        skl2onnx converts.
    path : str or path-like
        The file. It is replaced as a whole, or stays as it was.
    X : frame or array of shape (n_samples, n_features), default=None
        A row of a pipeline's table, if its first step takes other columns than numbers and is not
        of skae: the inputs have the types of its columns.
    dtype : {"float64", "float32"}, default="float64"
        Type of numbers that go in and out. Scaling, linear paths, distances and scores are computed
        in float64, and networks in float32, with either.

    Raises
    ------
    ImportError
        If packages are missing: they are those of `pip install "skae[onnx]"`.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is none that can be written.
    ValueError
        If it has parts that ONNX can't compute.
    OSError
        If the file can't be written.

    Examples
    --------
    >>> import onnxruntime  # doctest: +SKIP
    >>> from sklearn.datasets import load_wine
    >>> from skae import AEAnomalyDetector
    >>> from skae.export import to_onnx
    >>> X = load_wine().data
    >>> to_onnx(AEAnomalyDetector(random_state=0).fit(X), "wine.onnx")  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("wine.onnx")  # doctest: +SKIP
    >>> session.run(["label", "score"], {"X": X})  # doctest: +SKIP
    """
    if dtype not in _DTYPES:
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
    require_packages("onnx", "spox")
    from .._base import BaseAutoencoder
    from .._detection import AEAnomalyDetector
    from .._environment import isolate_torch
    from .files import check_path, write_model

    check_is_fitted(estimator)
    target = check_path(path)
    with isolate_torch():
        if isinstance(estimator, BaseAutoencoder | AEAnomalyDetector):
            from .graphs import build_model, make_graph

            model = build_model(make_graph(estimator, _DTYPES[dtype]))
        else:
            require_packages("skl2onnx")
            from .converters import convert_estimator

            model = convert_estimator(estimator, X, _DTYPES[dtype])
    write_model(model, target)
