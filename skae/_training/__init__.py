"""The training engine: skorch's loop over slices of tensors. It knows no family."""

from .config import FastStep, TrainingConfig
from .fit import TrainingResult, leave_untrained, train
from .inference import TrainedModule
from .loop import make_stream_net, restore_on_failure, run, run_block
from .net import AutoencoderNet
from .objective import MINIMUM_IMPROVEMENT_NATS, Module, Objective, TrainingStep
from .optimizers import OPTIMIZERS

__all__ = [
    "MINIMUM_IMPROVEMENT_NATS",
    "OPTIMIZERS",
    "AutoencoderNet",
    "FastStep",
    "Module",
    "Objective",
    "TrainedModule",
    "TrainingConfig",
    "TrainingResult",
    "TrainingStep",
    "leave_untrained",
    "make_stream_net",
    "restore_on_failure",
    "run",
    "run_block",
    "train",
]
