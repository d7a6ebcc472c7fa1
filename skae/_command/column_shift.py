"""How the columns of two tables differ, one by one."""

import math

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from .encoding import Encoding
from .findings import SURE, ColumnShift
from .wording import LABELS, contrast_values, count_labels, name_kinds

# Beyond so many pairs of values the limit of large samples is exact enough, and takes no time.
_MOST_PAIRS = 1_000_000

# Shares add up to 1 to this.
_ROUNDING = 1e-9

# The chi-square distribution needs this count in each cell.
_FEWEST_EXPECTED = 5.0


def compare_columns(
    before: pd.DataFrame, after: pd.DataFrame, encoding: Encoding
) -> list[ColumnShift]:
    """Test, for each column, whether both tables may come from one distribution.

    The p-values are those of single columns. Numbers and dates have Kolmogorov and Smirnov's
    test, labels a chi-square test. Missing cells count as a label; beside numbers they have a
    test of their own, and the column the smaller p-value of both, twice. Identifiers, which differ
    from row to row, are left out.
    """
    kinds = name_kinds(encoding.kinds)
    shifts = []
    for name in before.columns:
        if kinds[name] in ("identifier", "empty"):
            continue
        pair = before[name], after[name]
        if kinds[name] == "boolean":
            pair = _read_booleans(pair[0], encoding), _read_booleans(pair[1], encoding)
        is_ordered = kinds[name] not in LABELS
        if not is_ordered:
            table = _count_in_order(*pair)
            p_value, distance = _test_counts(table), _measure_variation(table)
        else:
            p_value, distance = _test_numbers(*map(encoding.encode_column, pair))
        texts = contrast_values(*pair, kinds[name])
        n_before, n_after = (int(cells.notna().sum()) for cells in pair)
        shifts.append(
            ColumnShift(
                str(name), p_value, distance, *texts, n_before, n_after, is_ordered=is_ordered
            )
        )
    return shifts


def find_apart(columns: list[ColumnShift]) -> tuple[str, ...]:
    """Return the columns that surely have no value in common, unless all columns are such.

    So have dates and the names of periods in tables of two periods: they make each row as strange
    as the next, and hide what is strange in the others.
    """
    found = tuple(
        column.name
        for column in columns
        if column.distance > 1 - _ROUNDING
        and min(column.n_before, column.n_after) > 0
        and column.p_value * len(columns) < SURE
    )
    return found if len(found) < len(columns) else ()


def compare_samples(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Return the p-value and the distance of Kolmogorov and Smirnov's test.

    A single value may be strange, and is no distribution.
    """
    if min(len(before), len(after)) < 2:
        return 1.0, float(ks_2samp(before, after).statistic)
    is_small = len(before) * len(after) <= _MOST_PAIRS
    test = ks_2samp(before, after, method="exact" if is_small else "asymp")
    return float(test.pvalue), float(test.statistic)


def find_detectable(n_before: int, n_after: int, n_tests: int) -> float:
    """Return the distance, at most 1, that one of so many tests would call a difference.

    It is the critical value of Kolmogorov and Smirnov's test for large samples.
    """
    if n_before == 0 or n_after == 0:
        return 1.0
    critical = math.log(2 * n_tests / SURE) / 2 * (1 / n_before + 1 / n_after)
    return min(math.sqrt(critical), 1.0)


def correct_p_values(p_values: np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number, by Holm (1979)."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    out = np.empty(len(p_values))
    out[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return out


def _read_booleans(cells: pd.Series, encoding: Encoding) -> pd.Series:
    """Return booleans as such, which a table may write as 0 and 1; None is a missing cell."""
    values = encoding.encode_column(cells)[:, 0]
    known = [None if np.isnan(value) else bool(value) for value in values]
    return pd.Series(known, name=cells.name, dtype=object)


def _test_numbers(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Return the p-value and the distance of numbers; NaN is a missing cell."""
    known = [column[~np.isnan(column)] for column in (before, after)]
    found = []
    if all(map(len, known)):
        found.append(compare_samples(*known))
    missing = np.array(
        [
            [len(own), column.size - len(own)]
            for own, column in zip(known, (before, after), strict=True)
        ]
    ).T
    if missing[1].any():
        found.append((_test_counts(missing), _measure_variation(missing)))
    p_values, distances = zip(*found, strict=True)
    return min(1.0, len(found) * min(p_values)), max(distances)


def _count_in_order(before: pd.Series, after: pd.Series) -> np.ndarray:
    """Return the counts of labels in an order that doesn't depend on the table that has them."""
    labels, counts = count_labels(before, after)
    order = sorted(range(len(labels)), key=lambda n: (labels[n] is None, labels[n] or ""))
    return counts[order]


def _measure_variation(counts: np.ndarray) -> float:
    """Return the total variation distance of two columns of counts."""
    shares = counts / counts.sum(axis=0)
    return float(np.abs(shares[:, 1] - shares[:, 0]).sum() / 2)


def _test_counts(counts: np.ndarray) -> float:
    """Return the p-value of two columns of counts."""
    pooled = _pool_rare(counts)
    # A label of a single cell is a strange row, not another distribution.
    if len(pooled) < 2 or (len(pooled) == 2 and pooled.sum(axis=1).min() <= 1):
        return 1.0
    if len(pooled) == 2 and _find_expected(pooled).min() < _FEWEST_EXPECTED:
        return float(fisher_exact(pooled).pvalue)
    return float(chi2_contingency(pooled, correction=False).pvalue)


def _pool_rare(counts: np.ndarray) -> np.ndarray:
    """Return counts in which neighbours by frequency are pooled until both columns have enough.

    Totals and the order of the labels alone decide which are pooled: a choice by either column
    would make samples of one source differ.
    """
    counts = counts[np.argsort(-counts.sum(axis=1), kind="stable")]
    starts, pooled = [0], 0.0
    for position, expected in enumerate(_find_expected(counts).min(axis=1)):
        if pooled >= _FEWEST_EXPECTED:
            starts.append(position)
            pooled = 0.0
        pooled += expected
    if pooled < _FEWEST_EXPECTED and len(starts) > 2:
        starts.pop()
    if len(starts) == 1 and len(counts) > 1:
        starts.append(1)
    return np.add.reduceat(counts, starts, axis=0)


def _find_expected(counts: np.ndarray) -> np.ndarray:
    return np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
