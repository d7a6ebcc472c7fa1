"""Sphinx: the user guide, the reference from docstrings, and the pages of the benchmarks."""

import sys
from pathlib import Path

# Document the code next to these pages, whatever version is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from skae import __version__

project = "skae"
author = "The skae developers"
project_copyright = author
version = release = __version__

extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_parser"]
# benchmarks/index.md includes this README.
exclude_patterns = ["_build", "benchmarks/README.md"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings state the types
numpydoc_show_class_members = False  # api.md lists the methods itself

html_theme = "alabaster"
html_theme_options = {
    "description": "Autoencoders that drop into scikit-learn",
    "fixed_sidebar": True,
    "page_width": "1060px",
}


def _quote_names(app, what, name, obj, options, lines):
    """Quote the shape `(n_features_in_,)`, which would be a link to `n_features_in`."""
    lines[:] = [line.replace("(n_features_in_,)", "(`n_features_in_`,)") for line in lines]


def setup(app):
    """Put the hook before numpydoc's."""
    app.connect("autodoc-process-docstring", _quote_names, priority=1)
