"""The denoising autoencoder as a transformer."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from skorch.callbacks import Callback
from torch import Tensor

from .._autoencoder.blueprint import make_code_config
from .._autoencoder.density import LaplaceDensity, LaplaceTask
from .._autoencoder.penalties import CodePenalty
from .._autoencoder.pretraining import pretrain_layerwise
from .._base import BaseAutoencoder, Deferred, Density
from .._base.dask_support import by_blocks
from .._base.drafts import copy_shallow
from .._base.estimator import apply_exactly
from .._base.parameters import (
    CODE_CONSTRAINTS,
    SHARED_CONSTRAINTS,
    Constraints,
    Interval,
    StrOptions,
    check_draws,
    refuse_parameters,
    validate_parameter_constraints,
)
from .._data import AnyRows, AnyTable, Columns, Complete, Scaling, TrainingTable, check_target
from .._environment import RandomSource, RandomStreams, resolve_device
from .._linear import Completion
from .._training import (
    MINIMUM_IMPROVEMENT_NATS,
    Objective,
    TrainedModule,
    TrainingConfig,
    TrainingResult,
)
from ..modules import Architecture, CodeDenoiser, Denoiser, RowDenoiser
from ..modules.cells import CellLayout
from .blueprint import DenoiserBlueprint
from .density import (
    N_LEVELS,
    ErrorDensity,
    FilterDensity,
    has_score_by_errors,
    measure_errors,
    resolve_draws,
)
from .fast_step import make_fast_step
from .incomplete import CellCodes, DrawMissing
from .initialization import initialize_denoiser
from .mixed_density import ClassDensity, MixedErrorDensity
from .noise import (
    NOISES,
    Corruption,
    UserNoise,
    UserNoiseFunction,
    check_level,
    make_noise,
    resolve_noise_range,
    scale_noise_range,
)
from .objective import DenoisingObjective, PairObjective
from .stacking import Evidence, gather_evidence

_DENOISE: Constraints = {"noise_level": [Interval(Real, 0, None, closed="neither"), None]}


class DenoisingAutoencoder(BaseAutoencoder[Denoiser, DenoiserBlueprint, Density[Denoiser]]):
    """An autoencoder that removes noise, and whose errors are a density of the rows.

    Training adds noise to rows, and the network learns to return the clean ones [1]_. It has
    a linear path, which is initialized at the best linear denoiser, and nonlinear ones. By
    default the network is conditioned on the level of Gaussian noise; its errors then
    determine the density of the rows, which `score_samples` returns [2]_.

    The parameters to try first are `n_components`, `hidden_layer_sizes`, `noise`,
    `max_epochs` and `random_state`; all are keyword-only but the first.

    Parameters
    ----------
    Network:

    n_components : int, float or None, default=None
        Size of the code. None is a network without a bottleneck, whose code is the denoised row.
        With a number `denoise` returns what a code of that size preserves. A share in (0, 1) is
        as many components as PCA of the clean rows needs for more than that share of the
        variance.
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

    Noise:

    noise : {"gaussian", "masking", "salt_and_pepper", "swap"} or callable, default="gaussian"
        Noise of the training rows: "gaussian" adds normal noise to every cell; "masking" sets
        cells to their column's mean; "salt_and_pepper" sets them to its smallest or largest
        value in the batch; "swap" sets them to the value of another row. A callable
        `noise(X, generator)` maps a tensor of rows, in the units of the table, to noisy ones.
        Unused if `fit` is given pairs.
    noise_level : float, (float, float) or "auto", default="auto"
        Standard deviation of Gaussian noise, in those of the columns, or with
        `standardize=False` in the units of the table; for other noise the share of the cells.
        `(low, high)` is a range: each row's level is drawn log-uniformly from it, and the
        network is conditioned on the level. "auto" is (0.02, 3.0) standard deviations, or a
        share of 0.2. A callable noise sets its own level.
    n_draws : int or "auto", default="auto"
        Draws of noise for the score, at each level. "auto" is 2, and 8 for tables of up to four
        columns, or with booleans or categories.
    stacking : bool, default=True
        Make the score a weighted mean of two densities, the one that the denoiser determines and
        that of Gaussian mixtures; held-out rows determine the weights. It does not change
        training, `denoise` or `denoising_errors`, and has no effect with
        `hidden_layer_sizes=()`, other noise or one level.

    Code and regularization:

    penalty : {"l1", "kl", "contractive"} or None, default=None
        Penalty on the code: "l1" on its absolute values; "kl" on the divergence of each
        unit's mean activity from 0.05, for codes that a logistic function maps to (0, 1);
        "contractive" on the squared Frobenius norm of the encoder's Jacobian. See the notes.
    alpha : float, default=0.1
        Factor of the penalty; the squared error that it is added to is summed over columns.
    tied_weights : bool, default=False
        Use the encoder's weights, transposed, in the decoder. For `architecture="mlp"`.
    pretrain : "layerwise" or None, default=None
        Train the layers greedily, one after the other, before all of them together. For
        `architecture="mlp"`.
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
    module_ : skae.modules.Denoiser
        The trained module, in float32, for scaled rows.
    net_ : skorch.NeuralNet
        The skorch net around `module_`.
    components_ : ndarray of shape (n_components, n_features)
        Weights of the encoder's linear path, for scaled columns. For Gaussian noise they are
        the principal axes, whose scores the filter then shrinks.
    noise_levels_ : tuple of (float, float)
        The range of noise in training, in the units of `noise_level`; zeros for pairs and
        callables.
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
    noise_variance_ : float
        Estimated variance of a scaled cell around its reconstruction, if the score is one of
        codes.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    AutoencoderTransformer : Reconstructs rows as they are.

    Notes
    -----
    Networks train in float32. Methods compute in the precision of their input, but scores
    always in float64. `transform` takes rows as they are, as of the lowest noise level;
    `denoise` is for noisy rows.

    A custom architecture is called with the roles "encoder" and "decoder", or with the role
    "denoiser" if `n_components` is None. The last input of the encoder (or denoiser) is the
    noise level if the network is conditioned on it.

    `penalty`, `tied_weights` and `pretrain` need a code. The penalty "kl" is that of [3]_,
    "contractive" that of [4]_, and pretraining, on rows without noise, is that of [5]_.

    With `init="pca"` the best linear denoiser is the Wiener filter for Gaussian noise, and a
    regression for other noise and for pairs. With fewer than ten distinct rows a column,
    held-out rows choose how far the filter's covariance is shrunk, and whether it is that of
    factor analysis.

    For a range of Gaussian noise, the denoiser's squared errors determine a density. It differs
    from that of the Gaussian with the same mean and covariance by half the integral, over
    signal-to-noise ratios, of the Wiener filter's errors less the denoiser's [2]_. Above the
    range the network is taken to be the filter; below it, the difference of their errors falls
    with the fourth power of the level. Within it the network is trusted, level by level, as far
    as held-out rows agree with it. With a code, the best linear estimate of what the code loses
    is added. `score_samples` is the log of a weighted mean of this density and of Gaussian
    mixtures, with the weights under which held-out rows are likeliest [6]_. For other noise, one
    level and pairs, the score is that of `AutoencoderTransformer(prior="gaussian")` or, without
    a code, that of the rows' Gaussian.

    Of rows with booleans or categories the score is the density of the numbers times the mass of
    the rest, which the same integral determines: at the lowest level of noise, indicators are
    known. The denoiser is compared with independent columns in place of the filter, and latent
    classes [7]_ take the place of Gaussian mixtures. Without a code and without a range of
    Gaussian noise, the score is that of the classes. Of rows with missing cells it is the density
    of the observed ones: exact for mixtures and classes, and for the denoiser that of the row with
    likely values of the missing cells, less the density of these given the others [8]_. In
    training missing cells hold draws given the observed ones, and errors of observed cells count;
    noise other than Gaussian strikes all indicators of a category together.

    Without a bottleneck and with a range of Gaussian noise, losses are minus that
    log-density, up to a constant, in nats a column; with one, they are relative to the
    expected loss of the linear path at the level. Otherwise they are mean squared errors.
    Columns are those of the table. Trimming compares errors with those expected at their noise
    level.

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
    .. [6] Smyth and Wolpert (1999), "Linearly combining density estimators via stacking",
       Machine Learning 36.
    .. [7] Hunt and Jorgensen (1999), "Mixture model clustering using the MULTIMIX program",
       Australian and New Zealand Journal of Statistics 41.
    .. [8] Chib (1995), "Marginal likelihood from the Gibbs output", JASA 90.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import DenoisingAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, size=1000)
    >>> ring = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> ring += 0.1 * rng.normal(size=ring.shape)
    >>> denoiser = DenoisingAutoencoder(random_state=0).fit(ring)
    >>> on_it, inside = denoiser.score_samples([[1.0, 0.0], [0.0, 0.0]])
    >>> bool(on_it > inside + 2)
    True
    >>> bool(abs(denoiser.denoise([[1.3, 0.0]], noise_level=0.3)[0, 0] - 1) < 0.15)
    True
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        **CODE_CONSTRAINTS,
        "n_components": [*SHARED_CONSTRAINTS["n_components"], None],
        "noise": [StrOptions(set(NOISES)), callable],
        "noise_level": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
            tuple,
            list,
        ],
        "n_draws": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "stacking": ["boolean"],
    }
    _density_accumulates = False
    _blueprint_class = DenoiserBlueprint
    _fast_step = staticmethod(make_fast_step)

    def __init__(
        self,
        n_components: float | None = None,
        *,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        activation: str = "silu",
        architecture: str | Architecture = "mlp",
        init: str = "pca",
        standardize: bool | str = True,
        categorical_features: Any = "from_dtype",
        max_categories: int | None = 50,
        noise: str | UserNoiseFunction = "gaussian",
        noise_level: float | tuple[float, float] | str = "auto",
        n_draws: int | str = "auto",
        stacking: bool = True,
        penalty: str | None = None,
        alpha: float = 0.1,
        tied_weights: bool = False,
        pretrain: str | None = None,
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
        self.noise = noise
        self.noise_level = noise_level
        self.n_draws = n_draws
        self.stacking = stacking
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
        self.gap = gap
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.trim_fraction = trim_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn to remove noise, from clean rows or from pairs.

        Parameters
        ----------
        X : array-like, frame or store of shape (n_samples, n_features)
            The rows: clean, unless `y` has the clean ones. Stores, arrays of more axes and lists of
            sequences as in `AutoencoderTransformer`.
        y : array-like of shape (n_samples, n_features), default=None
            The clean rows behind those of `X`, to which no noise is added then; sequences as long
            as those of `X`. Both are loaded if they are stores. Labels, of shape (n_samples,), are
            ignored, as other transformers in a Pipeline do.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, as in `AutoencoderTransformer`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X` has infinite values or no observed cell, if `y` has another shape than `X`, its
            columns in another order, or missing cells, or if a parameter is out of its bounds.
        """
        return super().fit(X, y, sample_weight)

    @property
    def noise_levels_(self) -> tuple[float, float]:
        """The range of noise that training drew from."""
        levels = self.module_.levels
        return self._level_unit * float(levels.low), self._level_unit * float(levels.high)

    @property
    def noise_variance_(self) -> float:
        """Variance of a scaled cell around its reconstruction, for a score by codes."""
        density = self._state.density
        if not isinstance(density, LaplaceDensity):
            raise AttributeError(
                "noise_variance_ belongs to a score by codes: to one noise level or other noise, "
                "with n_components"
            )
        return density.model.variance

    @property
    def _level_unit(self) -> float:
        """The unit of the network's levels, in the units of `noise_level`."""
        return self._state.scaling.unit if self.module_.is_gaussian else 1.0

    @by_blocks
    def denoise(self, X: ArrayLike, noise_level: float | None = None) -> np.ndarray:
        """Return the clean rows behind noisy ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Noisy rows.
        noise_level : float, default=None
            Their noise level, in the units of the parameter of that name: within the range that
            the network was trained on, or the one level that it was trained for. None takes, of
            a range, each row's likeliest level under the linear path for Gaussian noise, and
            the geometric mean for other noise.

        Returns
        -------
        X_denoised : ndarray or frame of shape (n_samples, n_features)
            The rows, in the form that `reconstruct` gives.
        """
        now = copy_shallow(self)  # another thread may fit it anew
        given = {"noise_level": noise_level}
        validate_parameter_constraints(_DENOISE, given, caller_name="denoise")
        level = check_level(now.module_.levels, noise_level, now._level_unit)

        def denoise(module: Denoiser, rows: Tensor) -> Tensor:
            return module.denoise(rows, module.choose_level(rows, level))

        return now._apply_and_restore(X, denoise)

    @by_blocks
    def denoising_errors(self, X: ArrayLike) -> np.ndarray:
        """Return the expected error of denoising each row, at several noise levels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, without noise.

        Returns
        -------
        errors : ndarray of shape (n_samples, n_levels)
            The expected squared error, summed over observed cells of scaled columns, at 12
            levels in equal ratios from the lowest to the highest of `noise_levels_`.
        """
        table, state = self._read(X)
        density = state.density
        if not isinstance(density, ErrorDensity | MixedErrorDensity):
            raise ValueError(
                'denoising_errors requires noise="gaussian" with a range, noise_level=(low, high), '
                f"and no pairs; got noise={self.noise!r} with noise_level={self.noise_level!r}"
            )
        n_draws = density.n_draws
        return apply_exactly(
            state,
            table,
            lambda module, batch: measure_errors(module, batch.input, n_draws, batch.mask),
        )

    @staticmethod
    def _linear_weights(module: Denoiser) -> Tensor | None:
        return module.linear_weights

    def _check_target(self, table: AnyTable, columns: Columns | None, y: Any) -> np.ndarray | None:
        return check_target(table, y, columns, getattr(self, "feature_names_in_", None))

    def _make_blueprint(
        self, layout: CellLayout, has_target: bool, n_components: int | None
    ) -> DenoiserBlueprint:
        network, code = self._make_network_config(layout), None
        check_draws(resolve_draws(self.n_draws, layout), N_LEVELS * layout.n_encoded)
        low, high = resolve_noise_range(self.noise, self.noise_level)
        if n_components is None:
            names = ("penalty", "tied_weights", "pretrain")
            refuse_parameters(self, names, "a code: set n_components")
        else:
            if self.architecture != "mlp":
                refuse_parameters(self, ("tied_weights", "pretrain"), 'architecture="mlp"')
            code = make_code_config(
                n_components, self.tied_weights, self.penalty, network.linear_path
            )
        return DenoiserBlueprint(
            network,
            code,
            is_gaussian=self.noise == "gaussian" and not has_target,
            noise_conditional=low < high and not has_target,
            is_paired=has_target,
        )

    def _make_corruption(self, blueprint: DenoiserBlueprint, scaling: Scaling) -> Corruption | None:
        """Return the noise of training, None for pairs."""
        if blueprint.is_paired:
            return None
        low, high = resolve_noise_range(self.noise, self.noise_level)
        if callable(self.noise):
            return Corruption(UserNoise(self.noise, scaling), low, high)
        in_table_units = not self.standardize and self.noise == "gaussian"
        unit = scaling.unit if in_table_units and self.noise_level != "auto" else 1.0
        noise = make_noise(self.noise, blueprint.network.cells)
        return Corruption(noise, *scale_noise_range(low, high, unit))

    def _make_objective(
        self, blueprint: DenoiserBlueprint, scaling: Scaling, streams: RandomStreams
    ) -> Objective[Denoiser]:
        penalty = CodePenalty(self.penalty, self.alpha)
        corruption = self._make_corruption(blueprint, scaling)
        is_range = blueprint.noise_conditional and blueprint.is_gaussian
        # With a code and a range, losses are relative to the linear path's of all encoded columns.
        is_relative = is_range and blueprint.code is not None
        n_columns = None if is_relative else blueprint.network.cells.n_columns
        if corruption is None:
            return PairObjective(penalty, self.trim_fraction, n_columns)
        return DenoisingObjective(
            corruption,
            streams.make_torch_generator(resolve_device(self.device)),
            penalty,
            self.trim_fraction,
            is_range,
            MINIMUM_IMPROVEMENT_NATS if is_range and blueprint.code is None else None,
            n_columns,
        )

    def _choose_complete(
        self, blueprint: DenoiserBlueprint, scaling: Scaling, completion: Completion | None
    ) -> Complete:
        complete = super()._choose_complete(blueprint, scaling, completion)
        if blueprint.is_paired or completion is None:
            return complete
        return DrawMissing(blueprint.network.cells, scaling.mean, scaling.scale, completion)

    def _initialize(
        self,
        blueprint: DenoiserBlueprint,
        scaling: Scaling,
        rows: AnyRows,
        config: TrainingConfig[Denoiser],
        streams: RandomStreams,
    ) -> Denoiser:
        module, sample = blueprint.build(streams.draw_seed()), rows.subsample()
        corruption = self._make_corruption(blueprint, scaling)
        initialize_denoiser(module, blueprint, sample, corruption, self.trim_fraction, streams)
        if self.pretrain is not None and isinstance(module, CodeDenoiser):
            pretrain_layerwise(module.autoencoder, sample, config, streams)
        return module

    def _fit_density(
        self,
        trained: TrainedModule[Denoiser],
        blueprint: DenoiserBlueprint,
        scaling: Scaling,
        rows: AnyRows,
        table: TrainingTable,
        result: TrainingResult[Denoiser] | None,
        previous: Density[Denoiser] | None,
    ) -> Density[Denoiser] | Deferred[Density[Denoiser]]:
        layout = blueprint.network.layout
        if has_score_by_errors(trained.module):
            unseen = None if result is None else result.held_out
            evidence = self._gather_evidence(trained.module, rows, result)
            share, sample = self.trim_fraction, rows.subsample()
            n_draws = resolve_draws(self.n_draws, blueprint.network.cells)
            if layout is None:
                return ErrorDensity.fit(trained, sample, unseen, evidence, share, n_draws)
            codes = CellCodes.from_scaling(layout, scaling.mean, scaling.scale)
            return MixedErrorDensity.fit(trained, codes, sample, unseen, evidence, share, n_draws)
        if isinstance(trained.module, RowDenoiser):
            if layout is None:
                return FilterDensity(rows.n_features)
            codes, sample = (
                CellCodes.from_scaling(layout, scaling.mean, scaling.scale),
                rows.subsample(),
            )
            evidence = gather_evidence(sample, None, None) if self.stacking else None
            return ClassDensity.fit(codes, sample, evidence, self.trim_fraction)
        if result is None:
            known = previous if isinstance(previous, LaplaceDensity) else None
            return LaplaceDensity.fit(rows, trained, self.trim_fraction, None, known)
        task = LaplaceTask.gather(rows, trained, self.trim_fraction, None, is_mixture=False)
        return Deferred(partial(LaplaceDensity.finish, task))

    def _gather_evidence(
        self, module: Denoiser, rows: AnyRows, result: TrainingResult[Denoiser] | None
    ) -> Evidence | None:
        """Return what weighs the denoiser and mixtures, None if it is the density alone."""
        is_linear = not self.hidden_layer_sizes and self.architecture == "mlp"
        if not self.stacking or is_linear:
            return None
        if result is not None and result.trained_on is not None:
            return gather_evidence(result.trained_on.subsample(), result.held_out, None)
        improvement = None if result is None else result.measure_improvement()
        if improvement is not None and isinstance(module, RowDenoiser):
            improvement *= rows.n_features  # its losses are in nats a column
        else:
            improvement = None
        return gather_evidence(rows.subsample(), None, improvement)

    @staticmethod
    def _load_density(state: dict[str, Any]) -> Density[Denoiser]:
        if "gains" in state:
            return ErrorDensity.from_state(state)
        if "class_stack" in state:
            return MixedErrorDensity.from_state(state)
        if "class_codes" in state:
            return ClassDensity.from_state(state)
        if "codes" in state:
            return LaplaceDensity.from_state(state)
        return FilterDensity(**state)
