"""Two synthetic voices that speak the same sentences, and one made of the other."""

import io
import subprocess
import time
import wave
from typing import Any

import numpy as np
from scipy.fft import dct
from scipy.signal import ShortTimeFFT, decimate
from scipy.signal.windows import hann
from scipy.spatial.distance import cdist
from sklearn.linear_model import Ridge

from skae import DenoisingAutoencoder
from skae.series import Windows

PROGRAM = "espeak-ng"
SOURCE, TARGET = "en-us", "en-us+f3"
SIZES, FRAMES = (4, 16, 128), 3
RIDGE, LINEAR, DEFAULT = "Ridge", "skae, linear", "skae, defaults"
_N_TEST, _N_CEPSTRA, _FLOOR = 16, 20, 60
_WORDS = {
    "adjective": "small green quiet heavy yellow broken famous early gentle narrow purple strange "
    "wooden happy frozen clever thin golden loud shallow",
    "noun": "river teacher garden window jacket chicken engine mountain letter village doctor "
    "bottle shadow kitchen soldier picture thunder basket farmer bridge violin ocean rabbit",
    "verb": "carries watches follows paints forgets answers believes chooses visits measures "
    "pushes throws covers finds joins hears",
    "place": "behind under beside without toward above through after",
}

Spoken = list[tuple[np.ndarray, np.ndarray]]


def make_sentence(rng: np.random.Generator) -> str:
    """Return a sentence of random words."""
    one = {kind: rng.choice(words.split(), 3) for kind, words in _WORDS.items()}
    (quiet, shy, _), (who, what, where) = one["adjective"], one["noun"]
    return f"The {quiet} {who} {one['verb'][0]} a {what} {one['place'][0]} the {shy} {where}."


def find_spectra(voice: str, text: str) -> np.ndarray:
    """Return the levels of a spoken sentence in decibels, by frame and frequency."""
    command = [PROGRAM, "-z", "-v", voice, "--stdout", text]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        rate = file.getframerate() / 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    spectrum = ShortTimeFFT(hann(256, sym=False), 128, rate).stft(decimate(samples, 2))
    levels = 20 * np.log10(np.abs(spectrum).T + 1e-9)
    return np.maximum(levels, levels.max() - _FLOOR).astype(np.float32)


def align(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return a frame of the target for each one of the source, by dynamic time warping."""
    shapes = [dct(levels, norm="ortho")[:, 1:_N_CEPSTRA] for levels in (source, target)]
    cost = cdist(*(shape - shape.mean(axis=0) for shape in shapes))
    total = np.full((len(source) + 1, len(target) + 1), np.inf)
    total[0, 0] = 0
    for i, row in enumerate(cost, start=1):
        for j, own in enumerate(row, start=1):
            total[i, j] = own + min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
    (i, j), partner = cost.shape, np.zeros(len(source), dtype=int)
    while i > 0:
        partner[i - 1] = j - 1
        step = np.argmin([total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]])
        i, j = i - int(step != 2), j - int(step != 1)
    return target[partner]


def speak(n_sentences: int, rng: np.random.Generator) -> Spoken:
    """Return the spectra of sentences by both voices, the second in the time of the first."""
    spoken = []
    for text in (make_sentence(rng) for _ in range(n_sentences)):
        source, target = find_spectra(SOURCE, text), find_spectra(TARGET, text)
        spoken.append((source, align(source, target)))
    return spoken


def measure(converted: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Return the mean log-spectral distance of frames, in decibels."""
    gap = np.concatenate(converted) - np.concatenate(wanted)
    return float(np.sqrt(np.square(gap).mean(axis=1)).mean())


def run(seed: int) -> dict[str, Any]:
    """Return the figures of each method, by the number of sentences that it learns from."""
    spoken = speak(max(SIZES) + _N_TEST, np.random.default_rng(seed))
    given, wanted = zip(*spoken[-_N_TEST:], strict=True)
    results: dict[str, Any] = {"unconverted": measure(given, wanted)}
    for size in SIZES:
        sources, targets = map(list, zip(*spoken[:size], strict=True))
        windows = Windows(FRAMES).fit(sources)
        X, Y = windows.transform(sources), windows.transform(targets)
        # No sentence is on both sides of the held-out rows: the test is on others.
        gap = max(len(part) for part in sources)
        lengths = [len(part) for part in given]
        test = windows.transform(list(given))
        results[str(size)] = {}
        for name, method in make_methods(seed, gap).items():
            began = time.process_time()
            method.fit(X, Y)
            seconds = time.process_time() - began
            convert = method.predict if name == RIDGE else method.denoise
            parts = windows.inverse_transform(convert(test), lengths=lengths)
            results[str(size)][name] = {
                "distance": measure(parts, wanted),
                "seconds": seconds,
                "epoch": getattr(method, "n_iter_", None),
            }
    return results


def make_methods(seed: int, gap: int) -> dict[str, Any]:
    """Return the converters of windows, by name."""
    return {
        RIDGE: Ridge(1000.0),
        LINEAR: DenoisingAutoencoder(None, hidden_layer_sizes=(), gap=gap, random_state=seed),
        DEFAULT: DenoisingAutoencoder(None, gap=gap, random_state=seed),
    }
