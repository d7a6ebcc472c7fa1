"""Adversarial training: the decoder also learns to pass a discriminator."""

from dataclasses import replace
from typing import Any, cast

import torch
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.functional import softplus

from .._base import NetworkConfig
from .._data import AnyRows, Batch
from .._environment import RandomStreams, seed_default_generator
from .._training import TrainingConfig, TrainingResult, copy_schedulers, run
from .._training.loop import loss_curve
from .._training.user_callbacks import name_own
from ..modules import MLP, VariationalAutoencoder, set_dropout_generator
from ..modules.architectures import Role, check_network
from .objective import VariationalObjective

# What went well on MNIST. The module's rate is a share of that of the training before.
_DISCRIMINATOR_RATE, _SHARE_OF_RATE = 1e-3, 1 / 12

# Steps in which the discriminator trains alone: what it says at first is noise.
_STEPS_ALONE = 15

# With labels of 1 a discriminator grows too sure to teach the decoder (Salimans et al. 2016).
_LABEL_OF_ROWS = 0.9


class Adversary:
    """A discriminator, which tells rows from drawn ones, and its optimizer.

    It gets rows and gives gradients by them, so that its weights have no part in the graph of
    the network that drew them, nor the other way round.

    Parameters
    ----------
    discriminator : torch.nn.Module
        Maps `(n_rows, n_features)` to `(n_rows, 1)`: the log-odds that a row is not drawn.
    last_layer : torch.nn.Linear or None, default=None
        The layer whose inputs are features; None has none.
    """

    def __init__(self, discriminator: nn.Module, last_layer: nn.Linear | None = None) -> None:
        self.discriminator = discriminator.train()
        self.last_layer = last_layer
        # A momentum of 0.5 keeps the game stable (Radford et al. 2016, section 3).
        self.optimizer = torch.optim.Adam(
            discriminator.parameters(), lr=_DISCRIMINATOR_RATE, betas=(0.5, 0.999), fused=True
        )
        self.n_steps = 0

    def train(self, rows: Tensor, shares: Tensor, drawn: Tensor) -> None:
        """Take a step towards telling rows from drawn ones.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            Rows of the table.
        shares : Tensor of shape (n_rows,)
            How much each of them counts; the sum is one.
        drawn : Tensor of shape (n_drawn, n_features)
            Rows of the network.
        """
        odds = self.discriminator(rows).squeeze(1)
        losses = _LABEL_OF_ROWS * softplus(-odds) + (1 - _LABEL_OF_ROWS) * softplus(odds)
        loss_of_drawn = softplus(self.discriminator(drawn.detach())).mean()
        self.optimizer.zero_grad()
        (shares.detach() @ losses + loss_of_drawn).backward()
        self.optimizer.step()
        self.n_steps += 1

    def find_gradient(self, drawn: Tensor) -> Tensor:
        """Return the gradient by drawn rows of `-log` of the probability that they aren't."""
        leaf = drawn.detach().requires_grad_()
        loss = softplus(-self.discriminator(leaf)).mean()
        return torch.autograd.grad(loss, leaf)[0]

    def find_feature_gradient(self, rows: Tensor, shares: Tensor, reconstructed: Tensor) -> Tensor:
        """Return the gradient by reconstructed rows of `-log N(f(rows); f(reconstructed), 1)`.

        Features `f` are what the discriminator's last linear layer gets.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            Rows of the table.
        shares : Tensor of shape (n_rows,)
            How much each of them counts; the sum is one.
        reconstructed : Tensor of shape (n_rows, n_features)
            The network's reconstructions of them.

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_features)
            Of the mean over the rows, in nats.
        """
        leaf = reconstructed.detach().requires_grad_()
        with torch.no_grad():
            features = self._find_features(rows)
        squares = (self._find_features(leaf) - features).square().flatten(1).sum(dim=1)
        return torch.autograd.grad(0.5 * shares.detach() @ squares, leaf)[0]

    def _find_features(self, rows: Tensor) -> Tensor:
        found: list[Tensor] = []
        layer = cast(nn.Linear, self.last_layer)
        handle = layer.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
        try:
            self.discriminator(rows)
        finally:
            handle.remove()
        return found[-1]

    def state_dict(self) -> dict[str, Any]:
        """Return all that its training goes on from."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "n_steps": self.n_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set it to a state."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.n_steps = state["n_steps"]


class AdversarialObjective(VariationalObjective):
    """The loss of `VariationalObjective`, and what the discriminator says of the network's rows.

    `loss + weight * mean(-log D(decode(z)))`, with `z` drawn from the prior and `D(x)` the
    discriminator's probability that a row is not drawn (Goodfellow et al. 2014, section 3;
    Larsen et al. 2016, algorithm 1). The second term has a gradient for the decoder alone, and no
    part in the value, so that losses compare with those of the training before.

    Parameters
    ----------
    plain : VariationalObjective
        The objective of the training before.
    adversary : Adversary
        The discriminator, which takes a step at each of the network's.
    weight : float
        Factor of the second term.
    feature_weight : float
        Factor of `-log N(f(x); f(decode(z)), 1) / n_columns`, with `z` drawn from the posterior and
        `f` the discriminator's features (Larsen et al. 2016, equation 7). It has a gradient for
        encoder and decoder, and no part in the value either.
    generator : torch.Generator
        Source of codes, on the device that trains.
    """

    def __init__(
        self,
        plain: VariationalObjective,
        adversary: Adversary,
        weight: float,
        feature_weight: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(
            plain.beta,
            0.0,
            False,
            generator,
            plain.binarize,
            plain.trim_fraction,
            plain.layout,
        )
        self.adversary = adversary
        self.weight = weight
        self.feature_weight = feature_weight

    def loss(self, module: VariationalAutoencoder, batch: Batch) -> Tensor:
        """Train the discriminator on a batch, and return the batch's loss."""
        losses = self.row_losses(module, batch)
        loss = self.reduce(losses, batch.weight)
        generator = cast(torch.Generator, self.generator)
        with torch.no_grad():  # of the prior, which is to fit the codes of rows
            code = module.mixture().draw(len(batch.input), generator)
        drawn = module.decode(code)
        shares = self.weight_shares(losses, batch.weight)
        self.adversary.train(batch.input, shares, drawn)
        if self.adversary.n_steps <= _STEPS_ALONE:
            return loss
        passed = self.weight * (drawn * self.adversary.find_gradient(drawn)).sum()
        if self.feature_weight > 0:
            passed = passed + self._compare_features(module, batch.input, shares)
        return loss + (passed - passed.detach())

    def _compare_features(
        self, module: VariationalAutoencoder, rows: Tensor, shares: Tensor
    ) -> Tensor:
        """Return a sum whose gradient is that of the third term."""
        mean, log_variance = module.posterior(rows)
        noise = torch.empty_like(mean).normal_(generator=self.generator)
        reconstructed = module.decode(mean + noise * torch.exp(0.5 * log_variance))
        gradient = self.adversary.find_feature_gradient(rows, shares, reconstructed)
        return self.feature_weight / rows.shape[1] * (reconstructed * gradient).sum()


def find_last_layer(discriminator: nn.Module, n_features: int) -> nn.Linear | None:
    """Return the linear layer that a discriminator calls last; None if it calls none.

    Parameters
    ----------
    discriminator : torch.nn.Module
        Maps `(n_rows, n_features)` to `(n_rows, 1)`.
    n_features : int
        Width of a row.
    """
    called: list[nn.Linear] = []
    handles = [
        part.register_forward_hook(lambda layer, *_: called.append(layer))
        for part in discriminator.modules()
        if isinstance(part, nn.Linear)
    ]
    was_training = discriminator.training
    try:
        with torch.no_grad():
            # In evaluation: one row has no statistics, and would change those that are kept.
            example = next(discriminator.parameters())
            discriminator.eval()(torch.zeros(1, n_features).to(example))
    finally:
        discriminator.train(was_training)
        for handle in handles:
            handle.remove()
    return called[-1] if called else None


class AdversaryState(Callback):
    """Lets a checkpoint find the adversary: it stores what callbacks have of their own.

    Parameters
    ----------
    adversary : Adversary
        The adversary.
    """

    def __init__(self, adversary: Adversary) -> None:
        self.adversary_ = adversary


def make_discriminator(network: NetworkConfig, seed: int) -> nn.Module:
    """Return a discriminator, on the CPU, with weights drawn from `seed`.

    Parameters
    ----------
    network : NetworkConfig
        What it is built from.
    seed : int
        Seed of the weights.
    """
    n_features, architecture = network.n_features, network.architecture
    role: Role = "discriminator"
    if isinstance(architecture, str):
        generator = torch.Generator().manual_seed(seed)
        hidden = network.hidden_layer_sizes
        return MLP(n_features, 1, hidden, network.activation, network.dropout, generator)
    with seed_default_generator(seed):  # the only one that a user's modules use
        module = check_network(architecture(role, n_features, 1), role, n_features, 1)
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(
            f"the module of architecture({role!r}, {n_features}, 1) must have weights to train, "
            "got none"
        )
    return module


def train_adversarially(
    config: TrainingConfig[VariationalAutoencoder],
    trained: TrainingResult[VariationalAutoencoder],
    rows: AnyRows,
    discriminator: nn.Module,
    weight: float,
    feature_weight: float,
    streams: RandomStreams,
) -> TrainingResult[VariationalAutoencoder]:
    """Train a network further, in place, with a discriminator beside it.

    From random weights on, the discriminator would win before there are rows worth judging, so
    the network is a trained one.

    Parameters
    ----------
    config : TrainingConfig
        How it was trained.
    trained : TrainingResult
        The network, and the rows that it has seen.
    rows : Rows or StoredRows
        All rows.
    discriminator : torch.nn.Module
        Maps rows to the log-odds that they are not drawn; trained too.
    weight, feature_weight : float
        Factors of the adversarial loss, and of that of features.
    streams : RandomStreams
        Source of shuffles and draws.
    """
    part = rows if trained.trained_on is None else trained.trained_on
    generator = streams.make_torch_generator(config.device)
    discriminator = discriminator.to(config.device)
    set_dropout_generator(discriminator, generator)
    last_layer = find_last_layer(discriminator, rows.n_features) if feature_weight > 0 else None
    adversary = Adversary(discriminator, last_layer)
    plain = cast(VariationalObjective, config.objective)
    schedulers = copy_schedulers(config.callbacks, has_held_out_rows=False)
    adversarial = replace(
        config.without_muon(),
        objective=AdversarialObjective(plain, adversary, weight, feature_weight, generator),
        callbacks=[*schedulers, *name_own([AdversaryState(adversary)])],
        max_epochs=config.n_epochs(len(rows)),
        lr=_SHARE_OF_RATE * config.learning_rate(len(rows)),
    )
    net = run(adversarial, trained.module, part, None, streams, "adversarial training")
    return replace(
        trained,
        module=net.module_,
        net=net,
        n_epochs=trained.n_epochs + net.n_finite_epochs_,
        loss_curve=[*trained.loss_curve, *loss_curve(net)],
    )
