"""The training engine: skorch's loop over slices of tensors. It knows no family."""

from .checkpoint import Checkpoint, Fingerprint, open_checkpoint
from .config import TrainingConfig
from .fit import TrainingResult, leave_untrained, train
from .fit_tasks import FitTasks
from .inference import TrainedModule
from .loop import make_stream_net, restore_on_failure, run, run_block
from .net import AutoencoderNet
from .objective import MINIMUM_IMPROVEMENT_NATS, FastStep, Module, Objective, TrainingStep
from .optimizers import OPTIMIZERS
from .user_callbacks import check_callbacks, copy_schedulers

__all__ = [
    "MINIMUM_IMPROVEMENT_NATS",
    "OPTIMIZERS",
    "AutoencoderNet",
    "Checkpoint",
    "FastStep",
    "Fingerprint",
    "FitTasks",
    "Module",
    "Objective",
    "TrainedModule",
    "TrainingConfig",
    "TrainingResult",
    "TrainingStep",
    "check_callbacks",
    "copy_schedulers",
    "leave_untrained",
    "make_stream_net",
    "open_checkpoint",
    "restore_on_failure",
    "run",
    "run_block",
    "train",
]
