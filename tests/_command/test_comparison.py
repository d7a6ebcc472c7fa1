"""What the command computes."""

import io
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae._command.main import main

from .tables import make_flower


def blur(values, n_classes):
    """Return classes of neighbouring values, a third of them at random."""
    rng = np.random.default_rng(0)
    ranks = np.argsort(np.argsort(values))
    classes = ranks * n_classes // len(values)
    return np.where(rng.uniform(size=len(values)) < 1 / 3, rng.permutation(classes), classes)


def test_figures_are_what_they_are_called(record, tmp_path):
    X, _ = make_flower(100)
    y = blur(X[:, 4], 5)
    np.savez(tmp_path / "t.npz", X=X, y=y)
    found = record(tmp_path / "t.npz", "--components", 2, "--seed", 3)
    train, test = train_test_split(np.arange(100), test_size=0.25, random_state=3)
    scaler = StandardScaler().fit(X[train])
    scaled = scaler.transform(X)
    pca = PCA(2).fit(scaled[train])
    autoencoder = AutoencoderTransformer(2, prior="gaussian", random_state=3).fit(X[train])
    reconstruction = {
        "PCA": pca.inverse_transform(pca.transform(scaled[test])),
        "autoencoder": scaler.transform(autoencoder.reconstruct(X[test])),
    }
    codes = {"PCA": pca.transform(scaled), "autoencoder": autoencoder.transform(X)}
    score = {
        "PCA": pca.score(scaled[test]) - np.log(scaler.scale_).sum(),
        "autoencoder": autoencoder.score(X[test]),
    }
    (result,) = found["results"]
    for name in ("PCA", "autoencoder"):
        figures = result[name]
        unexplained = np.square(scaled[test] - reconstruction[name]).sum()
        share = 1 - unexplained / np.square(scaled[test]).sum()
        assert figures["explained_variance"] == pytest.approx(share)
        # R2 is around the held-out rows' mean, this share around the training rows'.
        r2 = r2_score(scaled[test].ravel(), reconstruction[name].ravel())
        assert figures["explained_variance"] == pytest.approx(r2, abs=0.02)
        assert figures["log_likelihood"] == pytest.approx(score[name])
        clusters = KMeans(5, n_init=10, random_state=3).fit_predict(codes[name][test])
        agreement = adjusted_mutual_info_score(y[test], clusters)
        assert figures["kmeans_agreement"] == pytest.approx(agreement)
        classifier = KNeighborsClassifier(5).fit(codes[name][train], y[train])
        accuracy = classifier.score(codes[name][test], y[test])
        assert figures["neighbour_accuracy"] == pytest.approx(accuracy)
        assert figures["fit_seconds"] > 0
    assert result["PCA"]["n_epochs"] == 0
    assert result["autoencoder"]["n_epochs"] == autoencoder.n_iter_
    left = [1 - result[name]["explained_variance"] for name in ("autoencoder", "PCA")]
    assert result["unexplained_ratio"] == pytest.approx(left[0] / left[1])


def test_seed_fixes_sample_split_and_fits(results, table, large_table):
    def run(table, n_rows, seed):
        return results(table, "--components", 2, "--rows", n_rows, "--seed", seed)

    assert run(large_table, 40, 1) == run(large_table, 40, 1)
    assert run(table, 10, 1) != run(table, 10, 2)


def test_density_of_rows_in_a_plane(report, record, tmp_path):
    X, _ = make_flower()
    np.save(tmp_path / "flat.npy", np.column_stack([X[:, :2], X[:, 0] + X[:, 1], X[:, 0] * 2]))
    pca = record(tmp_path / "flat.npy", "--components", 2)["results"][0]["PCA"]
    assert pca["log_likelihood"] is None
    assert pca["explained_variance"] == pytest.approx(1)
    out = report(tmp_path / "flat.npy", "--components", 2)
    assert out.splitlines()[-5].split()[:4] == ["2", "PCA", "1.000", "-"]
    assert out.endswith("PCA with 2 components explains all of the variance.\n")


def test_held_out_rows_without_variance(record, tmp_path):
    X = np.zeros((16, 4))
    train, _ = train_test_split(np.arange(16), test_size=0.25, random_state=0)
    X[train[:6]] = np.random.default_rng(0).integers(1, 9, size=(6, 4))
    X[train[6:]] = -X[train[:6]]  # the mean is that of the held-out rows, exactly
    np.save(tmp_path / "t.npy", X)
    found = record(tmp_path / "t.npy", "--components", 2)
    assert found["results"][0]["PCA"]["explained_variance"] is None


# Numbers of components ----------------------------------------------------------------


def test_too_many_components_are_left_out(record, table):
    found = record(table, "--components", 64, 6, 7, 2, 2)
    assert [result["n_components"] for result in found["results"]] == [2, 6]
    note = "components left out (at most 6 with 7 columns and 9 rows to train on): 7, 64"
    assert note in found["notes"]


def test_components_of_a_share_are_those_of_pca(record, tmp_path):
    X = np.random.default_rng(0).normal(size=(80, 5)) * [10.0, 5.0, 1.0, 1.0, 1.0]
    X[:, 1] += X[:, 0]
    np.save(tmp_path / "t.npy", X)
    found = record(tmp_path / "t.npy", "--components", 0.5, 1)
    train, _ = train_test_split(X, test_size=0.25, random_state=0)
    expected = int(PCA(0.5).fit(StandardScaler().fit_transform(train)).n_components_)
    assert expected > 1
    assert [result["n_components"] for result in found["results"]] == [1, expected]
    assert f"components for 0.5 of the variance: {expected}" in found["notes"]


def test_components_are_at_most_the_columns_less_one(refuse, table):
    assert (
        "--components must be at most 6 (flower.csv has 7 columns and 9 training rows), got 7 40"
    ) in refuse(table, "--components", 40, 7)


def test_components_are_at_most_the_training_rows_less_one(refuse, report, tmp_path):
    np.save(tmp_path / "t.npy", np.random.default_rng(0).normal(size=(8, 20)))
    report(tmp_path / "t.npy", "--components", 5)
    line = refuse(tmp_path / "t.npy", "--components", 6)
    assert "--components must be at most 5 (t.npy has 20 columns and 6 training rows)" in line


@pytest.mark.parametrize("names", [["a", "b"], ["a", "label"]])
def test_a_table_of_two_columns_is_compared_with_one_component(record, refuse, tmp_path, names):
    a = np.random.default_rng(0).normal(size=40)
    frame = pd.DataFrame({"a": a, "b": a**2, "label": np.where(a > 0, "up", "down")})
    frame[names].to_csv(tmp_path / "t.csv", index=False)
    found = record(tmp_path / "t.csv", "--rows", 40)
    assert [result["n_components"] for result in found["results"]] == [1]
    shape = "2 columns and 30 rows to train on"
    assert f"components left out (at most 1 with {shape}): 2, 4, 8, 16" in found["notes"]
    assert "--components must be at most 1" in refuse(tmp_path / "t.csv", "--components", 2)


def test_a_word_among_numbers_leaves_no_dimensions_to_compare(refuse, tmp_path):
    cells = [f"{number / 7},{number * 3 % 11}\n" for number in range(40)]
    cells[5] = "oops,2\n"
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(cells))
    line = refuse(tmp_path / "t.csv")
    assert "t.csv must have two dimensions and two training rows at least, got 2 columns" in line
    assert "a column of numbers with a single word in it is text" in line


def test_constant_table(refuse, tmp_path):
    (tmp_path / "same.csv").write_text("a,b\n" + "1,2\n" * 9)
    line = refuse(tmp_path / "same.csv", "--components", 1)
    assert "same.csv must have a column that varies, got 2 columns of a single value" in line
    assert "in all 6 training rows; choose another table" in line


def test_constant_column_beside_others(report, tmp_path):
    np.save(tmp_path / "t.npy", np.column_stack([make_flower()[0], np.ones(12)]))
    assert "12 rows x 6 columns" in report(tmp_path / "t.npy", "--components", 2)


# The target's classes -----------------------------------------------------------------


def test_quantity_as_target_has_no_scores(report, table):
    out = report(table, "--target", "e", "--components", 2)
    assert "target 'e' has 12 different values in 3 rows held out, expected two rows a class" in out
    assert "agreement" not in out


@pytest.mark.parametrize(("value", "n_values"), [("same", 1), (None, 0)])
def test_target_without_classes_has_no_scores(report, tmp_path, value, n_values):
    pd.DataFrame(make_flower()[0]).assign(t=value).to_csv(tmp_path / "t.csv", index=False)
    out = report(tmp_path / "t.csv", "--target", "t", "--components", 2)
    assert f"target 't' has {n_values} different values, expected 2 to 100 classes" in out
    assert "agreement" not in out


@pytest.mark.parametrize(("n_classes", "has_scores"), [(100, True), (101, False)])
def test_most_classes(report, tmp_path, n_classes, has_scores):
    y = np.arange(1000) % n_classes
    np.savez(tmp_path / "t.npz", X=np.random.default_rng(0).normal(size=(1000, 2)), y=y)
    out = report(tmp_path / "t.npz", "--components", 1)
    assert ("agreement" in out) == has_scores
    assert (f"has {n_classes} different values, expected 2 to 100 classes" in out) != has_scores


@pytest.mark.parametrize(("n_classes", "has_scores"), [(2, True), (3, False)])
def test_fewest_held_out_rows(report, tmp_path, n_classes, has_scores):
    X, _ = make_flower(16)  # four are held out
    np.savez(tmp_path / "t.npz", X=X, y=np.arange(16) % n_classes)
    out = report(tmp_path / "t.npz", "--components", 2)
    assert ("agreement" in out) == has_scores
    assert ("expected two rows a class or more: no clustering" in out) != has_scores


def test_rows_without_a_class_count_for_the_rest(report, record, tmp_path):
    X, _ = make_flower(40)
    side = blur(X[:, 4], 2)
    frame = pd.DataFrame(X).assign(side=side)
    frame.loc[:19, "side"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = report(tmp_path / "t.csv", "--target", "side", "--components", 2)
    assert "40 rows x 5 columns, target 'side' of 2 classes" in out
    assert "rows without a value of target 'side', left out of its scores: 20" in out
    (found,) = record(tmp_path / "t.csv", "--target", "side", "--components", 2)["results"]
    train, test = train_test_split(np.arange(40), test_size=0.25, random_state=0)
    scaler = StandardScaler().fit(X[train])
    codes = PCA(2).fit(scaler.transform(X[train])).transform(scaler.transform(X))
    train, test = train[train > 19], test[test > 19]
    accuracy = KNeighborsClassifier(5).fit(codes[train], side[train]).score(codes[test], side[test])
    assert found["PCA"]["neighbour_accuracy"] == pytest.approx(accuracy)
    clusters = KMeans(2, n_init=10, random_state=0).fit_predict(codes[test])
    agreement = adjusted_mutual_info_score(side[test], clusters)
    assert found["PCA"]["kmeans_agreement"] == pytest.approx(agreement)


def test_few_training_rows_with_a_class(results, report, tmp_path):
    X, side = make_flower(40)
    train, _ = train_test_split(np.arange(40), test_size=0.25, random_state=0)
    frame = pd.DataFrame(X).assign(side=side)
    frame.loc[train[3:], "side"] = None  # fewer than five neighbours
    frame.to_csv(tmp_path / "t.csv", index=False)
    (found,) = results(tmp_path / "t.csv", "--target", "side", "--components", 2)
    assert 0 <= found["PCA"]["neighbour_accuracy"] <= 1
    frame.loc[train, "side"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = report(tmp_path / "t.csv", "--target", "side", "--components", 2)
    assert "target 'side' has no value in rows to train on: no clustering" in out


def test_fewer_different_codes_than_classes(results, tmp_path):
    X = np.arange(40)[:, np.newaxis] % 2 * [1.0, 2.0, 3.0]
    np.savez(tmp_path / "t.npz", X=X, y=np.arange(40) % 3)
    (found,) = results(tmp_path / "t.npz", "--components", 1)  # KMeans would warn
    assert found["PCA"]["kmeans_agreement"] < 0.5


# The progress bar ---------------------------------------------------------------------


def test_bar_is_drawn_on_terminals_only(report, table, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", terminal)
        assert main([str(table), "--components", "2", "3"]) == 0
    for step in ("reading the table", "loading", "PCA, 2 components", "autoencoder, 3 components"):
        assert step in terminal.getvalue()
    assert terminal.getvalue().split("\r")[-2:] == [" " * 79, ""]  # nothing is left
    report(table, "--components", 2)  # which asserts that stderr stays empty
