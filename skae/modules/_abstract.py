"""What every module here can do: rows to codes, codes to rows."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class EncoderDecoder(nn.Module, ABC):
    """Abstract: a map from rows to codes and one back.

    What the estimators train is one of these. Rows and codes are `(n_rows, n_features)` and
    `(n_rows, n_components)` tensors.
    """

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def encode(self, input: Tensor) -> Tensor:
        """Return the codes of rows."""

    @abstractmethod
    def decode(self, code: Tensor) -> Tensor:
        """Return the rows that codes stand for."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the reconstruction of rows."""
        return self.decode(self.encode(input))
