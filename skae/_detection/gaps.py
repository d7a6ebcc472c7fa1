"""The scores of rows with missing cells, which are comparable with those of complete rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .anomaly_score import AnomalyScore, HiddenTails
from .hidden_cells import (
    ScoreAdjustment,
    hide_cells,
    observe_columns,
    sample_reference,
    thin_rows,
)

#: Returns the score of each row; lower is more anomalous.
Score = Callable[[np.ndarray], np.ndarray]

# Far out, a nat of an anomaly score stays one: it is a surprisal in each group.
_STEEPEST = 1.0


@dataclass(frozen=True)
class GapModel:
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
    owner : ndarray of shape (n_encoded,)
        Index of the column that each encoded one is of.
    model : GapModel or None
        What scores are compared with; it is made when it is first needed, which takes about as
        long as scoring a few thousand rows.
    """

    reference: np.ndarray
    owner: np.ndarray
    model: GapModel | None = None

    @classmethod
    def from_rows(
        cls, rows: np.ndarray, weight: np.ndarray | None, owner: np.ndarray
    ) -> "GapScore":
        """Return the score that has a sample of these training rows as reference."""
        return cls(sample_reference(rows, weight), owner)

    def find_gaps(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows are scored by this score, (n_rows,).

        If these training rows are complete, complete rows have the score that they have without.
        """
        if np.isnan(self.reference).any():
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
        model = self.get_model(estimator, anomaly_score, score)
        tails, adjustment = model.tails, model.adjustment

        def measure(part: np.ndarray) -> np.ndarray:
            observed = observe_columns(part, self.owner)
            if anomaly_score is None or tails is None:
                return adjustment.adjust(score(part), observed)
            views = anomaly_score.view(estimator, part)
            return adjustment.adjust(-tails.combine(views, observed.sum(axis=1)), observed)

        # No reference rows tell how rows score that are fuller than all of them.
        most = int(adjustment.counts[0])
        is_fuller = observe_columns(rows, self.owner).sum(axis=1) > most
        scores = np.empty(len(rows))
        if is_fuller.any():
            parts = thin_rows(rows[is_fuller], self.owner, most)
            scores[is_fuller] = np.mean([measure(part) for part in parts], axis=0)
        if not is_fuller.all():
            scores[~is_fuller] = measure(rows[~is_fuller])
        return scores

    def get_model(
        self, estimator: Any, anomaly_score: AnomalyScore | None, score: Score
    ) -> GapModel:
        """Return what scores are compared with, see `measure`."""
        if self.model is None:
            self.model = self._fit(estimator, anomaly_score, score)
        return self.model

    def _fit(self, estimator: Any, anomaly_score: AnomalyScore | None, score: Score) -> GapModel:
        groups = [group for group in hide_cells(self.reference, self.owner) if len(group.rows)]
        counts = [group.n_observed for group in groups]
        known = [self.reference, *(group.rows for group in groups)]
        observed = [observe_columns(rows, self.owner) for rows in known]
        tails, steepest = None, np.inf
        if anomaly_score is None:
            scores = [score(rows) for rows in known]
        else:
            views = [anomaly_score.view(estimator, rows) for rows in known]
            tails = HiddenTails.from_views(anomaly_score, counts, views[1:])
            if anomaly_score.by_error.has_bend:
                steepest = _STEEPEST
            scores = [
                -tails.combine(own, mask.sum(axis=1))
                for own, mask in zip(views, observed, strict=True)
            ]
        return GapModel(tails, ScoreAdjustment.fit(counts, observed, scores, steepest))
