"""The anomaly detector as a graph."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._denoising import DenoisingAutoencoder
from .._detection import AEAnomalyDetector
from .._detection.gaps import GapModel
from .arrays import Array, choose, constant, where
from .denoisers import DenoiserGraph
from .gaps import GapGraph, join_ways
from .left_out import leave_out
from .neighbours import measure_distances
from .networks import Networks
from .surprisal import combine_views
from .tables import EncodedRows, encode_inputs
from .transformers import TransformerGraph, make_module


class DetectorGraph:
    """A fitted detector as a graph.

    Parameters
    ----------
    detector : AEAnomalyDetector
        The detector.
    dtype : type
        Type of numbers, float32 or float64.
    """

    def __init__(self, detector: AEAnomalyDetector, dtype: npt.DTypeLike) -> None:
        self.detector = detector
        estimator, score = detector.estimator_, detector._anomaly_score
        if not isinstance(estimator, DenoisingAutoencoder) or score is None:
            raise ValueError(
                "a detector must have a denoiser of a range of Gaussian noise, whose anomaly score "
                f"ONNX can compute, got {type(estimator).__name__}, whose score it can't: fit one "
                "with estimator=None, or with DenoisingAutoencoder(noise_level=(low, high))"
            )
        self.rows = TransformerGraph(estimator, dtype)
        self.inputs = self.rows.inputs
        self.score = score

    def compute(self, arguments: list[Array]) -> dict[str, Array]:
        """Return the outputs by name, in float64."""
        detector = self.detector
        rows = encode_inputs(self.rows.flatten(arguments), self.rows.columns, detector._labels)
        scores = self._score(rows)
        if rows.surprisal is not None:
            scores = scores - rows.surprisal
        decision = scores - detector.offset_
        return {
            "label": where(decision >= 0.0, constant(1), constant(-1)),
            "score": scores,
            "decision": decision,
            "p_value": self._find_p_values(scores),
        }

    def _score(self, rows: EncodedRows) -> Array:
        gaps = self.detector._gap_score
        assert gaps is not None  # of an estimator of skae
        graph = GapGraph(self._fit_gaps(), gaps.owner)
        if np.isnan(gaps.reference).any():
            thinned, n_ways = graph.thin(rows)
            return join_ways(graph.score(*self._view(thinned), graph.observe(thinned)), n_ways)
        errors, distances = self._view(rows)
        plain = 0.0 - combine_views(self.score, errors, distances)
        has_gaps = rows.missing.any(axis=1)
        return choose(
            has_gaps.any(axis=0),
            lambda: where(has_gaps, graph.score(errors, distances, graph.observe(rows)), plain),
            lambda: plain,
        )

    def _fit_gaps(self) -> GapModel:
        """Return what rows with missing cells are compared with."""
        detector: Any = self.detector
        return detector._gap_score.get_model(
            detector.estimator_, detector._anomaly_score, detector._score_as_they_are
        )

    def _view(self, rows: EncodedRows) -> tuple[Array, Array]:
        """Return the errors and the distances of rows."""
        filled = self.rows.prepare(rows, np.float64)
        state = self.rows.state
        is_whole = (1.0 - filled.seen).sum(axis=1).sum(axis=0).equals(0.0)
        distances, is_copy = measure_distances(self.score.neighbours, filled, is_whole)
        if self.score.left_out is not None:
            return leave_out(self.score.left_out, filled.values, is_copy), distances
        module = make_module(state, Networks())
        assert isinstance(module, DenoiserGraph)
        errors = module.measure_errors(
            filled.values, state.density.n_draws, self.score.plan, filled.seen
        )
        return errors, distances

    def _find_p_values(self, scores: Array) -> Array:
        detector = self.detector
        known, weight = detector.calibration_scores_, detector._calibration_weight
        counts = np.ones(len(known)) if weight is None else weight
        raised = scores + detector._find_rounding(0.0)
        as_low = (raised.reshape(-1, 1) >= known).cast(np.float64) @ counts
        return (as_low + 1.0) / (1.0 + counts.sum())
