"""784-1000-500-250-30, the deep autoencoder of Hinton and Salakhutdinov (2006).

The published figure is the squared error summed over the pixels of an image, averaged over MNIST's
test images: 3.00, where PCA with as many numbers leaves 13.87. Here the networks are trained on all
training images within a time limit, once with the defaults of skae, apart from the shape of the
network, the epochs, the scaling (pixels are left as they are) and early stopping, and once with the
best settings that we found on 5,000 held-out training images. Both trainings record the test error,
on a clock that is paused meanwhile, and keep the last epoch.
"""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from ._pictures import save_curves, save_reconstructions
from ._recipe import BEST_TRAINING, BEST_WORDS, Recipe
from ._row import Context, Picture, Result, Row
from ._training import TimedFit

SIZES = (1000, 500, 250)
N_COMPONENTS = 30
MEASURE = "squared error per test image"
SOURCE = "Hinton and Salakhutdinov 2006, Science 313"
RERUN = "a later rerun of 500 epochs"
NETWORK = {"n_components": N_COMPONENTS, "hidden_layer_sizes": SIZES, "standardize": False}
DEFAULT = Recipe("default optimizer", NETWORK)
BEST = Recipe("best settings", {**NETWORK, **BEST_TRAINING}, bfloat16=True, words=BEST_WORDS)
RECIPES = (BEST, DEFAULT)
N_SHOWN = 10


def quarter_of_an_hour(context: Context) -> Row:
    """Train for 15 minutes; the bar is the figure of 2006."""
    return _compute(context, 15.0, 3.00, "3.00", SOURCE, "deep")


def hour(context: Context) -> Row:
    """Train for an hour; the bar is a later figure."""
    return _compute(context, 60.0, 2.65, "2.65", RERUN, "deep_hour")


def _compute(
    context: Context, minutes: float, target: float, published: str, source: str, name: str
) -> Row:
    fits, results = {}, []
    for recipe in RECIPES:
        fit = recipe.fit(context, minutes)
        fits[recipe.name] = fit
        results.append(
            Result(
                f"784-1000-500-250-30, {recipe.name}",
                MEASURE,
                published,
                source,
                fit.error,
                target if recipe is BEST else None,
                fit.seconds,
                recipe.settings(fit),
                notes=(clipped_note(fit, context),),
            )
        )
    words = f"{context.budget(minutes) / 60:g} minutes"
    return Row(
        f"Deep autoencoder, {words}",
        f"{SOURCE}: 784-1000-500-250-30, squared error summed over pixels in [0, 1], averaged over "
        "the 10,000 test images. PCA leaves 13.87. Each training has a time limit of "
        f"{words}. The default optimizer has no bar; it is included for comparison.",
        tuple(results),
        _draw(context, fits, name),
        {"curves": {recipe: asdict(fit.curve) for recipe, fit in fits.items()}},
    )


def clipped_note(fit: TimedFit, context: Context) -> str:
    """Return a note on the error with clipped reconstructions."""
    test = context.mnist.test
    clipped = fit.model.reconstruct(test).clip(0, 1)
    error = float(np.square(clipped - test).sum(axis=1, dtype=np.float64).mean())
    return f"{error:.2f} with reconstructions clipped to [0, 1]."


def _draw(context: Context, fits: Mapping[str, TimedFit], name: str) -> tuple[Picture, ...]:
    save_curves(
        {recipe: (_minutes(fit), fit.curve.errors) for recipe, fit in fits.items()},
        {"2006: 3.00": 3.00, "rerun: 2.65": 2.65},
        ("minutes of training", MEASURE),
        context.pictures / f"{name}_curve.png",
        largest=14.0,
    )
    shown = first_of_each(context.mnist.test, context.mnist.test_labels)
    rebuilt = fits[BEST.name].model.reconstruct(shown)
    save_reconstructions(shown, rebuilt, context.pictures / f"{name}_digits.png")
    return (
        Picture(f"{name}_curve.png", "Error on test images against training time"),
        Picture(
            f"{name}_digits.png",
            f"Test digits and their reconstructions from {N_COMPONENTS} numbers",
        ),
    )


def first_of_each(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the first image of each digit."""
    return images[[int(np.argmax(labels == digit)) for digit in range(N_SHOWN)]]


def _minutes(fit: TimedFit) -> list[float]:
    return [seconds / 60 for seconds in fit.curve.seconds]
