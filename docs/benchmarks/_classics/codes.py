"""Codes of 2 and of 64 numbers, as in the comparison of the Parametric-UMAP repository.

The published figures are mean squared errors per pixel on MNIST's test images: .0369 and .0016 for
convolutional autoencoders, .0557 and .0090 for PCA. The networks here are multilayer perceptrons.
"""

from dataclasses import asdict, dataclass, replace

from ._data import SIDE
from ._pictures import plane_grid, save_digits
from ._recipe import BEST_TRAINING, BEST_WORDS, Recipe
from ._row import Context, Picture, Result, Row
from ._training import TimedFit
from .deep import SIZES

SOURCE = "Parametric-UMAP's repository, a convolutional autoencoder"
N_GRID = 16


@dataclass(frozen=True)
class Target:
    """The published figures for one size of the code, in squared errors per pixel."""

    n_components: int
    published: str
    bar: float
    by_pca: str
    minutes: float


TARGETS = (Target(2, ".0369", 0.0369, ".0557", 10.0), Target(64, ".0016", 0.0025, ".0090", 10.0))
RECIPE = Recipe(
    "codes",
    {"hidden_layer_sizes": SIZES, "standardize": False, **BEST_TRAINING},
    bfloat16=True,
    words=BEST_WORDS,
)


def compute(context: Context) -> Row:
    """Train a network for each size of the code."""
    results, curves = [], {}
    pictures: tuple[Picture, ...] = ()
    for target in TARGETS:
        name = f"{target.n_components} numbers"
        parameters = {"n_components": target.n_components, **RECIPE.parameters}
        recipe = replace(RECIPE, name=name, parameters=parameters)
        fit = recipe.fit(context, target.minutes)
        curves[name] = asdict(fit.curve)
        results.append(_result(target, recipe, fit))
        if target.n_components == 2:
            grid = plane_grid(fit.model.transform(context.mnist.train), N_GRID)
            save_digits(fit.model.inverse_transform(grid), N_GRID, context.pictures / "plane.png")
            pictures = (Picture("plane.png", "The plane of codes, decoded on a grid"),)
    text = (
        f"{SOURCE}. We set the bars for a multilayer perceptron. Curves in the JSON file are "
        "squared errors per image."
    )
    return Row("Codes of 2 and of 64 numbers", text, tuple(results), pictures, {"curves": curves})


def _result(target: Target, recipe: Recipe, fit: TimedFit) -> Result:
    return Result(
        f"codes of {recipe.name}",
        "squared error per pixel, test images",
        target.published,
        SOURCE,
        fit.error / SIDE**2,
        target.bar,
        fit.seconds,
        recipe.settings(fit),
        notes=(f"The same source gives {target.by_pca} for PCA.",),
    )
