"""The house: which folder may import which, and the names that its folders share."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# A folder may import the folders of the rows above its own, and those to its left in its row.
LAYERS = [
    ["_environment", "_processes", "modules"],
    ["_data", "_linear"],
    ["_training"],
    ["_attention"],
    ["_base"],
    ["_autoencoder", "_denoising", "_variational"],
    ["_detection", "_imputation"],
    ["distributed", "export", "inspection", "series"],
    ["__init__"],
    ["_command"],
    ["__main__"],
]
RANK = {name: (row, place) for row, names in enumerate(LAYERS) for place, name in enumerate(names)}
FAMILIES = ["_autoencoder", "_denoising", "_variational"]


def first_part(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def find_imports(path):
    """Names of the package's own top-level parts that a file imports, at any level."""
    depth = len(path.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            yield from [node.module.split(".")[0]] if node.module else ["__init__"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "skae":
            yield from node.module.split(".")[1:2] or ["__init__"]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            yield from [(name[1:] or ["__init__"])[0] for name in names if name[0] == "skae"]


def test_imports_are_found():
    assert set(find_imports(ROOT / "_base" / "estimator.py")) == {
        "_data",
        "_environment",
        "_linear",
        "_processes",
        "_training",
        "modules",
    }
    assert "_autoencoder" in set(find_imports(ROOT / "_denoising" / "objective.py"))


def test_every_folder_has_a_layer():
    assert {first_part(path) for path in FILES} == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    own = first_part(path)
    for name in find_imports(path):
        theirs = RANK.get(name, RANK["__init__"])
        assert name == own or theirs < RANK[own], f"{own} must not import {name}"


def test_files_inside_folders_have_plain_names():
    odd = [p for p in FILES if p.parent != ROOT and p.stem.startswith("_") and p.stem != "__init__"]
    assert not odd


@pytest.mark.parametrize(
    "name", ["blueprint", "density", "estimator", "initialization", "objective"]
)
def test_families_name_their_parts_alike(name):
    assert all((ROOT / family / f"{name}.py").is_file() for family in FAMILIES)


def test_private_scikit_learn_is_imported_in_one_place():
    private = [
        str(path.relative_to(ROOT))
        for path in FILES
        if "sklearn.utils._" in path.read_text() or "_fit_context" in path.read_text()
    ]
    assert private == ["_base/parameters.py"]


def find_imported_modules(code):
    watched = "('matplotlib', 'polars', 'torch', 'sklearn', 'pandas')"
    code = f"import sys; {code}; print([m for m in {watched} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ast.literal_eval(out.stdout)


def test_import_alone_brings_in_nothing():
    assert find_imported_modules("import skae; skae.__version__; dir(skae)") == []


def test_estimators_bring_in_nothing_optional():
    found = find_imported_modules("from skae import AEAnomalyDetector, VAETransformer, inspection")
    assert found == ["torch", "sklearn", "pandas"]


def list_modules(code):
    code = f"{code}; import sys; print([name for name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(out.stdout))


def test_a_fit_on_numbers_brings_in_no_library_of_frames():
    rows = "import numpy as np; X = np.random.default_rng(0).normal(size=(40, 4))"
    others = (
        "import pandas, torch, skorch, sklearn.decomposition as d; d.PCA(2).fit(X).transform(X)"
    )
    own = "from skae import AutoencoderTransformer as A; A(2, max_epochs=1).fit(X).score(X)"
    found = list_modules(f"{rows}; {others}; {own}") - list_modules(f"{rows}; {others}")
    assert "skae._data.datasets" in found
    libraries = {name.split(".")[0] for name in found}
    assert not libraries & {"polars", "pyarrow", "narwhals", "skrub", "matplotlib"}


def test_export_brings_in_nothing_before_it_is_used():
    found = {name.split(".")[0] for name in list_modules("from skae.export import to_onnx")}
    assert "skae" in found
    assert not found & {"onnx", "onnxruntime", "onnxscript", "skl2onnx", "spox", "torch"}


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'Autoencoder'"):
        skae.Autoencoder  # noqa: B018 - the attribute is what is tested
    assert {"AutoencoderTransformer", "export", "inspection", "modules", "series"} < set(dir(skae))
