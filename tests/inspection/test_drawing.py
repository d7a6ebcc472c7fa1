"""Where matplotlib is imported."""

import subprocess
import sys

import pytest

from .displays import make_display


def test_matplotlib_is_imported_when_drawing():
    code = "import sys, skae.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"needs matplotlib.*pip install skae\[plot\]"):
        make_display().plot()
