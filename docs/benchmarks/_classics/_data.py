"""The tables that the rows are computed on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

#: Rows and columns of an MNIST image.
SIDE = 28


@dataclass(frozen=True)
class Images:
    """Labelled images in two parts, a row for each, pixels in [0, 1] in float32.

    Attributes
    ----------
    train, test : ndarray of shape (n_images, n_pixels)
        The images.
    train_labels, test_labels : ndarray of shape (n_images,)
        What they show.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def load_mnist(path: Path) -> Images:
    """Return MNIST as published: 60,000 images to train on and 10,000 to test on.

    Parameters
    ----------
    path : Path
        An npz file with the uint8 arrays X_train, y_train, X_test and y_test.
    """
    with np.load(path) as file:
        missing = {"X_train", "y_train", "X_test", "y_test"} - set(file)
        if missing:
            raise SystemExit(f"{path} lacks {sorted(missing)}")
        return Images(
            _pixels(file["X_train"]), file["y_train"], _pixels(file["X_test"]), file["y_test"]
        )


def load_small_digits(seed: int) -> Images:
    """Return scikit-learn's digits of 8 x 8 pixels, a quarter of them to test on."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    train, test, train_labels, test_labels = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=seed
    )
    return Images(train, train_labels, test, test_labels)


def _pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
