"""Fitted estimators as plain values and arrays, which any pickler can store."""

from typing import Any

import numpy as np
import torch

from ._environment import resolve_device
from .modules import EncoderDecoder

_REBUILT = ("_net", "_trained", "module_")


def stored_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's state with arrays in the place of its module and net.

    One form for pickle, joblib, cloudpickle and skops, with neither rows nor optimizer.
    """
    stored = {name: value for name, value in state.items() if name not in _REBUILT}
    if "module_" in state:
        stored["_scaling"] = (state["_scaling"].mean, state["_scaling"].scale)
        stored["_weights"] = {
            name: value.detach().cpu().numpy().copy()
            for name, value in state["module_"].state_dict().items()
        }
    return stored


def restore_module(
    module: EncoderDecoder, weights: dict[str, np.ndarray], device: str
) -> EncoderDecoder:
    """Return `module` with its weights, on `device` or, where that isn't here, the CPU."""
    module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    try:
        return module.to(resolve_device(device))
    except ValueError:
        return module
