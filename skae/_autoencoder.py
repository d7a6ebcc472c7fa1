"""The autoencoder as a transformer."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ._base import BaseAutoencoder
from ._building import build_autoencoder, start_at_pca, start_at_rare_codes
from ._density import block_length
from ._environment import RandomStreams
from ._moments import code_log_density, fitted_code_score
from ._parameters import SHARED_CONSTRAINTS, coded_blueprint
from ._pca import principal_axes
from ._scaling import Scaling
from ._training import (
    AnyRows,
    CodePenalty,
    ReconstructionObjective,
    Trained,
    TrainedModule,
    Training,
    pretrain_layerwise,
)
from .modules import MLP, Autoencoder, EncoderDecoder, TransposedMLP


class AutoencoderTransformer(BaseAutoencoder):
    """Dimensionality reduction by an autoencoder that starts at PCA.

    An encoder maps each row to a code of `n_components` numbers and a decoder maps codes
    back; both are trained together for the least squared error of the reconstruction.
    Each has a linear path beside its nonlinear one. Training starts with the linear paths
    at the PCA solution and the nonlinear ones closed, and ends at an epoch that is surely
    better than that start on rows it did not see; where there is none, the start is the
    result: PCA, unless a penalty asks for other codes.
    With `hidden_layer_sizes=()` it is PCA, computed in closed form.

    Parameters
    ----------
    n_components : int, default=2
        Size of the code. It may exceed the number of columns or rows: what PCA has no
        direction for is completed at random.
    hidden_layer_sizes : sequence of int, default=(128, 128)
        Units of the encoder's hidden layers; the decoder has them in reverse order.
        `()` is linear. For `architecture="mlp"`.
    activation : str, default="silu"
        "elu", "gelu", "identity", "logistic", "relu", "silu" or "tanh", after each hidden
        layer. For `architecture="mlp"`.
    architecture : "mlp" or callable, default="mlp"
        What the nonlinear paths are: multilayer perceptrons, or the modules that
        `architecture(role, n_inputs, n_outputs)` returns for the roles "encoder" and
        "decoder", which map `(n, n_inputs)` tensors to `(n, n_outputs)` ones.
    init : {"pca", "random"}, default="pca"
        "pca" as above; "random" is a plain network with random weights and no linear
        path, as in the literature.
    standardize : bool, default=True
        Scale columns to unit variance inside, and undo it in `inverse_transform`. Without
        it columns count by their variance, as in `PCA` on the same table.
    penalty : {"l1", "kl", "contractive"} or None, default=None
        A penalty on the code: "l1" its absolute values; "kl" the divergence of each
        unit's mean activity from 0.05, for codes that a logistic function maps to (0, 1)
        [1]_; "contractive" the squared Frobenius norm of the encoder's Jacobian [2]_.
        So that a linear decoder can't pay it by rescaling the code, its weights from each
        code unit keep their initial length, as do those of a deep one's first layer, whose
        further layers can make up for some of it. With `init="random"`, as in the papers,
        only `weight_decay` or `tied_weights` stands against rescaling.
    alpha : float, default=0.1
        Factor of the penalty beside the row's summed squared error.
    tied_weights : bool, default=False
        Make the decoder's weights the encoder's, transposed. For `architecture="mlp"`.
    pretrain : "layerwise" or None, default=None
        Train the layers greedily, one after the other, before all of them together
        [3]_, [4]_. For `architecture="mlp"`.
    dropout : float, default=0.0
        Share of the hidden units that is zeroed in training. For `architecture="mlp"`.
    weight_decay : float, default=0.01
        Decay of the nonlinear paths' weights, as a share of the learning rate and apart
        from the loss, whatever the optimizer. Linear paths don't decay, so what it draws
        the network towards is PCA.
    max_epochs : int or "auto", default="auto"
        Passes over the rows; "auto" makes as many as give an optimizer step for each row,
        but between 150 and 1,500 steps, and 10 passes at least.
    lr : float or "auto", default="auto"
        Largest learning rate; it rises over a tenth of the training and then falls along
        a cosine to zero. "auto" is 0.006 for batches of 256 rows, and goes with the root
        of the batch's length.
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" is 256, more from some 16,000 rows on, and at most 1,024.
    optimizer : {"adamw", "sgd"} or callable, default="adamw"
        "sgd" has Nesterov momentum 0.9, and wants a larger `lr`. A callable is given
        parameter groups and `lr`, as a class of `torch.optim` is.
    device : str, default="auto"
        A device of torch's; "auto" is cuda, else mps, else cpu.
    callbacks : list of skorch.callbacks.Callback, default=None
        Further callbacks for the training on the whole table.
    compile : bool, default=False
        Compile the module with `torch.compile`; it pays on accelerators and large
        networks only.
    early_stopping : bool, default=True
        Choose the epoch by rows held out. With 500 distinct rows or more a part of them is
        held out; with fewer, every row is, in five folds, and the network is then trained
        on all rows up to the epoch chosen; with fewer than 10 nothing can be chosen: a
        start at PCA is kept, and one at random trained to the end.
    validation_fraction : float, default=0.1
        Share of the rows that is held out, with 500 rows or more.
    n_iter_no_change : int, default=30
        Epochs without a lower loss on held-out rows after which training ends.
    tol : float, default=1e-4
        A loss counts as lower if it is by this share of the lowest so far.
    trim_fraction : float, default=0.0
        Share of the rows, those of largest loss, that training ignores, in the PCA start
        and in every batch.
    warm_start : bool, default=False
        Begin `fit` at the network of the last one.
    random_state : int, RandomState instance or None, default=None
        Fixes weights, shuffles and splits. None takes fresh entropy. The global random
        states of NumPy and torch are neither read nor changed, unless an architecture of
        your own has random layers other than `torch.nn.Dropout`.
    verbose : int, default=0
        1 shows a progress bar, or plain lines where there is no terminal.

    Attributes
    ----------
    module_ : skae.modules.Autoencoder
        The trained module, in float32; it sees rows that are scaled.
    net_ : skorch.NeuralNet
        The skorch net around it.
    components_ : ndarray of shape (n_components, n_features)
        Weights of the encoder's linear path, on scaled columns.
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
        None where none were held out.
    noise_variance_ : float
        Estimated variance of a scaled cell around its reconstruction.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they have names that are all strings.

    See Also
    --------
    sklearn.decomposition.PCA : What this starts from.

    Notes
    -----
    Networks train in float32. `transform` and the others compute in the precision of the
    rows they are given, `score_samples` always in float64.

    `score_samples` is Laplace's approximation of the marginal likelihood of
    `z ~ N(m, S)`, `x | z ~ N(g(z), s2 I)` around each row's code; for a linear
    autoencoder it is exact, and it is probabilistic PCA's [5]_. For a nonlinear one it is
    an approximation: what it gives need not integrate to one, as the user guide shows.

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

    _parameter_constraints: ClassVar[dict] = SHARED_CONSTRAINTS
    module_: Autoencoder
    _code_score: dict[str, Any]

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        activation: str = "silu",
        architecture: str | Callable[[str, int, int], nn.Module] = "mlp",
        init: str = "pca",
        standardize: bool = True,
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

    @property
    def components_(self) -> np.ndarray:
        """Weights of the encoder's linear path."""
        if not self.module_.has_linear_path:
            raise AttributeError('components_ is the linear path\'s, and init="random" has none')
        return self.module_.linear_layers[0].weight.detach().cpu().numpy()

    def _blueprint(self, n_features: int, has_target: bool) -> dict[str, Any]:
        return coded_blueprint(self, n_features)

    @staticmethod
    def _build(blueprint: dict[str, Any], seed: int) -> Autoencoder:
        return build_autoencoder(blueprint, seed)

    def _objective(
        self, blueprint: dict[str, Any], scaling: Scaling, streams: RandomStreams
    ) -> ReconstructionObjective:
        penalty = CodePenalty(self.penalty, self.alpha)
        return ReconstructionObjective(penalty, self.trim_fraction)

    def _is_solved_by_start(self, blueprint: dict[str, Any]) -> bool:
        return (
            self.init == "pca"
            and self.penalty is None
            and self.architecture == "mlp"
            and len(blueprint["hidden_layer_sizes"]) == 0
        )

    def _start(
        self, blueprint: dict[str, Any], rows: AnyRows, training: Training, streams: RandomStreams
    ) -> Autoencoder:
        module = self._build(blueprint, streams.seed())
        if module.has_linear_path:
            table, weight = rows.table, rows.weight_array
            axes = principal_axes(
                table, weight, self.n_components, self.trim_fraction, streams.numpy_generator()
            )
            if self.penalty == "kl":
                some = rows.some()
                start_at_rare_codes(module, axes, some.table, some.weight_array)
            else:
                start_at_pca(module, axes)
        if self.pretrain is not None:
            encoder, decoder = module.to(training.device).nonlinear_paths
            if isinstance(encoder, MLP) and isinstance(decoder, MLP | TransposedMLP):
                pretrain_layerwise(encoder, decoder, rows.some(), training, streams)
        return module

    def _fit_density(
        self, module: TrainedModule, rows: AnyRows, trained: Trained | None, go_on: bool
    ) -> None:
        known = self._code_score if go_on else None
        held_out = trained.held_out if trained is not None and self.penalty is None else None
        self._code_score = fitted_code_score(known, rows, module, self.trim_fraction, held_out)
        self.noise_variance_ = self._code_score["variance"]

    def _log_density(self, module: EncoderDecoder, rows: Tensor) -> Tensor:
        return code_log_density(self._code_score, module, rows)

    def _rows_at_a_time(self) -> int:
        return block_length(self.n_features_in_, self.n_components_)
