"""The comparison as a drawing."""

from pathlib import Path

import numpy as np

from ..inspection import ComparisonDisplay
from ..inspection._drawing import new_figure
from ._comparison import AUTOENCODER_NAME, PCA_NAME, Comparison
from ._errors import CommandError
from ._files import write_atomically

_FORMATS = (".png", ".svg", ".pdf")
_DPI = 150
_TITLES = {PCA_NAME: "PCA", AUTOENCODER_NAME: "Autoencoder"}


def check_chart(path: Path | None) -> None:
    """Refuse a file that can't be drawn to."""
    if path is None:
        return
    if path.suffix.lower() not in _FORMATS:
        raise CommandError(
            f"--plot {path} has the suffix {path.suffix!r}, expected one of {', '.join(_FORMATS)}"
        )
    try:
        new_figure()
    except ImportError as error:
        raise CommandError(f"--plot {path} was got, but {error}") from error


def write_chart(comparison: Comparison, path: Path) -> None:
    """Draw a comparison to a file."""
    target, test = comparison.table.target, comparison.split.test
    display = ComparisonDisplay(
        n_components=list(comparison.results),
        explained_variance={
            title: np.array(
                [pair[name].explained_variance for pair in comparison.results.values()],
                dtype=float,
            )
            for name, title in _TITLES.items()
        },
        codes={_TITLES[name]: codes for name, codes in (comparison.maps or {}).items()},
        labels=None if target is None else target.values[test],
        label_name=None if target is None else target.name,
    ).plot()
    display.figure_.suptitle(
        f"{comparison.table.name}: {len(test)} rows held out of {len(comparison.table.X)}"
    )
    kind = path.suffix.lower()[1:]
    write_atomically(path, lambda file: display.figure_.savefig(file, format=kind, dpi=_DPI))
