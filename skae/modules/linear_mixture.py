"""Mixtures of factor analysers: the density of a linear decoder with a mixture of codes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .background import measure_background
from .likelihoods import Bounds, add_noise
from .priors import GaussianComponents

_LOG_2PI = math.log(2 * math.pi)

# Share of the model's part that is the background's.
_BACKGROUND_SHARE = 0.1


class LinearMixture(nn.Module):
    """A part of a density: rows that are affine in codes from a Gaussian mixture, and noise.

    It is not trained. A network may be far off on rows unlike those that it has seen, where a
    linear model is not; mixed into the network's density it bounds the loss on each row.

    Parameters
    ----------
    n_features, n_components : int
        Width of the rows and of the code.
    most : int
        Largest number of Gaussians.
    is_full : bool
        Whether their covariances are full, not diagonal.

    Attributes
    ----------
    share : Tensor of shape ()
        Share of the rows that it makes. It is 0 until `set_model`: there is no such part.
    """

    share: Tensor
    n_used: Tensor
    loadings: Tensor
    centre: Tensor
    variance: Tensor
    log_weight: Tensor
    mean: Tensor
    log_variance: Tensor
    regression: Tensor | None

    def __init__(self, n_features: int, n_components: int, most: int, is_full: bool) -> None:
        super().__init__()
        self.register_buffer("share", torch.zeros(()))
        self.register_buffer("n_used", torch.tensor(most))
        self.register_buffer("loadings", torch.zeros(n_features, n_components))
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("variance", torch.ones(n_features))
        self.register_buffer("log_weight", torch.full((most,), -math.log(most)))
        self.register_buffer("mean", torch.zeros(most, n_components))
        self.register_buffer("log_variance", torch.zeros(most, n_components))
        square = torch.zeros(most, n_components, n_components) if is_full else None
        self.register_buffer("regression", square)

    @property
    def components(self) -> GaussianComponents:
        """The mixture of codes."""
        used = slice(int(self.n_used))
        regression = None if self.regression is None else self.regression[used]
        return GaussianComponents(
            self.log_weight[used], self.mean[used], self.log_variance[used], regression
        )

    def set_model(
        self,
        share: float,
        loadings: Tensor,
        centre: Tensor,
        variance: Tensor,
        components: GaussianComponents,
    ) -> None:
        """Set the model.

        Parameters
        ----------
        share : float
            Share of the rows that it makes.
        loadings : Tensor of shape (n_features, n_components)
            Maps codes to rows.
        centre : Tensor of shape (n_features,)
            The row of a code of zeros.
        variance : Tensor of shape (n_features,) or (1,)
            Variance of the noise, of each column or shared.
        components : GaussianComponents
            The mixture of codes.
        """
        with torch.no_grad():
            self.share.fill_(share)
            self.loadings.copy_(loadings)
            self.centre.copy_(centre)
            self.variance.copy_(variance.expand_as(self.variance))
            self.n_used.fill_(len(components.mean))
            used = slice(len(components.mean))
            self.log_weight[used] = components.log_weight
            self.mean[used] = components.mean
            self.log_variance[used] = components.log_variance
            if self.regression is not None and components.regression is not None:
                self.regression[used] = components.regression

    def log_density(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-density of rows, in nats.

        Parameters
        ----------
        input : Tensor of shape (n_rows, n_features)
            The rows.
        mask : Tensor of bool of shape (n_rows, n_features) or None, default=None
            Which cells are observed: the density is theirs. None is all.
        """
        if mask is not None:
            return self._marginal_log_density(input, mask.to(input.dtype))
        unit = self.variance.rsqrt()
        loadings = unit.unsqueeze(1) * self.loadings
        rows = unit * (input - self.centre)
        gain = loadings.T @ loadings
        each = []
        components = self.components
        for mean, whitener in zip(components.mean, components.whiteners(), strict=True):
            root = torch.linalg.cholesky(whitener.T @ whitener + gain)
            offset = rows - loadings @ mean
            mode = torch.cholesky_solve((offset @ loadings).T, root).T
            # A sum of squares, where the textbook's difference of two would cancel.
            squares = (offset - mode @ loadings.T).square().sum(dim=1)
            squares = squares + (mode @ whitener.T).square().sum(dim=1)
            log_volume = root.diagonal().log().sum() - whitener.diagonal().log().sum()
            each.append(-0.5 * squares - log_volume)
        constant = 0.5 * (_LOG_2PI + self.variance.log()).sum()
        return (torch.stack(each, dim=1) + components.log_weight).logsumexp(dim=1) - constant

    def _marginal_log_density(self, input: Tensor, seen: Tensor) -> Tensor:
        """Return the log-density of the cells for which `seen` is 1, not 0."""
        unit = self.variance.rsqrt()
        loadings = unit.unsqueeze(1) * self.loadings
        rows = seen * unit * (input - self.centre)
        squares_of_loadings = loadings.unsqueeze(2) * loadings.unsqueeze(1)
        gain = (seen @ squares_of_loadings.flatten(1)).unflatten(1, squares_of_loadings.shape[1:])
        each = []
        components = self.components
        for mean, whitener in zip(components.mean, components.whiteners(), strict=True):
            root = torch.linalg.cholesky(whitener.T @ whitener + gain)
            offset = rows - seen * (loadings @ mean)
            mode = torch.cholesky_solve((offset @ loadings).unsqueeze(2), root).squeeze(2)
            squares = (offset - seen * (mode @ loadings.T)).square().sum(dim=1)
            squares = squares + (mode @ whitener.T).square().sum(dim=1)
            log_volume = root.diagonal(dim1=1, dim2=2).log().sum(dim=1)
            each.append(whitener.diagonal().log().sum() - 0.5 * squares - log_volume)
        constant = 0.5 * seen @ (_LOG_2PI + self.variance.log())
        return (torch.stack(each, dim=1) + components.log_weight).logsumexp(dim=1) - constant

    def mix(self, log_density: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-density of rows of which this makes its share, and another the rest.

        A tenth of its part is a background, see `measure_background`: a column that is nearly a
        function of the others has so little noise that a row where it is not would cost thousands
        of nats.
        """
        return mix_densities(
            self.share,
            log_density,
            lambda: add_background(self.log_density(input, mask), input, mask),
        )

    def decode(self, code: Tensor) -> Tensor:
        """Return the expected rows given codes."""
        return code @ self.loadings.T + self.centre

    def add_noise(
        self, rows: Tensor, generator: torch.Generator, bounds: Bounds | None = None
    ) -> Tensor:
        """Return rows drawn around the expected ones, given that they are within bounds."""
        return add_noise(rows, self.variance, generator, bounds)


def add_background(log_density: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return a log-density of which a tenth is the background's."""
    known = log_density + math.log1p(-_BACKGROUND_SHARE)
    return torch.logaddexp(known, measure_background(input, mask) + math.log(_BACKGROUND_SHARE))


def mix_densities(share: Tensor, log_density: Tensor, find_own: Callable[[], Tensor]) -> Tensor:
    """Return a log-density of which a share is another's, which is found if it has any."""
    if share == 0:
        return log_density
    return torch.logaddexp(log_density + torch.log1p(-share), find_own() + share.log())
