"""
A model served by ONNX
======================

A fitted detector becomes one file, which runs without Python, torch or scikit-learn. Here
onnxruntime runs the file beside the detector itself: their scores agree to a millionth of a nat,
and a single row takes a small part of the time.
"""

# %%
# The detector is fitted in Python, as ever. A tenth of the fresh rows have a planted fault.
import tempfile
from pathlib import Path

import numpy as np

from skae import AEAnomalyDetector
from skae.export import to_onnx

rng = np.random.default_rng(0)
hidden = rng.normal(size=(4000, 4))
X = np.tanh(hidden @ rng.normal(size=(4, 16))) + 0.1 * rng.normal(size=(4000, 16))
train, fresh = X[:3000], X[3000:].copy()
fresh[:100, 3] += 1.5

detector = AEAnomalyDetector(random_state=0).fit(train)

# %%
# One line writes the file, with scaling, network, reference rows and threshold.
import onnxruntime

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "detector.onnx"
    to_onnx(detector, path)
    model = path.read_bytes()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options)
print(f"{len(model) / 2**20:.1f} MiB")

label, score = session.run(["label", "score"], {"X": fresh})
python_score = detector.score_samples(fresh)
print(f"equal labels: {(label == detector.predict(fresh)).mean():.0%}")
print(f"largest difference of scores: {np.abs(score - python_score).max():.1g} nats")

# %%
# Agreement on the left, with the threshold dotted; on the right the time of a row, alone and in
# batches. The file gains most where rows come one by one. It sorts all distances to the reference
# rows, where Python sorts groups of them, so that batches of more than a few hundred don't pay.
from time import perf_counter

import matplotlib.pyplot as plt


def measure_row(function, rows):
    """Return the least time of a row in microseconds, of several calls."""
    function(rows)
    times = []
    for _ in range(max(3, 60 // len(rows))):
        start = perf_counter()
        function(rows)
        times.append(perf_counter() - start)
    return 1e6 * min(times) / len(rows)


lengths = [1, 10, 100, 1000]
ways = {
    "Python": detector.score_samples,
    "onnxruntime": lambda rows: session.run(["score"], {"X": rows}),
}
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
is_fault = np.arange(len(fresh)) < 100
for chosen, color, name in ((~is_fault, "C0", "usual"), (is_fault, "C1", "planted fault")):
    left.scatter(python_score[chosen], score[chosen], s=9, color=color, label=name)
left.axline((0, 0), slope=1, color="0.6", linewidth=0.8, zorder=0)
for draw in (left.axhline, left.axvline):
    draw(detector.offset_, color="0.6", linestyle=":", zorder=0)
left.set(xlabel="score in Python (nats)", ylabel="score by onnxruntime (nats)")
left.legend(title="rows", frameon=False)
for (name, function), color in zip(ways.items(), ("C3", "C2"), strict=True):
    times = [measure_row(function, fresh[:length]) for length in lengths]
    right.loglog(lengths, times, "o-", color=color)
    right.annotate(name, (1, times[0]), xytext=(12, -4), textcoords="offset points", color=color)
right.set_ylabel("microseconds a row, one thread")
right.set_xlabel("rows at a time")

# %%
# The page :doc:`/guide/serving` of the user guide says how tables with categories, dates and
# missing cells are passed, what is computed in which precision, and how pipelines are written.
