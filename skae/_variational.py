"""The variational autoencoder as a transformer."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import nn

from ._environment import RandomStreams, resolve_device
from ._generative import GenerativeAutoencoder
from ._parameters import VARIATIONAL_CONSTRAINTS, network_blueprint
from ._scaling import Scaling
from ._training import AnyRows, Training, VariationalObjective
from ._variational_start import build_variational, start_variational
from .modules import VariationalAutoencoder
from .modules._likelihoods import GaussianLikelihood


class VAETransformer(GenerativeAutoencoder):
    """Dimensionality reduction and density by a variational autoencoder.

    An encoder maps each row to a Gaussian over codes, a decoder maps codes to a
    distribution of rows, and both are trained together for the evidence lower bound
    [1]_: how probable rows are under the decoder, less the divergence of the encoder's
    Gaussians from a prior of the codes. Each has a linear path beside its nonlinear one.
    Training starts at probabilistic PCA [2]_, for which the bound is the log-density
    itself, and ends at an epoch that is surely better than that start on rows it did not
    see; where there is none, probabilistic PCA is the result. The noise is learned, so
    that `beta=1` needs no tuning. With `hidden_layer_sizes=()` it is probabilistic PCA, in
    closed form.

    Parameters
    ----------
    n_components : int, default=2
        Size of the code. Units that the rows don't call for stay as their prior.
    hidden_layer_sizes : sequence of int, default=(128, 128)
        Units of the encoder's hidden layers; the decoder has them in reverse order.
        `()` is linear. For `architecture="mlp"`.
    activation : str, default="silu"
        "elu", "gelu", "identity", "logistic", "relu", "silu" or "tanh", after each hidden
        layer. For `architecture="mlp"`.
    architecture : "mlp" or callable, default="mlp"
        What the nonlinear paths are: multilayer perceptrons, or the modules that
        `architecture(role, n_inputs, n_outputs)` returns for the roles "encoder" and
        "decoder", which map `(n, n_inputs)` tensors to `(n, n_outputs)` ones. The
        encoder's outputs are two for each unit of the code.
    init : {"pca", "random"}, default="pca"
        "pca" as above; "random" is a plain network with random weights and no linear
        path, as in the literature.
    standardize : bool, default=True
        Scale columns to unit variance inside, and undo it in all that comes out. Without
        it columns count by their variance, and share a noise in the table's units.
    beta : float, default=1.0
        Factor of the divergence in training. With 1 the loss is the bound; more asks for
        codes that tell less [3]_; 0 makes an autoencoder that still learns its noise, and
        whose scores, with posteriors as narrow as they may be, are far below the density.
    kl_warmup : float, default=0.0
        Share of the training over which the factor rises from 0 to `beta`. Held-out rows
        are judged by `beta` itself, and `partial_fit` knows no warm-up.
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        What the decoder says about a cell: "gaussian" its mean, with noise; "bernoulli"
        the probability that it is 1, for tables of values in [0, 1]. Its start is near
        the linear solution only, and its scores are log-masses.
    binarize : bool, default=False
        Take `X` for probabilities, and draw the 0/1 cells that training sees from them at
        every step anew, as is usual for grey images [7]_. Scores and codes are those of
        the rows given. For `likelihood="bernoulli"`.
    noise_per_column : bool, default=False
        Learn a noise for each column instead of one for all. The start, and with
        `hidden_layer_sizes=()` the result, is then factor analysis [6]_ in the place of
        probabilistic PCA. For `likelihood="gaussian"`.
    prior : {"standard", "mixture", "vamp"}, default="standard"
        Distribution of the codes: "standard" is `N(0, I)`; "mixture" a Gaussian mixture
        that is learned, for codes that form clusters; "vamp" the mean posterior of
        learned pseudo-rows [4]_, beside the standard Gaussian.
    n_prior_components : int, default=10
        Gaussians of the mixture, or pseudo-rows.
    n_draws : int, default=100
        Draws of the code for each row that `score_samples` and `elbo` average over.
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
    module_ : skae.modules.VariationalAutoencoder
        The trained module, in float32; it sees rows that are scaled.
    net_ : skorch.NeuralNet
        The skorch net around it.
    components_ : ndarray of shape (n_components, n_features)
        Weights of the linear path to the posterior's mean, on scaled columns.
    active_units_ : ndarray of shape (n_components,), dtype=bool
        Which units of the code say something about rows: those whose posterior mean has
        a variance above 0.01 over the training rows [5]_.
    mean_, scale_ : ndarray of shape (n_features,)
        What columns are centred and divided by.
    n_components_ : int
        Size of the code.
    n_iter_ : int
        Epochs that the weights have seen; 0 where the result is probabilistic PCA.
    loss_curve_ : list of float
        Training loss of each epoch: the negative bound in nats a column, of scaled rows.
    validation_scores_ : list of float or None
        Mean loss on held-out rows at the start, and after each epoch; lower is better.
        None where none were held out.
    noise_variance_ : float or ndarray of shape (n_features,)
        Variance of a scaled cell around its reconstruction; for
        `likelihood="gaussian"`.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they have names that are all strings.

    See Also
    --------
    AutoencoderTransformer : Codes for the least squared error, without a prior.
    sklearn.decomposition.PCA : Its `score_samples` is where the bound starts.
    sklearn.mixture.GaussianMixture : A density without codes.

    Notes
    -----
    Networks train in float32. `transform` and the others compute in the precision of the
    rows they are given, `score_samples` and `elbo` always in float64.

    `score_samples` is the importance-weighted bound [5]_, of `n_draws` draws that are the
    same at each call: at most the log-density, on average over draws, and closer with more
    of them. Where the result is probabilistic PCA it is exact.

    Log-variances are kept in bounds by smooth functions, and the noise's variance above
    1e-6 of a scaled column's, so that constant columns and far outliers give large numbers
    and never NaN.

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

    _parameter_constraints: ClassVar[dict] = VARIATIONAL_CONSTRAINTS

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        activation: str = "silu",
        architecture: str | Callable[[str, int, int], nn.Module] = "mlp",
        init: str = "pca",
        standardize: bool = True,
        beta: float = 1.0,
        kl_warmup: float = 0.0,
        likelihood: str = "gaussian",
        binarize: bool = False,
        noise_per_column: bool = False,
        prior: str = "standard",
        n_prior_components: int = 10,
        n_draws: int = 100,
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
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.likelihood = likelihood
        self.binarize = binarize
        self.noise_per_column = noise_per_column
        self.prior = prior
        self.n_prior_components = n_prior_components
        self.n_draws = n_draws
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
        """Weights of the linear path to the posterior's mean."""
        if not self.module_.has_linear_path:
            raise AttributeError('components_ is the linear path\'s, and init="random" has none')
        return self.module_.linear_layers[0].weight.detach().cpu().numpy()

    @property
    def noise_variance_(self) -> float | np.ndarray:
        """Variance of a scaled cell around its reconstruction."""
        likelihood = self.module_.likelihood
        if not isinstance(likelihood, GaussianLikelihood):
            raise AttributeError('noise_variance_ is of likelihood="gaussian", got "bernoulli"')
        variance = likelihood.variance.detach().cpu().double().numpy()
        return variance if self.noise_per_column else float(variance[0])

    def _blueprint(self, n_features: int, has_target: bool) -> dict[str, Any]:
        self._check_likelihood()
        return {
            **network_blueprint(self, n_features),
            "n_components": int(self.n_components),
            "likelihood": self.likelihood,
            "noise_per_column": bool(self.noise_per_column),
            "prior": self.prior,
            "n_prior_components": int(self.n_prior_components),
        }

    def _check_likelihood(self) -> None:
        for name, expected in (("binarize", "bernoulli"), ("noise_per_column", "gaussian")):
            if getattr(self, name) and self.likelihood != expected:
                raise ValueError(
                    f"{name}=True with likelihood={self.likelihood!r} was got, expected "
                    f'likelihood="{expected}"'
                )

    @staticmethod
    def _build(blueprint: dict[str, Any], seed: int) -> VariationalAutoencoder:
        return build_variational(blueprint, seed)

    def _objective(
        self, blueprint: dict[str, Any], scaling: Scaling, streams: RandomStreams
    ) -> VariationalObjective:
        return VariationalObjective(
            float(self.beta),
            float(self.kl_warmup),
            self.likelihood == "gaussian",
            scaling,
            streams.torch_generator(resolve_device(self.device)),
            bool(self.binarize),
            self.trim_fraction,
        )

    def _is_solved_by_start(self, blueprint: dict[str, Any]) -> bool:
        return (
            self.init == "pca"
            and self.prior == "standard"
            and self.likelihood == "gaussian"
            and self.architecture == "mlp"
            and len(blueprint["hidden_layer_sizes"]) == 0
        )

    def _start(
        self, blueprint: dict[str, Any], rows: AnyRows, training: Training, streams: RandomStreams
    ) -> VariationalAutoencoder:
        module = self._build(blueprint, streams.seed())
        objective = cast(VariationalObjective, training.objective)
        start_variational(module, rows, objective, streams)
        return module
