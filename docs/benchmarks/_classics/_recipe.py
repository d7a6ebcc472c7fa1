"""A way to train, in words and in parameters, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from skae import AutoencoderTransformer

from ._row import Context
from ._training import TimedFit, fit_within


@dataclass(frozen=True)
class Recipe:
    """Parameters of an estimator, and how its training is run.

    Attributes
    ----------
    name : str
        What it is called in tables and pictures.
    parameters : mapping of str to object
        Those of `AutoencoderTransformer`, less `max_epochs`, which the budget decides.
    bfloat16 : bool, default=False
        Multiply matrices in bfloat16 while training.
    words : mapping of str to str, default={}
        What to print for parameters that are functions.
    """

    name: str
    parameters: Mapping[str, Any]
    bfloat16: bool = False
    words: Mapping[str, str] = field(default_factory=dict)

    def fit(self, context: Context, minutes: float) -> TimedFit:
        """Fit for that long, or as long as `--minutes` says; the last epoch is kept."""
        print(f" {self.name}", flush=True)
        estimator = AutoencoderTransformer(
            **self.parameters, early_stopping=False, device="cpu", random_state=context.seed
        )
        mnist = context.mnist
        budget = context.budget(minutes)
        return fit_within(estimator, mnist.train, mnist.test, budget, self.bfloat16)

    def settings(self, fit: TimedFit) -> str:
        """Return the parameters as code, and what isn't in them."""
        values = {**self.parameters, "early_stopping": False, "max_epochs": fit.n_epochs}
        listed = ", ".join(
            f"{name}={self.words.get(name, repr(value))}" for name, value in values.items()
        )
        products = "; matrix products in bfloat16 during training" if self.bfloat16 else ""
        return f"`AutoencoderTransformer({listed})`{products}"


# Chosen by 5,000 training images held out, in trials of 100 seconds on one thread, a few of
# 300, on pixels as they are: gelu before silu and relu; batches of 512, in which bfloat16
# pays most; a decay of 0.3 before 0.01 and 1; and second moments that forget within a
# hundred steps. Muon and SOAP made fewer steps in the same time, and came less far.
BEST_TRAINING: dict[str, Any] = {
    "activation": "gelu",
    "batch_size": 512,
    "lr": 0.006,
    "weight_decay": 0.3,
    "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.99), fused=True),
}
BEST_WORDS = {"optimizer": "partial(torch.optim.AdamW, betas=(0.9, 0.99), fused=True)"}
