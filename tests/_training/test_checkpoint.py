"""Fits that are stopped go on from their checkpoint, and end as if they had not been."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae._data import stores
from skae._training import checkpoint as module
from skae._training.checkpoint_file import CheckpointFile

from ..resumption import FITS, are_equal, describe_result, fit_quietly, make_fit, make_rows

SMALL = {
    "hidden_layer_sizes": (4,),
    "max_epochs": 3,
    "init": "random",
    "early_stopping": False,
    "random_state": 0,
}


class Stop(Exception):
    """What stops a fit, as a kill would."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.ckpt"


@pytest.fixture
def writes_often(monkeypatch):
    """A write after each epoch."""
    monkeypatch.setattr(module, "_LEAST_PAUSE", 0.0)
    monkeypatch.setattr(module, "_PAUSE_PER_WRITE", 0.0)


class Writes:
    """Counts the writes of a checkpoint, and stops the fit after one of them."""

    def __init__(self, monkeypatch):
        self.n, self.stop_at = 0, None
        write = CheckpointFile.write

        def counted(file, value):
            write(file, value)
            self.n += 1
            if self.n == self.stop_at:
                raise Stop

        monkeypatch.setattr(CheckpointFile, "write", counted)

    def stop_after(self, n):
        self.n, self.stop_at = 0, n


@pytest.fixture
def writes(monkeypatch, writes_often):
    return Writes(monkeypatch)


# Going on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FITS if name != "a seed of its own"])
def test_a_fit_goes_on_from_each_of_its_writes(name, path, writes):
    """Stopped after each in turn."""
    estimator, X = make_fit(name)
    is_drawn = name == "detector of codes"  # whose random state is drawn, and stored
    expected = None if is_drawn else describe_result(fit_quietly(estimator, X), X)
    writes.stop_after(None)
    whole, _ = make_fit(name, checkpoint=path)
    result = describe_result(fit_quietly(whole, X), X)
    assert is_drawn or are_equal(unset(result), unset(expected))
    assert not os.listdir(path.parent)
    n_writes = writes.n
    assert n_writes >= 3
    # With folds after every third, which comes by each epoch of a fold of four writes.
    for n in range(1, n_writes + 1, 1 if n_writes < 15 else 3):
        writes.stop_after(n)
        stopped, _ = make_fit(name, checkpoint=path)
        with pytest.raises(Stop):
            fit_quietly(stopped, X)
        assert os.listdir(path.parent) == [path.name]
        writes.stop_after(None)
        resumed, _ = make_fit(name, checkpoint=path)
        result = describe_result(fit_quietly(resumed, X), X)
        assert is_drawn or are_equal(unset(result), unset(expected))
        assert not os.listdir(path.parent)
        # As many writes as were left, and one at the start.
        assert writes.n == n_writes - n + 1


def unset(result):
    """A result without the one parameter that differs."""
    return {name: value for name, value in result.items() if name != "params"}


def test_without_a_seed_that_of_the_checkpoint_is_taken(path, writes):
    estimator, X = make_fit("a seed of its own", checkpoint=path)
    writes.stop_after(2)
    seeds = []
    with pytest.raises(Stop):
        fit_quietly(estimator, X)
    seeds.append(CheckpointFile(path).read()["seed"])
    writes.stop_after(1)
    with pytest.raises(Stop):
        fit_quietly(estimator, X)
    seeds.append(CheckpointFile(path).read()["seed"])
    assert seeds[0] == seeds[1]
    writes.stop_after(None)
    resumed = describe_result(fit_quietly(estimator, X), X)
    seeded, _ = make_fit("a seed of its own", random_state=seeds[0])
    assert are_equal(resumed, describe_result(fit_quietly(seeded, X), X))
    other = describe_result(fit_quietly(estimator, X), X)
    assert not are_equal(resumed, other)


def test_a_detector_without_a_seed_takes_that_of_its_checkpoint(path, writes):
    detector, X = make_fit("detector of codes", checkpoint=path)
    writes.stop_after(3)
    with pytest.raises(Stop):
        fit_quietly(detector, X)
    seed = CheckpointFile(path).read()["seed"]
    writes.stop_after(None)
    resumed = unset(describe_result(fit_quietly(detector, X), X))
    seeded, _ = make_fit("detector of codes", random_state=seed)
    assert are_equal(resumed, unset(describe_result(fit_quietly(seeded, X), X)))


def test_a_detector_that_is_killed_as_it_calibrates_does_not_train_again(
    curve, path, writes, monkeypatch
):
    from skae._detection import detector as detection

    ours = AEAnomalyDetector(DenoisingAutoencoder(None, **SMALL), random_state=0)
    expected = clone(ours).fit(curve).score_samples(curve)

    def fail(*args):
        raise Stop

    stopped = clone(ours).set_params(checkpoint=path)
    with monkeypatch.context() as patch:
        patch.setattr(detection, "_score_rows", fail)
        with pytest.raises(Stop):
            stopped.fit(curve)
    assert path.exists()
    writes.stop_after(None)
    writes.n = 0
    np.testing.assert_array_equal(stopped.fit(curve).score_samples(curve), expected)
    assert writes.n == 1  # at the start: nothing was trained


@pytest.mark.parametrize("n_rows", [60, 600])
@pytest.mark.parametrize("raises", [Stop, KeyboardInterrupt])
def test_a_fit_goes_on_from_each_step(path, writes_often, n_rows, raises):
    """Whatever stops it: an error reaches the caller, Ctrl-C ends the training."""

    class Press(Callback):
        def __init__(self, n_left=-1):
            self.n_left = n_left

        def on_batch_end(self, net, training, **kwargs):
            self.n_left -= training
            if self.n_left == 0:
                raise raises

    X = make_rows(n_rows)
    ours = AutoencoderTransformer(
        2, callbacks=[Press()], **{**SMALL, "early_stopping": True, "batch_size": 250}
    )
    expected = describe_result(clone(ours).fit(X), X)
    n_steps = 3 * (1 if n_rows == 60 else 3)  # that callbacks see
    for n in range(1, n_steps + 1):
        stopped = clone(ours).set_params(checkpoint=path, callbacks=[Press(n)])
        if raises is Stop:
            with pytest.raises(Stop):
                stopped.fit(X)
        else:
            with pytest.warns(ConvergenceWarning, match="was interrupted"):
                stopped.fit(X)
        assert path.exists()
        resumed = clone(ours).set_params(checkpoint=path)
        assert are_equal(describe_result(resumed.fit(X), X), expected)
        assert not os.listdir(path.parent)


class Press(torch.optim.Adam):
    """Raise at a step, counted over all trainings."""

    n_left, raises = -1, KeyboardInterrupt

    def step(self, closure=None):
        Press.n_left -= 1
        if Press.n_left == 0:
            raise Press.raises
        return super().step(closure)


FOLDS = AutoencoderTransformer(2, **{**SMALL, "early_stopping": True, "optimizer": Press})


def test_ctrl_c_in_a_fold_leaves_the_folds_before(path, writes_often):
    X = make_rows(60)
    expected = describe_result(clone(FOLDS).fit(X), X)
    stopped = clone(FOLDS).set_params(checkpoint=path)
    Press.n_left, Press.raises = 5, KeyboardInterrupt  # of three steps a fold
    with pytest.raises(KeyboardInterrupt):  # random weights are no result
        stopped.fit(X)
    trainings = CheckpointFile(path).read()["trainings"]
    assert [each["is_finished"] for each in trainings] == [True, False]
    assert len(trainings[1]["history"]) == 1
    assert are_equal(describe_result(stopped.fit(X), X), expected)


@pytest.mark.parametrize("raises", [KeyboardInterrupt, Stop])
def test_folds_that_are_done_are_written_as_a_fit_is_stopped(path, raises):
    """However short the time since the last write."""
    X = make_rows(60)
    expected = describe_result(clone(FOLDS).fit(X), X)
    stopped = clone(FOLDS).set_params(checkpoint=path)
    Press.n_left, Press.raises = 8, raises
    with pytest.raises(raises):
        stopped.fit(X)
    trainings = CheckpointFile(path).read()["trainings"]
    assert [each["is_finished"] for each in trainings] == [True, True]
    assert are_equal(describe_result(clone(FOLDS).set_params(checkpoint=path).fit(X), X), expected)


def test_skorchs_early_stopping_ends_a_fit_as_planned(path):
    ours, X = make_fit("stopped early", checkpoint=path)
    fit_quietly(ours, X)
    assert len(ours.loss_curve_) == 2
    assert not path.exists()


@pytest.mark.parametrize("is_stored", [False, True], ids=["loaded", "stored"])
@pytest.mark.parametrize("form", ["array", "frame"])
def test_fits_on_dask_collections_go_on(path, writes, monkeypatch, form, is_stored):
    da = pytest.importorskip("dask.array", reason="dask is not installed")
    dd = pytest.importorskip("dask.dataframe", reason="dask is not installed")
    X = make_rows(600)
    if is_stored:
        monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
        monkeypatch.setattr(stores, "_LOADED_ROWS", 100)
    if form == "array":
        lazy = da.from_array(X, chunks=(250, 3))
    else:
        frame = pd.DataFrame(X, columns=list("abcdef")).assign(g=np.where(X[:, 0] > 0, "u", "v"))
        lazy, X = dd.from_pandas(frame, npartitions=3), frame
    ours = AutoencoderTransformer(2, **{**SMALL, "early_stopping": True, "batch_size": 100})
    expected = describe_result(clone(ours).fit(lazy), X)
    leave_checkpoint(ours, lazy, path, writes, n=3)
    assert path.exists()
    other = lazy[:500] if form == "array" else dd.from_pandas(X[:500], npartitions=1)
    with pytest.raises(ValueError, match=r"differs in .*X"):
        clone(ours).set_params(checkpoint=path).fit(other)
    found = describe_result(clone(ours).set_params(checkpoint=path).fit(lazy), X)
    pd.testing.assert_frame_equal(*(pd.DataFrame(each.pop("output")) for each in (found, expected)))
    assert are_equal(found, expected)
    assert not path.exists()


# Other fits -------------------------------------------------------------------------------


def leave_checkpoint(ours, X, path, writes, sample_weight=None, n=2):
    writes.stop_after(n)
    with pytest.raises(Stop):
        clone(ours).set_params(checkpoint=path).fit(X, sample_weight=sample_weight)
    writes.stop_after(None)


OURS = AutoencoderTransformer(2, **SMALL)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n_components": 3}, r"differs in n_components \(2 there, 3 here\): choose another path"),
        ({"random_state": 1}, r"random_state \(0 there, 1 here\)"),
        ({"random_state": None}, r"random_state \(0 there, null here\)"),
        ({"random_state": np.random.RandomState(0)}, "differs in random_state:"),
        ({"hidden_layer_sizes": (5,)}, r"hidden_layer_sizes \(\[4\] there, \[5\] here\)"),
        ({"optimizer": "sgd"}, r'optimizer \("auto" there, "sgd" here\)'),
        ({"lr": 0.5, "dropout": 0.1}, "dropout .*, lr "),
        ({"callbacks": [Callback()]}, "differs in callbacks"),
    ],
)
def test_other_parameters_are_another_fit(curve, path, writes, changed, message):
    leave_checkpoint(OURS, curve, path, writes)
    before = path.read_bytes()
    other = clone(OURS).set_params(checkpoint=path, **changed)
    with pytest.raises(ValueError, match=message):
        other.fit(curve)
    assert path.read_bytes() == before
    assert not hasattr(other, "module_")


@pytest.mark.parametrize("changed", ["a cell", "a row", "a weight", "a type"])
def test_another_table_is_another_fit(curve, path, writes, changed):
    weight = np.arange(len(curve)) % 3 + 1.0
    leave_checkpoint(OURS, curve, path, writes, weight)
    X, w = curve.copy(), weight.copy()
    if changed == "a cell":
        X[3, 3] += 1e-9
    elif changed == "a row":
        X, w = X[:-1], w[:-1]
    elif changed == "a weight":
        w[3] += 1
    else:
        X = X.astype(np.float32)
    with pytest.raises(ValueError, match=r"differs in .*(X|sample_weight)"):
        clone(OURS).set_params(checkpoint=path).fit(X, sample_weight=w)


def test_other_targets_are_another_fit(curve, path, writes):
    ours = DenoisingAutoencoder(2, checkpoint=path, **SMALL)
    writes.stop_after(2)
    with pytest.raises(Stop):
        ours.fit(curve + 0.1, curve)
    with pytest.raises(ValueError, match="differs in the target"):
        ours.fit(curve + 0.1, curve * 2)


def test_another_version_is_another_fit(curve, path, writes, monkeypatch):
    from skae._base import fingerprint

    leave_checkpoint(OURS, curve, path, writes)
    monkeypatch.setattr(fingerprint, "version", lambda name: "99")
    with pytest.raises(ValueError, match=r"the version of torch \(.* there, \"?99\"? here\)"):
        clone(OURS).set_params(checkpoint=path).fit(curve)


def test_what_is_shown_makes_no_other_fit(curve, path, writes, capsys):
    leave_checkpoint(OURS, curve, path, writes)
    clone(OURS).set_params(checkpoint=path, verbose=1).fit(curve)
    assert not path.exists()
    assert "epoch 3/3" in capsys.readouterr().out


def test_another_class_is_another_fit(curve, path, writes):
    leave_checkpoint(OURS, curve, path, writes)
    with pytest.raises(ValueError, match="is of another fit, which differs in"):
        VAETransformer(2, checkpoint=path, **SMALL).fit(curve)


def test_a_warm_start_goes_on_from_the_network_that_it_began_with(curve, path, writes):
    first = clone(OURS).set_params(warm_start=True).fit(curve)
    kept = first.__getstate__()
    expected = describe_result(first.fit(curve), curve)

    def load():
        loaded = clone(OURS)
        loaded.__setstate__(kept)
        return loaded.set_params(checkpoint=path)

    stopped = load()
    writes.stop_after(3)
    with pytest.raises(Stop):
        stopped.fit(curve)
    writes.stop_after(None)
    with pytest.raises(ValueError, match="the network that warm_start continues"):
        clone(OURS).set_params(warm_start=True, checkpoint=path).fit(curve)
    assert are_equal(describe_result(stopped.fit(curve), curve), expected)


# Files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [OURS, AEAnomalyDetector(OURS)])
@pytest.mark.parametrize("kind", ["text", "empty", "cut", "flipped", "folder", "no folder"])
def test_a_file_that_is_no_checkpoint_is_left_alone(curve, path, writes, kind, estimator):
    if kind in ("cut", "flipped"):
        leave_checkpoint(estimator, curve, path, writes)
        stored = bytearray(path.read_bytes())
        if kind == "cut":
            del stored[-10:]
        else:
            stored[len(stored) // 2] ^= 1
        path.write_bytes(stored)
    elif kind == "folder":
        path.mkdir()
    elif kind == "no folder":
        path = path / "deeper" / "a.ckpt"
    else:
        path.write_text("my thesis" if kind == "text" else "")
    before = path.read_bytes() if path.is_file() else None
    ours = clone(estimator).set_params(checkpoint=path)
    error, message = {
        "cut": (ValueError, "is damaged or cut off: delete the file to begin anew, or choose"),
        "flipped": (ValueError, "is damaged or cut off"),
        "folder": (OSError, "cannot be read .*: choose another path"),
        "no folder": (OSError, "cannot be written .*: choose another path"),
    }.get(kind, (ValueError, "a file of another kind: choose another path"))
    trained = []

    class Watch(Callback):
        def on_train_begin(self, net, **kwargs):
            trained.append(net)

    if kind not in ("cut", "flipped"):  # whose fit has no callbacks
        inner = "estimator__callbacks" if isinstance(ours, AEAnomalyDetector) else "callbacks"
        ours.set_params(**{inner: [Watch()]})
    with pytest.raises(error, match=message):
        ours.fit(curve)
    assert not trained
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_full_disk_warns_once_and_the_fit_goes_on(curve, path, writes_often, monkeypatch, where):
    expected = clone(OURS).fit(curve).transform(curve)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    class Fill(Callback):
        def on_train_begin(self, net, **kwargs):
            if where == "write":
                monkeypatch.setattr(Path, "open", full)
            else:
                monkeypatch.setattr(os, where, full)

        def on_train_end(self, net, **kwargs):
            monkeypatch.undo()

    ours = clone(OURS).set_params(checkpoint=path, callbacks=[Fill()])
    with pytest.warns(UserWarning, match="could not be written: .*No space left") as warned:
        ours.fit(curve)
    assert len(warned) == 1
    np.testing.assert_array_equal(ours.transform(curve), expected)
    assert not os.listdir(path.parent)


def test_an_optimizer_that_cannot_be_stored_warns_once(curve, path, writes_often):
    class Odd(torch.optim.SGD):
        def state_dict(self):
            return {**super().state_dict(), "odd": object()}

    ours = clone(OURS).set_params(checkpoint=path, optimizer=Odd)
    with pytest.warns(UserWarning, match="the state of Odd is not of tensors") as warned:
        ours.fit(curve)
    assert len(warned) == 1
    assert not path.exists()


def test_a_stored_table_goes_on_too(path, writes, monkeypatch):
    """Its rows are shuffled in a buffer, epoch by epoch."""
    monkeypatch.setattr(stores, "LOADED_UP_TO", 1000)
    X = make_rows(600)
    ours = clone(OURS).set_params(early_stopping=True, batch_size=50)
    expected = describe_result(clone(ours).fit(X), X)
    for n in (2, 3, 4):
        leave_checkpoint(ours, X, path, writes, n=n)
        resumed = clone(ours).set_params(checkpoint=path)
        assert are_equal(describe_result(resumed.fit(X), X), expected)


def test_a_folder_that_vanishes_warns_once_and_the_fit_goes_on(curve, tmp_path, writes_often):
    folder = tmp_path / "scratch"
    folder.mkdir()

    class Vanish(Callback):
        def on_train_begin(self, net, **kwargs):
            (folder / "a.ckpt").unlink()
            folder.rmdir()

    ours = clone(OURS).set_params(checkpoint=folder / "a.ckpt", callbacks=[Vanish()])
    with pytest.warns(UserWarning, match="could not be written") as warned:
        ours.fit(curve)
    assert len(warned) == 1
    assert ours.n_iter_ == 3


def test_what_a_killed_write_leaves_is_cleared(curve, path, writes, monkeypatch):
    leave_checkpoint(OURS, curve, path, writes)
    file = CheckpointFile(path)
    file.read()
    part = file._part_of(file.predecessor)
    part.write_bytes(b"half")
    clone(OURS).set_params(checkpoint=path).fit(curve)
    assert not os.listdir(path.parent)


def test_a_file_keeps_its_mode(path):
    file = CheckpointFile(path)
    file.write({})
    path.chmod(0o600)
    file.write({})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_fits_at_once_do_not_mix(curve, path, writes_often):
    """The second, with other parameters, is refused; an equal one may take over."""
    inside, go_on = threading.Event(), threading.Event()

    class Wait(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                inside.set()
                go_on.wait(30)

    first = clone(OURS).set_params(checkpoint=path, callbacks=[Wait()])
    thread = threading.Thread(target=first.fit, args=(curve,))
    thread.start()
    inside.wait(30)
    with pytest.raises(ValueError, match="is of another fit"):
        clone(OURS).set_params(checkpoint=path, n_components=3).fit(curve)
    go_on.set()
    thread.join()
    expected = clone(OURS).fit(curve).transform(curve)
    np.testing.assert_array_equal(first.transform(curve), expected)
    assert not path.exists()


@pytest.mark.filterwarnings("ignore:.*another fit has written to it")  # in a thread of its own
def test_of_two_equal_fits_at_once_one_has_the_file(curve, path, writes_often):
    class Again(Callback):
        """Fit an equal estimator in the midst of a fit."""

        is_outer = True
        result = None

        def on_epoch_end(self, net, **kwargs):
            if Again.is_outer and len(net.history) == 2:
                Again.is_outer = False
                again = clone(OURS).set_params(checkpoint=path, callbacks=[Again()])
                self.stopped = again.set_params(callbacks=[Again(), Halt()])
                with pytest.raises(ValueError, match="differs in callbacks"):
                    self.stopped.fit(curve)
                Again.result = again.set_params(callbacks=[Again()]).fit(curve).transform(curve)

    class Halt(Callback):
        pass

    outer = clone(OURS).set_params(checkpoint=path, callbacks=[Again()])
    outer.fit(curve)
    expected = clone(OURS).fit(curve).transform(curve)
    np.testing.assert_array_equal(outer.transform(curve), expected)
    np.testing.assert_array_equal(Again.result, expected)
    assert not os.listdir(path.parent)


def test_a_fit_whose_file_is_replaced_by_another_goes_on_without(curve, path, writes_often):
    class Replace(Callback):
        def on_train_begin(self, net, **kwargs):
            path.write_text("somebody else's")

    ours = clone(OURS).set_params(checkpoint=path, callbacks=[Replace()])
    with pytest.warns(UserWarning, match="another fit has written to it") as warned:
        ours.fit(curve)
    assert len(warned) == 1
    assert path.read_text() == "somebody else's"


def test_a_file_that_another_put_in_place_at_the_end_is_not_removed(curve, path):
    class Replace(Callback):
        def on_train_end(self, net, **kwargs):
            path.write_text("somebody else's")

    clone(OURS).set_params(checkpoint=path, callbacks=[Replace()]).fit(curve)
    assert path.read_text() == "somebody else's"


# What it costs, and what it leaves alone ---------------------------------------------------


def test_writes_are_rare(curve, path, monkeypatch):
    """With the real pauses, a short fit writes once: at the start."""
    writes = Writes(monkeypatch)
    clone(OURS).set_params(checkpoint=path).fit(curve)
    assert writes.n == 1


def test_a_write_that_takes_long_is_followed_by_a_long_pause(curve, path, monkeypatch):
    """A fiftieth of the time goes into writing."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    writes = Writes(monkeypatch)
    write = CheckpointFile.write

    def slow(file, value):
        write(file, value)
        now[0] += 4.0  # seconds

    monkeypatch.setattr(CheckpointFile, "write", slow)

    class Tick(Callback):
        def on_epoch_end(self, net, **kwargs):
            now[0] += 10.0

    ours = clone(OURS).set_params(checkpoint=path, callbacks=[Tick()], max_epochs=100)
    ours.fit(curve)
    assert writes.n == 1 + 100 // 20  # the pause of 200 s lasts 20 epochs


def test_without_a_checkpoint_there_is_nothing_of_it(curve):
    ours = clone(OURS).fit(curve)
    assert not [name for name, _ in ours.net_.callbacks_ if "Checkpoint" in name]


def test_the_net_of_a_fit_has_let_go_of_the_checkpoint(curve, path, writes_often):
    ours = clone(OURS).set_params(checkpoint=path).fit(curve)
    (writer,) = [c for name, c in ours.net_.callbacks_ if "Checkpoint" in name]
    assert writer.checkpoint is None
    assert writer.state is None


def test_a_stream_has_no_use_for_it(curve, path):
    clone(OURS).set_params(checkpoint=path).partial_fit(curve)
    assert not path.exists()


@pytest.mark.parametrize("form", [str, Path])
def test_paths_come_in_any_form(curve, path, writes, form):
    leave_checkpoint(OURS, curve, form(path), writes)
    link = path.with_name("link")
    link.symlink_to(path)
    clone(OURS).set_params(checkpoint=form(link)).fit(curve)
    assert not path.exists()
    assert link.is_symlink()


def test_a_linear_model_leaves_no_file(curve, path):
    AutoencoderTransformer(2, hidden_layer_sizes=(), checkpoint=path).fit(curve)
    assert not os.listdir(path.parent)


def test_detectors_of_others_have_no_checkpoint(curve, path):
    from sklearn.ensemble import IsolationForest

    with pytest.raises(ValueError, match=r"not one of skae's, got .* with IsolationForest"):
        AEAnomalyDetector(IsolationForest(), checkpoint=path).fit(curve)
    twice = AEAnomalyDetector(clone(OURS).set_params(checkpoint="a"), checkpoint=path)
    with pytest.raises(ValueError, match="checkpoint must be set once"):
        twice.fit(curve)
    assert not os.listdir(path.parent)


# Kills ------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
def test_fits_that_are_killed_end_as_others_do():
    """By SIGKILL, at random moments; `python -m tests.kill 100` does more of it."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill", "4"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4 of 4 fits ended equal to the last bit" in done.stdout


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_a_pipe_is_no_checkpoint(curve, tmp_path):
    """Reading it would wait for a writer that never comes."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match=r"no plain file\): choose another path"):
            clone(OURS).set_params(checkpoint=path).fit(curve)
