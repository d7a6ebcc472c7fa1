"""The scores of rows with missing cells, which are comparable with those of complete rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .anomaly_score import AnomalyScore, HiddenTails
from .hidden_cells import (
    ScoreAdjustment,
    find_fullest,
    hide_cells,
    observe_columns,
    sample_reference,
)

#: Returns the score of each row; lower is more anomalous.
Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _GapModel:
    """What scores of rows with missing cells are compared with.

    Attributes
    ----------
    tails : HiddenTails or None
        The tails of an anomaly score; None for other scores.
    adjustment : ScoreAdjustment
        What makes scores comparable.
    """

    tails: HiddenTails | None
    adjustment: ScoreAdjustment


@dataclass
class GapScore:
    """Scores rows with missing cells.

    Attributes
    ----------
    reference : ndarray of shape (n_rows, n_encoded)
        A sample of the training rows.
    fullest : ndarray of shape (n_rows, n_encoded)
        Those in which most columns are observed; empty if all rows are complete.
    owner : ndarray of shape (n_encoded,)
        Index of the column that each encoded one is of.
    model : _GapModel or None
        What scores are compared with; it is made when it is first needed, which takes about as
        long as scoring a few thousand rows.
    """

    reference: np.ndarray
    fullest: np.ndarray
    owner: np.ndarray
    model: _GapModel | None = None

    @classmethod
    def from_rows(
        cls, rows: np.ndarray, weight: np.ndarray | None, owner: np.ndarray
    ) -> "GapScore":
        """Return the score that has a sample of these training rows as reference."""
        return cls(sample_reference(rows, weight), find_fullest(rows, owner), owner)

    def find_gaps(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows are scored by this score, (n_rows,).

        If the training rows are complete, complete rows have the score that they have without.
        """
        if len(self.fullest):
            return np.ones(len(rows), dtype=bool)
        return np.isnan(rows).any(axis=1)

    def measure(
        self, estimator: Any, anomaly_score: AnomalyScore | None, score: Score, rows: np.ndarray
    ) -> np.ndarray:
        """Return the score of each row; lower is more anomalous.

        Parameters
        ----------
        estimator : estimator
            The estimator.
        anomaly_score : AnomalyScore or None
            The anomaly score of a denoiser.
        score : callable
            The estimator's own score, which is taken without.
        rows : ndarray of shape (n_rows, n_encoded)
            The rows; NaN is a missing cell.
        """
        observed = observe_columns(rows, self.owner)
        if self.model is None:
            self.model = self._fit(estimator, anomaly_score, score)
        tails, adjustment = self.model.tails, self.model.adjustment
        if anomaly_score is None or tails is None:
            scores = score(rows)
        else:
            scores = -tails.combine(anomaly_score.view(estimator, rows), observed.sum(axis=1))
        return adjustment.adjust(scores, observed)

    def _fit(self, estimator: Any, anomaly_score: AnomalyScore | None, score: Score) -> _GapModel:
        groups = hide_cells(np.vstack([self.reference, self.fullest]), self.owner)
        counts = [group.n_observed for group in groups]
        known = [self.reference, *(group.rows for group in groups)]
        observed = [observe_columns(rows, self.owner) for rows in known]
        tails = None
        if anomaly_score is None:
            scores = [score(rows) for rows in known]
        else:
            views = [anomaly_score.view(estimator, rows) for rows in known]
            tails = HiddenTails.from_views(anomaly_score, counts, views[1:])
            scores = [
                -tails.combine(own, mask.sum(axis=1))
                for own, mask in zip(views, observed, strict=True)
            ]
        return _GapModel(tails, ScoreAdjustment.fit(counts, observed, scores))
