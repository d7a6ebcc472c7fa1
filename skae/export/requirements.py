"""The packages that writing a graph needs."""

from importlib.util import find_spec


def require_packages(*names: str) -> None:
    """Raise unless packages are installed.

    Parameters
    ----------
    *names : str
        Their names.
    """
    absent = [name for name in names if find_spec(name) is None]
    if absent:
        raise ImportError(
            f'to_onnx requires {" and ".join(absent)}: install it with pip install "skae[onnx]"'
        )
