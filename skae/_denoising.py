"""The denoising autoencoder."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from ._building import build_denoiser
from ._denoising_parts import (
    denoiser_blueprint,
    denoising_objective,
    joined_with_target,
)
from ._denoising_start import put_at_start
from ._environment import RandomStreams
from ._intake import AnyTable
from ._parameters import NOISE_CONSTRAINTS, SHARED_CONSTRAINTS
from ._restoring import RestoringAutoencoder
from ._scaling import Scaling
from ._training import AnyRows, Objective, Training
from .modules import Denoiser


class DenoisingAutoencoder(RestoringAutoencoder):
    """An autoencoder that learns to undo noise, and by it the density of the rows.

    In training, rows are made noisy, and the network is to give back the clean ones
    [1]_. Beside its nonlinear paths it has a linear one, which starts at the best linear
    denoiser. A network that is told the level of Gaussian noise, as by default, knows the
    rows' density: `score_samples` is read off its errors [2]_.

    Parameters
    ----------
    n_components : int or None, default=2
        Size of the code. None is a network without a bottleneck, from rows to rows: its
        code is the denoised row.
    hidden_layer_sizes : sequence of int, default=(128, 128)
        Units of the encoder's hidden layers, the decoder's in reverse order; `()` is
        linear. For `architecture="mlp"`.
    activation : str, default="silu"
        "elu", "gelu", "identity", "logistic", "relu", "silu" or "tanh", after each hidden
        layer. For `architecture="mlp"`.
    architecture : "mlp" or callable, default="mlp"
        As in `AutoencoderTransformer`, with the one role "denoiser" if `n_components` is
        None. Where the network is told the level of noise, it is the last column of the
        encoder's (or denoiser's) input.
    init : {"pca", "random"}, default="pca"
        "pca" has a linear path that starts at the best linear denoiser: the Wiener filter
        for Gaussian noise, a regression for others. "random" is a plain network.
    standardize : bool, default=True
        Scale columns to unit variance inside, and undo it in what is given back.
    noise : {"gaussian", "masking", "salt_and_pepper", "swap"} or callable, \
default="gaussian"
        What training does to rows: "gaussian" adds normal noise to every cell; "masking"
        sets cells to their column's mean; "salt_and_pepper" to its least or largest value
        in the batch; "swap" to the value of another row, so that columns keep their
        values. A callable `noise(X, generator)` maps a tensor of rows, in the units of the
        table, to noisy ones. With pairs, see `fit`, there is none.
    noise_level : float, (float, float) or "auto", default="auto"
        For Gaussian noise its standard deviation, in those of the columns, or with
        `standardize=False` in the units of the table; for the others the share of the
        cells. `(low, high)` is a range, from which a level is drawn log-uniformly for each
        row and told to the network. "auto" is (0.02, 3.0) standard deviations, or a share
        of 0.2. Not for a callable.
    n_draws : int, default=8
        Draws of noise that the score takes at each of 32 levels.
    penalty : {"l1", "kl", "contractive"} or None, default=None
        A penalty on the code, if there is one, as in `AutoencoderTransformer` [3]_, [4]_.
    alpha : float, default=0.1
        Factor of the penalty beside the row's summed squared error.
    tied_weights : bool, default=False
        Make the decoder's weights the encoder's, transposed; where there is a code.
    pretrain : "layerwise" or None, default=None
        Train the layers greedily on rows without noise first; where there is a code [5]_.
    dropout : float, default=0.0
        Share of the hidden units that is zeroed in training. For `architecture="mlp"`.
    weight_decay : float, default=0.01
        Decay of the nonlinear paths' weights, as a share of the learning rate and apart
        from the loss. It draws the network towards the best linear denoiser.
    max_epochs : int or "auto", default="auto"
        Passes over the rows; "auto" is as in `AutoencoderTransformer`.
    lr : float or "auto", default="auto"
        Largest learning rate; its course and "auto" are as in `AutoencoderTransformer`.
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" is 256, more from some 16,000 rows on, and at most 1,024.
    optimizer : {"adamw", "sgd"} or callable, default="adamw"
        A callable is given parameter groups and `lr`, as a class of `torch.optim` is.
    device : str, default="auto"
        A device of torch's; "auto" is cuda, else mps, else cpu.
    callbacks : list of skorch.callbacks.Callback, default=None
        Further callbacks for the training on the whole table.
    compile : bool, default=False
        Compile the module.
    early_stopping : bool, default=True
        Choose the epoch by rows held out, as `AutoencoderTransformer` does.
    validation_fraction : float, default=0.1
        Share of the rows that is held out, with 500 rows or more.
    n_iter_no_change : int, default=30
        Epochs without a lower loss on held-out rows after which training ends.
    tol : float, default=1e-4
        A loss counts as lower if it is by this share of the lowest so far.
    trim_fraction : float, default=0.0
        Share of the rows that training ignores: those of largest loss in every batch, held
        against what is expected at their level of noise, and those farthest out in the
        linear path's covariance.
    warm_start : bool, default=False
        Begin `fit` at the network of the last one.
    random_state : int, RandomState instance or None, default=None
        Fixes weights, noise, shuffles and splits. None takes fresh entropy. Global random
        states are neither read nor changed, unless an architecture of your own has random
        layers other than `torch.nn.Dropout`.
    verbose : int, default=0
        1 shows a progress bar, or plain lines where there is no terminal.

    Attributes
    ----------
    module_ : skae.modules.Denoiser
        The trained module, in float32; it sees rows that are scaled.
    net_ : skorch.NeuralNet
        The skorch net around it.
    components_ : ndarray of shape (n_components, n_features)
        Weights of the encoder's linear path, on scaled columns; for Gaussian noise the
        principal axes, whose scores the filter then shrinks.
    noise_levels_ : tuple of (float, float)
        The range of noise that training drew from, in the units of `noise_level`; zeros
        for pairs and callables.
    mean_, scale_ : ndarray of shape (n_features,)
        What columns are centred and divided by.
    n_components_ : int
        Size of the code.
    n_iter_ : int
        Epochs that the weights have seen; 0 where the result is PCA.
    loss_curve_ : list of float
        Training loss of each epoch.
    validation_scores_ : list of float or None
        Mean loss on held-out rows at the start, and after each epoch; lower is better.
    noise_variance_ : float
        Variance of a scaled cell around its reconstruction, for a score by codes.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they have names that are all strings.

    See Also
    --------
    AutoencoderTransformer : Reconstructs rows as they are.

    Notes
    -----
    `transform` takes rows as they are, as of the lowest noise; `denoise` is for noisy rows.

    `score_samples` with a range of Gaussian noise is the density that the denoiser's
    squared errors determine: it differs from that of the Gaussian with the same mean and
    covariance by half the integral, over signal-to-noise ratios, of what its errors are
    less than the Wiener filter's [2]_. Above the range the network is taken to be
    the filter; below it, what their errors differ by falls with the fourth power of the
    level; and within it the network is trusted, level by level, as far as held-out rows
    agree with it. Beside a code, the score takes the best linear guess of what the code leaves.
    For other noises, one level and pairs, the score is `AutoencoderTransformer`'s or, without
    a code, that of the rows' Gaussian.

    Without a bottleneck and with a range of Gaussian noise, losses are minus that
    log-density, but for a constant, in nats a column; with one, they are relative to what
    the linear path is expected to have at the level. Else they are mean squared errors.

    Networks train in float32; `score_samples` is computed in float64.

    References
    ----------
    .. [1] Vincent, Larochelle, Bengio and Manzagol (2008), "Extracting and composing
       robust features with denoising autoencoders", ICML.
    .. [2] Kong, Brekelmans and Ver Steeg (2023), "Information-theoretic diffusion", ICLR,
       equation 8.
    .. [3] Ng (2011), "Sparse autoencoder", CS294A lecture notes, section 3.
    .. [4] Rifai, Vincent, Muller, Glorot and Bengio (2011), "Contractive auto-encoders",
       ICML, equation 5.
    .. [5] Vincent et al. (2010), "Stacked denoising autoencoders", JMLR 11.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import DenoisingAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, size=1000)
    >>> ring = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> ring += 0.1 * rng.normal(size=ring.shape)
    >>> denoiser = DenoisingAutoencoder(None, random_state=0).fit(ring)
    >>> on_it, inside = denoiser.score_samples([[1.0, 0.0], [0.0, 0.0]])
    >>> bool(on_it > inside + 2)
    True
    >>> bool(abs(denoiser.denoise([[1.3, 0.0]], noise_level=0.3)[0, 0] - 1) < 0.15)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **SHARED_CONSTRAINTS,
        "n_components": [*SHARED_CONSTRAINTS["n_components"], None],
        **NOISE_CONSTRAINTS,
    }

    def __init__(
        self,
        n_components: int | None = 2,
        *,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        activation: str = "silu",
        architecture: str | Callable[[str, int, int], nn.Module] = "mlp",
        init: str = "pca",
        standardize: bool = True,
        noise: str | Callable[[Tensor, torch.Generator], Tensor] = "gaussian",
        noise_level: float | tuple[float, float] | str = "auto",
        n_draws: int = 8,
        penalty: str | None = None,
        alpha: float = 0.1,
        tied_weights: bool = False,
        pretrain: str | None = None,
        dropout: float = 0.0,
        weight_decay: float = 0.01,
        max_epochs: int | str = "auto",
        lr: float | str = "auto",
        batch_size: int | str = "auto",
        optimizer: str | Callable[..., torch.optim.Optimizer] = "adamw",
        device: str = "auto",
        callbacks: list | None = None,
        compile: bool = False,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 30,
        tol: float = 1e-4,
        trim_fraction: float = 0.0,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.architecture = architecture
        self.init = init
        self.standardize = standardize
        self.noise = noise
        self.noise_level = noise_level
        self.n_draws = n_draws
        self.penalty = penalty
        self.alpha = alpha
        self.tied_weights = tied_weights
        self.pretrain = pretrain
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
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.trim_fraction = trim_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn to undo noise, one's own or that of pairs.

        Parameters
        ----------
        X : array-like or store of shape (n_samples, n_features)
            The rows, clean unless `y` has the clean ones; a store as in
            `AutoencoderTransformer`.
        y : array-like of shape (n_samples, n_features), default=None
            The clean rows behind those of `X`, to which no noise is added then; both are
            loaded if they are stores. Labels, of shape (n_samples,), are ignored, as by
            other transformers in a Pipeline.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, as in `AutoencoderTransformer`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If values are missing or infinite, `y` has another shape than `X`, or a
            parameter is out of its bounds.
        """
        return super().fit(X, y, sample_weight)

    def _blueprint(self, n_features: int, has_target: bool) -> dict[str, Any]:
        return denoiser_blueprint(self, n_features, has_target)

    @staticmethod
    def _build(blueprint: dict[str, Any], seed: int) -> Denoiser:
        return build_denoiser(blueprint, seed)

    def _objective(
        self, blueprint: dict[str, Any], scaling: Scaling, streams: RandomStreams
    ) -> Objective:
        return denoising_objective(self, blueprint, scaling, streams)

    def _joined(self, table: AnyTable, y: Any) -> AnyTable:
        return joined_with_target(table, y)

    def _is_solved_by_start(self, blueprint: dict[str, Any]) -> bool:
        plain = self.init == "pca" and self.penalty is None and self.architecture == "mlp"
        untied = not self.tied_weights or blueprint["n_axes"] > 0
        return plain and untied and not blueprint["hidden_layer_sizes"]

    def _start(
        self, blueprint: dict[str, Any], rows: AnyRows, training: Training, streams: RandomStreams
    ) -> Denoiser:
        module = self._build(blueprint, streams.seed())
        put_at_start(module, self, rows, training, streams)
        return module
