"""A training recipe: parameters, and their description."""

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
    """Parameters of an estimator and of its training.

    Attributes
    ----------
    name : str
        Name in tables and pictures.
    parameters : mapping of str to object
        Parameters of `AutoencoderTransformer` except `max_epochs`, which the time limit decides.
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
        """Fit within a time limit, which `--minutes` overrides, and keep the last epoch."""
        print(f" {self.name}", flush=True)
        estimator = AutoencoderTransformer(
            **self.parameters, early_stopping=False, device="cpu", random_state=context.seed
        )
        mnist = context.mnist
        budget = context.budget(minutes)
        return fit_within(estimator, mnist.train, mnist.test, budget, self.bfloat16)

    def settings(self, fit: TimedFit) -> str:
        """Return the parameters as code, and settings beyond them."""
        values = {**self.parameters, "early_stopping": False, "max_epochs": fit.n_epochs}
        listed = ", ".join(
            f"{name}={self.words.get(name, repr(value))}" for name, value in values.items()
        )
        products = "; matrix products in bfloat16 during training" if self.bfloat16 else ""
        return f"`AutoencoderTransformer({listed})`{products}"


# Chosen on 5,000 held-out training images with unscaled pixels, in trials of 100 seconds on one
# thread and a few of 300: gelu was better than silu and relu; bfloat16 gains most with batches of
# 512; a decay of 0.3 was better than 0.01 and 1; second moments should forget within a hundred
# steps. Muon and SOAP made fewer steps in the same time and were worse.
BEST_TRAINING: dict[str, Any] = {
    "activation": "gelu",
    "batch_size": 512,
    "lr": 0.006,
    "weight_decay": 0.3,
    "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.99), fused=True),
}
BEST_WORDS = {"optimizer": "partial(torch.optim.AdamW, betas=(0.9, 0.99), fused=True)"}
