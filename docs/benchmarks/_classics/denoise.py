"""Denoising of MNIST's test images, compared with linear methods.

Gaussian noise of standard deviation 0.5 is added to the test images, whose pixels are in
[0, 1]. The peak signal-to-noise ratio is 10 log10(1 / mean squared error) in decibels, where the
mean is over all pixels of all images. The linear methods are the projection on principal axes of
the clean training images, with the best rank on the test images (which favours it), and the
Wiener filter, the best linear estimate given the mean and covariance of the training images.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from skae import DenoisingAutoencoder

from ._pictures import save_digits
from ._row import Context, Picture, Result, Row
from ._training import BFloat16Products, epochs_within
from .deep import first_of_each

NOISE = 0.5
BAR = 2.0  # dB above the better of the linear methods
MINUTES = 10.0

# The settings of `_recipe` with a lower rate and less decay, because noise regularizes; twelve
# epochs on 55,000 training images gave 19.1 dB on the 5,000 others, 2.1 above the filter.
PARAMETERS: dict[str, Any] = {
    "n_components": None,
    "hidden_layer_sizes": (1000, 1000),
    "activation": "gelu",
    "noise_level": NOISE,
    "standardize": False,
    "batch_size": 512,
    "lr": 0.005,
    "weight_decay": 0.1,
    "early_stopping": False,
}
WORDS = ", ".join(f"{name}={value!r}" for name, value in PARAMETERS.items())


@dataclass(frozen=True)
class Ratios:
    """Peak signal-to-noise ratios of one method, in decibels.

    Attributes
    ----------
    plain, clipped : float
        Ratios of the output as it is, and clipped to [0, 1].
    """

    plain: float
    clipped: float

    @classmethod
    def of(cls, guess: np.ndarray, clean: np.ndarray) -> "Ratios":
        """Return those of guesses at clean images."""
        return cls(peak_ratio(guess, clean), peak_ratio(guess.clip(0, 1), clean))


def compute(context: Context) -> Row:
    """Train a network to remove noise from images, and compare it."""
    train, clean = context.mnist.train, context.mnist.test
    noise = np.random.default_rng(context.seed).standard_normal(clean.shape, dtype=np.float32)
    noisy = clean + NOISE * noise
    model, seconds = fitted(train, context)
    guess = model.denoise(noisy)
    rank, projected, filtered = linear_guesses(train, noisy, clean)
    ratios = {
        "noisy": Ratios.of(noisy, clean),
        "PCA": Ratios.of(projected, clean),
        "Wiener filter": Ratios.of(filtered, clean),
        "network": Ratios.of(guess, clean),
    }
    print(f"  {ratios}", flush=True)
    shown = [first_of_each(images, context.mnist.test_labels) for images in (noisy, guess, clean)]
    save_digits(np.concatenate(shown), len(shown[0]), context.pictures / "denoise.png", zoom=3)
    picture = Picture("denoise.png", "Test digits: noisy, denoised, and original")
    text = (
        f"Gaussian noise of standard deviation {NOISE} on MNIST's test images, pixels in [0, 1]. "
        "PSNR is 10 log10(1 / mean squared error). No figure is published for this task; the bar "
        f"is {BAR:g} dB above both linear methods, without clipping."
    )
    result = _result(ratios, rank, seconds, model.n_iter_)
    details = {name: vars(ratio) for name, ratio in ratios.items()}
    return Row("Denoising", text, (result,), (picture,), {"ratios": details, "rank": rank})


def _result(ratios: dict[str, Ratios], rank: int, seconds: float, n_epochs: int) -> Result:
    pca, wiener, ours = (ratios[name] for name in ("PCA", "Wiener filter", "network"))
    return Result(
        f"denoising, noise {NOISE}",
        "dB, PSNR of the test images",
        f"PCA {pca.plain:.2f}, Wiener filter {wiener.plain:.2f}",
        "measured in the same run",
        ours.plain,
        max(pca.plain, wiener.plain) + BAR,
        seconds,
        f"`DenoisingAutoencoder({WORDS}, max_epochs={n_epochs})`; matrix products in "
        "bfloat16 during training",
        higher_is_better=True,
        notes=(
            f"PCA uses {rank} components, the best number on the test images.",
            f"With outputs clipped to [0, 1]: PCA {pca.clipped:.2f}, Wiener filter "
            f"{wiener.clipped:.2f}, network {ours.clipped:.2f}. The noisy images have "
            f"{ratios['noisy'].plain:.2f}.",
        ),
    )


def fitted(train: np.ndarray, context: Context) -> tuple[DenoisingAutoencoder, float]:
    """Return the network trained within the time limit, and its training time."""
    estimator = DenoisingAutoencoder(**PARAMETERS, device="cpu", random_state=context.seed)
    budget = context.budget(MINUTES)
    n_epochs, _ = epochs_within(estimator, train, budget, bfloat16=True)
    estimator.set_params(max_epochs=n_epochs, callbacks=[BFloat16Products()])
    began = time.perf_counter()
    estimator.fit(train)
    return estimator, time.perf_counter() - began


def linear_guesses(
    train: np.ndarray, noisy: np.ndarray, clean: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the best rank for PCA, and the outputs of PCA and of the Wiener filter."""
    pca = PCA(svd_solver="covariance_eigh").fit(train.astype(np.float64))
    scores, targets = pca.transform(noisy), pca.transform(clean)
    # Axes are orthogonal: errors are those of the scores kept and the targets left out.
    kept, left = (np.square(part).sum(axis=0) for part in (scores - targets, targets))
    rank = 1 + int(np.argmin(np.cumsum(kept) + left.sum() - np.cumsum(left)))
    gains = pca.explained_variance_ / (pca.explained_variance_ + NOISE**2)
    projected = scores[:, :rank] @ pca.components_[:rank] + pca.mean_
    return rank, projected, (scores * gains) @ pca.components_ + pca.mean_


def peak_ratio(guess: np.ndarray, clean: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in decibels, for pixels in [0, 1]."""
    return float(-10 * np.log10(np.square(guess - clean).mean(dtype=np.float64)))
