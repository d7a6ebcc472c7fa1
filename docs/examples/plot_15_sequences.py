"""
Heartbeats, and those that are not like the others
==================================================

A sequence is a row with an order. Convolutions over time share what they learn between all places
of it, and everything else stays as it is: the floor, the density, the bounded rate of false
alarms.
"""

# %%
# Made heartbeats of 64 steps each. The time of the beat, its width and its height vary.
import matplotlib.pyplot as plt
import numpy as np

from skae import AEAnomalyDetector, AutoencoderTransformer
from skae.inspection import ReconstructionDisplay, ThresholdDisplay
from skae.modules import TemporalConvolutionArchitecture

TIME = np.linspace(0, 1, 64)


def beat(n_rows, rng):
    """Return heartbeats, a row for each."""
    start, width, height = rng.uniform([0.35, 0.8, 0.8], [0.65, 1.2, 1.2], size=(n_rows, 3)).T
    waves = [(-0.17, 0.035, 0.25), (-0.03, 0.012, -0.2), (0, 0.014, 1.2), (0.03, 0.013, -0.3)]
    rows = 0.03 * rng.normal(size=(n_rows, len(TIME)))
    for place, length, size in [*waves, (0.2, 0.05, 0.4)]:
        distance = (TIME - start[:, None] - place * width[:, None]) / (length * width[:, None])
        rows += size * height[:, None] * np.exp(-0.5 * distance**2)
    return rows


rng = np.random.default_rng(0)
rows = beat(1200, rng)
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
ax.plot(TIME, rows[:12].T, color="#0072B2", alpha=0.5, linewidth=1)
ax.set_ylabel("voltage")
ax.set_xlabel("time")

# %%
# Four numbers for each beat
# --------------------------
architecture = TemporalConvolutionArchitecture((16, 32), dense=(64,))
model = AutoencoderTransformer(
    4, architecture=architecture, standardize=False, max_epochs=30, random_state=0
).fit(rows)
linear = AutoencoderTransformer(4, hidden_layer_sizes=(), standardize=False).fit(rows)
fresh = beat(300, rng)
print(f"squared error by PCA:          {linear.reconstruction_error(fresh).mean():.4f}")
print(f"squared error by convolutions: {model.reconstruction_error(fresh).mean():.4f}")
ReconstructionDisplay.from_estimator(model, fresh[:3])

# %%
# Beats that are not like the others
# ----------------------------------
# A beat upside down, one with its last wave missing, and one in which two beats follow one another.
# Below them are two fresh ones.
odd = beat(5, np.random.default_rng(1))
odd[0] *= -1
odd[1, odd[1].argmax() + 6 :] = 0.03 * rng.normal(size=len(TIME) - odd[1].argmax() - 6)
odd[2] += np.roll(odd[2], 14)

detector = AEAnomalyDetector(model, random_state=0).fit(rows)
names = ["upside down", "no last wave", "two beats", "fresh", "fresh too"]
ThresholdDisplay.from_estimator(detector, odd, names=names)

# %%
# What the model makes of them: it can only draw beats that it knows.
ReconstructionDisplay.from_estimator(model, odd[:3])
# sphinx_gallery_thumbnail_number = 4
