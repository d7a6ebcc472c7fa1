"""A user's callbacks: checked before training, and of use at every size of table."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    LoadInitState,
    LRScheduler,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    TrainEndCheckpoint,
    Unfreezer,
)

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

SMALL = {"hidden_layer_sizes": (4,), "max_epochs": 2, "init": "random", "random_state": 0}
TRANSFORMERS = [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]


class Fussy(Callback):
    def on_epoch_end(self, net):  # without the keywords that skorch passes
        pass


class Unconnected:
    def on_epoch_end(self, net, **kwargs):
        pass


def score(net, rows, y):
    return float(len(rows))


INVALID = {
    "no callback": ([Unconnected()], TypeError, "must be instances of skorch.callbacks.Callback"),
    "a number": ([3], TypeError, "got 3 of type int"),
    "a class": ([PrintLog], TypeError, r"got the class PrintLog: write PrintLog\(\)"),
    "a named class": ([("log", PrintLog)], TypeError, r"got the class PrintLog"),
    "a triple": ([("log", PrintLog(), 1)], ValueError, r'pairs \("name", callback\)'),
    "a name of a number": ([(1, PrintLog())], ValueError, r'pairs \("name", callback\)'),
    "an empty name": ([("", PrintLog())], ValueError, r'pairs \("name", callback\)'),
    "a name like a parameter": ([("a__b", PrintLog())], ValueError, "two underscores"),
    "a name twice": (
        [("log", PrintLog()), ("log", PrintLog())],
        ValueError,
        "names of their own, got 'log'",
    ),
    "a default's name": ([("train_loss", PrintLog())], ValueError, "got 'train_loss'"),
    "a class's name": ([PrintLog(), ("PrintLog", PrintLog())], ValueError, "got 'PrintLog'"),
    "a counted name": (
        [PrintLog(), PrintLog(), ("PrintLog_2", PrintLog())],
        ValueError,
        "got 'PrintLog_2'",
    ),
    "our own name": ([("skae.FiniteLoss", PrintLog())], ValueError, "got 'skae.FiniteLoss'"),
    "a hook without keywords": ([Fussy()], TypeError, r"write on_epoch_end\(self, net, \*\*kwargs"),
    "scores of batches": ([BatchScoring(score)], ValueError, "must not have BatchScoring"),
    "scores of predictions": ([EpochScoring("r2")], ValueError, r"got scoring='r2'"),
    "scores without a name": ([EpochScoring(None)], ValueError, r"got scoring=None"),
    "a loaded state": ([LoadInitState(Checkpoint())], ValueError, "set checkpoint to go on"),
}


@pytest.mark.parametrize("case", INVALID)
@pytest.mark.parametrize("estimator", TRANSFORMERS)
def test_invalid_callbacks_are_refused_before_all_else(estimator, case):
    callbacks, error, message = INVALID[case]
    ours = estimator(1, callbacks=callbacks, **SMALL)
    detector = AEAnomalyDetector(ours)
    for n_rows in (1, 5, 60, 600):  # none of them is even looked at
        X = np.full((n_rows, 3), np.nan)
        for train in (ours.fit, ours.partial_fit):
            with pytest.raises(error, match=message):
                train(X)
    with pytest.raises(error, match=message):
        detector.fit(np.random.default_rng(0).normal(size=(20, 3)))
    with pytest.raises(NotFittedError):
        ours.module_  # noqa: B018 - the attribute is what is tested


def test_a_linear_model_refuses_them_too(curve):
    with pytest.raises(TypeError, match="got 3 of type int"):
        AutoencoderTransformer(2, hidden_layer_sizes=(), callbacks=[3]).fit(curve)


@pytest.mark.parametrize(
    "make_callback",
    [
        lambda: EarlyStopping(patience=1, load_best=True),
        lambda: Checkpoint(f_history=None, f_pickle=None),
        lambda: Checkpoint(monitor="train_loss_best", load_best=True),
        lambda: TrainEndCheckpoint(),
        lambda: ProgressBar(),
        lambda: PrintLog(sink=lambda text: None),
        lambda: EpochTimer(),
        lambda: EpochScoring(score),
        lambda: EpochScoring(score, on_train=True),
        lambda: PassthroughScoring("train_batch_size", on_train=True),
        lambda: ParamMapper("encoder*", at=2, fn=lambda weight: weight.data.mul_(0.5)),
        lambda: Initializer("encoder*bias", fn=torch.nn.init.zeros_),
        lambda: Freezer("encoder*", at=2),
        lambda: Unfreezer("encoder*", at=2),
        lambda: GradientNormClipping(0.1),
        lambda: LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
        lambda: LRScheduler(),
    ],
)
@pytest.mark.parametrize("n_rows", [40, 520])
@pytest.mark.filterwarnings("ignore:.*was interrupted")  # by EarlyStopping
def test_callbacks_of_skorch_work_at_every_size(
    curve, tmp_path, monkeypatch, n_rows, make_callback
):
    monkeypatch.chdir(tmp_path)  # some of them write files
    ours = AutoencoderTransformer(2, callbacks=[("mine", make_callback())], **SMALL)
    ours.fit(curve[:n_rows])
    assert ours.n_iter_ > 0
    assert np.isfinite(ours.transform(curve)).all()


# Losses of held-out rows -------------------------------------------------------------------


@pytest.mark.parametrize("estimator", TRANSFORMERS)
@pytest.mark.parametrize("n_rows", [60, 600])
def test_the_loss_of_held_out_rows_can_be_monitored_at_every_size(curve, n_rows, estimator):
    """In small tables it is the folds' mean, which `validation_scores_` has."""
    stop = EarlyStopping(patience=1, threshold=0.9)
    ours = estimator(2, callbacks=[stop], **{**SMALL, "max_epochs": 5, "lr": 0.03})
    with pytest.warns(UserWarning, match="by a callback"):
        ours.fit(curve[:n_rows])
    seen = ours.net_.history[:, ("valid_loss", "valid_loss_best")]
    assert 1 < len(seen) < 5
    np.testing.assert_allclose(
        [loss for loss, _ in seen], ours.validation_scores_[1 : len(seen) + 1], rtol=1e-6
    )
    losses = np.array([loss for loss, _ in seen])
    assert [best for _, best in seen] == [
        bool((loss < losses[:i]).all()) for i, loss in enumerate(losses)
    ]


MONITORS = [
    (EarlyStopping(), "train_loss"),
    (Checkpoint(), "train_loss_best"),
    (LRScheduler("ReduceLROnPlateau", monitor="valid_loss"), "train_loss"),
]


@pytest.mark.parametrize(("callback", "instead"), MONITORS)
@pytest.mark.parametrize(
    ("method", "n_rows", "early_stopping", "reason"),
    [
        ("fit", 600, False, "by early_stopping=False"),
        ("fit", 60, False, "by early_stopping=False"),
        ("fit", 8, True, "by fewer than 10 rows"),
        ("partial_fit", 600, True, "partial_fit holds no rows out"),
    ],
)
@pytest.mark.parametrize("estimator", TRANSFORMERS)
def test_it_is_refused_where_there_are_none(
    curve, estimator, method, n_rows, early_stopping, reason, callback, instead
):
    ours = estimator(
        2, callbacks=[("mine", clone(callback))], early_stopping=early_stopping, **SMALL
    )
    with pytest.raises(ValueError, match=f'{reason}.*set monitor="{instead}"'):
        getattr(ours, method)(curve[:n_rows])
    assert not hasattr(ours, "module_")


def test_a_score_of_held_out_rows_is_none_of_folds(curve):
    callbacks = [EpochScoring(score, name="mine"), EarlyStopping(monitor="mine")]
    ours = AutoencoderTransformer(2, callbacks=callbacks, **SMALL)
    with pytest.raises(ValueError, match="'mine' where rows are held out in folds"):
        ours.fit(curve[:60])
    ours.fit(curve)
    on_train = [EpochScoring(score, name="mine", on_train=True), EarlyStopping(monitor="mine")]
    clone(ours).set_params(callbacks=on_train).fit(curve[:60])


@pytest.mark.parametrize("policy", ["nope", "OneCycleLR", "LinearLR"])
def test_a_policy_that_skorch_does_not_know_is_refused(curve, policy):
    ours = AutoencoderTransformer(2, callbacks=[LRScheduler(policy)])
    for method in (ours.fit, ours.partial_fit):
        with pytest.raises(ValueError, match=f"a policy that skorch knows, got '{policy}': pass"):
            method(curve)


def test_monitors_that_are_no_recorded_value(curve):
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_epochs=3, early_stopping=False)
    with pytest.raises(ValueError, match=r"must monitor a value that is recorded .*'nope'"):
        ours.set_params(callbacks=[EarlyStopping(monitor="nope")]).fit(curve)
    with pytest.raises(TypeError, match="EarlyStopping with the name of a recorded value"):
        ours.set_params(callbacks=[EarlyStopping(monitor=print)]).fit(curve)
