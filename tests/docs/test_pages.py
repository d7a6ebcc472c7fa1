"""The lists in the documentation name what is there."""

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path.stem for path in (DOCS / "guide").glob("*.md")} - {"index"}


def test_the_guide_lists_its_pages():
    index = (DOCS / "guide" / "index.md").read_text(encoding="utf-8")
    table, tree = index.split("```{toctree}")
    assert set(re.findall(r"\((\w+)\.md\)", table)) == PAGES
    assert set(tree.split()) >= PAGES


def test_llms_txt_lists_the_guide():
    text = (DOCS / "_extra" / "llms.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"\(_sources/guide/(\w+)\.md\.txt\)", text)) == PAGES


@pytest.mark.parametrize(
    "name", ["skae", "skae.export", "skae.inspection", "skae.modules", "skae.series"]
)
def test_the_reference_lists_every_name(name):
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    listed, module = {}, None
    for line in text.splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            listed.setdefault(module, []).append(line.strip())
    assert sorted(listed[name]) == sorted(
        set(importlib.import_module(name).__all__) - {"__version__"}
    )
