"""Random estimators, tables and calls: each gives a clear error or finite output.

Usage: python tests/fuzz.py N [--seed S] [--only CASE]
"""

import argparse
import copy
import inspect
import pickle
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import AEAnomalyDetector, DenoisingAutoencoder
from tests.fuzz_draws import (
    REAL_FORMS,
    choose,
    draw_estimator,
    draw_table,
    draw_target,
    draw_value,
    draw_values,
    draw_weight,
    list_parameters,
    make_table,
    pick,
    to_array,
)
from tests.fuzz_properties import (
    Wrong,
    call,
    check_array,
    check_filled,
    check_like_fit,
    describe_estimator,
    find_lost,
    is_fitted,
    list_cells,
    require_close,
    require_equal_bits,
    require_same,
    warns_by_itself,
)

# Methods -------------------------------------------------------------------------------------

# Of scikit-learn's own machinery, which has tests elsewhere.
_PLUMBING = {
    "get_params",
    "set_params",
    "get_metadata_routing",
    "set_fit_request",
    "set_partial_fit_request",
    "set_output",
}


def list_methods(estimator):
    """All public methods that an estimator has at the moment."""
    found = {
        name
        for name, _ in inspect.getmembers(type(estimator), callable)
        if not name.startswith("_") and hasattr(estimator, name)
    }
    return sorted(name for name in found - _PLUMBING if not name.endswith("_request"))


@dataclass(frozen=True)
class Sizes:
    """What the outputs of a fitted estimator must be like."""

    n: int
    p: int
    k: int
    dtype: Any
    by_column: bool
    columns: Any = None
    X: Any = None


def _rows_like_table(result, sizes, name):
    if sizes.columns is not None:
        check_like_fit(result, (sizes.n, sizes.p), sizes.columns, name)
        return
    dtypes = {np.dtype(np.float64), np.dtype(sizes.dtype)}  # float64 if float32 can't hold units
    if np.asarray(result).dtype not in dtypes:
        raise Wrong(f"{name} returned {np.asarray(result).dtype}")
    check_array(result, (sizes.n, sizes.p), name)


def _pair(result, sizes, name):
    for part in result:
        check_array(part, (sizes.n, sizes.k), name, sizes.dtype)
    if not (result[1] >= 0).all():
        raise Wrong(f"{name} returned a negative scale")


def _bound(result, sizes, name):
    for part in result:
        check_array(part, (sizes.n,), name, np.float64)


def _reasons(result, sizes, name):
    if not isinstance(result, pd.DataFrame) or len(result) != sizes.n * sizes.p:
        raise Wrong(f"{name} returned {type(result).__name__}")
    are_numbers = pd.api.types.is_float_dtype(result["value"].dtype)
    for column in ("value", "contribution") if are_numbers else ("contribution",):
        values = result[column].to_numpy(float)
        known = np.ones(len(values), dtype=bool) if column == "contribution" else ~np.isnan(values)
        check_array(values[known], (known.sum(),), f"{name} {column}")


def _shares(result, sizes, name):
    check_array(result, (sizes.n, result.shape[1]), name, sizes.dtype)
    if not np.allclose(result.sum(axis=1), 1, atol=1e-4):
        raise Wrong(f"{name} returned shares that do not sum to one")


def _number(result, sizes, name):
    if not isinstance(result, float) or not np.isfinite(result):
        raise Wrong(f"{name} returned {result!r}")


def _labels(result, sizes, name):
    check_array(result, (sizes.n,), name)
    if not set(np.unique(result)) <= {-1, 1}:
        raise Wrong(f"{name} returned {np.unique(result)}")


def _p_values(result, sizes, name):
    check_array(result, (sizes.n,), name, np.float64)
    if not ((result > 0) & (result <= 1)).all():
        raise Wrong(f"{name} returned {result.min()} to {result.max()}")


def _errors(result, sizes, name):
    wanted = (sizes.n, sizes.p) if sizes.by_column else (sizes.n,)
    known = np.nan_to_num(result, nan=0.0)  # of cells and rows that are missing
    check_array(known, wanted, name)
    if not (known >= 0).all():
        raise Wrong(f"{name} returned {result.min()}")
    columns = [None] * sizes.p if sizes.columns is None else sizes.columns.columns
    is_lost = np.column_stack(
        [find_lost(*pair) for pair in zip(list_cells(sizes.X), columns, strict=True)]
    )
    is_lost = is_lost if sizes.by_column else is_lost.all(axis=1)
    if (np.isnan(result) & ~is_lost).any():
        raise Wrong(f"{name} returned NaN for observed cells")


def _completed(result, sizes, name):
    check_filled(result, sizes.X, sizes.columns, name)


#: What the result of each method that takes rows must be.
CHECKS = {
    "transform": lambda r, s, name: check_array(r, (s.n, s.k), name, s.dtype),
    "reconstruct": _rows_like_table,
    "denoise": _rows_like_table,
    "impute": _completed,
    "inverse_transform": _rows_like_table,
    "reconstruction_error": _errors,
    "denoising_errors": lambda r, s, name: check_array(r, (s.n, 12), name, np.float64),
    "posterior": _pair,
    "elbo": _bound,
    "predict_component": lambda r, s, name: check_array(r, (s.n,), name),
    "predict_component_proba": _shares,
    "score": _number,
    "score_samples": lambda r, s, name: check_array(r, (s.n,), name, np.float64),
    "decision_function": lambda r, s, name: check_array(r, (s.n,), name, np.float64),
    "predict": _labels,
    "p_values": _p_values,
    "discoveries": lambda r, s, name: check_array(r, (s.n,), name, bool),
    "explain": _reasons,
}
#: Methods that take no rows, or that fit.
OTHERS = {
    "fit",
    "fit_predict",
    "fit_transform",
    "partial_fit",
    "sample",
    "set_callbacks",
    "set_threshold",
    "get_feature_names_out",
}


def measure(estimator, rows, by_column=False):
    n, p = rows.values.shape
    if isinstance(estimator, AEAnomalyDetector):
        return Sizes(n, p, 0, rows.dense.dtype, by_column)
    columns = estimator._fitted.columns
    dtype = rows.dense.dtype if columns is None else np.dtype(np.float64)
    X = rows.X if rows.is_real or hasattr(rows.X, "columns") else rows.dense
    return Sizes(n, p, estimator.n_components_, dtype, by_column, columns, X)


# Cases ---------------------------------------------------------------------------------------


class Case:
    """An estimator, its table, and a sequence of calls that one seed draws."""

    def __init__(self, seed, folder):
        self.rng = np.random.default_rng([seed, 12])
        self.folder = Path(folder)
        self.log = []
        self.was_refused = False
        self.n_outputs = 0

    def run(self):
        rng = self.rng
        self.estimator = draw_estimator(rng, self.folder)
        self.table = draw_table(rng, self.folder)
        self.weight, self.weight_kind = draw_weight(rng, len(self.table.values))
        self.y = draw_target(rng, self.table)
        self.note(f"{self.estimator!r}")
        self.note(
            f"{self.table.kind} {self.table.form} {self.table.values.shape}, weight "
            f"{self.weight_kind}, y {np.shape(self.y)}"
        )
        if rng.uniform() < 0.05:
            self.score_unfitted()
        self.fit()
        self.was_refused = not is_fitted(self.estimator)
        if self.was_refused:
            self.fit_plainly()
            if not is_fitted(self.estimator):
                return
        steps = {
            self.score: 8,
            self.score_far_rows: 2,
            self.score_other_columns: 1,
            self.score_other_cells: 1,
            self.score_gaps: 3,
            self.fit_again: 2,
            self.fail: 1,
            self.continue_stream: 2,
            self.store: 2,
            self.copy: 1,
            self.set_parameters: 1,
            self.decode: 2,
            self.draw: 2,
            self.move_threshold: 1,
            self.compare_single_rows: 3,
            self.compare_forms: 2,
            self.compare_precisions: 2,
            self.repeat: 2,
            self.compare_copies: 2,
            self.use_in_pipeline: 1,
            self.name_outputs: 1,
        }
        for _ in range(rng.integers(2, 6)):
            choose(rng, steps)()
        if rng.uniform() < 0.2:
            self.use_sequences()

    def note(self, text):
        self.log.append(text)

    def call(self, name, *args, estimator=None, changes=False, **kwargs):
        estimator = self.estimator if estimator is None else estimator
        function = getattr(estimator, name)
        ours = not warns_by_itself(self.estimator)
        outcome = call(
            function, *args, name=name, owner=estimator, changes=changes, is_ours=ours, **kwargs
        )
        self.note(f"{name}: {str(outcome.error)[:150] if outcome.is_refused else 'done'}")
        return outcome

    @property
    def is_detector(self):
        return isinstance(self.estimator, AEAnomalyDetector)

    # Fits

    def fit(self):
        name = "fit"
        if hasattr(self.estimator, "partial_fit") and self.rng.uniform() < 0.15:
            name = "partial_fit"
        self.train(name, self.table, self.y, self.weight)

    def train(self, name, table, y=None, weight=None):
        outcome = self.call(name, table.X, y, sample_weight=weight, changes=True)
        if outcome.is_refused:
            return
        if outcome.result is not self.estimator:
            raise Wrong(f"{name} returned {type(outcome.result).__name__}")
        path = getattr(self.estimator, "checkpoint", None)
        if path is not None and name == "fit" and Path(path).exists():
            raise Wrong("the checkpoint was left behind")
        self.fitted_on = table
        self.known_weight = weight

    def fit_plainly(self):
        """A table that nothing is wrong with, after one that was refused."""
        if self.rng.uniform() < 0.5:
            return
        self.train("fit", self.plain_table())

    def plain_table(self, n=None, p=None):
        shape = n or int(pick(self.rng, (12, 20, 30))), p or int(pick(self.rng, (2, 3, 5)))
        return make_table(draw_values(self.rng, "shares", *shape), "shares", "float64", self.folder)

    def fit_again(self):
        """Another table, or the same one: with warm_start training goes on."""
        self.train("fit", self.table if self.rng.uniform() < 0.5 else self.plain_table())

    def fail(self):
        """A fit that cannot be, after which all is as it was."""
        table = self.plain_table(p=self.fitted_on.values.shape[1])
        spoiled = table.values.copy()
        spoiled[-1, 0] = np.inf
        outcome = self.call("fit", spoiled)
        if not outcome.is_refused:
            raise Wrong("fit took an infinite cell")
        outcome = self.call("fit", table.X, sample_weight=-np.ones(len(table.X)))
        if not outcome.is_refused:
            raise Wrong("fit took negative weights")

    def continue_stream(self):
        if self.is_detector:
            return
        rows = self.similar_rows()
        self.train("partial_fit", self.hide_cells(rows) if self.rng.uniform() < 0.3 else rows)

    def set_parameters(self):
        cls = type(self.estimator)
        name = pick(self.rng, list_parameters(cls))
        if name == "estimator":
            return
        value = draw_value(self.rng, cls, name, self.folder, wrong=0.2)
        self.estimator.set_params(**{name: value})
        self.note(f"set {name}={value!r}")
        self.score()

    # Rows

    def similar_rows(self):
        values = self.fitted_on.values
        if values.dtype == object or not len(values):
            return self.fitted_on
        n = int(pick(self.rng, (1, 2, 12, 40)))
        forms = (self.fitted_on.form, "bool" if np.isinf(values).any() else "float64")
        if self.fitted_on.is_real:
            is_array = self.fitted_on.form == "real array"
            forms = ("real array",) if is_array else ("real frame", self.fitted_on.form)
        return make_table(
            values[self.rng.integers(0, len(values), size=n)],
            self.fitted_on.kind,
            str(pick(self.rng, forms)),
            self.folder,
        )

    def score_unfitted(self):
        for name in list_methods(self.estimator):
            if name in CHECKS or name in ("sample", "set_threshold", "get_feature_names_out"):
                args = (self.plain_table().X,) if name in CHECKS else ()
                outcome = self.call(name, *args)
                if not isinstance(outcome.error, NotFittedError):
                    raise Wrong(f"{name} of an unfitted estimator: {outcome.error!r}")

    def score(self, rows=None, name=None):
        """One method that takes rows, or the given one."""
        rows = self.similar_rows() if rows is None else rows
        names = [each for each in list_methods(self.estimator) if each in CHECKS]
        names.remove("inverse_transform") if "inverse_transform" in names else None
        name = name or str(pick(self.rng, names))
        if name == "explain":
            rows = make_table(rows.values[:2, :], rows.kind, rows.form, self.folder)
        kwargs = {}
        if name == "reconstruction_error" and self.rng.uniform() < 0.5:
            kwargs["per_cell"] = True
        if name == "discoveries":
            kwargs["false_discovery_rate"] = float(pick(self.rng, (0.1, 0.999, 1e-9)))
        outcome = self.call(name, rows.X, **kwargs)
        if outcome.is_refused:
            return outcome
        self.n_outputs += 1
        CHECKS[name](outcome.result, measure(self.estimator, rows, bool(kwargs)), name)
        return outcome

    def score_known(self, rows, name=None):
        """Rows like those of the fit must not be refused, unless the detector's score is NaN."""
        outcome = self.score(rows, name)
        text = str(outcome.error)
        if outcome.is_refused and not any(
            each in text
            for each in ("denoising_errors requires", "[0, 1]", "bernoulli", "must have booleans")
        ):
            raise Wrong(f"rows like those of the fit are refused: {text}")
        return outcome

    def hide_cells(self, rows):
        """The same rows with missing cells, maybe with all of them missing."""
        if self.is_detector or rows.values.dtype == object:
            return rows
        values = rows.values.astype(np.float64)
        values[self.rng.uniform(size=values.shape) < pick(self.rng, (0.1, 0.5, 1.0))] = np.nan
        form = rows.form if rows.is_real or rows.form in ("frame", "nullable") else "float64"
        return make_table(values, rows.kind, form, self.folder)

    def score_gaps(self):
        """Cells that are missing only after the fit."""
        rows = self.similar_rows()
        name = None
        if not self.is_detector and self.rng.uniform() < 0.5:
            name = str(pick(self.rng, ("impute", "reconstruct", "transform")))
        self.score_known(self.hide_cells(rows), name)

    def score_far_rows(self):
        p = self.fitted_on.values.shape[1]
        factor = pick(self.rng, (1e3, 1e8, 1e30, 1e100, 1e200, 1e308, -1e30))
        values = np.clip(self.rng.normal(size=(5, p)), -1, 1) * factor
        values[0] = 0.0
        form = str(pick(self.rng, ("float64", "float64", "float32", "frame", "lists")))
        form = self.fitted_on.form if self.fitted_on.is_real else form
        self.score(make_table(values, "far", form, self.folder))

    def score_other_columns(self):
        p = self.fitted_on.values.shape[1]
        table = self.plain_table(p=max(1, p + int(pick(self.rng, (-1, 1)))))
        if table.values.shape[1] != p and not self.score(table).is_refused:
            raise Wrong("rows with other columns were taken")
        if hasattr(self.estimator, "feature_names_in_"):
            self.score_other_order()
            renamed = pd.DataFrame(
                self.plain_table(p=p).values, columns=[f"z{i}" for i in range(p)]
            )
            if not self.call("score_samples", renamed).is_refused:
                raise Wrong("rows with other names were taken")

    def score_other_order(self):
        rows = self.similar_rows()
        if not isinstance(rows.X, pd.DataFrame) or rows.X.shape[1] < 2:
            return
        if not self.call("score_samples", rows.X[rows.X.columns[::-1]]).is_refused:
            raise Wrong("rows with columns of another order were taken")

    def score_other_cells(self):
        if self.fitted_on.kind == "empty column" or np.ndim(
            getattr(self.estimator, "categorical_features", None)
        ):
            return  # columns that nothing is known of, and those of numbers and others
        p = self.fitted_on.values.shape[1]
        values = draw_values(self.rng, "wrong cell", 2, p)  # as many as are explained
        table = make_table(values, "wrong cell", "object", self.folder)
        if not self.score(table).is_refused:
            raise Wrong("rows with cells that are no numbers were taken")

    # Codes, draws, thresholds

    def decode(self):
        if self.is_detector:
            return
        k = self.estimator.n_components_
        codes = self.rng.normal(size=(4, k)) * pick(self.rng, (1.0, 10.0, 1e6, 1e30, 1e300))
        if self.rng.uniform() < 0.3:
            codes = np.clip(codes, -1e38, 1e38).astype(np.float32)
        outcome = self.call("inverse_transform", codes)
        if not outcome.is_refused:
            p = self.fitted_on.values.shape[1]
            columns = self.estimator._fitted.columns
            _rows_like_table(outcome.result, Sizes(4, p, k, codes.dtype, False, columns), "decode")
        if not self.call("inverse_transform", np.ones((2, k + 1))).is_refused:
            raise Wrong("codes of another size were taken")
        if not self.call("inverse_transform", codes, lengths=1).is_refused:
            raise Wrong("a table's rows were given a length")

    def draw(self):
        if not hasattr(self.estimator, "sample") or self.estimator._fitted.columns is not None:
            return self.score()
        noise = bool(self.rng.integers(2))
        p = self.fitted_on.values.shape[1]
        results = []
        for _ in range(2):
            outcome = self.call("sample", 3, random_state=0, noise=noise)
            check_array(outcome.result, (3, p), "sample", np.float64)
            results.append(outcome.result)
        require_equal_bits(*results, "sample of one seed")
        wrong = pick(self.rng, (0, -1, 1.5, "x", 10**15))
        if not self.call("sample", wrong).is_refused:
            raise Wrong(f"sample took n_samples={wrong}")

    def use_sequences(self):
        """Lists of arrays of unequal length, to an equal estimator."""
        if self.is_detector:
            return
        lengths = [4, *self.rng.integers(1, 5, size=11), 3]
        rows = [self.rng.normal(size=(length, 2)) for length in lengths]
        fresh = clone(self.estimator)
        if fresh.checkpoint is not None:
            fresh.set_params(checkpoint=None)
        if self.call("fit", rows, estimator=fresh, changes=True).is_refused:
            return
        for name in ("reconstruct", "impute"):
            results = self.call(name, rows, estimator=fresh).result
            for result, row in zip(results, rows, strict=True):
                check_array(result, row.shape, name, np.float64)
        codes = self.call("transform", rows, estimator=fresh).result
        outcome = self.call("inverse_transform", codes, estimator=fresh, lengths=lengths)
        ends = np.isfinite(outcome.result).all(axis=2).sum(axis=1)
        if ends.tolist() != lengths:
            raise Wrong(f"codes were decoded to lengths of {ends}, not {lengths}")

    def move_threshold(self):
        if not self.is_detector:
            return
        kwargs = pick(
            self.rng,
            (
                {"alpha": 0.05},
                {"alpha": 1e-9},
                {"contamination": 0.2},
                {"contamination": 0.5},
                {},
                {"alpha": 0.1, "contamination": 0.1},
                {"alpha": 2},
            ),
        )
        outcome = self.call("set_threshold", changes=True, **kwargs)
        if outcome.is_refused == (len(kwargs) == 1 and kwargs.get("alpha") != 2):
            raise Wrong(f"set_threshold({kwargs}): {outcome.error!r}")
        if not np.isfinite(self.estimator.offset_):
            raise Wrong(f"the threshold is {self.estimator.offset_}")

    def name_outputs(self):
        if self.is_detector:
            return
        outcome = self.call("get_feature_names_out")
        if len(outcome.result) != self.estimator.n_components_:
            raise Wrong(f"{len(outcome.result)} names of {self.estimator.n_components_} outputs")

    # Copies

    def store(self):
        """A stored estimator gives the same."""
        before = describe_estimator(self.estimator)
        loaded = pickle.loads(pickle.dumps(self.estimator))
        require_same(before, describe_estimator(self.estimator), "pickle: the estimator")
        self.compare_with(loaded, "a stored estimator")
        # The net, and the sample of a stream, are not stored.
        stored = re.compile(r"\.(net|sample|is_stream)\b")
        known, found = (
            {name: value for name, value in each.items() if not stored.search(name)}
            for each in (before, describe_estimator(loaded))
        )
        require_same(known, found, "pickle: what is stored")
        if self.rng.uniform() < 0.5:
            self.estimator = loaded

    def copy(self):
        copied = copy.deepcopy(self.estimator)
        self.compare_with(copied, "a copy")
        if is_fitted(clone(self.estimator)):
            raise Wrong("a clone is fitted")
        if self.rng.uniform() < 0.5:
            self.estimator = copied

    def compare_with(self, other, what):
        rows = self.similar_rows()
        a = self.score(rows, "score_samples")
        b = self.call("score_samples", rows.X, estimator=other)
        if a.is_refused != b.is_refused:
            raise Wrong(f"{what}: {a.error!r} and {b.error!r}")
        if not a.is_refused:
            require_equal_bits(a.result, b.result, f"scores of {what}")

    # Results that must be alike

    def compare_single_rows(self):
        """The score of a row is the same alone and among others."""
        rows = self.similar_rows()
        whole = self.score_known(rows, "score_samples")
        if whole.is_refused or rows.values.dtype == object:
            return
        single = rows.take([-1], self.folder)
        alone = self.score(single, "score_samples")
        # Distances near the rounding of a row: the score's own tolerance.
        tolerance = 1e-3 if self.is_detector else 1e-5
        require_close(alone.result[0], whole.result[-1], "a row alone", tolerance)
        if self.is_detector:
            require_equal_bits(
                self.score(single, "predict").result,
                self.score(rows, "predict").result[-1:],
                "verdict on a row alone",
            )

    def compare_forms(self):
        """The form of a table does not matter."""
        rows = self.similar_rows()
        if self.is_detector or rows.values.dtype == object:
            return
        if rows.is_real:
            return self.compare_libraries(rows)
        a = self.score(rows, "transform")
        b = self.call("transform", to_array(rows.X))
        if a.is_refused != b.is_refused:
            raise Wrong(f"{rows.form}: {a.error!r}, and its array: {b.error!r}")
        if not a.is_refused:
            require_equal_bits(a.result, b.result, f"codes of {rows.form} and its array")

    def compare_libraries(self, rows):
        """Frames of all libraries have the same codes."""
        if rows.form == "real array":
            return
        a, b = (
            self.score(make_table(rows.values, rows.kind, form, self.folder), "transform")
            for form in (rows.form, str(pick(self.rng, [*REAL_FORMS][:-1])))
        )
        if a.is_refused or b.is_refused:
            raise Wrong(f"frames of another library are refused: {a.error!r}, {b.error!r}")
        require_equal_bits(np.asarray(a.result), np.asarray(b.result), "codes of two libraries")

    def compare_precisions(self):
        """Cells that float32 holds get the same verdict in float32."""
        discrete = ("discrete", "rare", "constant")
        if not self.is_detector or self.fitted_on.kind not in discrete:
            return self.score()
        if self.fitted_on.is_real:
            return
        values = to_array(self.fitted_on.X).astype(np.float64)
        if not (values.astype(np.float32) == values).all():
            return
        a, b = (self.call("predict", values.astype(t)) for t in (np.float32, np.float64))
        if not a.is_refused:
            require_equal_bits(a.result, b.result, "verdicts in float32 and in float64")

    def repeat(self):
        """The same seed gives the same result."""
        seed = self.estimator.get_params().get("random_state")
        if not isinstance(seed, int) or self.fitted_on.values.dtype == object:
            return
        weight = self.known_weight
        results = [self.fit_clone(self.fitted_on.X, weight) for _ in range(2)]
        if results[0] is not None:
            require_equal_bits(*results, "two fits of one seed")

    def fit_clone(self, X, weight):
        """Scores of a fresh fit, None if it is refused."""
        fresh = clone(self.estimator)
        path = getattr(fresh, "checkpoint", None)
        if path is not None:
            fresh.set_params(checkpoint=None)
        outcome = self.call("fit", X, sample_weight=weight, estimator=fresh, changes=True)
        if outcome.is_refused:
            return None
        scores = self.call("score_samples", self.fitted_on.as_plain().X, estimator=fresh)
        return scores.result

    def compare_copies(self):
        """A row of weight two is a row that is there twice."""
        values = self.fitted_on.values
        seed = self.estimator.get_params().get("random_state")
        inner = getattr(self.estimator, "estimator", None)
        if not isinstance(seed, int) or values.dtype == object or len(values) > 200:
            return
        if isinstance(inner, IsolationForest):  # which draws rows by their place
            return
        gaps = [value for name, value in self.estimator.get_params().items() if name[-3:] == "gap"]
        if any(gap is not None for gap in gaps):  # copies take time that weights do not
            return
        counts = self.rng.integers(1, 4, size=len(values))
        if self.fitted_on.is_real:
            X = self.fitted_on.X
            copies = self.fitted_on.take(np.repeat(np.arange(len(values)), counts), self.folder).X
        else:
            X = to_array(self.fitted_on.X)
            copies = np.repeat(X, counts, axis=0)
        a, b = self.fit_clone(X, counts), self.fit_clone(copies, None)
        if (a is None) != (b is None):
            raise Wrong("copies are taken, and weights not, or the reverse")
        if a is not None:
            require_equal_bits(a, b, "weights and copies")

    def use_in_pipeline(self):
        """A pipeline gives what the estimator gives."""
        rows = self.fitted_on
        fresh = clone(self.estimator)
        if getattr(fresh, "checkpoint", None) is not None:
            fresh.set_params(checkpoint=None)
        pipeline = make_pipeline(FunctionTransformer(), fresh)
        ours = not warns_by_itself(fresh)
        fitted = call(pipeline.fit, rows.X, name="fit of a pipeline", is_ours=ours)
        if fitted.is_refused or isinstance(fresh, DenoisingAutoencoder):
            return
        outcome = self.call("score_samples", rows.X, estimator=pipeline)
        check_array(outcome.result, (len(rows.values),), "score_samples of a pipeline")


def run_case(seed):
    """Run a case, and return it; raise `Wrong` with its calls if a property does not hold."""
    with tempfile.TemporaryDirectory() as folder:
        case = Case(seed, folder)
        try:
            case.run()
        except Wrong as error:
            calls = "\n  ".join(case.log)
            raise Wrong(f"case {seed}: {error}\n  {calls}") from error
    return case


# Runs ----------------------------------------------------------------------------------------


def main(n_cases, first):
    """Run cases; print what came of them, and return whether all were right."""
    counts, slowest, began = Counter(), (0.0, None), time.monotonic()
    for seed in range(first, first + n_cases):
        before = time.process_time()
        try:
            case = run_case(seed)
            counts["refused before training" if case.was_refused else "fitted"] += 1
            counts["gave finite output"] += case.n_outputs > 0
        except Wrong as error:
            counts["wrong"] += 1
            print(f"{error}\n", flush=True)
        except Exception as error:
            counts["wrong"] += 1
            print(f"case {seed}: the fuzz itself: {error!r}\n", flush=True)
        slowest = max(slowest, (time.process_time() - before, seed))
        if (seed + 1 - first) % 500 == 0:
            print(f"{seed + 1 - first} cases: {dict(counts)}", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{n_cases} cases from seed {first} in {seconds:.0f} s: {counts['fitted']} fitted, "
        f"{counts['refused before training']} refused before training with a clear error, "
        f"{counts['gave finite output']} gave finite output, {counts['wrong']} wrong; "
        f"the slowest took {slowest[0]:.1f} s (case {slowest[1]})"
    )
    return counts["wrong"] == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n_cases", metavar="N", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case")
    parser.add_argument("--only", type=int, help="run this case alone")
    given = parser.parse_args()
    if given.only is not None:
        print("\n  ".join(run_case(given.only).log))
        sys.exit(0)
    sys.exit(0 if main(given.n_cases, given.seed) else 1)
