"""Sphinx: the user guide, the gallery, a page for each class, and the pages of the benchmarks."""

import inspect
import logging
import sys
from pathlib import Path

# Document the code next to these pages, whatever version is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from skae import __version__
from skae._base.documentation import SITE, name_pages

project = "skae"
author = "The skae developers"
project_copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
# benchmarks/index.md includes this README; the gallery's pages are made from the scripts.
exclude_patterns = ["_build", "_extra", "benchmarks/README.md", "examples"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings state the types
numpydoc_show_class_members = False  # the template of a class lists them

# Inventories -------------------------------------------------------------------------------

intersphinx_mapping = {
    "numpy": ("https://numpy.org/doc/stable", None),
    "scipy": ("https://docs.scipy.org/doc/scipy", None),
    "pandas": ("https://pandas.pydata.org/docs", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
}
intersphinx_timeout = 10


def _is_not_offline(record):
    return not str(record.msg).startswith("failed to reach")


# Without a network the pages are built without links to other projects.
logging.getLogger("sphinx.sphinx.ext.intersphinx").addFilter(_is_not_offline)
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(numpy|scipy|pandas|polars|sklearn|skorch|torch|matplotlib)\..*"),
    # Attributes are described where numpydoc looks for a link to them.
    (r"py:obj", r"[a-z_]+_"),
]

# The gallery -------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "FileNameSortKey",
    "reference_url": {"skae": None},
    "doc_module": ("skae",),
    "backreferences_dir": "generated/backreferences",
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "remove_config_comments": True,
    "show_memory": False,
    "ignore_repr_types": r"(skae|matplotlib)\..*",
    "download_all_examples": False,
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The pages ---------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_baseurl = f"{SITE}/{name_pages(__version__)}/"
html_title = "skae"
html_static_path = ["_static"]
html_extra_path = ["_extra"]
html_css_files = ["skae.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skae"},
    "navbar_start": ["navbar-logo", "version"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "icon_links": [
        {
            "name": "Source",
            "url": "https://github.com/skae-dev/skae",
            "icon": "fa-brands fa-github",
        },
    ],
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": [], "changelog": [], "contributing": []}


def _quote_names(app, what, name, obj, options, lines):
    """Quote the shape `(n_features_in_,)`, which would be a link to `n_features_in`."""
    lines[:] = [line.replace("(n_features_in_,)", "(`n_features_in_`,)") for line in lines]


# Methods of scikit-learn's that the pages of estimators describe.
_FROM_SCIKIT_LEARN = {"fit_predict", "fit_transform", "get_feature_names_out"}


def _skip_foreign(app, what, name, obj, skip, options):
    """Leave out what classes inherit from other packages, and what their docstrings list."""
    if what != "class" or skip:
        return None
    function = inspect.unwrap(obj) if callable(obj) else obj
    is_own = getattr(function, "__module__", "").startswith("skae")
    is_described = is_own or name in _FROM_SCIKIT_LEARN
    return None if is_described and callable(obj) else True


def setup(app):
    """Put the hooks before numpydoc's."""
    app.connect("autodoc-process-docstring", _quote_names, priority=1)
    app.connect("autodoc-skip-member", _skip_foreign)
