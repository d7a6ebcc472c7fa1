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
    is left unexplained. Only errors of observed cells count.

    Parameters
    ----------
    penalty : CodePenalty, default=NO_PENALTY
        The penalty on the code.
    trim_fraction : float, default=0.0
        Share of rows, those of largest loss, that is ignored.
    n_columns : int or None, default=None
        Number of the table's columns, of which categories have several here; None is that of the
        rows.
    """

    has_saddle = True

    def __init__(
        self,
        penalty: CodePenalty = NO_PENALTY,
        trim_fraction: float = 0.0,
        n_columns: int | None = None,
    ) -> None:
        super().__init__(trim_fraction)
        self.penalty = penalty
        self.n_columns = n_columns

    def count_columns(self, batch: Batch) -> int:
        """Return the number of columns that losses are divided by."""
        return batch.input.shape[1] if self.n_columns is None else self.n_columns

    def row_losses(self, module: Autoencoder, batch: Batch) -> Tensor:
        """Return `(|x - g(f(x))|^2 + alpha * penalty) / n_columns` for each row."""
        code, penalty = self.penalty.encode(module.encode, batch.input, batch.weight)
        errors = squared_error(module.decode(code), batch.input, batch.mask)
        return (errors + penalty) / self.count_columns(batch)

    def loss(self, module: Autoencoder, batch: Batch) -> Tensor:
        """Return the loss of a batch, by fewer operations where all rows count alike."""
        is_whole = batch.mask is None and self.n_columns is None
        is_plain = self.penalty.kind is None and batch.weight is None and self.trim_fraction == 0
        if is_plain and is_whole:
            return mse_loss(module(batch.input), batch.input)
        return super().loss(module, batch)
