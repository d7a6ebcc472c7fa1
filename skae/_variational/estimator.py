"""The variational autoencoder as a transformer."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from skorch.callbacks import Callback
from torch import Tensor, nn

from .._base import BaseAutoencoder, NetworkConfig
from .._base.dask_support import by_blocks
from .._base.estimator import GivenTable, apply_exactly, subtract_units
from .._base.parameters import (
    LARGEST_FACTOR,
    RANDOM_STATE,
    SHARED_CONSTRAINTS,
    Constraints,
    Interval,
    StrOptions,
    check_draws,
    find_output,
    validate_parameter_constraints,
)
from .._base.persistence import FittedState
from .._data import (
    AnyRows,
    AnyTable,
    Batch,
    ColumnMoments,
    ColumnQuantiles,
    ColumnRanges,
    Columns,
    Scaling,
    TrainingTable,
    block_length,
    check_probabilities,
    frame_numbers,
    load_rows,
    name_column,
    row_blocks,
)
from .._environment import (
    RandomSource,
    RandomStreams,
    check_memory,
    resolve_device,
)
from .._linear import ScoredColumns
from .._processes import refuse_group
from .._training import TrainedModule, TrainingConfig, TrainingResult
from ..modules import Architecture, VariationalAutoencoder
from ..modules.cells import CellLayout
from ..modules.likelihoods import GaussianLikelihood
from ..modules.mixed_likelihood import MixedLikelihood
from .adversarial import find_last_layer, make_discriminator, train_adversarially
from .blueprint import VariationalBlueprint
from .density import EvidenceBound, VariationalDensity, evidence_bound, measure_codes
from .drawn_values import DrawnValues
from .fast_step import make_fast_step
from .initialization import find_floor_share, fit_floor, initialize_variational
from .missing_cells import count_codes, draw_missing
from .objective import VariationalObjective
from .sampling import sample_rows

# Variance of a code unit's posterior means above which it is active (Burda et al. 2016).
_ACTIVE_FROM = 0.01

# A Bernoulli likelihood, in float32, divides by the columns' scales.
_LEAST_PROBABILITY = 1e-30

# The linear model of all rows is the same whatever the network's seed.
_FLOOR_SEED = 19690720

_State = FittedState[VariationalAutoencoder, VariationalBlueprint, VariationalDensity]

# Cells of a block's draws.
_DRAWN_CELLS = 2**22

_DRAWS: Constraints = {
    "n_draws": [Interval(Integral, 1, None, closed="left"), None],
    "random_state": RANDOM_STATE,
}
_SAMPLE: Constraints = {
    "n_samples": [Interval(Integral, 1, None, closed="left")],
    "random_state": RANDOM_STATE,
    "noise": ["boolean"],
}


def _has_mixture_prior(estimator: "VAETransformer") -> bool:
    is_fitted = estimator.__sklearn_is_fitted__()
    prior = estimator._fitted.blueprint.prior if is_fitted else estimator.prior
    if prior == "standard":
        raise AttributeError('a prior with components is "mixture" or "vamp", got "standard"')
    return True


class VAETransformer(
    BaseAutoencoder[VariationalAutoencoder, VariationalBlueprint, VariationalDensity]
):
    """A generative model of rows: codes, a density and samples by a variational autoencoder.

    An encoder maps each row to a Gaussian over codes, and a decoder maps codes to a
    distribution of rows. Both are trained together to maximize the evidence lower bound [1]_:
    the expected log-density of rows given their codes, less the divergence of the codes'
    Gaussians from a prior. Each has a linear path and a nonlinear one. Training begins at
    factor analysis [6]_, with a Gaussian mixture that fits its codes as the prior, and ends
    at an epoch that is surely better on held-out rows. If there is none, the result is this
    linear model, and otherwise a mixture of the network with a small share of it, which
    limits what far rows cost. The noise is learned, so that `beta=1` needs no tuning. With
    `prior="standard"` the linear model is factor analysis itself, whose bound is the
    log-density, and with `noise_per_column=False` as well it is probabilistic PCA [2]_.
    With `hidden_layer_sizes=()` these two are the result, in closed form; with a mixture
    prior it is a mixture of factor analysers.

    The parameters to try first are `n_components`, `hidden_layer_sizes`, `prior`,
    `max_epochs` and `random_state`; all are keyword-only but the first.

    Parameters
    ----------
    Network:

    n_components : int or float, default=2
        Size of the code. A share in (0, 1) is as many components as PCA needs for more than that
        share of the variance. Units that the rows do not need keep the prior as their posterior.
    hidden_layer_sizes : sequence of int, default=(128, 128)
        Units of the encoder's hidden layers; the decoder has them in reverse order. `()` is
        linear. For `architecture="mlp"`.
    activation : str, default="silu"
        "elu", "gelu", "identity", "leaky_relu", "logistic", "relu", "silu" or "tanh", after
        each hidden layer. For `architecture="mlp"`.
    architecture : {"mlp", "convolutional", "recurrent"} or callable, default="mlp"
        Builder of the nonlinear paths: "mlp" makes multilayer perceptrons; "convolutional" and
        "recurrent" are `ConvolutionalArchitecture()` and `RecurrentArchitecture()` of
        `skae.modules`, for images and sequences; a callable `architecture(role, n_inputs,
        n_outputs)` returns a module that maps tensors of shape `(n, n_inputs)` to
        `(n, n_outputs)`. The notes list the roles.
    init : {"pca", "random"}, default="pca"
        "pca" adds a linear path, and begins training at the best linear model; "random" is a
        plain network with random weights, as in the literature.

    Columns:

    standardize : bool or {"column", "channel"}, default=True
        Scale columns to unit variance inside, and scale all outputs back: each column by itself
        with "column"; with "channel" all cells of a channel alike, so that a pixel that is nearly
        always dark has no large values. True is "channel" if the architecture has a shape, such
        as "convolutional", else "column". With False columns count by their variance.
    categorical_features : "from_dtype", None, or array-like of bool, int or str, \
default="from_dtype"
        Which columns hold categories: with "from_dtype" those whose types are categories or text,
        with None no column, else those of a mask, of indices, or of names.
    max_categories : int or None, default=50
        Number of indicators that stand for a category at most: its infrequent levels share one.
        None has one for each level.

    Model of the rows:

    beta : float, default=1.0
        Factor of the divergence in training. With 1 the loss is the negative bound. A larger
        factor gives codes that carry less information. With 0 it is an autoencoder that
        learns its noise, whose posteriors collapse and whose scores are far below the
        density.
    kl_warmup : float, default=0.0
        Share of the training over which the factor rises from 0 to `beta`. The loss of
        held-out rows always uses `beta`, and `partial_fit` has no warm-up.
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        Distribution of a cell given the code: "gaussian" has a mean and a noise; "bernoulli"
        a probability of 1, for tables of values in [0, 1]. A Bernoulli model is initialized
        near the linear solution, and its scores are log-masses.
    binarize : bool, default=False
        Take `X` as probabilities, and draw the 0/1 cells of each training step from them, as
        is usual for grey images. Scores and codes are those of the given rows. For
        `likelihood="bernoulli"`.
    noise_per_column : bool, default=True
        Learn a noise variance for each column instead of one for all. The best linear model
        is then factor analysis instead of probabilistic PCA. For `likelihood="gaussian"`.
    prior : {"standard", "mixture", "vamp"}, default="mixture"
        Distribution of the codes: "standard" is `N(0, I)`; "mixture" is a learned Gaussian
        mixture, for codes that form clusters or are not normal; "vamp" is the mean posterior
        of learned pseudo-rows, mixed with the standard Gaussian. The mixture's covariances
        are full for codes of up to 32 units, and diagonal for larger ones.
    n_prior_components : int, default=16
        Largest number of Gaussians of the mixture, or number of pseudo-rows. The mixture has
        as many Gaussians as the initial codes have by the Bayesian information criterion;
        with `init="random"` it has all of them.
    n_draws : int or "auto", default="auto"
        Draws of the code for each row that `score_samples` and `elbo` average over. "auto" is 24
        for numbers with a Gaussian likelihood, and 100 for others.

    Adversarial training:

    discriminator : {"mlp", "convolutional", "recurrent"}, callable or None, default=None
        Network that learns to tell rows from drawn ones, and that the decoder learns to pass
        [8]_: sharper samples, for a worse density. Names and callables are those of
        `architecture`; it is asked for the role "discriminator", of one output, and "mlp" has the
        hidden layers of the encoder. For tables of complete numbers, and for `fit`.
    adversarial_weight : float, default=0.02
        Factor of the discriminator's verdict in the decoder's loss, in nats a column. A larger
        one gives sharper samples that stand for less of the rows.
    feature_weight : float, default=0.0
        Factor of the reconstructions' squared error in the discriminator's features, in the loss of
        encoder and decoder [8]_. Features are what its last linear layer gets.

    Regularization:

    dropout : float, default=0.0
        Share of the hidden units that is zeroed in training. For `architecture="mlp"`.
    weight_decay : float, default=0.01
        Decay of the nonlinear paths' weights, as a share of the learning rate and apart from
        the loss, whatever the optimizer. Linear paths don't decay, so it draws the network
        towards the best linear model.

    Training:

    max_epochs : int or "auto", default="auto"
        Passes over the rows. "auto" makes one optimizer step for each row, but at least 150
        steps and at most 1,500, or 10 passes if these are more steps.
    lr : float or "auto", default="auto"
        Largest learning rate: it rises over a tenth of the training, over less under Muon, then
        falls to zero along a cosine; in `partial_fit` it rises over 100 steps, then falls with the
        root of their number. "auto" is 0.006 for batches of 256 rows, and grows with the root of
        the batch length.
    batch_size : int or "auto", default="auto"
        Rows of a batch. "auto" is 256, more from some 16,000 rows on, and at most 1,024; with
        `skae.distributed.share_training` up to 2,048 from some 500,000 rows on.
    optimizer : {"auto", "adamw", "sgd"} or callable, default="auto"
        "auto" is "adamw", with Muon for the matrices of hidden layers in batches of 512 rows or
        more. "sgd" has Nesterov momentum 0.9, and needs a larger `lr`. A callable takes
        parameter groups and `lr`, like the classes of `torch.optim`.
    device : str, default="auto"
        A torch device; "auto" is cuda, else mps, else cpu.
    callbacks : list of skorch.callbacks.Callback, default=None
        Further callbacks for the training on the whole table; each may be a pair
        `("name", callback)`. `skorch.callbacks.LRScheduler` replaces the built-in schedule of
        the learning rate, in folds and pretraining too, and begins at `lr`. Another callback
        that changes the rate ends the schedule.
    compile : bool, default=False
        Compile the module with `torch.compile`, which pays off on accelerators and for large
        networks only.

    Stopping:

    early_stopping : bool, default=True
        Select the epoch by held-out rows. With 500 distinct rows or more a part of them is
        held out. With fewer, each row is held out in one of five folds, and the network is
        then trained on all rows up to the selected epoch. With fewer than 10 rows no epoch
        can be selected: the initialization is kept, but a random one is trained to the end.
    validation_fraction : float, default=0.1
        Share of the rows that is held out, with 500 rows or more.
    gap : int or None, default=None
        For rows in the order of time, such as windows of a series, of which neighbours overlap:
        the last rows are held out then, and so many rows before them neither train nor are held
        out, as in `sklearn.model_selection.TimeSeriesSplit`. With fewer than 500 rows a fifth of
        them is held out in place of the folds. Whether an epoch is surely better is told by means
        of blocks of `gap + 1` rows, and a single block can't tell. If several recordings are
        stacked, the length of the longest keeps each on one side. Copies of rows are not merged.
        None takes rows to be in no order.
    n_iter_no_change : int, default=30
        Epochs without a lower loss on held-out rows after which training ends.
    tol : float, default=1e-4
        A loss is lower than the lowest so far if the difference is more than this share of it.

    Other:

    trim_fraction : float, default=0.0
        Share of the rows that training ignores: those of largest loss in every batch, and
        those that are farthest from the linear model at initialization.
    warm_start : bool, default=False
        Continue `fit` with the network of the last one.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of weights, noise, shuffles and splits. An instance is advanced, so that a second fit
        differs; None takes fresh entropy. The global random states of NumPy and torch are neither
        read nor changed, unless a custom architecture has random layers other than
        `torch.nn.Dropout`.
    checkpoint : str or path-like, default=None
        File in which `fit` stores its progress as it trains. If it is killed or interrupted, the
        next `fit` with the same table, parameters and versions goes on from there, and ends
        with the same result to the last bit. The file is removed at the end. Each fit needs a
        path of its own. `partial_fit` has no use for it.
    verbose : int, default=0
        1 shows a progress bar, or plain lines without a terminal.

    Attributes
    ----------
    module_ : skae.modules.VariationalAutoencoder
        The trained module, in float32, for scaled rows.
    net_ : skorch.NeuralNet
        The skorch net around `module_`.
    components_ : ndarray of shape (n_components, n_features)
        Weights of the linear path to the posterior's mean, for scaled columns.
    active_units_ : ndarray of shape (n_components,), dtype=bool
        Which units of the code carry information: those whose posterior mean has a variance
        above 0.01 over the training rows [5]_.
    mean_ : ndarray of shape (n_features,)
        Means that columns are centred at.
    scale_ : ndarray of shape (n_features,)
        Scales that centred columns are divided by.
    n_components_ : int
        Size of the code.
    n_iter_ : int
        Epochs that the weights have seen; 0 if the result is the initialization.
    loss_curve_ : list of float
        Training loss of each epoch that was run, also where the initialization is kept.
    validation_scores_ : list of float or None
        Mean loss on held-out rows at initialization and after each epoch; lower is better.
        None without held-out rows.
    gain_ : float or None
        How far the held-out loss of the weights is below that at initialization, where both are
        clipped at the initial 95 % quantile; 0 if the initialization is kept. In the units of
        `validation_scores_`, and None where these are, or after `partial_fit`.
    gain_error_ : float or None
        Standard error of `gain_`.
    noise_variance_ : float or ndarray of shape (n_features,)
        Variance of a scaled cell around its reconstruction, for `likelihood="gaussian"`; of
        numbers only, where there are other columns.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    AutoencoderTransformer : Codes for the least squared error, without a prior.
    sklearn.decomposition.PCA : Its `score_samples` is where the bound starts with
        `prior="standard"` and `noise_per_column=False`.
    sklearn.mixture.GaussianMixture : A density without codes.

    Notes
    -----
    Networks train in float32. Methods compute in the precision of their input, but scores
    always in float64.

    A custom architecture is called with the roles "encoder" and "decoder"; the encoder has
    two outputs for each unit of the code. That of `discriminator` is called with this role.

    Losses are the negative bound in nats a column, for scaled rows. A larger `beta` is that
    of [3]_, the prior "vamp" is that of [4]_, noise for each column is factor analysis [6]_,
    and `binarize` follows [7]_. Without `standardize` and with `noise_per_column=False`, all
    columns share a noise in the table's units.

    `score_samples` estimates the importance-weighted bound [5]_ from `n_draws` draws that are
    the same at each call; from 16 on they are scaled to unit variance. With more of them it comes
    closer to the log-density. It is exact if the result is probabilistic PCA or factor analysis.
    With a Gaussian likelihood and `init="pca"`, the linear model of all rows makes as many rows as
    ten of those trained on, at most a tenth, in `score_samples` and in `sample`. Where its codes
    are a mixture, one Gaussian with the moments of all codes makes half of them.

    In tables with booleans or categories these have a mass given the code: a probability, or a
    softmax over the labels. Numbers beside them are normal scores: with `standardize`, each is
    mapped by a Gaussian mixture of its own column to a standard normal distribution, so that
    peaks, bounds and tails cost nothing, and errors of reconstruction are errors of scores. The
    scores of rows are in the units of the table nevertheless. The linear model is then factor
    analysis in which frequencies are the noise of the labels, and its share of the density makes
    labels independent of all else. Of a row with missing cells `score_samples` is the density of
    the observed ones. There, and with categories, draws of the code are from a mixture of
    Gaussians at the posterior's mode; `elbo` and `posterior` are of the encoder's Gaussian, which
    knows a completed row only, and is too narrow for one with many gaps.

    With a discriminator `D`, which gives the probability that a row is not drawn, a second
    training follows the first, of as many epochs as `max_epochs` says. At each step the
    discriminator minimizes `-log D(x) - log(1 - D(g(z)))`, where the first label is smoothed to
    0.9, `z` is drawn from the prior and `g(z)` is the row expected of it. The module minimizes the
    loss of the first training, and its decoder `-adversarial_weight * log D(g(z))` as well. With
    `feature_weight`, encoder and decoder also minimize half the squared distance of the features
    of a row and of its reconstruction, over the number of columns: equation 7 of [8]_, beside the
    likelihood of cells, which algorithm 1 there leaves out. The discriminator is ahead by 15
    steps, and learns at a rate of 0.001 by Adam; the module's rate is a twelfth of that before. No
    held-out row chooses the epoch of this training, and `callbacks` don't see it, but for copies
    of their schedulers. `n_iter_` and `loss_curve_` count its epochs; the losses leave the
    discriminator out. `validation_scores_` and `gain_` are of the first training, and densities
    of the module at the end.

    Smooth functions bound log-variances, and the noise's variance is at least 1e-6 of a
    scaled column's, so that constant columns and far outliers give large numbers and never
    NaN.

    References
    ----------
    .. [1] Kingma and Welling (2014), "Auto-encoding variational Bayes", ICLR.
    .. [2] Tipping and Bishop (1999), "Probabilistic principal component analysis", JRSS B
       61, equations 7 and 8.
    .. [3] Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed and Lerchner (2017),
       "beta-VAE: learning basic visual concepts with a constrained variational framework",
       ICLR.
    .. [4] Tomczak and Welling (2018), "VAE with a VampPrior", AISTATS.
    .. [5] Burda, Grosse and Salakhutdinov (2016), "Importance weighted autoencoders",
       ICLR, equation 8 and section 5.2.
    .. [6] Rubin and Thayer (1982), "EM algorithms for ML factor analysis", Psychometrika
       47.
    .. [7] Salakhutdinov and Murray (2008), "On the quantitative analysis of deep belief
       networks", ICML, section 5.1.
    .. [8] Larsen, Sonderby, Larochelle and Winther (2016), "Autoencoding beyond pixels using
       a learned similarity metric", ICML, equations 4 to 9 and algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import VAETransformer
    >>> train, test = train_test_split(load_digits().data, random_state=0)
    >>> vae = VAETransformer(8, standardize=False, random_state=0).fit(train)
    >>> bool(vae.score(test) > PCA(8).fit(train).score(test))
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 64)
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        "beta": [Interval(Real, 0, LARGEST_FACTOR, closed="both")],
        "kl_warmup": [Interval(Real, 0, 1, closed="both")],
        "likelihood": [StrOptions({"gaussian", "bernoulli"})],
        "binarize": ["boolean"],
        "noise_per_column": ["boolean"],
        "prior": [StrOptions({"standard", "mixture", "vamp"})],
        "n_prior_components": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "discriminator": [*SHARED_CONSTRAINTS["architecture"], None],
        "adversarial_weight": [Interval(Real, 0, LARGEST_FACTOR, closed="right")],
        "feature_weight": [Interval(Real, 0, LARGEST_FACTOR, closed="both")],
    }
    _blueprint_class = VariationalBlueprint
    _fast_step = staticmethod(make_fast_step)

    def __init__(
        self,
        n_components: float = 2,
        *,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        activation: str = "silu",
        architecture: str | Architecture = "mlp",
        init: str = "pca",
        standardize: bool | str = True,
        categorical_features: Any = "from_dtype",
        max_categories: int | None = 50,
        beta: float = 1.0,
        kl_warmup: float = 0.0,
        likelihood: str = "gaussian",
        binarize: bool = False,
        noise_per_column: bool = True,
        prior: str = "mixture",
        n_prior_components: int = 16,
        n_draws: int | str = "auto",
        discriminator: str | Architecture | None = None,
        adversarial_weight: float = 0.02,
        feature_weight: float = 0.0,
        dropout: float = 0.0,
        weight_decay: float = 0.01,
        max_epochs: int | str = "auto",
        lr: float | str = "auto",
        batch_size: int | str = "auto",
        optimizer: str | Callable[..., torch.optim.Optimizer] = "auto",
        device: str = "auto",
        callbacks: Sequence[Callback] | None = None,
        compile: bool = False,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        gap: int | None = None,
        n_iter_no_change: int = 30,
        tol: float = 1e-4,
        trim_fraction: float = 0.0,
        warm_start: bool = False,
        random_state: RandomSource = None,
        checkpoint: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.architecture = architecture
        self.init = init
        self.standardize = standardize
        self.categorical_features = categorical_features
        self.max_categories = max_categories
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.likelihood = likelihood
        self.binarize = binarize
        self.noise_per_column = noise_per_column
        self.prior = prior
        self.n_prior_components = n_prior_components
        self.n_draws = n_draws
        self.discriminator = discriminator
        self.adversarial_weight = adversarial_weight
        self.feature_weight = feature_weight
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.device = device
        self.callbacks = callbacks
        self.compile = compile
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.gap = gap
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.trim_fraction = trim_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    @property
    def active_units_(self) -> np.ndarray:
        """Which units of the code say something about rows."""
        return self._state.density.codes.covariance.diagonal() > _ACTIVE_FROM

    @property
    def noise_variance_(self) -> float | np.ndarray:
        """Variance of a scaled cell around its reconstruction."""
        likelihood: nn.Module | None = self.module_.likelihood
        if isinstance(likelihood, MixedLikelihood):
            likelihood = likelihood.numbers
        if not isinstance(likelihood, GaussianLikelihood):
            raise AttributeError(
                'noise_variance_ belongs to numbers and likelihood="gaussian", got '
                f"likelihood={self._state.blueprint.likelihood!r}"
            )
        variance = likelihood.variance.detach().cpu().double().numpy()
        return variance if self._state.blueprint.noise_per_column else float(variance[0])

    def posterior(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the Gaussians that the encoder gives for rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        mean, scale : ndarray of shape (n_samples, n_components)
            Mean, which is `transform(X)`, and standard deviation of each code unit, in
            the precision of `X`.
        """

        def posterior(module: VariationalAutoencoder, rows: Tensor) -> Tensor:
            mean, log_variance = module.posterior(rows)
            return torch.stack([mean, torch.exp(0.5 * log_variance)], dim=1)

        values = self._apply(X, posterior)
        return values[:, 0], values[:, 1]

    def elbo(self, X: ArrayLike) -> EvidenceBound:
        """Return the evidence lower bound of each row and its two parts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        elbo : EvidenceBound
            The named arrays `bound`, `log_likelihood` and `divergence`, in nats and the
            units of the table, with `beta` left out; always float64.
        """
        table, state = self._read(X)
        density = state.density

        def bound(module: VariationalAutoencoder, batch: Batch) -> Tensor:
            parts = evidence_bound(module, batch.input, density.n_draws, batch.mask)
            parts[:, 0] += density.correct_units(batch)
            return parts

        values = apply_exactly(state, table, bound)
        log_likelihood = subtract_units(state, table, values[:, 0])
        return EvidenceBound(log_likelihood - values[:, 1], log_likelihood, values[:, 1])

    def sample(
        self,
        n_samples: int = 1,
        random_state: RandomSource = None,
        *,
        noise: bool = True,
        lengths: ArrayLike | None = None,
    ) -> Any:
        """Draw rows from the model: a code from the prior, a row given the code.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState instance, Generator or None, default=None
            Fixes the draws. None takes fresh entropy.
        noise : bool, default=True
            Draw rows given their codes; otherwise return the rows expected for them, which are
            not rounded.
        lengths : int or array-like of int of shape (n_samples,), default=None
            For sequences: the number of steps of each, as in `inverse_transform`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), or a frame
            The rows, in the units of the table: a frame like the one that was fitted, if that had
            columns that aren't numbers, else an array in float64, or what `set_output` asks for.
            Booleans and labels are values. With a Gaussian likelihood each column of numbers is
            distributed as in the table: where the model's own draws can be told from it, they are
            mapped to the table's quantiles (of at most 4,096 columns). Numbers have no more
            decimals than all of their column, so that whole ones stay whole, and don't go beyond
            the least or largest value that at least a hundredth of the rows has, nor beyond zero
            where all lie on one side of it; beside other columns, the rest of the numbers and dates
            go at most a tenth of their range beyond. `score_samples` knows of none of this. A
            column of labels that identify rows, of which none can be drawn, has missing cells.
        """
        state = self._state
        given = {"n_samples": n_samples, "random_state": random_state, "noise": noise}
        validate_parameter_constraints(_SAMPLE, given, caller_name="sample")
        check_memory(
            8 * int(n_samples) * (state.blueprint.network.n_features + self.n_components_),
            f"to draw n_samples={n_samples} rows",
            "draw fewer at a time",
        )
        form = state.make_length_form(lengths, int(n_samples))
        generator = RandomStreams(random_state).make_torch_generator(state.trained.device)
        rows = sample_rows(state, int(n_samples), generator, noise)
        output = find_output(self)
        is_flat = state.columns is None and state.row_shape is None and not state.has_sequences
        if is_flat and output != "default":
            names = getattr(self, "feature_names_in_", [f"x{n}" for n in range(rows.shape[1])])
            return frame_numbers(rows, output, list(names))
        return state.restore(rows, form)

    @by_blocks
    def impute(
        self,
        X: ArrayLike,
        *,
        interval: float | None = None,
        n_draws: int | None = None,
        random_state: RandomSource = None,
    ) -> Any:
        """Return a table with its missing cells filled, or several drawn from what they may be.

        Observed cells stay as they are. Without `n_draws`, a missing one becomes what is expected
        of it, as in `AutoencoderTransformer.impute`. With it, cells are drawn from the model given
        the observed cells of their row: what differs between the tables is what is not known
        (multiple imputation [1]_). Rows are drawn as by MIWAE [2]_: a code by its importance
        weight, and cells given the code.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            The rows.
        interval : float, default=None
            Also return limits that a missing number is within with this probability, in (0, 1).
        n_draws : int, default=None
            Number of tables to draw.
        random_state : int, RandomState instance, Generator or None, default=None
            Fixes the draws. None takes fresh entropy.

        Returns
        -------
        X_imputed : array, frame, or list of `n_draws` of them, of shape (n_samples, n_features)
            The rows, in the form and the types of `X`.
        low, high : array or frame of shape (n_samples, n_features)
            With `interval`: the limits, as in `AutoencoderTransformer.impute`.

        Raises
        ------
        ValueError
            If a parameter is out of its bounds, if both `interval` and `n_draws` are given, or if
            `interval` is and no cell was missing in `fit`.

        References
        ----------
        .. [1] Rubin (1987), "Multiple imputation for nonresponse in surveys", Wiley.
        .. [2] Mattei and Frellsen (2019), "MIWAE: deep generative modelling and imputation of
           incomplete data sets", ICML, section 3.3.
        """
        given = {"n_draws": n_draws, "random_state": random_state}
        validate_parameter_constraints(_DRAWS, given, caller_name="impute")
        if n_draws is None:
            return super().impute(X, interval=interval)
        if interval is not None:
            raise ValueError(
                f"impute takes either n_draws or interval, got n_draws={n_draws!r} and "
                f"interval={interval!r}: the draws show how far cells may be off"
            )
        table, state = self._read(X)
        values = load_rows(table)
        check_memory(8 * int(n_draws) * values.size, f"n_draws={n_draws} tables", "draw fewer")
        device = state.trained.device
        generator = RandomStreams(random_state).make_torch_generator(device)
        possible = DrawnValues.from_state(state)
        bounds = possible.make_bounds(device)

        def draw(module: VariationalAutoencoder, batch: Batch) -> Tensor:
            return draw_missing(module, batch, int(n_draws), generator, bounds)

        n_codes = count_codes(int(n_draws))
        draws = state.trained.apply_to_batches(
            draw,
            table,
            lambda rows: state.prepare(rows, np.float64),
            block_length(n_codes * state.density.widest, _DRAWN_CELLS),
        )
        scaled = (np.ascontiguousarray(drawn) for drawn in draws.swapaxes(0, 1))
        filled = (possible.finish(state.scaling.inverse(drawn)) for drawn in scaled)
        return [state.fill(X, np.where(np.isnan(values), f, values)) for f in filled]

    @available_if(_has_mixture_prior)  # type: ignore[untyped-decorator]
    @by_blocks
    def predict_component_proba(self, X: ArrayLike) -> np.ndarray:
        """Return how likely each of the prior's Gaussians made a row's code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        responsibilities : ndarray of shape (n_samples, n_mixed)
            Of each Gaussian for the posterior's mean. A mixture has at most
            `n_prior_components` of them. With `prior="vamp"` the first column is of the
            standard Gaussian, the others of the pseudo-rows.
        """

        def shares(module: VariationalAutoencoder, rows: Tensor) -> Tensor:
            return module.mixture().responsibilities(module.encode(rows))

        return self._apply(X, shares)

    @available_if(_has_mixture_prior)  # type: ignore[untyped-decorator]
    @by_blocks
    def predict_component(self, X: ArrayLike) -> np.ndarray:
        """Return which of the prior's Gaussians most likely made a row's code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        component : ndarray of shape (n_samples,)
            Column of the largest value of `predict_component_proba(X)`.
        """
        return self.predict_component_proba(X).argmax(axis=1)

    @staticmethod
    def _measure_losses(module: VariationalAutoencoder, rows: Tensor) -> Tensor:
        return evidence_bound(module, rows, n_draws=2).sum(dim=1)

    @staticmethod
    def _linear_weights(module: VariationalAutoencoder) -> Tensor | None:
        return module.linear_layers[0].weight if module.has_linear_path else None

    def _check_cells(self, table: AnyTable, columns: Columns | None) -> None:
        if self.likelihood == "bernoulli":
            check_probabilities(self, table, None if columns is None else columns.owner)

    def _make_scaling(
        self,
        moments: ColumnMoments,
        given: GivenTable[VariationalBlueprint],
        previous: Scaling | None = None,
    ) -> Scaling:
        scaling = super()._make_scaling(moments, given, previous)
        if self.likelihood != "bernoulli":
            return scaling
        scale = scaling.scale
        if scale.min() < _LEAST_PROBABILITY:
            name = name_column(self, int(scale.argmin()), given.owner)
            raise ValueError(
                'X must have probabilities that float32 holds for likelihood="bernoulli", got a '
                f"scale of {scale.min():g} in {name}: set such values to 0, scale them, or use "
                'likelihood="gaussian"'
            )
        return replace(scaling, bounds=(0.0, 1.0))

    def _fit_margins(
        self, scaling: Scaling, table: TrainingTable, blueprint: VariationalBlueprint
    ) -> Scaling:
        """Map numbers beside booleans and categories to normal scores.

        Such numbers are often counts or amounts: without peaks, bounds and tails, what is left
        for the network is how columns depend on each other.
        """
        cells = blueprint.network.cells
        is_plain = cells.is_numeric or not cells.numbers
        if is_plain or scaling.is_common or self.likelihood != "gaussian":
            return scaling
        rows, weight = table.column_sample
        columns = np.flatnonzero(cells.is_number)
        scaled = scaling.forward(rows, np.float64)
        return replace(scaling, margins=ScoredColumns.fit(scaled, columns, weight))

    def _make_blueprint(
        self, layout: CellLayout, has_target: bool, n_components: int | None
    ) -> VariationalBlueprint:
        if self.binarize and self.likelihood != "bernoulli":
            raise ValueError(
                f'binarize=True requires likelihood="bernoulli", got likelihood={self.likelihood!r}'
            )
        network = self._make_network_config(layout)
        code_size = cast(int, n_components)
        sizes = (layout.n_encoded, code_size, *network.hidden_layer_sizes)
        check_draws(self._resolve_draws(layout), max(sizes))
        return VariationalBlueprint(
            network,
            int(code_size),
            self.likelihood,
            bool(self.noise_per_column) and self.likelihood == "gaussian",
            self.prior,
            int(self.n_prior_components),
        )

    def _make_objective(
        self, blueprint: VariationalBlueprint, scaling: Scaling, streams: RandomStreams
    ) -> VariationalObjective:
        return VariationalObjective(
            float(self.beta),
            float(self.kl_warmup),
            self.likelihood == "gaussian",
            streams.make_torch_generator(resolve_device(self.device)),
            bool(self.binarize),
            self.trim_fraction,
            blueprint.network.layout,
        )

    def _initialize(
        self,
        blueprint: VariationalBlueprint,
        scaling: Scaling,
        rows: AnyRows,
        config: TrainingConfig[VariationalAutoencoder],
        streams: RandomStreams,
    ) -> VariationalAutoencoder:
        module = blueprint.build(streams.draw_seed())

        def loss(module: VariationalAutoencoder, batch: Batch) -> float:
            return float(config.objective.loss(module, batch))

        initialize_variational(
            module, rows.subsample(), scaling, float(self.beta), self.trim_fraction, loss, streams
        )
        return module

    def _partial_fit(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None) -> _State:
        if self.discriminator is not None:
            raise ValueError(
                "partial_fit trains no discriminator, which needs a trained network to begin with: "
                f"use fit, or set discriminator=None, got discriminator={self.discriminator!r}"
            )
        return super()._partial_fit(X, y, sample_weight)

    def _prepare(
        self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None, previous: _State | None
    ) -> GivenTable[VariationalBlueprint]:
        given = super()._prepare(X, y, sample_weight, previous)
        if self.discriminator is not None:
            refuse_group(f"a fit with discriminator={self.discriminator!r}")
            self._check_adversarial(given)
            # A wrong one raises here, before the training that comes first.
            discriminator = make_discriminator(self._plan_discriminator(given), seed=0)
            n_features = given.blueprint.network.n_features
            if self.feature_weight > 0 and find_last_layer(discriminator, n_features) is None:
                raise ValueError(
                    f"feature_weight={self.feature_weight!r} requires a discriminator that ends "
                    "with a torch.nn.Linear, whose inputs are the features, got none in "
                    f"{type(discriminator).__name__}: give it one, or set feature_weight=0"
                )
        return given

    def _plan_discriminator(self, given: GivenTable[VariationalBlueprint]) -> NetworkConfig:
        """Return what a discriminator is built from."""
        network = replace(given.blueprint.network, architecture=cast(Any, self.discriminator))
        return network.fit_shape(given.row_shape)

    def _check_adversarial(self, given: GivenTable[VariationalBlueprint]) -> None:
        """Raise unless there is a nonlinear decoder to train, and rows are complete numbers."""
        network, table = given.blueprint.network, given.table.X
        if network.architecture == "mlp" and not network.hidden_layer_sizes:
            raise ValueError(
                f"discriminator={self.discriminator!r} requires a network with hidden layers, got "
                "hidden_layer_sizes=(): give it some, or set discriminator=None"
            )
        cells = network.cells
        if not cells.is_numeric:
            index = int(np.flatnonzero(~cells.is_number)[0])
            raise ValueError(
                f"discriminator={self.discriminator!r} requires numbers, got "
                f"{name_column(self, index, given.owner)}, which holds booleans or categories: "
                "it would tell probabilities of labels from labels. Set discriminator=None, or "
                "leave such columns out"
            )
        for block in row_blocks(table):
            is_missing = np.isnan(table[block])
            if is_missing.any():
                index = int(is_missing.any(axis=0).argmax())
                raise ValueError(
                    f"discriminator={self.discriminator!r} requires complete rows, got missing "
                    f"cells in {name_column(self, index, given.owner)}: fill them before, as with "
                    "AEImputer, or set discriminator=None"
                )

    def _train_further(
        self,
        config: TrainingConfig[VariationalAutoencoder],
        result: TrainingResult[VariationalAutoencoder],
        given: GivenTable[VariationalBlueprint],
        rows: AnyRows,
        streams: RandomStreams,
    ) -> TrainingResult[VariationalAutoencoder]:
        if self.discriminator is None:
            return result
        discriminator = make_discriminator(self._plan_discriminator(given), streams.draw_seed())
        weights = float(self.adversarial_weight), float(self.feature_weight)
        return train_adversarially(config, result, rows, discriminator, *weights, streams)

    def _fit_density(
        self,
        trained: TrainedModule[VariationalAutoencoder],
        blueprint: VariationalBlueprint,
        scaling: Scaling,
        rows: AnyRows,
        table: TrainingTable,
        result: TrainingResult[VariationalAutoencoder] | None,
        previous: VariationalDensity | None,
    ) -> VariationalDensity:
        floor = trained.module.floor
        has_old_floor = result is not None and (result.held_out is not None or self.warm_start)
        if floor is not None and has_old_floor:  # of a part of the rows, or of the rows before
            other = blueprint.build(_FLOOR_SEED)
            sample, beta = rows.subsample(), float(self.beta)
            whole = fit_floor(other, sample, scaling, beta, self.trim_fraction, _FLOOR_SEED)
            floor.load_state_dict(whole.state_dict())
        codes, ranges = measure_codes(rows, trained), ColumnRanges.from_table(table)
        numbers = np.flatnonzero(blueprint.network.cells.is_number)
        quantiles = ColumnQuantiles.from_table(table, numbers)
        if previous is not None:
            codes = previous.codes.merge(codes)
            if previous.ranges is not None:
                ranges = previous.ranges.in_units(scaling).merge(ranges)
            if previous.quantiles is not None and quantiles is not None:
                quantiles = previous.quantiles.merge(quantiles)
        if floor is not None and floor.share > 0:
            n_rows = codes.total * rows.unit.n_rows / rows.unit.given
            floor.share.fill_(find_floor_share(n_rows))
        hidden = blueprint.network.hidden_layer_sizes
        n_codes = len(codes.mean) * trained.module.prior.n_mixed
        return VariationalDensity(
            codes,
            self._resolve_draws(blueprint.network.cells),
            max(rows.n_features, n_codes, *hidden, 1),
            *self._find_unit_correction(blueprint, scaling),
            ranges,
            quantiles,
        )

    def _resolve_draws(self, layout: CellLayout) -> int:
        """Return how many draws of the code a score takes."""
        if not isinstance(self.n_draws, str):
            return int(self.n_draws)
        return 24 if layout.is_numeric and self.likelihood == "gaussian" else 100

    @staticmethod
    def _find_unit_correction(
        blueprint: VariationalBlueprint, scaling: Scaling
    ) -> tuple[float, np.ndarray | None]:
        """Return what to add to log-masses, which have no units, and each column's part of it."""
        if blueprint.likelihood == "gaussian":
            return 0.0, None
        log_scales = np.where(blueprint.network.cells.is_number, np.log(scaling.scale), 0.0)
        return float(log_scales.sum()), log_scales

    @staticmethod
    def _load_density(state: dict[str, Any]) -> VariationalDensity:
        return VariationalDensity.from_state(state)
