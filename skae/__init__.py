"""Autoencoders that drop into scikit-learn."""

# First, for torch takes a third of a second longer to import after pandas and scipy.
from . import modules as modules
from ._anomaly import AEAnomalyDetector
from ._autoencoder import AutoencoderTransformer
from ._denoising import DenoisingAutoencoder
from ._variational import VAETransformer

__all__ = [
    "AEAnomalyDetector",
    "AutoencoderTransformer",
    "DenoisingAutoencoder",
    "VAETransformer",
    "__version__",
]
__version__ = "0.1.0.dev0"
