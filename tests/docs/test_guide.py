"""The examples of the user guide and the README give the output that they show."""

import doctest
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md")))

# skorch's batches draw from torch's global generator, which the tests must leave as it was.
DRAWS_GLOBALLY = "Plain skorch"


def sections(path):
    """Yield the title and the code of each section; other lines are empty, to keep line numbers."""
    title, lines, is_code = path.stem, [], False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if line.startswith("## "):
            yield title, "\n".join(lines)
            title, lines = line.removeprefix("## "), [""] * number
        fence = line.strip().startswith("```")
        lines.append(line if is_code and not fence else "")
        if fence:
            is_code = not is_code and line.strip() in ("```pycon", "```python")
    yield title, "\n".join(lines)


EXAMPLES = [
    pytest.param(path, title, code, id=f"{path.stem}: {title}")
    for path in PAGES
    for title, code in sections(path)
    if ">>>" in code
]


@pytest.mark.parametrize(("path", "title", "code"), EXAMPLES)
def test_example(path, title, code):
    example = doctest.DocTestParser().get_doctest(code, {}, title, str(path), 0)
    report = []
    with torch.random.fork_rng(enabled=title == DRAWS_GLOBALLY):
        failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=report.append)
    assert not failed, "".join(report)


def test_the_tests_that_the_guide_names_are_there():
    page = (ROOT / "docs" / "guide" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[a-z_/]+(?:\.py)?)`", page)
    assert len(named) > 6
    assert not [path for path in named if not (ROOT / path).exists()]
