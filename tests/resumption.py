"""Fits that are stopped and go on, and all that must be the same then."""

import warnings

import numpy as np
from sklearn.base import clone
from skorch.callbacks import EarlyStopping, Freezer, LRScheduler

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

_SMALL = {
    "hidden_layer_sizes": (6,),
    "max_epochs": 3,
    "batch_size": 60,
    "lr": 0.03,
    "init": "random",
    "random_state": 0,
}

#: A fit, and the number of its rows: fewer than 500 are held out in folds.
FITS = {
    "dropout": (AutoencoderTransformer(2, dropout=0.2, **_SMALL), 600),
    "momentum": (AutoencoderTransformer(2, optimizer="sgd", **_SMALL), 600),
    "long batches": (AutoencoderTransformer(2, **{**_SMALL, "batch_size": 512}), 600),
    "folds": (AutoencoderTransformer(2, dropout=0.2, **_SMALL), 60),
    "to the end": (AutoencoderTransformer(2, early_stopping=False, **_SMALL), 120),
    "the initialization": (
        AutoencoderTransformer(2, **{**_SMALL, "init": "pca", "lr": 1e-9}),
        600,
    ),
    "layerwise": (
        AutoencoderTransformer(2, pretrain="layerwise", **{**_SMALL, "hidden_layer_sizes": (6, 4)}),
        600,
    ),
    "noise": (DenoisingAutoencoder(2, n_draws=2, **_SMALL), 600),
    "noise in folds": (DenoisingAutoencoder(None, n_draws=2, **_SMALL), 60),
    "sampling": (VAETransformer(2, kl_warmup=0.5, n_draws=4, **_SMALL), 600),
    "sampling in folds": (VAETransformer(2, prior="vamp", n_draws=4, **_SMALL), 60),
    "a discriminator": (
        VAETransformer(2, discriminator="mlp", dropout=0.2, n_draws=4, **_SMALL),
        600,
    ),
    "a seed of its own": (
        AutoencoderTransformer(2, **{**_SMALL, "random_state": None}),
        600,
    ),
    "a state": (
        AutoencoderTransformer(2, **{**_SMALL, "random_state": np.random.RandomState(0)}),
        600,
    ),
    "frozen": (AutoencoderTransformer(2, callbacks=[Freezer("encoder*", at=2)], **_SMALL), 600),
    "a scheduler": (
        VAETransformer(2, n_draws=4, callbacks=[LRScheduler("ExponentialLR", gamma=0.5)], **_SMALL),
        600,
    ),
    "a scheduler in folds": (
        AutoencoderTransformer(2, callbacks=[("rate", LRScheduler(step_every="batch"))], **_SMALL),
        60,
    ),
    "stopped early": (
        AutoencoderTransformer(
            2, callbacks=[EarlyStopping(patience=1, threshold=0.5, load_best=True)], **_SMALL
        ),
        600,
    ),
    "detector": (
        AEAnomalyDetector(
            DenoisingAutoencoder(
                None,
                noise_level=(0.1, 5.0),
                n_draws=2,
                early_stopping=False,
                **{**_SMALL, "random_state": None},
            ),
            random_state=0,
        ),
        300,
    ),
    "detector of codes": (
        AEAnomalyDetector(VAETransformer(2, n_draws=4, **_SMALL), contamination=0.1),
        300,
    ),
}


def make_rows(n_rows):
    """Rows near a curved sheet."""
    rng = np.random.default_rng(0)
    hidden = rng.uniform(-1, 1, size=(n_rows, 2))
    columns = [hidden, hidden**2, np.sin(3 * hidden)]
    return np.hstack(columns) + 0.05 * rng.normal(size=(n_rows, 6))


def make_fit(name, **parameters):
    """An unfitted estimator, whose random state nothing has been drawn from, and its rows."""
    estimator, n_rows = FITS[name]
    return clone(estimator).set_params(**parameters), make_rows(n_rows)


def fit_quietly(estimator, X):
    """Fit; skorch's early stopping warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*was interrupted")
        return estimator.fit(X)


def describe_result(fitted, X):
    """All that a fit leads to, to the last bit: weights, scores, curves, history, optimizer."""
    if isinstance(fitted, AEAnomalyDetector):
        known = fitted.calibration_scores_
        own = {"offset": fitted.offset_, "known": known, "score": fitted.score_samples(X)}
        own["p"] = fitted.p_values(X)
        return {**own, **describe_result(fitted.estimator_, X), "params": str(fitted.get_params())}
    net = fitted.net_
    return {
        "score": fitted.score_samples(X),
        "output": fitted.reconstruct(X),
        "weights": {name: w.numpy() for name, w in fitted.module_.state_dict().items()},
        "curves": (fitted.loss_curve_, fitted.validation_scores_, fitted.n_iter_),
        "history": [{n: v for n, v in row.items() if n != "dur"} for row in net.history],
        "optimizer": net.optimizer_.state_dict(),
        "callbacks": [name for name, _ in net.callbacks_ if "Checkpoint" not in name],
        "generators": [generator.get_state().numpy() for generator in net.find_generators()],
    }


def are_equal(a, b):
    """Whether two results are the same to the last bit, types included."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(are_equal(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(are_equal(x, y) for x, y in zip(a, b, strict=True))
    if type(a) is not type(b):
        return False
    if a is None or isinstance(a, str):
        return a == b
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()
