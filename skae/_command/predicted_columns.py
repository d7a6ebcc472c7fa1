"""How well the columns of a table predict each other."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from .._imputation import AEImputer
from .encoding import Encoding, ignore_reported
from .findings import ColumnFindings
from .steps import show_parts
from .wording import LABELS, describe_cells, describe_values, name_kinds

# Rows held out from as many folds as have them together; fewer of wide tables, as each column is
# hidden in all of them.
_N_FOLDS = 5
_MOST_ROWS = 1_000
_FEWEST_ROWS = 100
_MOST_CELLS = 60_000

# Copies of the rows, each with one column hidden, that are filled together.
_MOST_COPIES = 5_000

# More rows to learn from took longer and predicted no better.
_MOST_TRAINING_ROWS = 5_000


def list_columns(frame: pd.DataFrame, encoding: Encoding, seed: int) -> tuple[ColumnFindings, ...]:
    """Return what each column is, and how well the others predict it.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The table.
    encoding : Encoding
        What its columns were taken for.
    seed : int
        Seed of the folds and of the models.
    """
    kinds = name_kinds(encoding.kinds)
    predicted = measure_predictions(frame, encoding, seed)
    return tuple(
        ColumnFindings(
            name=str(name),
            kind=kinds[name],
            summary=describe_values(frame[name], kinds[name]),
            n_missing=int(frame[name].isna().sum()),
            predicted_by_others=predicted[name],
        )
        for name in frame.columns
    )


def measure_predictions(
    frame: pd.DataFrame, encoding: Encoding, seed: int
) -> dict[str, float | None]:
    """Hide each column in held-out rows, fill it from the others, and compare.

    Returns
    -------
    predicted : dict of str to float or None
        For each column 1 less the error of what fills it over that of its mean or its most
        frequent label, at least 0: squared errors of numbers and dates, the share of wrong
        labels. None where that answer makes no error, and where labels can't be predicted.
    """
    kinds = name_kinds(encoding.kinds)
    names = [name for name in frame.columns if kinds[name] not in ("identifier", "empty")]
    n_held_out = int(np.clip(_MOST_CELLS // frame.shape[1], _FEWEST_ROWS, _MOST_ROWS))
    generator = np.random.default_rng(seed)
    errors = dict.fromkeys(frame.columns, np.zeros(2))
    n_done = 0
    folds = KFold(min(_N_FOLDS, len(frame)), shuffle=True, random_state=seed)
    parts = show_parts("predicting columns", folds.split(frame), folds.n_splits)
    for train, test in parts:
        test = generator.permutation(test)[: n_held_out - n_done]
        n_done += len(test)
        train = generator.permutation(train)[:_MOST_TRAINING_ROWS]
        known, hidden = frame.iloc[train], frame.iloc[test]
        with ignore_reported():
            imputer = AEImputer(random_state=seed).fit(known)
        for name, filled in _fill(imputer, hidden, names):
            pair = (known[name], hidden[name], filled)
            if kinds[name] in LABELS:
                errors[name] = errors[name] + _compare_labels(*pair)
            else:
                errors[name] = errors[name] + _compare_numbers(encoding, *pair)
        if n_done >= n_held_out:
            break
    return {
        name: max(0.0, 1 - float(own / trivial)) if trivial > 0 else None
        for name, (own, trivial) in errors.items()
    }


def _fill(
    imputer: AEImputer, rows: pd.DataFrame, names: list[str]
) -> Iterator[tuple[str, pd.Series]]:
    """Yield each column with what the others predict."""
    is_shown = np.zeros(len(rows), dtype=bool)
    n_together = max(1, _MOST_COPIES // len(rows))
    for start in range(0, len(names), n_together):
        own = names[start : start + n_together]
        copies = [rows.assign(**{name: rows[name].where(is_shown)}) for name in own]
        filled = imputer.impute(pd.concat(copies))
        for index, name in enumerate(own):
            yield name, filled[name].iloc[index * len(rows) : (index + 1) * len(rows)]


def _compare_labels(known: pd.Series, truth: pd.Series, filled: pd.Series) -> np.ndarray:
    """Return how many labels were filled wrongly, and how many the most frequent one misses."""
    is_observed = truth.notna().to_numpy()
    predicted = np.array(describe_cells(filled), dtype=object)[is_observed]
    labels = np.array(describe_cells(truth), dtype=object)[is_observed]
    observed = pd.Series(describe_cells(known.dropna()), dtype=object)
    if len(observed) == 0:
        return np.zeros(2)
    most_frequent = observed.value_counts().index[0]
    return np.array([(predicted != labels).sum(), (labels != most_frequent).sum()], dtype=float)


def _compare_numbers(
    encoding: Encoding, known: pd.Series, truth: pd.Series, filled: pd.Series
) -> np.ndarray:
    """Return the sums of squared errors of what was filled, and of the mean."""
    numbers = [encoding.encode_column(cells) for cells in (known, truth, filled)]
    if np.isnan(numbers[0]).all():
        return np.zeros(2)
    mean = np.nanmean(numbers[0])
    # Where nothing could be filled the mean would have been.
    predicted = np.where(np.isnan(numbers[2]), mean, numbers[2])
    return np.array([np.nansum((numbers[1] - predicted) ** 2), np.nansum((numbers[1] - mean) ** 2)])
