"""The HTML representation of estimators links to their pages."""

import inspect
import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

import skae
from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._base.documentation import SITE, name_pages

ROWS = np.random.default_rng(0).normal(size=(30, 3))
LINEAR = {"hidden_layer_sizes": (), "random_state": 0}
ESTIMATORS = [
    AutoencoderTransformer(2, **LINEAR),
    DenoisingAutoencoder(2, n_draws=2, **LINEAR),
    VAETransformer(2, n_draws=2, max_epochs=1, early_stopping=False, **LINEAR),
    AEAnomalyDetector(VAETransformer(2, max_epochs=1, early_stopping=False, **LINEAR)),
    AEImputer(random_state=0),
]


def name_of(value):
    return type(value).__name__


def find_links(estimator):
    return re.findall(r'href="([^"]*)"', estimator._repr_html_())


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_the_diagram_links_the_class_to_its_page(estimator):
    page = f"{SITE}/{name_pages(skae.__version__)}/generated/skae.{name_of(estimator)}.html"
    assert find_links(estimator)[0] == page


pytestmark = pytest.mark.usefixtures("short_attention")
needs_parameter_links = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn links parameters and fitted attributes from 1.9 on",
)


@needs_parameter_links
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_the_diagram_links_each_parameter_to_its_line(estimator):
    own = f"/generated/skae.{name_of(estimator)}.html#:~:text="
    texts = [unquote(link.split("text=")[1]) for link in find_links(estimator) if own in link]
    names = inspect.signature(type(estimator)).parameters
    assert sorted(text.split(",-")[0] for text in texts) == sorted(names)
    doc = inspect.getdoc(type(estimator))
    for text in texts:  # what the browser looks for is on the page
        assert "\n{} : {}\n".format(*text.split(",-", 1)) in doc


@needs_parameter_links
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_the_diagram_links_each_fitted_attribute(estimator):
    shown = estimator.fit(ROWS)._repr_html_().split("Fitted attributes")[1].split("</table>")[0]
    names = re.findall(r'class="param-doc-link"[^>]*>\s*(\w+)', shown)
    linked = re.findall(r'href="[^"]*text=(\w+)', shown)
    assert len(names) > 1
    assert linked == names


def test_a_subclass_of_a_user_has_no_page():
    class Own(AutoencoderTransformer):
        pass

    assert Own()._get_doc_link() == ""


@pytest.mark.parametrize(
    ("version", "pages"), [("0.1.0.dev0", "dev"), ("0.1.0", "0.1"), ("1.12.3rc1", "1.12")]
)
def test_versions_have_pages_of_their_own(version, pages):
    assert name_pages(version) == pages


def test_all_agree_on_the_address_of_the_site():
    root = Path(__file__).parents[2]
    urls = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
    assert urls["Documentation"] == SITE
    owner, name = urls["Source"].removeprefix("https://github.com/").split("/")
    assert f"https://{owner}.github.io/{name}" == SITE
    conf = (root / "docs" / "conf.py").read_text("utf-8")
    assert "from skae._base.documentation import SITE, name_pages" in conf
    assert "github.io" not in conf
