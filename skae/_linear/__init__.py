"""The best linear models in closed form: where training begins, and its floor."""

from .clusters import CodesAndErrors, find_clusters
from .completion import COMPLETION_ROWS, WIDEST_COMPLETED, Completion
from .covariance import Covariance, count_axes, fit_covariance
from .factor_analysis import fit_factor_analysis
from .gaussian_mixture import (
    Codes,
    Mixture,
    Regularization,
    choose_mixture,
    choose_spread_rows,
    fit_mixture,
)
from .latent_classes import ClassRecipe, LatentClasses, MixedCells
from .missing_covariance import (
    draw_missing,
    fill_missing,
    fit_with_missing,
    invert_covariance,
    score_observed,
)
from .missing_factors import WIDEST_FACTORED, FactorCompletion
from .moments import SMALLEST_VARIANCE, Moments
from .normal_scores import NormalScores, ScoredColumns
from .pca import PrincipalAxes, count_components, find_principal_axes
from .probabilistic_pca import LinearGaussian, fit_probabilistic_pca, fit_with_unit_noise
from .regression import (
    REGRESSION_ROWS,
    AffineMap,
    fit_ridge_regression,
    reduce_rank,
    repeat_axes,
)
from .scored_classes import StackedClasses, score_cells
from .shrinkage import ROWS_A_COLUMN, has_few_rows, shrink_covariance
from .stacked_classes import stack_classes
from .stacked_mixture import Rival, Split, may_have_share, split_for_stacking, stack_mixtures

__all__ = [
    "COMPLETION_ROWS",
    "REGRESSION_ROWS",
    "ROWS_A_COLUMN",
    "SMALLEST_VARIANCE",
    "WIDEST_COMPLETED",
    "WIDEST_FACTORED",
    "AffineMap",
    "ClassRecipe",
    "Codes",
    "CodesAndErrors",
    "Completion",
    "Covariance",
    "FactorCompletion",
    "LatentClasses",
    "LinearGaussian",
    "MixedCells",
    "Mixture",
    "Moments",
    "NormalScores",
    "PrincipalAxes",
    "Regularization",
    "Rival",
    "ScoredColumns",
    "Split",
    "StackedClasses",
    "choose_mixture",
    "choose_spread_rows",
    "count_axes",
    "count_components",
    "draw_missing",
    "fill_missing",
    "find_clusters",
    "find_principal_axes",
    "fit_covariance",
    "fit_factor_analysis",
    "fit_mixture",
    "fit_probabilistic_pca",
    "fit_ridge_regression",
    "fit_with_missing",
    "fit_with_unit_noise",
    "has_few_rows",
    "invert_covariance",
    "may_have_share",
    "reduce_rank",
    "repeat_axes",
    "score_cells",
    "score_observed",
    "shrink_covariance",
    "split_for_stacking",
    "stack_classes",
    "stack_mixtures",
]
