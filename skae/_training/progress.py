"""A progress bar over epochs."""

import sys
import time
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm.auto import tqdm


class EpochProgress(Callback):
    """Show epochs, losses and the time left; plain lines where there is no terminal.

    Parameters
    ----------
    n_epochs : int
        Number of epochs.
    description : str
        Name of the training.
    """

    def __init__(self, n_epochs: int, description: str) -> None:
        self.n_epochs = n_epochs
        self.description = description

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = None
        self.began_ = time.monotonic()
        if draws_bars():
            self.bar_ = tqdm(total=self.n_epochs, desc=self.description, unit="epoch")

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Advance by an epoch."""
        row = net.history[-1]
        losses = {name: row[name] for name in ("train_loss", "valid_loss") if name in row}
        if self.bar_ is not None:
            self.bar_.set_postfix({name: f"{loss:.4g}" for name, loss in losses.items()})
            self.bar_.update(row["epoch"] - self.bar_.n)  # more than one after a resumption
        elif self._is_due(row["epoch"]):
            text = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items())
            spent = time.monotonic() - self.began_
            print(
                f"{self.description}: epoch {row['epoch']}/{self.n_epochs}, {text}, {spent:.1f} s",
                flush=True,
            )

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Close the bar."""
        if self.bar_ is not None:
            self.bar_.close()

    def _is_due(self, epoch: int) -> bool:
        return epoch == self.n_epochs or epoch % max(1, self.n_epochs // 10) == 0


def show_line(text: str) -> None:
    """Show a line where progress is shown: bars are on the standard error."""
    print(text, file=sys.stderr if draws_bars() else sys.stdout, flush=True)


def draws_bars() -> bool:
    """Whether there is a terminal or a notebook to show a bar in."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
