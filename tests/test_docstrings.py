"""Public docstrings follow numpydoc and are complete."""

import importlib
import inspect

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate

import skae

# What numpydoc asks for and we don't: sections that would repeat others.
EXCUSED = {
    "ES01",  # an extended summary, where the summary says it
    "SA01",  # See Also
    "SA04",  # a description in it
    "EX01",  # an example for each method: the class has one
    "GL08",  # no docstring: special methods, and what numpydoc takes for public
    "RT02",  # a name before the returned type, as scikit-learn has it
    "RT03",  # a return value's description, for `self`
    "YD01",
}

# Methods of torch modules whose summary says what they map.
OF_TENSORS = {
    "add_nonlinear",
    "choose_level",
    "condition",
    "decode",
    "denoise",
    "encode",
    "error",
    "expand",
    "expected_error",
    "extra_repr",
    "find_likeliest_level",
    "forward",
    "grid",
    "log_density",
    "loss_weight",
    "posterior_mean",
}


class GroupedValidator(Validator):
    """Reads past the headings of groups of parameters, such as `Training:`."""

    def __init__(self, obj_name):
        super().__init__(get_doc_object(self._load_obj(obj_name)))

    @property
    def doc_all_parameters(self):
        return {k: v for k, v in super().doc_all_parameters.items() if not k.endswith(":")}

    @property
    def doc_parameters(self):
        return {k: v for k, v in super().doc_parameters.items() if not k.endswith(":")}


MODULES = ["skae", "skae.distributed", "skae.modules", "skae.inspection", "skae.series"]


def public_objects():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing) or getattr(thing, "_is_protocol", False):
                continue
            yield f"{module_name}.{name}"
            if inspect.isclass(thing):
                for method, member in inspect.getmembers(thing, inspect.isfunction):
                    if not method.startswith("_") and member.__module__.startswith("skae"):
                        yield f"{module_name}.{name}.{method}"


def test_the_public_objects_are_found():
    assert {
        "skae.VAETransformer.sample",
        "skae.modules.MLP.forward",
        "skae.AutoencoderTransformer.partial_fit",
    } <= set(public_objects())


@pytest.mark.parametrize("path", sorted(set(public_objects())))
def test_numpydoc(path):
    leaf = path.rsplit(".", 1)[1]
    is_of_tensors = path.startswith("skae.modules.") and leaf in OF_TENSORS
    excused = EXCUSED | ({"PR01", "RT01"} if is_of_tensors else set())
    errors = validate(path, GroupedValidator)["errors"]
    problems = [f"{code} {text}" for code, text in errors if code not in excused]
    assert not problems


@pytest.mark.parametrize("name", [name for name in skae.__all__ if name != "__version__"])
def test_estimators_have_examples_sources_and_attributes(name):
    doc = inspect.getdoc(getattr(skae, name))
    for section in ("Parameters", "Attributes", "Examples", "References", "Notes", "See Also"):
        assert f"\n{section}\n---" in doc
