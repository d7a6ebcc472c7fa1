"""A training configuration for tests, with the estimators' defaults."""

import torch

from skae._autoencoder.fast_step import make_fast_step
from skae._autoencoder.objective import ReconstructionObjective
from skae._training import OPTIMIZERS, TrainingConfig


def make_config(**parameters):
    defaults = {
        "objective": ReconstructionObjective(),
        "fast_step": make_fast_step,
        "optimizer": OPTIMIZERS["adamw"],
        "lr": "auto",
        "weight_decay": 0.01,
        "max_epochs": "auto",
        "batch_size": "auto",
        "device": torch.device("cpu"),
        "compile": False,
        "callbacks": (),
        "early_stopping": True,
        "validation_fraction": 0.1,
        "gap": None,
        "n_iter_no_change": 30,
        "tol": 1e-4,
        "verbose": 0,
    }
    return TrainingConfig(**{**defaults, **parameters})


def make_recording_optimizer():
    """A kind of SGD, and what it records: for each training, the rate of each step."""
    trainings = []

    class Recording(torch.optim.SGD):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.rates = []
            trainings.append(self.rates)

        def step(self, closure=None):
            self.rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    return Recording, trainings
