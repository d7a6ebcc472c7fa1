"""
Anomalies with reasons, and a bounded rate of false alarms
==========================================================

A detector should say three things of a row: whether it is an anomaly, how sure that is, and which
cells make it one.
"""

# %%
# A made table of a pump: current and flow follow speed, pressure follows flow and valve, and heat
# follows current.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skae import AEAnomalyDetector
from skae.inspection import ReasonsDisplay, ThresholdDisplay


def run_pump(n_rows, rng):
    """Return readings of a pump that works."""
    speed, valve = rng.uniform(600, 3000, n_rows), rng.uniform(0.2, 1, n_rows)
    current = 2 + 3e-9 * speed**3 * valve
    flow = 0.02 * speed * np.sqrt(valve)
    readings = {
        "speed": speed,
        "valve": valve,
        "current": current,
        "flow": flow,
        "pressure": 0.001 * flow**2 / valve**1.5,
        "temperature": 25 + 0.4 * current,
    }
    frame = pd.DataFrame(readings)
    return frame * (1 + 0.01 * rng.normal(size=frame.shape))


rng = np.random.default_rng(0)
history = run_pump(3000, rng)
detector = AEAnomalyDetector(alpha=0.01, calibration_fraction=0.3, random_state=0).fit(history)

# %%
# A day on which three things went wrong. Each value is one that the pump has had before, in another
# combination.
today = run_pump(5, rng).set_axis(["08:00", "09:00", "10:00", "11:00", "12:00"])
today.loc["09:00", "current"] = history["current"].quantile(0.99)
today.loc["10:00", "flow"] = history["flow"].quantile(0.02)
today.loc["12:00", ["temperature", "pressure"]] = history[["temperature", "pressure"]].max()
today.round(2)

# %%
# The threshold is set by rows that took no part in training: a row of a pump that works is an
# outlier with a probability of at most 1 %.
ThresholdDisplay.from_estimator(detector, today)

# %%
# Why: the cells that have to change for the row to become a usual one, and what was expected of
# them.
ReasonsDisplay.from_estimator(detector, today[detector.predict(today) == -1])

# %%
# The guarantee, tried out. Among rows of a pump that works, p-values are spread evenly between 0
# and 1, and the share of false alarms is near what was asked for, however good or bad the score
# is.
fresh = run_pump(5000, rng)
p_values = detector.p_values(fresh)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.hist(p_values, bins=20, range=(0, 1), color="#0072B2", alpha=0.6, edgecolor="white")
ax.axhline(len(fresh) / 20, color="black", linestyle="--", label="evenly spread")
ax.set(xlabel="p-value of a pump that works", ylabel="rows")
ax.legend(frameon=False)
print(f"false alarms: {(detector.predict(fresh) == -1).mean():.1%}")

# %%
# In a batch of many rows, ``discoveries`` bounds the share of false alarms among those that it
# names.
broken = run_pump(200, rng)
broken["flow"] *= rng.uniform(0.3, 0.7, len(broken))
batch = pd.concat([fresh[:1800], broken], ignore_index=True)
found = detector.discoveries(batch, false_discovery_rate=0.1)
print(f"{found.sum()} rows named, {found[1800:].sum()} of them broken, of 200")
# sphinx_gallery_thumbnail_number = 2
