"""scikit-learn's callbacks see a fit, its trainings and their epochs."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")

SMALL = {"hidden_layer_sizes": (4,), "max_epochs": 2, "init": "random", "random_state": 0}
TRANSFORMERS = [
    AutoencoderTransformer(2, **SMALL),
    DenoisingAutoencoder(2, n_draws=2, **SMALL),
    VAETransformer(2, n_draws=2, **SMALL),
]


def name_of(estimator):
    return type(estimator).__name__


class Recorder:
    """A callback that notes what it is told, and ends a training after some epochs."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.notes, self.n_set_up, self.fitted = [], 0, None

    def setup(self, estimator, context):
        self.n_set_up += 1

    def teardown(self, estimator, context):
        self.n_set_up -= 1

    def on_fit_task_begin(self, estimator, context):
        assert self.n_set_up == 1
        self.notes.append(("begin", context.estimator_name, context.task_name))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.notes.append(("end", context.estimator_name, context.task_name))
        if fitted_estimator is not None:
            self.fitted = fitted_estimator
        return self.stop_after is not None and context.task_id + 1 >= self.stop_after

    def list_ends(self):
        return [name for kind, _, name in self.notes if kind == "end"]


def list_tasks(*names):
    return [(kind, name) for name in names for kind in ("begin", "end")]


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=name_of)
def test_a_fit_is_a_training_of_epochs(curve, estimator):
    recorder = Recorder()
    ours = clone(estimator).set_callbacks(recorder).fit(curve)
    assert [(kind, name) for kind, _, name in recorder.notes] == [
        ("begin", "fit"),
        ("begin", "training"),
        *list_tasks("epoch", "epoch"),
        ("end", "training"),
        ("end", "fit"),
    ]
    assert recorder.n_set_up == 0
    expected = clone(estimator).set_callbacks().fit(curve).transform(curve)
    np.testing.assert_array_equal(ours.transform(curve), expected)
    np.testing.assert_array_equal(recorder.fitted.transform(curve), expected)
    back = pickle.loads(pickle.dumps(ours.set_callbacks()))
    assert {*vars(back)} == {*vars(ours)} == {*vars(clone(estimator).fit(curve))}


def test_folds_are_trainings_too(curve):
    recorder = Recorder()
    ours = clone(TRANSFORMERS[0]).set_callbacks(recorder).fit(curve[:100])
    trainings = [name for name in recorder.list_ends() if name not in ("epoch", "fit")]
    assert trainings == [*(f"fold {number}/5" for number in range(1, 6)), "training"]
    assert recorder.list_ends().count("epoch") == 5 * 2 + ours.n_iter_


def test_a_callback_ends_a_training(curve):
    recorder = Recorder(stop_after=1)
    ours = clone(TRANSFORMERS[0]).set_params(max_epochs=9).set_callbacks(recorder).fit(curve)
    assert recorder.list_ends() == ["epoch", "training", "fit"]
    assert len(ours.loss_curve_) == ours.n_iter_ == 1


def test_an_epoch_that_another_callback_ends_is_ended(curve):
    recorder = Recorder()
    ours = clone(TRANSFORMERS[0]).set_params(max_epochs=9, n_iter_no_change=1, lr=1e-30)
    ours.set_callbacks(recorder).fit(curve)
    assert len(ours.loss_curve_) < 9
    assert recorder.list_ends() == [*["epoch"] * len(ours.loss_curve_), "training", "fit"]


class Failing(Recorder):
    def on_fit_task_end(self, estimator, context):
        raise RuntimeError("the callback failed")


def test_a_callback_that_fails_leaves_the_estimator_as_it_was(curve):
    ours = clone(TRANSFORMERS[0]).fit(curve)
    failing = Failing()
    ours.set_callbacks(failing)
    before = ours.__dict__.copy()
    with pytest.raises(RuntimeError, match="the callback failed"):
        ours.fit(curve[:, :3])
    assert ours.__dict__ == before
    assert failing.n_set_up == 0


def test_what_a_user_trains_later_is_no_part_of_the_fit(curve):
    recorder = Recorder()
    ours = clone(TRANSFORMERS[0]).set_callbacks(recorder).fit(curve)
    n_notes = len(recorder.notes)
    tasks = dict(ours.net_.callbacks_)["skae.EpochTasks"]
    for hook in ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"):
        getattr(tasks, hook)(ours.net_)
    ours.partial_fit(curve)
    assert len(recorder.notes) == n_notes


def test_a_pipeline_and_a_detector_pass_them_on(curve):
    recorder = Recorder()
    inner = DenoisingAutoencoder(2, n_draws=2, **{**SMALL, "max_epochs": 1})
    steps = [StandardScaler(), AEAnomalyDetector(inner, random_state=0)]
    make_pipeline(*steps).set_callbacks(recorder).fit(curve)
    ends = [(owner, name) for kind, owner, name in recorder.notes if kind == "end"]
    assert ends == [
        ("StandardScaler", "fit"),
        ("DenoisingAutoencoder", "epoch"),
        ("DenoisingAutoencoder", "training"),
        ("DenoisingAutoencoder", "fit"),
        ("AEAnomalyDetector", "fit"),
        ("Pipeline", "fit"),
    ]
    assert recorder.n_set_up == 0
