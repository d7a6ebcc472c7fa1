"""What may be written, and where; a file is whole, or as it was."""

import stat

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skae import AEAnomalyDetector, AEImputer, AutoencoderTransformer, DenoisingAutoencoder
from skae._denoising.density import draw_common_noise
from skae.export import requirements, to_onnx

from .sessions import require_onnx


@pytest.fixture(scope="module")
def fitted():
    X = np.random.default_rng(0).normal(size=(40, 3))
    return AutoencoderTransformer(1, hidden_layer_sizes=()).fit(X)


def test_packages_that_are_missing_are_named(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'onnx and spox.*pip install "skae\[onnx\]"'):
        to_onnx(fitted, tmp_path / "model.onnx")


@pytest.mark.parametrize("estimator", [AutoencoderTransformer(1), AEAnomalyDetector()])
def test_an_estimator_must_be_fitted(estimator, tmp_path):
    require_onnx()
    with pytest.raises(NotFittedError):
        to_onnx(estimator, tmp_path / "model.onnx")


def test_others_are_refused(short_attention, tmp_path):
    require_onnx()
    X = np.random.default_rng(0).normal(size=(40, 3))
    estimator = AEImputer(random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"AEImputer can.t be written: it looks up rows"):
        to_onnx(estimator, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="dtype must be 'float64' or 'float32', got 'int8'"):
        to_onnx(estimator, tmp_path / "model.onnx", dtype="int8")
    assert not list(tmp_path.iterdir())


def test_a_path_that_can_not_be_written(fitted, tmp_path):
    require_onnx()
    with pytest.raises(OSError, match="a folder"):
        to_onnx(fitted, tmp_path)
    with pytest.raises(OSError, match="not there"):
        to_onnx(fitted, tmp_path / "none" / "model.onnx")


@pytest.mark.parametrize("mode", [lambda: torch.device("meta"), torch.inference_mode])
def test_torchs_modes_change_no_file(mode, tmp_path):
    require_onnx()
    X = np.random.default_rng(0).normal(size=(60, 3))
    denoiser = DenoisingAutoencoder(None, hidden_layer_sizes=(4,), max_epochs=1, n_draws=2)
    detector = AEAnomalyDetector(denoiser, random_state=0).fit(X)
    to_onnx(detector, tmp_path / "expected.onnx")
    draw_common_noise.cache_clear()
    with mode():
        to_onnx(detector, tmp_path / "found.onnx")
    assert (tmp_path / "found.onnx").read_bytes() == (tmp_path / "expected.onnx").read_bytes()


def test_a_file_is_replaced_as_a_whole(fitted, tmp_path, monkeypatch):
    require_onnx()
    path = tmp_path / "model.onnx"
    to_onnx(fitted, path)
    stored = path.read_bytes()
    to_onnx(fitted, str(path))
    assert path.read_bytes() == stored

    def fail(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        to_onnx(fitted, path, dtype="float32")
    assert path.read_bytes() == stored
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_mode(fitted, tmp_path):
    require_onnx()
    path = tmp_path / "model.onnx"
    path.touch(mode=0o600)
    to_onnx(fitted, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
