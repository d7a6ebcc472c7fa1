"""Where the documentation is: the one place that names it.

The HTML representation of estimators links to it, `docs/conf.py` takes it from here, and a test
holds `pyproject.toml` to it.
"""

from .seal import VERSION

#: The site. A development version has its pages in "dev", a release in those of its minor
#: version, such as "0.1".
SITE = "https://skae-dev.github.io/skae"


def name_pages(release: str) -> str:
    """Return the folder of the site that describes a version."""
    return "dev" if "dev" in release else ".".join(release.split(".")[:2])


#: The page of an estimator. scikit-learn fills in the names, and appends fragments for parameters.
DOC_LINK_TEMPLATE = (
    f"{SITE}/{name_pages(VERSION)}/generated/{{estimator_module}}.{{estimator_name}}.html"
)
