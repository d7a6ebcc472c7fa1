"""The display of a training's losses."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skae import AutoencoderTransformer, VAETransformer
from skae.inspection import LearningCurveDisplay

from .displays import legend_of


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 3, size=(600, 1))
    X = np.hstack([np.cos(angle), np.sin(angle), angle]) + 0.01 * rng.normal(size=(600, 3))
    return AutoencoderTransformer(1, max_epochs=8, lr=0.02, random_state=0).fit(X)


@pytest.fixture(scope="module")
def kept():
    X = np.random.default_rng(0).normal(size=(600, 3))
    return AutoencoderTransformer(1, max_epochs=2, random_state=0).fit(X)


def test_lines_are_the_losses(trained):
    display = LearningCurveDisplay.from_estimator(trained)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(1, 9))
    np.testing.assert_array_equal(display.line_.get_ydata(), trained.loss_curve_)
    np.testing.assert_array_equal(display.validation_line_.get_xdata(), np.arange(9))
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), trained.validation_scores_)
    assert legend_of(display.ax_) == ["training", "held out", "linear model, held out", "kept"]
    assert display.line_.get_linestyle() != display.validation_line_.get_linestyle()


def test_the_kept_epoch_is_marked(trained):
    assert trained.n_iter_ > 0
    display = LearningCurveDisplay.from_estimator(trained)
    assert display.mark_.get_xdata() == [trained.n_iter_]
    assert display.mark_.get_ydata() == [trained.validation_scores_[trained.n_iter_]]
    gain, error = trained.gain_, trained.gain_error_
    expected = f"epoch {trained.n_iter_} of 8 kept: loss lower by {gain:.2g} ± {error:.1g}"
    assert display.ax_.get_title() == expected


def test_epochs_beside_a_discriminator_are_not_those_of_the_held_out_rows(curve):
    model = VAETransformer(
        2, discriminator="mlp", hidden_layer_sizes=(8,), max_epochs=4, random_state=0
    ).fit(curve)
    display = LearningCurveDisplay.from_estimator(model)
    assert len(display.line_.get_xdata()) == len(model.loss_curve_) > 4
    assert display.kept_epoch == model.n_iter_ - 4


def test_the_curve_of_a_stream_has_no_held_out_rows(curve):
    model = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)
    model.fit(curve).partial_fit(curve)
    assert "no rows were held out" in repr(LearningCurveDisplay.from_estimator(model))


def test_without_a_gain():
    display = LearningCurveDisplay(loss_curve=[2.0], validation_scores=[3.0, 2.5], kept_epoch=1)
    assert display.plot().ax_.get_title() == "epoch 1 of 1 kept"


def test_a_kept_linear_model_says_so(kept):
    assert kept.n_iter_ == 0
    display = LearningCurveDisplay.from_estimator(kept)
    assert display.mark_.get_xdata() == [0]
    sentence = "linear model kept: training did not leave it"
    assert display.ax_.get_title() == sentence
    assert repr(display) == f"<LearningCurveDisplay: {sentence}>"


@pytest.mark.parametrize(
    ("losses", "held_out", "reason"),
    [
        ([2.0, 1.999], [2.0, 2.0, 2.0], "training did not leave it"),
        ([2.0, 1.999], [2.0, 2.2, 2.3], "no epoch was surely better"),
        ([2.0, 1.9], [2.0, 2.0, 2.0], "no epoch was surely better"),
        ([2.0, 9.0], [2.0, 5.0, 9.0], "the loss rose, lower lr"),
    ],
)
def test_a_training_that_is_stuck_is_told_from_one_that_is_no_better(losses, held_out, reason):
    display = LearningCurveDisplay(
        loss_curve=losses, validation_scores=held_out, kept_epoch=0, init="linear model"
    )
    assert repr(display) == f"<LearningCurveDisplay: linear model kept: {reason}>"


def test_folds_that_keep_the_linear_model():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = AutoencoderTransformer(1, max_epochs=2, random_state=0).fit(X)
    display = LearningCurveDisplay.from_estimator(model)
    assert display.kept_epoch == model.n_iter_
    assert len(display.validation_line_.get_xdata()) == len(model.validation_scores_)


def test_without_held_out_rows(trained):
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = AutoencoderTransformer(1, max_epochs=2, early_stopping=False, random_state=0).fit(X)
    display = LearningCurveDisplay.from_estimator(model)
    assert display.validation_line_ is None
    assert display.mark_ is None
    assert legend_of(display.ax_) == ["training"]
    assert display.ax_.get_title() == "epoch 2 kept: no rows were held out"


def test_epochs_of_earlier_fits_are_not_counted():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = AutoencoderTransformer(
        1, max_epochs=2, early_stopping=False, warm_start=True, random_state=0
    )
    display = LearningCurveDisplay.from_estimator(model.fit(X).fit(X))
    assert display.kept_epoch == 2


def test_random_weights_are_called_so():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = AutoencoderTransformer(1, init="random", max_epochs=1, random_state=0).fit(X)
    assert "random weights, held out" in legend_of(LearningCurveDisplay.from_estimator(model).ax_)


@pytest.mark.parametrize(
    ("losses", "scale"), [([6.0, 1.0], "log"), ([4.0, 1.0], "linear"), ([6.0, -1.0], "linear")]
)
def test_losses_that_fall_far_have_a_logarithmic_axis(losses, scale):
    display = LearningCurveDisplay(loss_curve=losses).plot()
    assert display.ax_.get_yscale() == scale
    assert repr(display) == "<LearningCurveDisplay: losses by epoch>"


def test_what_has_no_losses():
    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(TypeError, match=r"transformer of skae, got PCA: pass the last step"):
        LearningCurveDisplay.from_estimator(PCA().fit(X))
    with pytest.raises(NotFittedError):
        LearningCurveDisplay.from_estimator(AutoencoderTransformer())
    linear = AutoencoderTransformer(1, hidden_layer_sizes=()).fit(X)
    with pytest.raises(ValueError, match=r"closed form: set hidden_layer_sizes"):
        LearningCurveDisplay.from_estimator(linear)
