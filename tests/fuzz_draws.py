"""What the cases of the fuzz are drawn from: parameters, tables, weights and targets."""

import inspect
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from scipy import sparse
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

TRANSFORMERS = (AutoencoderTransformer, DenoisingAutoencoder, VAETransformer)
ESTIMATORS = (*TRANSFORMERS, AEAnomalyDetector)

# Parameters ----------------------------------------------------------------------------------


def make_own_network(role, n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 3), nn.Tanh(), nn.Linear(3, n_outputs))


def make_narrow_network(role, n_inputs, n_outputs):
    return nn.Linear(n_inputs, n_outputs + 1)


def make_nothing(role, n_inputs, n_outputs):
    return None


def add_own_noise(rows, generator):
    return rows + 0.1 * torch.empty_like(rows).normal_(generator=generator)


def drop_a_column(rows, generator):
    return rows[:, 1:]


def return_none(*args, **kwargs):
    return None


@dataclass(frozen=True)
class Draws:
    """Values of a parameter: the common ones, those at its bounds, and some that it can't have.

    Functions without arguments are called for a value that a fit changes.
    """

    usual: tuple
    edge: tuple = ()
    wrong: tuple = ()


@dataclass(frozen=True)
class Fresh:
    """A value that is made anew for each case, from its folder."""

    make: Any = field(repr=False)


_SWITCH = Draws((False, True), (np.True_,), ("yes", 2, None))
_NAN = float("nan")

PARAMETERS = {
    "n_components": Draws(
        (1, 2, 3), (np.int64(2), 7, 50, 0.9, 1e-9, np.float32(0.5)), (0, -1, 1.5, 1.0, "many", _NAN)
    ),
    "hidden_layer_sizes": Draws(
        ((), (3,), (4, 3)), ([5], np.array([3]), (1,)), ((0,), 3, ("a",), (-1,), (10**12,), None)
    ),
    "activation": Draws(
        ("elu", "gelu", "identity", "logistic", "relu", "silu", "tanh"), (), ("swish", None, 3)
    ),
    "architecture": Draws(
        ("mlp",), (make_own_network,), ("cnn", 3, make_narrow_network, make_nothing)
    ),
    "init": Draws(("pca", "random"), (), ("svd", None)),
    "standardize": _SWITCH,
    "categorical_features": Draws(("from_dtype",), (None, [0], [False]), ("all", 3, [99], ["z"])),
    "max_categories": Draws((50, None), (1, 2, 10**9), (0, 1.5, "many")),
    "penalty": Draws((None, "l1", "kl", "contractive"), (), ("l2", 3)),
    "alpha": Draws((0.1, 1.0), (0, 1e-30, 10.0, 1e30), (-1, _NAN, "x", 1e31)),
    "tied_weights": _SWITCH,
    "pretrain": Draws((None, "layerwise"), (), ("greedy", True)),
    "dropout": Draws((0.0, 0.3), (0.99,), (1.0, -0.1, _NAN)),
    "weight_decay": Draws((0.01, 0.0), (1.0, 1e30), (-1, _NAN, "x")),
    "max_epochs": Draws((1, 2, 3), (np.int64(2), "auto"), (0, -1, 1.5, "many", None)),
    "lr": Draws(("auto", 1e-3, 0.03), (1e-30, 1, 1e3, 1e10, 1e30), (0, -1, _NAN, "x", 1e31)),
    "batch_size": Draws(("auto", 16, 7), (1, 10**6), (0, 0.5, "all", None)),
    "optimizer": Draws(
        ("auto", "adamw", "sgd"), (torch.optim.Adam, torch.optim.LBFGS), ("lion", return_none, None)
    ),
    "device": Draws(("auto", "cpu"), (), ("cuda:99", "x", "", None)),
    "callbacks": Draws(
        (None, []),
        (
            Fresh(lambda folder: [Callback()]),
            Fresh(lambda folder: [("own", Callback())]),
            Fresh(lambda folder: [LRScheduler("ExponentialLR", gamma=0.5)]),
        ),
        ([print], ["x"], [Callback], 3),
    ),
    # Compiling takes seconds.
    "compile": Draws((False,), (), ("yes", None)),
    "early_stopping": _SWITCH,
    "validation_fraction": Draws((0.1, 0.5), (1e-9, 0.999), (0, 1, _NAN, "x")),
    "gap": Draws((None, 0, 3), (10**9,), (-1, 1.5, "x")),
    "n_iter_no_change": Draws((30, 1), (10**9,), (0, 1.5, None)),
    "tol": Draws((1e-4, 0), (0.999,), (-1, 1, _NAN)),
    "trim_fraction": Draws((0.0, 0.1), (0.49, 1e-12), (0.5, -0.1, _NAN)),
    "warm_start": _SWITCH,
    "random_state": Draws(
        (0, 1),
        (
            Fresh(lambda folder: np.random.RandomState(3)),
            Fresh(lambda folder: np.random.default_rng(3)),
            2**32 - 1,
        ),
        (-1, "x", 1.5),
    ),
    "checkpoint": Draws(
        (None,),
        (
            Fresh(lambda folder: folder / "fit.ckpt"),
            Fresh(lambda folder: str(folder / "fit.ckpt")),
        ),
        (Fresh(lambda folder: folder / "none" / "fit.ckpt"), 3, Fresh(lambda folder: folder)),
    ),
    "verbose": Draws((0,), (1, True), ("loud", -1)),
    # Of the denoiser.
    "noise": Draws(
        ("gaussian", "masking", "salt_and_pepper", "swap"),
        (add_own_noise,),
        ("poisson", drop_a_column, return_none, None),
    ),
    "noise_level": Draws(
        ("auto", 0.2, (0.1, 0.9)),
        ((1e-6, 1.0), 1.0, 1e-15, (0.2, 0.2), [0.1, 0.5], 1e15, np.float32(0.5)),
        ((1, 0.1), -1, 0, 1e-30, 1e30, (1, 2, 3), _NAN, "x", (0.1, "x"), None),
    ),
    "n_draws": Draws((2, 4), ("auto", 1, 8), (0, 1.5, 10**12)),
    "stacking": _SWITCH,
    # Of the variational autoencoder.
    "beta": Draws((1.0, 4.0), (0, 1e-30, 1e3, 1e30), (-1, _NAN, 1e31)),
    "kl_warmup": Draws((0.0, 0.5), (1,), (-0.1, 1.1, _NAN)),
    "likelihood": Draws(("gaussian", "bernoulli"), (), ("poisson", None)),
    "binarize": _SWITCH,
    "noise_per_column": _SWITCH,
    "prior": Draws(("standard", "mixture", "vamp"), ("auto", "gaussian"), ("flow", None)),
    "prior of AutoencoderTransformer": Draws(("auto", "gaussian", "mixture"), (), ("vamp", None)),
    "discriminator": Draws((None,), ("mlp",), ("flow", 3)),
    "adversarial_weight": Draws((0.02,), (1e-30, 1e3), (0, -1, _NAN)),
    "feature_weight": Draws((0.0, 0.1), (1e-30, 1e3), (-1, _NAN)),
    "n_prior_components": Draws((2, 16), (1, 50), (0, 1.5, None)),
    # Of the detector.
    "contamination": Draws(("auto", 0.1), (0.5, 1e-9), (0, 0.6, _NAN, "x")),
    "alpha of AEAnomalyDetector": Draws((0.01, 0.2), (1e-9, 0.999), (0, 1, _NAN, None)),
    "calibration_fraction": Draws(("auto", 0.3), (1e-9, 0.999), (0, 1, _NAN, "x")),
    # An estimator of its own is drawn for each case.
    "estimator": Draws((None,), (), ("x", 3, LocalOutlierFactor(), IsolationForest)),
}


def find_draws(cls, name):
    return PARAMETERS.get(f"{name} of {cls.__name__}") or PARAMETERS[name]


def list_parameters(cls):
    return [name for name in inspect.signature(cls).parameters if name != "self"]


def pick(rng, values):
    return values[rng.integers(len(values))]


def choose(rng, weights):
    """Return one of the keys of a dictionary, as often as its value says."""
    share = np.array([*weights.values()], dtype=float)
    return [*weights][rng.choice(len(share), p=share / share.sum())]


def draw_value(rng, cls, name, folder, wrong=0.004):
    draws = find_draws(cls, name)
    u = rng.uniform()
    values = draws.usual[:1]
    if u < wrong and draws.wrong:
        values = draws.wrong
    elif u < 0.05 and draws.edge:
        values = draws.edge
    elif u < 0.35:
        values = draws.usual
    value = pick(rng, values)
    if name == "n_components" and cls is DenoisingAutoencoder and rng.uniform() < 0.3:
        value = None
    if (
        name == "hidden_layer_sizes"
        and isinstance(value, tuple)
        and not value
        and rng.uniform() < 0.6
    ):
        value = (3,)
    return value.make(folder) if isinstance(value, Fresh) else value


def draw_parameters(rng, cls, folder):
    return {name: draw_value(rng, cls, name, folder) for name in list_parameters(cls)}


def draw_estimator(rng, folder):
    """An unfitted estimator: a transformer, or a detector around one, around a forest or none."""
    cls = pick(rng, (*TRANSFORMERS, *TRANSFORMERS, AEAnomalyDetector, AEAnomalyDetector))
    estimator = cls(**draw_parameters(rng, cls, folder))
    if cls is not AEAnomalyDetector or estimator.estimator is not None:
        return estimator
    kind = rng.integers(8)
    if kind < 5:
        part = pick(rng, TRANSFORMERS)
        # Tables of numbers alone.
        fixed = {"checkpoint": None, "categorical_features": "from_dtype"}
        inner = part(**{**draw_parameters(rng, part, folder), **fixed})
        if kind < 2:
            noise = {"n_components": None, "noise": "gaussian", "noise_level": (0.1, 5.0)}
            inner = DenoisingAutoencoder(n_draws=2, hidden_layer_sizes=(3,), max_epochs=2, **noise)
        if rng.uniform() < 0.5:
            inner.set_params(random_state=None)
        estimator.set_params(estimator=inner)
    elif kind < 7:
        estimator.set_params(estimator=IsolationForest(n_estimators=3))
    return estimator


# Tables --------------------------------------------------------------------------------------


def draw_values(rng, kind, n, p):
    """Cells of a kind, as float64 or as objects."""
    normal = rng.normal(size=(n, p))
    if kind == "discrete":
        return rng.integers(0, 4, size=(n, p)).astype(float)
    if kind == "constant":
        return np.full((n, p), pick(rng, (0.0, 1.0, -3e5, 1e-200, 0.1)))
    if kind == "some constant":
        normal[:, rng.uniform(size=p) < 0.5] = pick(rng, (0.0, 7.0, 0.1, 1e9))
    elif kind == "copies":
        normal = normal[rng.integers(0, max(1, n // 4), size=n)] if n else normal
    elif kind == "heavy":
        normal = rng.standard_cauchy(size=(n, p)) ** 3
    elif kind == "rare":
        return (rng.uniform(size=(n, p)) < 0.03).astype(float)
    elif kind == "shares":
        return rng.uniform(size=(n, p))
    elif kind == "one unit":
        normal *= 10.0 ** rng.integers(-200, 151)
    elif kind == "units":
        normal *= 10.0 ** rng.integers(-200, 151, size=p)
    elif kind == "common units":
        normal *= 10.0 ** rng.integers(-6, 7, size=p)
    elif kind == "offset":
        normal += pick(rng, (1e3, 1e6, 1e9, -1e12, 1e16))
    elif kind == "far cell":
        if n:
            normal[rng.integers(n), rng.integers(p)] = pick(rng, (1e6, 1e30, -1e100, 1e149))
    elif kind == "extreme":
        normal *= pick(rng, (1e300, 1e-310, 1e155, 1e307))
    elif kind == "collinear":
        normal = normal[:, :1] * np.arange(1.0, p + 1) + pick(rng, (0.0, 1e-9, 1e-14)) * normal
    elif kind == "sorted":
        normal = np.sort(normal, axis=0)
    elif kind == "gaps":
        normal[rng.uniform(size=(n, p)) < pick(rng, (0.05, 0.2, 0.8))] = np.nan
    elif kind == "empty column":
        normal[rng.uniform(size=(n, p)) < 0.1] = np.nan
        normal[:, rng.integers(p)] = np.nan
    elif kind == "single cells":
        normal[np.arange(p) != rng.integers(0, p, size=(n, 1))] = np.nan
    elif kind == "wrong cell":
        return spoil(rng, normal)
    return normal


def spoil(rng, values):
    """Set a cell or some to what no cell may be."""
    if not values.size:
        return values
    value = pick(rng, (np.inf, -np.inf, "x", 10**400, [1], 1j))
    out = values if isinstance(value, float) else values.astype(object)
    for _ in range(rng.integers(1, 4)):
        out[rng.integers(values.shape[0]), rng.integers(values.shape[1])] = value
    return out


KINDS = {
    "normal": 6,
    "discrete": 4,
    "constant": 2,
    "some constant": 3,
    "copies": 3,
    "heavy": 3,
    "rare": 3,
    "shares": 4,
    "one unit": 2,
    "units": 2,
    "common units": 2,
    "offset": 2,
    "far cell": 2,
    "extreme": 1,
    "collinear": 3,
    "sorted": 2,
    "wrong cell": 1.5,
}
#: Those with missing cells.
GAPS = {"gaps": 8, "empty column": 2, "single cells": 1}
ROWS = {0: 1, 1: 2, 2: 3, 3: 3, 5: 3, 9: 3, 10: 4, 11: 4, 20: 10, 40: 10, 70: 5, 150: 2, 520: 2}
COLUMNS = {1: 4, 2: 6, 3: 8, 5: 6, 8: 3, 20: 1, 40: 1}


def as_memmap(values, folder):
    # A file of its own: replacing that of another table would take its pages away.
    path = Path(folder) / f"table{len(list(Path(folder).iterdir()))}.npy"
    np.save(path, values)
    return np.load(path, mmap_mode="r")


def name_columns(values):
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])


def as_view(values):
    return np.repeat(np.repeat(values, 2, axis=0), 2, axis=1)[::2, ::2]


def as_locked(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def as_integers(values, dtype):
    limit = 100 if np.iinfo(dtype).min < 0 else 200
    least = -limit if np.iinfo(dtype).min < 0 else 0
    return np.clip(np.round(values), least, limit).astype(dtype)


def to_single(values):
    return np.clip(values, -3e38, 3e38).astype(np.float32)


def as_mixed_frame(values):
    frame = name_columns(values)
    for i, name in enumerate(frame.columns):
        if i % 3 == 1:
            frame[name] = to_single(values[:, i])
        elif i % 3 == 2:
            frame[name] = as_integers(values[:, i : i + 1], np.int64)[:, 0]
    return frame


# Forms of a table of float64 cells.
FORMS = {
    "float64": lambda values, folder: values,
    "float32": lambda values, folder: to_single(values),
    "float16": lambda values, folder: np.clip(values, -6e4, 6e4).astype(np.float16),
    "longdouble": lambda values, folder: values.astype(np.longdouble),
    "int64": lambda values, folder: as_integers(values, np.int64),
    "int8": lambda values, folder: as_integers(values, np.int8),
    "uint8": lambda values, folder: as_integers(values, np.uint8),
    "bool": lambda values, folder: values > 0.5,
    "object": lambda values, folder: values.astype(object),
    "swapped bytes": lambda values, folder: values.astype(">f8"),
    "fortran": lambda values, folder: np.asfortranarray(values),
    "view": lambda values, folder: as_view(values),
    "locked": lambda values, folder: as_locked(values),
    "lists": lambda values, folder: values.tolist(),
    "frame": lambda values, folder: name_columns(values),
    "frame of float32": lambda values, folder: name_columns(to_single(values)),
    "numbered frame": lambda values, folder: pd.DataFrame(values),
    "indexed frame": lambda values, folder: name_columns(values).set_index(
        pd.Index([f"r{i // 2}" for i in range(len(values))])
    ),
    "mixed frame": lambda values, folder: as_mixed_frame(values),
    "frame of bool": lambda values, folder: name_columns(values > 0.5),
    "nullable": lambda values, folder: name_columns(values).astype("Float64"),
    "nullable integers": lambda values, folder: name_columns(as_integers(values, np.int64)).astype(
        "Int64"
    ),
    "arrow": lambda values, folder: name_columns(values).astype("double[pyarrow]"),
    "arrow integers": lambda values, folder: name_columns(as_integers(values, np.int64)).astype(
        "int64[pyarrow]"
    ),
    "frame of objects": lambda values, folder: name_columns(values).astype(object),
    "polars": lambda values, folder: pl.DataFrame(
        {f"x{i}": values[:, i] for i in range(values.shape[1])}
    ),
    "csr": lambda values, folder: sparse.csr_matrix(values),
    "csc": lambda values, folder: sparse.csc_array(values),
    "coo": lambda values, folder: sparse.coo_array(values),
    "tensor": lambda values, folder: torch.from_numpy(values.copy()),
    "float32 tensor": lambda values, folder: torch.from_numpy(to_single(values)),
    "memmap": as_memmap,
    "masked array": lambda values, folder: np.ma.array(values, mask=np.isnan(values)),
}
FORM_SHARES = {**dict.fromkeys(FORMS, 1), "float64": 12, "float32": 5, "frame": 3}

# Tables of all kinds of columns, each cell of which is a function of one number; NaN is missing.


def as_labels(values, labels):
    codes = np.mod(np.floor(np.nan_to_num(values)), len(labels)).astype(int)
    return pd.Categorical.from_codes(np.where(np.isnan(values), -1, codes), list(labels))


def as_whole(values, limit):
    return np.rint(np.clip(10 * np.nan_to_num(np.clip(values, -1e9, 1e9)), -limit, limit))


def as_real_frame(values):
    """A frame of nullable types."""
    out, missing = {}, np.isnan(values)
    for i, own in enumerate(values.T):
        kind = ("label", "number", "boolean", "date", "category", "integer")[i % 6]
        if kind == "label":
            cells = pd.Series(np.asarray(as_labels(own, "abcdefg"), dtype=object))
            cells = cells.where(~missing[:, i], None)
        elif kind == "number":
            cells = own
        elif kind == "boolean":
            cells = pd.array(np.where(missing[:, i], None, own > 0), dtype="boolean")
        elif kind == "date":
            days = np.datetime64("2020-01-01", "D") + as_whole(own, 1e5).astype("m8[D]")
            cells = pd.Series(days.astype("M8[ns]")).where(~missing[:, i])
        elif kind == "category":
            cells = as_labels(own, "pqrstuv")
        else:
            cells = pd.arrays.IntegerArray(as_whole(own, 1e6).astype(np.int64), missing[:, i])
        out[f"x{i}"] = cells
    return pd.DataFrame(out)


def as_plain_frame(values):
    """A frame as it is read from a file: no NumPy integer or boolean is missing."""
    frame = as_real_frame(values)
    for name in frame.columns:
        if str(frame[name].dtype) in ("Int64", "boolean"):
            kind = "float64" if frame[name].dtype == "Int64" else object
            kind = kind if frame[name].isna().any() else frame[name].dtype.numpy_dtype
            frame[name] = frame[name].astype(kind)
    return frame


def as_real_array(values):
    frame = as_real_frame(values).astype(object)
    return frame.where(frame.notna(), None).to_numpy()


REAL_FORMS = {
    "real frame": lambda values, folder: as_real_frame(values),
    "real indexed frame": lambda values, folder: as_real_frame(values).set_index(
        pd.Index([f"r{i // 2}" for i in range(len(values))])
    ),
    "real plain frame": lambda values, folder: as_plain_frame(values),
    "real arrow frame": lambda values, folder: as_real_frame(values).convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "real polars": lambda values, folder: pl.from_pandas(as_real_frame(values)),
    "real pyarrow": lambda values, folder: pa.Table.from_pandas(
        as_real_frame(values), preserve_index=False
    ),
    "real array": lambda values, folder: as_real_array(values),
}
FORMS.update(REAL_FORMS)


@dataclass(frozen=True)
class Table:
    """A table in a form, and its cells as an array."""

    X: Any
    values: np.ndarray
    kind: str
    form: str

    @property
    def is_real(self):
        """Whether it has columns that aren't numbers."""
        return self.form in REAL_FORMS

    @property
    def dense(self):
        """The table as an array of floats, in its precision."""
        return self.values if self.is_real else to_array(self.X)

    def take(self, indices, folder):
        """Some of the rows, in the same form."""
        return make_table(self.values[indices], self.kind, self.form, folder)

    def as_plain(self):
        """The table as an array, where it has a form that its cells do not depend on."""
        return self if self.is_real else replace(self, X=to_array(self.X))


def to_array(X):
    if sparse.issparse(X):
        X = X.toarray()
    if isinstance(X, np.ma.MaskedArray):
        X = X.filled(np.nan) if X.mask.any() else X.data
    if isinstance(X, pd.DataFrame):
        singles = len(X.columns) > 0 and all(str(t) == "float32" for t in X.dtypes)
        return X.to_numpy(dtype=np.float32 if singles else np.float64)
    if isinstance(X, torch.Tensor):
        X = X.numpy()
    X = np.asarray(X)
    return X if X.dtype == np.float32 else X.astype(np.float64)


def draw_table(rng, folder):
    n, p = choose(rng, ROWS), choose(rng, COLUMNS)
    kind, form = choose(rng, KINDS), choose(rng, FORM_SHARES)
    if rng.uniform() < 0.4:
        kind = choose(rng, GAPS)
    if rng.uniform() < 0.4:
        form = str(pick(rng, [*REAL_FORMS]))
    return make_table(draw_values(rng, kind, n, p), kind, form, folder)


def make_table(values, kind, form, folder):
    if values.dtype == object and form not in ("object", "lists", "frame of objects"):
        form = "frame of objects"
    if values.shape[0] == 0 and (form == "polars" or form in REAL_FORMS):
        form = "float64"
    if not np.can_cast(values.dtype, float) or not np.isfinite(values).all():
        integers = ("int64", "int8", "uint8", "nullable integers", "arrow integers")
        form = "float64" if form in (*integers, "mixed frame") else form
    return Table(FORMS[form](values, folder), values, kind, form)


# Weights and targets -------------------------------------------------------------------------


def draw_weight(rng, n):
    """Weights for n rows, and the name of their kind."""
    kind = choose(
        rng,
        {
            "none": 60,
            "counts": 10,
            "positive": 5,
            "tiny": 2,
            "huge": 2,
            "some zeros": 4,
            "mixed": 2,
            "list": 1,
            "scalar": 1,
            "single": 1,
            "zeros": 0.5,
            "short": 0.5,
            "negative": 0.5,
            "not a number": 0.5,
        },
    )
    positive = rng.uniform(0.5, 2.0, size=n)
    weights = {
        "none": None,
        "counts": rng.integers(1, 4, size=n),
        "positive": positive,
        "tiny": positive * 1e-300,
        "huge": positive * 1e300,
        "some zeros": positive * (rng.uniform(size=n) < 0.7),
        "mixed": 10.0 ** rng.integers(-40, 40, size=n),
        "list": positive.tolist(),
        "scalar": 2.0,
        "single": (np.arange(n) == n // 2).astype(float),
        "zeros": np.zeros(n),
        "short": np.ones(max(n - 1, 0)),
        "negative": -positive,
        "not a number": np.full(n, np.nan),
    }
    return weights[kind], kind


def draw_target(rng, table):
    """What fit gets as y."""
    u = rng.uniform()
    n = len(table.values)
    if u < 0.75:
        return None
    if u < 0.85:
        return pick(rng, (np.arange(n) % 2, np.array(["a", "b"] * n)[:n], pd.Series(np.ones(n))))
    if u < 0.97 and table.values.dtype == float:
        with np.errstate(over="ignore"):
            return table.values * 0.5
    return pick(rng, (np.ones((n, 1 + table.values.shape[1])), np.ones(n + 1), "y"))
