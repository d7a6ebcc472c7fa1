"""Spoken digits with noise, and what is left of it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann
from sklearn.linear_model import Ridge

from skae import DenoisingAutoencoder
from skae.series import Windows

NOISES, ROOTS = ("white", "babble"), (1, 2)
# The rows that networks learn from; linear methods have both kinds.
SUITED = {"white": 1, "babble": 2}
FILE = Path("audio", "spoken_digits.npz")
SNR = 5
FRAMES = 3
SETTINGS: dict[str, Any] = {
    "hidden_layer_sizes": (256, 256),
    "standardize": False,
    "max_epochs": 20,
}
LINEAR, RIDGE = "skae, linear", "Ridge"
DEFAULT, SET = "skae, defaults", "skae, as set"
UNTOUCHED, SUBTRACTION = "noisy", "spectral subtraction"
_N_TALKERS, _N_TEST_TAKES, _N_DRAWS, _RATE = 6, 2, 3, 8000
_FOURIER = ShortTimeFFT(np.sqrt(hann(256, sym=False)), hop=128, fs=_RATE)

Denoise = Callable[[np.ndarray], np.ndarray]


class Pair(NamedTuple):
    """A take with noise, of unit variance, and the clean take in the same units."""

    noisy: np.ndarray
    clean: np.ndarray


class Takes(NamedTuple):
    """Takes in the order of their number, so that the last ones are of all speakers and digits."""

    samples: list[np.ndarray]
    speaker: np.ndarray
    is_test: np.ndarray


def read_takes(path: Path) -> Takes:
    """Return the takes of a file; the first two of each digit by each speaker are for the test."""
    with np.load(path) as file:
        order = np.lexsort((file["digit"], file["speaker"], file["take"]))
        ends = np.cumsum(file["lengths"])[:-1]
        samples = np.split(file["samples"].astype(np.float64), ends)
        speaker, is_test = file["speaker"][order], file["take"][order] < _N_TEST_TAKES
    return Takes([samples[index] for index in order], speaker, is_test)


def add_noise(
    takes: Takes, is_used: np.ndarray, noise: str, rng: np.random.Generator
) -> list[Pair]:
    """Return takes with noise; those who babble are the other speakers of the same takes."""
    pairs = []
    for index in np.flatnonzero(is_used):
        clean = takes.samples[index]
        if noise == "white":
            added = rng.normal(size=len(clean))
        else:
            others = np.flatnonzero(is_used & (takes.speaker != takes.speaker[index]))
            chosen = rng.choice(others, _N_TALKERS, replace=False)
            added = sum(_talk(takes.samples[other], len(clean), rng) for other in chosen)
        noisy = clean + added * clean.std() / added.std() / 10 ** (SNR / 20)
        pairs.append(Pair(noisy / noisy.std(), clean / noisy.std()))
    return pairs


def _talk(samples: np.ndarray, n_times: int, rng: np.random.Generator) -> np.ndarray:
    """Return so many samples of a take, repeated from a random moment on."""
    moments = np.arange(n_times) + rng.integers(len(samples))
    return np.take(samples / samples.std(), moments, mode="wrap")


def find_rows(pair: Pair, root: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the roots of the noisy magnitudes, and those of the clean parts in phase with them.

    The noisy phase stays, so what helps most of the clean spectrum is its part in that phase
    (Erdogan et al. 2015, "Phase-sensitive and recognition-boosted speech separation", ICASSP,
    section 3). A root needs it to be positive, and it is at most what is there.
    """
    noisy, clean = (_FOURIER.stft(sound).T for sound in pair)
    magnitude = np.abs(noisy)
    in_phase = (clean * np.exp(-1j * np.angle(noisy))).real
    if root > 1:
        in_phase = in_phase.clip(0, magnitude)
    return tuple((part ** (1 / root)).astype(np.float32) for part in (magnitude, in_phase))


def play(roots: np.ndarray, pair: Pair, root: int) -> np.ndarray:
    """Return the sound with these roots of magnitudes, and the noisy sound's phases."""
    phases = np.exp(1j * np.angle(_FOURIER.stft(pair.noisy)))
    return _FOURIER.istft(roots.clip(0).T ** root * phases, k1=len(pair.noisy))


def measure(sounds: list[np.ndarray], pairs: list[Pair]) -> float:
    """Return the mean SI-SDR of takes, in decibels."""
    ratios = []
    for sound, (_, clean) in zip(sounds, pairs, strict=True):
        target = (sound @ clean) / (clean @ clean) * clean
        ratios.append(10 * np.log10(np.square(target).sum() / np.square(sound - target).sum()))
    return float(np.mean(ratios))


def subtract_noise(train: list[Pair], test: list[Pair]) -> list[np.ndarray]:
    """Return takes less the mean power of the noise, of which a hundredth of theirs stays."""
    noise = [np.square(np.abs(_FOURIER.stft(noisy - clean))) for noisy, clean in train]
    power = np.concatenate(noise, axis=1).mean(axis=1, keepdims=True)
    sounds = []
    for pair in test:
        there = np.square(np.abs(_FOURIER.stft(pair.noisy)))
        sounds.append(play(np.sqrt(np.maximum(there - power, 0.01 * there)).T, pair, 1))
    return sounds


def make_methods(seed: int, *, has_networks: bool) -> dict[str, Any]:
    """Return the denoisers of windows, by name."""
    methods = {
        RIDGE: Ridge(1.0),
        LINEAR: DenoisingAutoencoder(
            None, hidden_layer_sizes=(), standardize=False, gap=FRAMES, random_state=seed
        ),
    }
    if has_networks:
        methods[DEFAULT] = DenoisingAutoencoder(None, gap=FRAMES, random_state=seed)
        methods[SET] = DenoisingAutoencoder(None, **SETTINGS, gap=FRAMES, random_state=seed)
    return methods


def run(path: Path, noise: str, root: int, seed: int) -> dict[str, Any]:
    """Return the figures of each method on one kind of noise."""
    takes, rng = read_takes(path), np.random.default_rng(seed)
    test = add_noise(takes, takes.is_test, noise, rng)
    draws = [add_noise(takes, ~takes.is_test, noise, rng) for _ in range(_N_DRAWS)]
    # The draws of a take lie side by side: the last rows, which are held out, are of other takes.
    train = [pair for same in zip(*draws, strict=True) for pair in same]
    results: dict[str, Any] = {}
    for name, sounds in (
        (UNTOUCHED, [pair.noisy for pair in test]),
        (SUBTRACTION, subtract_noise(train, test)),
    ):
        results[name] = {"SI-SDR": measure(sounds, test), "seconds": 0.0}
    given, wanted = zip(*(find_rows(pair, root) for pair in train), strict=True)
    windows = Windows(FRAMES).fit(list(given))
    rows, clean = windows.transform(list(given)), windows.transform(list(wanted))
    for name, method in make_methods(seed, has_networks=root == SUITED[noise]).items():
        began = time.process_time()
        method.fit(rows, clean)
        seconds = time.process_time() - began
        denoise = method.predict if name == RIDGE else method.denoise
        figures = {"SI-SDR": measure(restore(denoise, windows, test, root), test)}
        results[name] = {**figures, "seconds": seconds, "epoch": getattr(method, "n_iter_", None)}
    return results


def restore(denoise: Denoise, windows: Windows, pairs: list[Pair], root: int) -> list[np.ndarray]:
    """Return takes without noise."""
    given = [find_rows(pair, root)[0] for pair in pairs]
    lengths = [len(part) for part in given]
    roots = windows.inverse_transform(denoise(windows.transform(given)), lengths=lengths)
    return [play(part, pair, root) for part, pair in zip(roots, pairs, strict=True)]
