"""The processes that fit an estimator together, as one of them sees the others."""

from .training_group import (
    TrainingGroup,
    enter_group,
    find_group,
    find_seed,
    refuse_group,
    take_part,
    wait_for_others,
)

__all__ = [
    "TrainingGroup",
    "enter_group",
    "find_group",
    "find_seed",
    "refuse_group",
    "take_part",
    "wait_for_others",
]
