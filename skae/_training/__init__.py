"""The training engine: skorch's loop over slices of tensors."""

from ._denoising import DenoisingObjective, PairObjective
from ._fit import Start, Trained, train, untrained
from ._inference import TrainedModule
from ._loop import Training, make_stream_net, run_block
from ._net import AutoencoderNet
from ._objective import WORTH_NATS, CodePenalty, Objective, ReconstructionObjective
from ._optimizers import OPTIMIZERS
from ._pretraining import pretrain_layerwise
from ._rows import Rows
from ._stored_rows import AnyRows, ScaledTable, StoredRows
from ._variational import VariationalObjective

__all__ = [
    "OPTIMIZERS",
    "WORTH_NATS",
    "AnyRows",
    "AutoencoderNet",
    "CodePenalty",
    "DenoisingObjective",
    "Objective",
    "PairObjective",
    "ReconstructionObjective",
    "Rows",
    "ScaledTable",
    "Start",
    "StoredRows",
    "Trained",
    "TrainedModule",
    "Training",
    "VariationalObjective",
    "make_stream_net",
    "pretrain_layerwise",
    "run_block",
    "train",
    "untrained",
]
