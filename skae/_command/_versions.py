"""What a result was made with."""

import platform

import numpy
import sklearn
import torch

from .. import __version__


def versions() -> dict[str, str]:
    """Return the versions that figures depend on."""
    return {
        "skae": __version__,
        "torch": str(torch.__version__),
        "scikit-learn": sklearn.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }
