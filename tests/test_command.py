"""`python -m skae`: what it prints, computes and writes."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skorch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer
from skae._command import main

FIGURES = {
    "explained_variance",
    "log_likelihood",
    "kmeans_agreement",
    "neighbour_accuracy",
    "fit_seconds",
    "n_epochs",
}


def flower(n_rows=12, seed=0):
    """Return rows around a curve in five columns of unlike units, and a class for each.

    With 12 rows an autoencoder is PCA, and takes no time.
    """
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n_rows)
    curve = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle), angle]
    X = (np.column_stack(curve) + 0.05 * rng.normal(size=(n_rows, 5))) * [1, 10, 100, 0.1, 3]
    return X, np.where(angle < np.pi, "left", "right")


def write_flower(path, n_rows):
    """Write a CSV file with all that has to be left out, three rows among it."""
    X, side = flower(n_rows)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d", "e"])
    frame["side"] = side
    frame["sunny"] = (frame["a"] > 0).astype(object)
    frame["empty"] = None
    frame.loc[3, "a"] = None
    frame.loc[4, "b"] = np.inf
    frame.loc[5, "sunny"] = None
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def table(tmp_path):
    """Twelve rows that are whole."""
    return write_flower(tmp_path / "flower.csv", 15)


@pytest.fixture
def large_table(tmp_path):
    """Seventy-seven of them."""
    return write_flower(tmp_path / "large.csv", 80)


@pytest.fixture
def run(capsys):
    """Return a function that runs the command; it returns status, stdout and stderr."""

    def run_it(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run_it


@pytest.fixture
def record(run, tmp_path):
    """Return a function that runs the command and returns its JSON, which must be strict."""

    def record_it(*arguments):
        path = tmp_path / "record.json"
        status, _, errors = run(*arguments, "--json", path)
        assert (status, errors) == (0, "")
        return json.loads(path.read_text(), parse_constant=pytest.fail)

    return record_it


# What is printed ----------------------------------------------------------------------


def test_report(run, large_table):
    status, out, errors = run(large_table, "--target", "side", "--components", 2, 64)
    assert (status, errors) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "large.csv: 77 rows x 6 columns, target 'side' of 2 classes"
    assert lines[1].startswith("57 rows to train on, 20 held out")
    assert lines[2].startswith(f"seed 0, skae {skae.__version__}, torch ")
    assert "columns left out (empty): 'empty'" in lines
    assert "rows left out (a missing or infinite value): 3" in lines
    assert "components left out (at most 5 with 6 columns and 57 rows to train on): 64" in lines
    heading, pca, autoencoder, blank, verdict = lines[-5:]
    headings = "components model variance nats a row agreement accuracy seconds"
    assert " ".join(heading.split()) == headings
    assert (pca.split()[:2], autoencoder.split()[0]) == (["2", "PCA"], "autoencoder")
    assert len(heading) == len(pca) == len(autoencoder)
    assert blank == ""
    assert verdict.startswith("At 2 components the autoencoder leaves 0.")


def test_columns_that_are_not_numbers_are_named(run, table):
    _, out, _ = run(table, "--components", 2)
    assert "columns left out (not numbers): 'side'" in out.splitlines()
    assert "agreement" not in out  # no target, no scores of one


def test_many_names_are_cut(run, tmp_path):
    X, _ = flower()
    frame = pd.DataFrame(X).join(pd.DataFrame({f"t{n}": ["word"] * len(X) for n in range(11)}))
    frame.to_csv(tmp_path / "wide.csv", index=False)
    _, out, _ = run(tmp_path / "wide.csv", "--components", 2)
    assert "'t7' and 3 more\n" in out


def test_letters_that_the_terminal_has_not(tmp_path, monkeypatch):
    X, _ = flower()
    frame = pd.DataFrame(X).assign(Größe="groß")
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main([str(tmp_path / "t.csv"), "--components", "2"]) == 0
    out.flush()
    assert rb"'Gr\xf6\xdfe'" in out.buffer.getvalue()


def test_digits_without_a_table(run):
    status, out, _ = run("--rows", 80, "--components", 2)
    assert status == 0
    assert "digits: 80 rows x 64 columns, target 'digit' of 10 classes\n" in out
    assert "rows sampled: 80 of 1797\n" in out


def test_curve_is_worth_an_autoencoder(record, tmp_path):
    np.save(tmp_path / "flower.npy", flower(400)[0])
    verdict = record(tmp_path / "flower.npy", "--components", 2)["verdict"]
    assert verdict["unexplained_ratio"] < 0.8
    assert "use PCA" not in verdict["text"]
    assert f"leaves {verdict['unexplained_ratio']:.2f} of what PCA leaves" in verdict["text"]


def test_plane_is_not(run, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(100, 6))
    np.save(tmp_path / "plane.npy", X)
    _, out, _ = run(tmp_path / "plane.npy", "--components", 2)
    assert out.endswith("training found nothing beyond PCA; use PCA.\n")


def test_bar_is_drawn_on_terminals_only(run, table, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", terminal)
        assert main([str(table), "--components", "2"]) == 0
    assert "autoencoder, 2 components" in terminal.getvalue()
    assert run(table, "--components", 2)[2] == ""


# What is computed ---------------------------------------------------------------------


def test_figures_are_what_they_are_called(record, tmp_path):
    X, side = flower(100)
    np.savez(tmp_path / "t.npz", X=X, y=side)
    found = record(tmp_path / "t.npz", "--components", 2, "--seed", 3)
    train, test = train_test_split(np.arange(100), test_size=0.25, random_state=3)
    scaler = StandardScaler().fit(X[train])
    scaled = scaler.transform(X)
    pca = PCA(2).fit(scaled[train])
    autoencoder = AutoencoderTransformer(2, random_state=3).fit(X[train])
    rebuilt = {
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
        # scikit-learn's R2 is around the held-out mean, ours around the training one.
        r2 = r2_score(scaled[test].ravel(), rebuilt[name].ravel())
        assert figures["explained_variance"] == pytest.approx(r2, abs=0.02)
        assert figures["log_likelihood"] == pytest.approx(score[name])
        clusters = KMeans(2, n_init=10, random_state=3).fit_predict(codes[name][test])
        agreement = adjusted_mutual_info_score(side[test], clusters)
        assert figures["kmeans_agreement"] == pytest.approx(agreement)
        voters = KNeighborsClassifier(5).fit(codes[name][train], side[train])
        accuracy = voters.score(codes[name][test], side[test])
        assert figures["neighbour_accuracy"] == pytest.approx(accuracy)
        assert figures["fit_seconds"] > 0
    assert result["autoencoder"]["n_epochs"] == autoencoder.n_iter_
    left = [1 - result[name]["explained_variance"] for name in ("autoencoder", "PCA")]
    assert result["unexplained_ratio"] == pytest.approx(left[0] / left[1])


def test_record(record, large_table):
    found = record(large_table, "--target", "side", "--components", 64, 2, 2, "--rows", 60)
    assert found["table"] == {
        "name": "large.csv",
        "rows": 60,
        "columns": ["a", "b", "c", "d", "e", "sunny"],
        "columns_left_out": {"empty": "empty"},
        "rows_left_out": 3,
        "train_rows": 45,
        "test_rows": 15,
        "target": "side",
        "classes": 2,
    }
    assert found["arguments"]["components"] == [2, 64]
    assert found["arguments"]["table"] == str(large_table)
    assert found["seed"] == 0
    assert {"skae", "torch", "scikit-learn"} <= set(found["versions"])
    assert [result["n_components"] for result in found["results"]] == [2]
    assert set(found["results"][0]["PCA"]) == FIGURES
    assert found["verdict"]["n_components"] == 2


def test_seed_fixes_sample_split_and_fits(record, table, large_table):
    def figures(table, n_rows, seed):
        found = record(table, "--components", 2, "--rows", n_rows, "--seed", seed)
        for model in ("PCA", "autoencoder"):
            del found["results"][0][model]["fit_seconds"]
        return found["results"]

    assert figures(large_table, 40, 1) == figures(large_table, 40, 1)
    assert figures(table, 10, 1) != figures(table, 10, 2)


def test_more_rows_than_there_are(run, table):
    _, out, _ = run(table, "--components", 2, "--rows", 1000)
    assert "12 rows x 6 columns" in out
    assert "rows sampled: none, for --rows 1000 is more than there are" in out


def test_density_of_rows_in_a_plane(run, record, tmp_path):
    X, _ = flower()
    np.save(tmp_path / "flat.npy", np.column_stack([X[:, :2], X[:, 0] + X[:, 1], X[:, 0] * 2]))
    pca = record(tmp_path / "flat.npy", "--components", 2)["results"][0]["PCA"]
    assert pca["log_likelihood"] is None
    assert pca["explained_variance"] == pytest.approx(1)
    _, out, _ = run(tmp_path / "flat.npy", "--components", 2)
    assert out.splitlines()[-4].split()[:4] == ["2", "PCA", "1.000", "-"]
    assert out.endswith("At 2 components PCA leaves nothing unexplained; use PCA.\n")


# The target ---------------------------------------------------------------------------


def test_target_is_no_column_and_changes_nothing_else(record, tmp_path):
    X, side = flower(40)
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame.to_csv(tmp_path / "plain.csv", index=False)
    frame.assign(side=(side == "left") * 1).to_csv(tmp_path / "labelled.csv", index=False)
    plain = record(tmp_path / "plain.csv", "--components", 2)
    labelled = record(tmp_path / "labelled.csv", "--components", 2, "--target", "side")
    assert labelled["table"]["columns"] == plain["table"]["columns"]
    for name in ("PCA", "autoencoder"):
        for figure in ("explained_variance", "log_likelihood"):
            assert labelled["results"][0][name][figure] == plain["results"][0][name][figure]


def test_quantity_as_target_has_no_scores(run, table):
    status, out, _ = run(table, "--target", "e", "--components", 2)
    assert status == 0
    assert "target 'e' has 12 different values in 3 rows held out" in out
    assert "agreement" not in out


@pytest.mark.parametrize("value", ["same", None])
def test_target_without_classes_has_no_scores(run, tmp_path, value):
    pd.DataFrame(flower()[0]).assign(t=value).to_csv(tmp_path / "t.csv", index=False)
    status, out, _ = run(tmp_path / "t.csv", "--target", "t", "--components", 2)
    assert status == 0
    assert "expected 2 to 100 classes: no clustering and neighbour scores" in out


def test_rows_without_a_target_count_for_the_rest(run, tmp_path):
    X, side = flower(40)
    frame = pd.DataFrame(X).assign(side=side)
    frame.loc[:9, "side"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    _, out, _ = run(tmp_path / "t.csv", "--target", "side", "--components", 2)
    assert "40 rows x 5 columns, target 'side' of 2 classes" in out
    assert "rows without a value of target 'side', left out of its scores: 10" in out


# What is written ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
@pytest.mark.parametrize("target", ["side", "e"])
def test_plot(run, table, tmp_path, suffix, start, target):
    path = tmp_path / f"plot{suffix}"
    assert run(table, "--target", target, "--components", 3, "--plot", path)[0] == 0
    content = path.read_bytes()
    assert content.startswith(start)
    assert len(content) > 5000
    assert sorted(tmp_path.iterdir()) == [table, path]


def test_failure_to_write_leaves_the_old_file(run, table, tmp_path, monkeypatch):
    def no_room(self, target):
        raise OSError(28, "No space left on device")

    path = tmp_path / "out.json"
    path.write_text("old")
    monkeypatch.setattr(Path, "replace", no_room)
    status, out, errors = run(table, "--components", 2, "--json", path)
    assert status == 2
    assert "No space left on device" in errors
    assert "At 2 components" in out
    assert path.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [table, path]


# Ends ---------------------------------------------------------------------------------


def test_ctrl_c_in_a_fit(run, large_table, tmp_path, monkeypatch):
    def press(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        time.sleep(1)

    # Within skorch's loop, which takes a KeyboardInterrupt for a wish to train no longer.
    monkeypatch.setattr(skorch.NeuralNet, "run_single_epoch", press)
    status, out, errors = run(large_table, "--components", 2, "--json", tmp_path / "out.json")
    assert (status, out, errors) == (130, "", "python -m skae: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert sorted(tmp_path.iterdir()) == [large_table]


def test_help_and_version(capsys):
    for option, text in (("--help", "--components"), ("--version", skae.__version__)):
        with contextlib.suppress(SystemExit):
            main([option])
        assert text in capsys.readouterr().out


def test_module_runs(table, tmp_path):
    command = [sys.executable, "-m", "skae", str(table), "--components", "2"]
    path = tmp_path / "out.json"
    done = subprocess.run(
        [*command, "--json", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "At 2 components" in done.stdout
    assert json.loads(path.read_text())["table"]["rows"] == 12
