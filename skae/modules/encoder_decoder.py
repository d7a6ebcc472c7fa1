"""The abstract map from rows to codes and back."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from .bypass import Bypass


class EncoderDecoder(nn.Module, ABC):
    """Abstract: a map from rows to codes and one back, as the estimators train it.

    Rows and codes are `(n_rows, n_features)` and `(n_rows, n_components)` tensors.
    """

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def encode(self, input: Tensor) -> Tensor:
        """Return the codes of rows."""

    @abstractmethod
    def decode(self, code: Tensor) -> Tensor:
        """Return the rows that codes decode to."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the reconstruction of rows."""
        return self.decode(self.encode(input))

    def decaying_weights(self) -> list[nn.Parameter]:
        """Return the weight matrices that weight decay applies to: those of nonlinear paths.

        Linear paths don't decay, because that would shrink PCA: decay draws a network towards
        its linear path. Of these weights, `optimizer="auto"` also takes those that are for Muon.

        Returns
        -------
        weights : list of torch.nn.Parameter
            Parameters of two dimensions or more.
        """
        linear = {id(p) for path in self.undecayed_parts() for p in path.parameters()}
        return [p for p in self.parameters() if p.ndim > 1 and id(p) not in linear]

    def undecayed_parts(self) -> list[nn.Module]:
        """Return the parts whose weights don't decay.

        Returns
        -------
        parts : list of torch.nn.Module
            The linear paths.
        """
        return [part.linear for part in self.modules() if isinstance(part, Bypass)]
