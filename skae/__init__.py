"""Autoencoders that drop into scikit-learn."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import distributed as distributed
    from . import export as export
    from . import inspection as inspection
    from . import modules as modules
    from . import series as series
    from ._autoencoder import AutoencoderTransformer
    from ._denoising import DenoisingAutoencoder
    from ._detection import AEAnomalyDetector
    from ._imputation import AEImputer
    from ._variational import VAETransformer

__all__ = [
    "AEAnomalyDetector",
    "AEImputer",
    "AutoencoderTransformer",
    "DenoisingAutoencoder",
    "VAETransformer",
    "__version__",
]
__version__ = "0.1.0.dev0"

_HOMES = {
    "AEAnomalyDetector": "_detection",
    "AEImputer": "_imputation",
    "AutoencoderTransformer": "_autoencoder",
    "DenoisingAutoencoder": "_denoising",
    "VAETransformer": "_variational",
}
_FOLDERS = ("distributed", "export", "inspection", "modules", "series")


def __getattr__(name: str) -> Any:
    """Import an estimator or a folder when it is first asked for (SPEC 1): torch takes seconds."""
    if name in _FOLDERS:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(".modules", __name__)  # torch first: it imports faster before pandas and scipy
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, *_FOLDERS]
