"""
Sound: noise removed, and what lies between two instruments
===========================================================

A sound is a table too: a row for each moment, a column for each frequency. What holds for rows
holds for sounds, and one can hear it.
"""

# %%
# A tone has harmonics, at multiples of its pitch, and a resonance of the instrument makes those
# near it louder. Melodies of such tones are made here, at 8,000 samples a second.
import base64
import io
import wave

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae.series import Windows

RATE, N_HARMONICS = 8000, 12


class Sound:
    """Samples that a page plays."""

    def __init__(self, samples):
        whole = np.int16(32000 * samples / np.abs(samples).max())
        file = io.BytesIO()
        with wave.open(file, "wb") as wav:
            wav.setparams((1, 2, RATE, len(whole), "NONE", ""))
            wav.writeframes(whole.tobytes())
        self.url = f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"

    def _repr_html_(self):
        return f'<audio controls src="{self.url}"></audio>'


def resonate(place, rng=None):
    """Return the levels of the harmonics, in decibels, with a resonance at one of them."""
    width, slope = (2.0, 1.0) if rng is None else rng.uniform([1.8, 0.8], [2.2, 1.2])
    numbers = np.arange(1, N_HARMONICS + 1)
    return 30 * np.exp(-0.5 * ((numbers - place) / width) ** 2) - 10 * slope * np.log2(numbers)


def play(pitch, levels, seconds):
    """Return a tone; `levels` are those of its harmonics, at one moment or at several."""
    time = np.arange(int(seconds * RATE)) / RATE
    levels = np.atleast_2d(levels)
    moments = np.linspace(0, seconds, len(levels))
    tone = np.zeros(len(time))
    for number, level in enumerate(levels.T, start=1):
        if number * pitch < RATE / 2:
            loudness = 10 ** (np.interp(time, moments, level) / 20)
            tone += loudness * np.sin(2 * np.pi * number * pitch * time)
    return tone * np.minimum(1, 40 * time) * np.minimum(1, 10 * (seconds - time))


def make_melody(n_tones, rng):
    """Return tones of random pitch, length and resonance."""
    tones = []
    for _ in range(n_tones):
        pitch = 220 * 2 ** (rng.integers(0, 13) / 12)
        tones.append(play(pitch, resonate(rng.uniform(1, 8), rng), rng.uniform(0.2, 0.5)))
    melody = np.concatenate(tones)
    return melody / melody.std()


# %%
# Remove noise
# ------------
# The rows are windows of three moments of the spectrogram. ``fit`` takes those of noisy melodies
# and of clean ones, and the overlapping windows of what ``denoise`` returns are averaged. The phase
# is that of the noisy sound.
FOURIER = ShortTimeFFT(np.sqrt(hann(256, sym=False)), hop=128, fs=RATE)
rng = np.random.default_rng(0)
clean = make_melody(400, rng)
noisy = clean + 10 ** (-5 / 20) * rng.normal(size=len(clean))


def find_magnitudes(sound):
    return np.sqrt(np.abs(FOURIER.stft(sound).T))


windows = Windows(3).fit(find_magnitudes(noisy))
pairs = [windows.transform(find_magnitudes(sound)) for sound in (noisy, clean)]
denoiser = DenoisingAutoencoder(standardize=False, gap=3, random_state=0).fit(*pairs)
wiener = DenoisingAutoencoder(standardize=False, hidden_layer_sizes=()).fit(*pairs)


def denoise(model, sound):
    """Return a sound without noise."""
    spectrum, rows = FOURIER.stft(sound).T, windows.transform(find_magnitudes(sound))
    roots = windows.inverse_transform(model.denoise(rows), lengths=len(spectrum)).clip(0)
    filtered = roots**2 * np.exp(1j * np.angle(spectrum))
    return FOURIER.istft(filtered.T, k1=len(sound))


def measure_distortion(sound, clean):
    """Return the scale-invariant ratio of signal to distortion, in decibels."""
    target = (sound @ clean) / (clean @ clean) * clean
    return 10 * np.log10(np.square(target).sum() / np.square(sound - target).sum())


# %%
# A melody that the denoiser has not heard:
melody = make_melody(8, np.random.default_rng(1))
heard = melody + 10 ** (-5 / 20) * rng.normal(size=len(melody))
restored = denoise(denoiser, heard)
for name, sound in (
    ("with noise", heard),
    ("by the best linear filter", denoise(wiener, heard)),
    ("by the denoising autoencoder", restored),
):
    print(f"signal to distortion, {name + ':':30} {measure_distortion(sound, melody):5.1f} dB")

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained", sharey=True)
for ax, (name, sound) in zip(
    axes, {"with noise": heard, "restored": restored, "clean": melody}.items(), strict=True
):
    level = 20 * np.log10(np.abs(FOURIER.stft(sound)) + 1e-9)
    image = ax.imshow(
        level, origin="lower", aspect="auto", cmap="magma", vmin=-10, vmax=30,
        extent=(0, len(sound) / RATE, 0, RATE / 2000),
    )  # fmt: skip
    ax.set(title=name, xlabel="seconds")
axes[0].set_ylabel("kHz")
fig.colorbar(image, ax=axes, label="level in dB")

# %%
# With noise:
Sound(heard)

# %%
# Restored:
Sound(restored)

# %%
# Between two instruments
# -----------------------
# Now a row is a tone: the levels of its harmonics. One instrument has its resonance at the third
# harmonic, the other at the eighth, and the table has instruments of all kinds. One number says
# where the resonance is, so the code has one. The path from one end to the other is an arc, which a
# line cannot follow; that is why training begins at random weights here and not at PCA.
rng = np.random.default_rng(0)
levels = np.stack([resonate(rng.uniform(2, 9), rng) for _ in range(2000)])
levels += rng.normal(size=levels.shape)
model = AutoencoderTransformer(1, init="random", standardize=False, random_state=0).fit(levels)

dark, bright = resonate(3), resonate(8)
share = np.linspace(0, 1, 21)[:, None]
mixed = (1 - share) * dark + share * bright
ends = model.transform([dark, bright])
between = model.inverse_transform((1 - share) * ends[0] + share * ends[1])

# %%
# Halfway between their levels both instruments sound at once, each of them faintly. Halfway between
# their codes lies an instrument of its own, with one resonance, as loud as the others.
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for ax, (name, rows) in zip(
    axes, {"levels mixed": mixed, "codes mixed": between}.items(), strict=True
):
    image = ax.imshow(
        rows.T, origin="lower", aspect="auto", cmap="magma", vmin=-40, vmax=20,
        extent=(0, 1, 0.5, N_HARMONICS + 0.5),
    )  # fmt: skip
    ax.set(title=name, xlabel="share of the second instrument")
axes[0].set_ylabel("harmonic")
fig.colorbar(image, ax=axes, label="level in dB")

# %%
# From the first to the second and back, with levels mixed:
there_and_back = [*range(21), *range(20, -1, -1)]
Sound(play(147, mixed[there_and_back], 3))

# %%
# With codes mixed, the resonance moves:
Sound(play(147, between[there_and_back], 3))
# sphinx_gallery_thumbnail_number = 1
