"""The autoencoder as a transformer."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, cast

import torch
from skorch.callbacks import Callback
from torch import Tensor

from .._base import BaseAutoencoder, Deferred
from .._base.parameters import (
    CODE_CONSTRAINTS,
    SHARED_CONSTRAINTS,
    Constraints,
    StrOptions,
    refuse_parameters,
)
from .._data import AnyRows, Scaling, TrainingTable
from .._environment import RandomSource, RandomStreams
from .._linear import find_principal_axes
from .._training import TrainedModule, TrainingConfig, TrainingResult
from ..modules import Architecture, Autoencoder
from ..modules.cells import CellLayout
from .blueprint import AutoencoderBlueprint, make_code_config
from .density import LaplaceDensity, LaplaceTask
from .fast_step import make_fast_step
from .initialization import initialize_at_pca, initialize_sparse_codes
from .mixed_density import MixedTask
from .objective import ReconstructionObjective
from .penalties import CodePenalty
from .pretraining import pretrain_layerwise


class AutoencoderTransformer(
    BaseAutoencoder[Autoencoder, AutoencoderBlueprint, LaplaceDensity[Autoencoder]]
):
    """Dimensionality reduction by an autoencoder that begins training at PCA.

    An encoder maps each row to a code of `n_components` numbers, and a decoder maps codes
    back to rows. Both are trained together to minimize the squared error of the
    reconstruction. Each has a linear path and a nonlinear one. Training begins with the
    linear paths at PCA and the nonlinear ones closed, and ends at an epoch that is surely
    better on held-out rows. If there is none, the result is the initialization: PCA, unless a
    penalty asks for other codes. With `hidden_layer_sizes=()` it is PCA in closed form.

    The parameters to try first are `n_components`, `hidden_layer_sizes`, `standardize`,
    `max_epochs` and `random_state`; all are keyword-only but the first.

    Parameters
    ----------
    Network:

    n_components : int or float, default=2
        Size of the code. A share in (0, 1) is as many components as PCA needs for more than that
        share of the variance. An int may exceed the number of columns or rows; axes that PCA does
        not have are then completed at random.
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

    Code and regularization:

    prior : {"auto", "gaussian", "mixture"}, default="auto"
        Distribution of the codes in `score_samples`; it does not change training. "gaussian" is
        one Gaussian, and one noise for all columns. "mixture" is up to eight Gaussians, as many
        as the rows ask for, each with a noise of its own. "auto" is "mixture", but "gaussian"
        with `hidden_layer_sizes=()`, whose score is then that of probabilistic PCA. After
        `partial_fit` it is always "gaussian": blocks do not add to a mixture. In tables with
        booleans or categories, "mixture" is up to four Gaussians.
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
    module_ : skae.modules.Autoencoder
        The trained module, in float32, for scaled rows.
    net_ : skorch.NeuralNet
        The skorch net around `module_`.
    components_ : ndarray of shape (n_components, n_features)
        Weights of the encoder's linear path, for scaled columns.
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
        Estimated variance of a scaled cell around its reconstruction, the noise of the score
        with `prior="gaussian"`.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    sklearn.decomposition.PCA : What this starts from.

    Notes
    -----
    Networks train in float32. Methods compute in the precision of their input, but scores
    always in float64.

    A custom architecture is called with the roles "encoder" and "decoder".

    A linear decoder could cancel a penalty by rescaling the code. So its weights from each
    code unit keep their initial length, as do those of a deep decoder's first layer, whose
    further layers can compensate in part. With `init="random"`, as in the papers, only
    `weight_decay` and `tied_weights` limit rescaling. The penalty "kl" is that of [1]_,
    "contractive" that of [2]_, and pretraining follows [3]_ and [4]_.

    `score_samples` is Laplace's approximation, around each row's code, of the marginal
    likelihood of a model. With `prior="gaussian"` that is `z ~ N(m, S)`,
    `x | z ~ N(g(z), s2 I)`, and exact for a linear autoencoder, where it is probabilistic PCA
    [5]_. With `prior="mixture"` each Gaussian has its own mean, covariance, offset and noise,
    with a variance for each column or a full covariance, whichever a criterion prefers. For a
    nonlinear autoencoder the integral need not be one, as the user guide shows.

    For tables with booleans or categories it is the density of the numbers times the mass of
    the other cells. Given a code, a number is normal around a line in the decoded one, and the
    odds of labels grow with the decoded indicators; the integral over codes is computed by
    weighted draws that are the same in each call, and masses add up to one. It is mixed with
    latent classes [6]_, which don't depend on the network, or with independent columns alone
    where the density is "gaussian". Held-out rows decide on the shares. All of these are
    densities of normal scores: each number is first mapped by its own column's distribution.

    References
    ----------
    .. [1] Ng (2011), "Sparse autoencoder", CS294A lecture notes, section 3.
    .. [2] Rifai, Vincent, Muller, Glorot and Bengio (2011), "Contractive auto-encoders",
       ICML, equation 5.
    .. [3] Bengio, Lamblin, Popovici and Larochelle (2007), "Greedy layer-wise training of
       deep networks", NeurIPS, section 3.
    .. [4] Hinton and Salakhutdinov (2006), "Reducing the dimensionality of data with
       neural networks", Science 313.
    .. [5] Tipping and Bishop (1999), "Probabilistic principal component analysis", JRSS B
       61, equation 7.
    .. [6] Hunt and Jorgensen (1999), "Mixture model clustering using the MULTIMIX program",
       Australian and New Zealand Journal of Statistics 41.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import AutoencoderTransformer
    >>> train, test = train_test_split(load_digits().data, random_state=0)
    >>> autoencoder = AutoencoderTransformer(8, standardize=False, random_state=0).fit(train)
    >>> pca = PCA(8).fit(train)
    >>> pca_error = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
    >>> bool(autoencoder.reconstruction_error(test).mean() < 0.75 * pca_error)
    True
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        **CODE_CONSTRAINTS,
        "prior": [StrOptions({"auto", "gaussian", "mixture"})],
    }
    _blueprint_class = AutoencoderBlueprint
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
        prior: str = "auto",
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
        self.prior = prior
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

    @property
    def noise_variance_(self) -> float:
        """Estimated variance of a scaled cell around its reconstruction."""
        return self._state.density.model.variance

    @staticmethod
    def _linear_weights(module: Autoencoder) -> Tensor | None:
        return module.linear_layers[0].weight if module.has_linear_path else None

    def _make_blueprint(
        self, layout: CellLayout, has_target: bool, n_components: int | None
    ) -> AutoencoderBlueprint:
        network = self._make_network_config(layout)
        if self.architecture != "mlp":
            refuse_parameters(self, ("tied_weights", "pretrain"), 'architecture="mlp"')
        code = make_code_config(
            cast(int, n_components), self.tied_weights, self.penalty, network.linear_path
        )
        return AutoencoderBlueprint(network, code)

    def _make_objective(
        self, blueprint: AutoencoderBlueprint, scaling: Scaling, streams: RandomStreams
    ) -> ReconstructionObjective:
        penalty, layout = CodePenalty(self.penalty, self.alpha), blueprint.network.layout
        n_columns = None if layout is None else layout.n_columns
        return ReconstructionObjective(penalty, self.trim_fraction, n_columns)

    def _initialize(
        self,
        blueprint: AutoencoderBlueprint,
        scaling: Scaling,
        rows: AnyRows,
        config: TrainingConfig[Autoencoder],
        streams: RandomStreams,
    ) -> Autoencoder:
        module = blueprint.build(streams.draw_seed())
        if module.has_linear_path:
            generator = streams.make_numpy_generator()
            axes = find_principal_axes(
                rows.table, rows.weight_array, blueprint.code_size, self.trim_fraction, generator
            )
            if self.penalty == "kl":
                sample = rows.subsample()
                initialize_sparse_codes(module, axes, sample.table, sample.weight_array)
            else:
                initialize_at_pca(module, axes)
        if self.pretrain is not None:
            pretrain_layerwise(module, rows.subsample(), config, streams)
        return module

    def _fit_density(
        self,
        trained: TrainedModule[Autoencoder],
        blueprint: AutoencoderBlueprint,
        scaling: Scaling,
        rows: AnyRows,
        table: TrainingTable,
        result: TrainingResult[Autoencoder] | None,
        previous: LaplaceDensity[Autoencoder] | None,
    ) -> LaplaceDensity[Autoencoder] | Deferred[LaplaceDensity[Autoencoder]]:
        loss = None
        if result is not None and self.penalty is None:
            loss = result.held_out_loss
        is_mixture = result is not None and self._has_mixture(blueprint)
        layout = blueprint.network.layout
        if layout is not None and loss is not None:  # a mean over columns of the table
            loss *= layout.n_columns / layout.n_encoded
        has_mixture = is_mixture and layout is None
        known = LaplaceTask.gather(rows, trained, self.trim_fraction, loss, has_mixture)
        finish = partial(LaplaceDensity.finish, known)
        if layout is not None:
            cells = MixedTask.gather(
                rows, trained, layout, scaling, self.trim_fraction, result, is_mixture
            )
            finish = partial(LaplaceDensity.finish_mixed, known, cells)
        if result is None and (layout is None or previous is not None):
            return finish(previous)  # a block of a stream adds to those before
        return Deferred(finish)

    def _can_add_density(self, blueprint: AutoencoderBlueprint) -> bool:
        return blueprint.network.layout is None

    def _has_mixture(self, blueprint: AutoencoderBlueprint) -> bool:
        if self.prior != "auto":
            return self.prior == "mixture"
        return not blueprint.is_closed_form

    @staticmethod
    def _load_density(state: dict[str, Any]) -> LaplaceDensity[Autoencoder]:
        return LaplaceDensity.from_state(state)
