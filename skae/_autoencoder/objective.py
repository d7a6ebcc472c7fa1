"""What an autoencoder's training minimizes."""

from torch import Tensor
from torch.nn.functional import mse_loss

from .._data import Batch
from .._training import Objective
from .._training.losses import squared_error
from ..modules import Autoencoder
from .penalties import NO_PENALTY, CodePenalty


class ReconstructionObjective(Objective[Autoencoder]):
    """Squared error plus a penalty on the code, both divided by the number of columns.

    For standardized columns, the loss without its penalty is then the share of variance that
    is left unexplained.

    Parameters
    ----------
    penalty : CodePenalty, default=NO_PENALTY
        The penalty on the code.
    trim_fraction : float, default=0.0
        Share of rows, those of largest loss, that is ignored.
    """

    def __init__(self, penalty: CodePenalty = NO_PENALTY, trim_fraction: float = 0.0) -> None:
        super().__init__(trim_fraction)
        self.penalty = penalty

    def row_losses(self, module: Autoencoder, batch: Batch) -> Tensor:
        """Return `(|x - g(f(x))|^2 + alpha * penalty) / n_features` for each row."""
        code, penalty = self.penalty.encode(module.encode, batch.input, batch.weight)
        errors = squared_error(module.decode(code), batch.input)
        return (errors + penalty) / batch.input.shape[1]

    def loss(self, module: Autoencoder, batch: Batch) -> Tensor:
        """Return the loss of a batch, by fewer operations where all rows count alike."""
        if self.penalty.kind is None and batch.weight is None and self.trim_fraction == 0:
            return mse_loss(module(batch.input), batch.input)
        return super().loss(module, batch)
