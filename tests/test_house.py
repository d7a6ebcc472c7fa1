"""The house: which file may import which, and how large a file may grow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# A file may import what stands in a row above its own, and its own package.
LAYERS = [
    {"_blocks"},
    {"_environment", "_krylov", "_losses", "_stored", "modules"},
    {"_corruption", "_density", "_evidence", "_mixture", "_pca", "_scaling", "_table"},
    {"_building", "_covariance", "_linear_gaussian", "_storage", "_training"},
    {"_code_spread", "_denoising_start", "_factor_analysis", "_intake", "_moments"}
    | {"_own_network", "_parameters"},
    {"_base", "_denoising_parts", "_immse", "_variational_start"},
    {"_autoencoder", "_generative", "_restoring"},
    {"_denoising", "_variational"},
    {"_detection"},
    {"_anomaly"},
    {"inspection"},
    {"__init__"},
    {"_command"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def first_part(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path):
    """Names of the package's own top-level parts that a file imports."""
    depth = len(path.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            yield from [node.module.split(".")[0]] if node.module else ["__init__"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "skae":
            parts = node.module.split(".")
            yield from parts[1:2] or ["__init__"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    mine = RANK[first_part(path)]
    for name in imported(path):
        theirs = RANK.get(name, RANK["__init__"])
        assert theirs < mine or name == first_part(path), f"{name} is not above {path.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_fit_a_screen(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__":
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 40, node.name


def test_private_scikit_learn_is_imported_in_one_place():
    private = [
        path.name
        for path in FILES
        if "sklearn.utils._" in path.read_text() or "import _fit_context" in path.read_text()
    ]
    assert private == ["_parameters.py"]


def test_import_brings_in_nothing_optional():
    code = "import sys, skae; print([m for m in ('matplotlib', 'polars') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
