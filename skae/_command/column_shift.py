"""How the columns of two tables differ, one by one."""

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from .encoding import Encoding
from .findings import ColumnShift
from .wording import LABELS, contrast_values, count_labels, name_kinds

# Beyond so many rows the limit of large samples is exact enough, and takes no time.
_MOST_EXACT = 1_000

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
        if kinds[name] in LABELS:
            _, counts = count_labels(*pair)
            p_value, distance = _test_counts(counts), _measure_variation(counts)
        else:
            p_value, distance = _test_numbers(*map(encoding.encode_column, pair))
        texts = contrast_values(*pair, kinds[name])
        shifts.append(ColumnShift(str(name), p_value, distance, *texts))
    return shifts


def correct_p_values(p_values: np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number, by Holm (1979)."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    out = np.empty(len(p_values))
    out[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return out


def _test_numbers(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Return the p-value and the distance of numbers; NaN is a missing cell."""
    known = [column[~np.isnan(column)] for column in (before, after)]
    found = []
    if all(map(len, known)):
        is_small = max(map(len, known)) <= _MOST_EXACT
        test = ks_2samp(*known, method="exact" if is_small else "asymp")
        found.append((float(test.pvalue), float(test.statistic)))
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


def _measure_variation(counts: np.ndarray) -> float:
    """Return the total variation distance of two columns of counts."""
    shares = counts / counts.sum(axis=0)
    return float(np.abs(shares[:, 1] - shares[:, 0]).sum() / 2)


def _test_counts(counts: np.ndarray) -> float:
    """Return the p-value of two columns of counts."""
    pooled = _pool_rare(counts)
    if len(pooled) < 2:
        return 1.0
    if len(pooled) == 2 and _find_expected(pooled).min() < _FEWEST_EXPECTED:
        return float(fisher_exact(pooled).pvalue)
    return float(chi2_contingency(pooled, correction=False).pvalue)


def _pool_rare(counts: np.ndarray) -> np.ndarray:
    """Return counts in which rows are pooled, the rarest first, until at most two are too small."""
    counts = counts[np.argsort(-counts.sum(axis=1), kind="stable")]
    while len(counts) > 2 and _find_expected(counts)[-1].min() < _FEWEST_EXPECTED:
        counts = np.vstack([counts[:-2], counts[-2:].sum(axis=0)])
        counts = counts[np.argsort(-counts.sum(axis=1), kind="stable")]
    return counts


def _find_expected(counts: np.ndarray) -> np.ndarray:
    return np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
