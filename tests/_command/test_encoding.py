"""The encoding that both models see."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae._command.encoding import Encoding
from skae._command.models import fit_pca

from .tables import make_flower


def make_gaps(n_rows, share=0.2, seed=0):
    """Return a frame of numbers and labels, of which a share is missing."""
    rng = np.random.default_rng(seed)
    X, side = make_flower(n_rows)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(
        side=side, town=rng.choice(list("xyz"), n_rows)
    )
    return frame.mask(rng.uniform(size=frame.shape) < share)


def test_numbers_are_standardised():
    X, _ = make_flower(40)
    frame = pd.DataFrame(X, columns=list("abcde"))
    encoding = Encoding.fit(frame[:30])
    scaled = StandardScaler().fit(X[:30]).transform(X)
    np.testing.assert_allclose(encoding.scale(frame), scaled)
    np.testing.assert_array_equal(encoding.complete(frame), encoding.scale(frame))
    assert encoding.n_dimensions == 5


def test_encoding_is_that_of_the_autoencoder():
    frame = make_gaps(60)
    encoding = Encoding.fit(frame)
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(frame)
    np.testing.assert_array_equal(encoding.scaling.mean, model.mean_)
    np.testing.assert_array_equal(encoding.scaling.scale, model.scale_)
    own = model._fitted.completion.moments
    np.testing.assert_array_equal(encoding.completion.moments.covariance, own.covariance)
    assert encoding.columns.get_state() == model._fitted.columns.get_state()


def test_numbers_as_text_are_left_to_the_report():
    prices = [f"{1000 + 7 * (row % 60):,}" for row in range(180)]
    frame = pd.DataFrame({"price": prices, "a": np.arange(180.0)})
    assert Encoding.fit(frame).kinds == {"price": "categories", "a": "numbers"}


def test_dimensions_are_those_of_complete_rows():
    frame = make_gaps(60, share=0.0)
    encoding = Encoding.fit(frame)
    assert encoding.columns.n_encoded == 10
    assert encoding.n_dimensions == np.linalg.matrix_rank(encoding.scale(frame)) == 8


def test_errors_of_all_models_are_in_the_same_units():
    frame = make_gaps(60)
    encoding = Encoding.fit(frame)
    linear = AutoencoderTransformer(3, hidden_layer_sizes=(), random_state=0).fit(frame)
    expected = linear.reconstruction_error(frame, per_cell=True)
    found = fit_pca(frame, 3, seed=0).measure_errors(frame)
    np.testing.assert_array_equal(np.isnan(found), frame.isna())
    np.testing.assert_array_equal(np.isnan(expected), frame.isna())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    squares = encoding.sum_cells(np.square(encoding.scale(frame)))
    assert np.nanmean(squares, axis=0) == pytest.approx(1)


def test_density_of_pca_is_that_of_observed_numbers():
    X, _ = make_flower(60)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = fit_pca(frame, 2, seed=0)
    whole = frame[:3].copy()
    rows = whole.copy()
    rows.loc[0, ["b", "c", "d", "e"]] = None
    rows.loc[1, "a"] = None
    one, four, five = model.score_samples(rows)
    assert five == pytest.approx(model.score_samples(whole)[2])
    # The integral over what is hidden, on a grid.
    steps = np.linspace(-8, 8, 4001) * X[:, 0].std() + X[:, 0].mean()
    grid = pd.concat([whole[1:2]] * len(steps), ignore_index=True).assign(a=steps)
    width = steps[1] - steps[0]
    assert four == pytest.approx(np.log(np.exp(model.score_samples(grid)).sum() * width))
    grid = pd.DataFrame({"a": steps}).reindex(columns=list("abcde"))
    assert np.exp(model.score_samples(grid)).sum() * width == pytest.approx(1)
    assert one < np.exp(model.score_samples(grid)).max()


def test_labels_have_no_density_in_pca():
    frame = make_gaps(40)
    assert fit_pca(frame, 2, seed=0).score_samples(frame) is None
    assert fit_pca(frame[list("abcde")], 2, seed=0).score_samples(frame[list("abcde")]) is not None
