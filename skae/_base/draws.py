"""Standard normal draws that are spread evenly, and the same in every call."""

from functools import lru_cache

import torch
from torch import Tensor

from .._environment import isolate_torch

# The seed is fixed, so that scores of two calls, and of two models of one size, use the same
# draws.
_SEED = 20160502


@lru_cache(maxsize=8)
@isolate_torch()  # what is kept serves all callers
def draw_normal(n_draws: int, n_components: int) -> Tensor:
    """Return standard normal draws that are more evenly spread than independent ones.

    Scrambled Sobol points through the normal quantile function: each is standard normal,
    and their mean has a smaller error (Buchholz, Wenzel and Mandt 2018, "Quasi-Monte
    Carlo variational inference"). Each comes with its mirror image.

    Parameters
    ----------
    n_draws : int
        Number of draws.
    n_components : int
        Size of the code.
    """
    engine = torch.quasirandom.SobolEngine(
        min(n_components, torch.quasirandom.SobolEngine.MAXDIM), scramble=True, seed=_SEED
    )
    uniform = engine.draw(-(-n_draws // 2), dtype=torch.float64)
    normal = torch.special.ndtri(uniform.clamp(1e-9, 1 - 1e-9))
    if n_components > normal.shape[1]:
        generator = torch.Generator().manual_seed(_SEED)
        size = (len(normal), n_components - normal.shape[1])
        more = torch.randn(size, dtype=torch.float64, generator=generator)
        normal = torch.cat([normal, more], dim=1)
    return torch.stack([normal, -normal], dim=1).flatten(0, 1)[:n_draws]
