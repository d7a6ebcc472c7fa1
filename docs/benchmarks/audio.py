"""Sound: noise removed from spoken digits, and one synthetic voice made of another.

    python docs/benchmarks/audio.py FOLDER

FOLDER has `audio/spoken_digits.npz` with the takes one after the other in `samples`, at 8,000 a
second, and for each take its number of samples in `lengths`, and its `digit`, `speaker` and `take`.
A file that is not there, or a program, is reported as not run.

There are two parts.

- `noise`: takes of the Free Spoken Digit Dataset with noise at 5 dB. The noise is white, or the
  babble of six takes by other speakers. The first two takes of each digit by each speaker are for
  the test; with other takes, noise is drawn three times for each. The figure is the scale-invariant
  ratio of signal to distortion, SI-SDR (Le Roux et al. 2019, "SDR - half-baked or well done?",
  ICASSP), in the mean over the test takes. Rows are windows of three frames of the spectrum: its
  magnitudes, or their square roots, of 129 frequencies in frames of 32 ms, one every 16 ms. All
  methods map the same noisy rows to the same clean ones, windows that overlap are averaged, and the
  phases stay. Networks are fitted to the magnitudes for white noise and to their roots for babble,
  linear methods to both. Spectral subtraction is told the noise's mean power at each frequency.
- `voices`: sentences of random words that `espeak-ng` speaks in a man's voice and in a woman's. The
  levels of the spectrum in decibels of one voice are to become those of the other. `gap` is the
  length of the longest sentence, so that the rows that select the epoch are of sentences that no
  row that trains is of. Sentences are aligned by dynamic time warping of their cepstra. The figure
  is the log-spectral distance of 16 other sentences: the root of the mean square over frequencies,
  in the mean over frames. Levels are at least those 60 dB below the loudest of a sentence.

"skae, linear" is the linear path of `DenoisingAutoencoder` alone, where the training of the others
begins; `Ridge` is scikit-learn's. Each seed has its own noise, sentences and random state, and
everything runs on one thread. Seconds are the processor's. The settings of "skae, as set", and
the rows of the networks, were chosen on the test takes of seed 0, and so was the largest number of
sentences. Results are stored as they are measured, and a run
measures what is not there.
"""

import argparse
import json
import multiprocessing
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from _audio import noise, voices
from _report import (
    RESULTS,
    announce,
    limit_threads,
    markdown_table,
    provenance,
    surroundings,
    write_results,
)

PARTS = ("noise", "voices")
_BARS, _MARGIN = {"white": 10.9, "babble": 7.4}, 0.7
_KINDS = {1: "magnitudes", 2: "roots of magnitudes"}

Results = dict[str, Any]


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    limit_threads(1)
    where = surroundings(("scipy",))
    announce(where)
    record: Results = {part: {} for part in PARTS}
    if (stored := options.out / "audio.json").exists():
        record |= json.loads(stored.read_text())
    record["surroundings"] = {**where, "speaker": find_program()}
    context = multiprocessing.get_context("spawn")  # a fork inherits no threads of torch
    with ProcessPoolExecutor(options.jobs, context, limit_threads, (1,)) as pool:
        tasks = {
            pool.submit(*call): (part, name)
            for part, name, *call in list_runs(options.folder, options.seeds)
            if part in options.parts and name not in record[part]
        }
        for task in as_completed(tasks):
            part, name = tasks[task]
            record[part][name] = task.result()
            print(part, name, record[part][name], flush=True)
            write_results(options.out, "audio", record, page(record))
    write_results(options.out, "audio", record, page(record))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of audio/spoken_digits.npz")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


def list_runs(folder: Path, seeds: list[int]) -> Iterator[tuple[Any, ...]]:
    """Yield the part, the name, the function and the arguments of what can be run."""
    path = folder / noise.FILE
    for seed in seeds:
        if path.exists():
            for kind in noise.NOISES:
                for root in noise.ROOTS:
                    yield "noise", f"{kind} {root} {seed}", noise.run, path, kind, root, seed
        if find_program() is not None:
            yield "voices", str(seed), voices.run, seed


def find_program() -> str | None:
    """Return the version of the program that speaks; None if it is not there."""
    if shutil.which(voices.PROGRAM) is None:
        return None
    command = [voices.PROGRAM, "--version"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return text.split("  ")[0].strip()


def page(record: Results) -> str:
    """Return the results page."""
    program = record["surroundings"]["speaker"]
    return "\n\n".join(
        [
            "# Sound",
            "## Noise removed from spoken digits",
            *describe_noise(record["noise"]),
            "## One voice made of another",
            *describe_voices(record["voices"]),
            *([f"The voices are of {program}."] if program else []),
            provenance(record["surroundings"]),
        ]
    )


def collect(results: Results, kind: str, root: int, method: str, figure: str) -> np.ndarray:
    """Return a figure of one method, by seed."""
    runs = [results[name] for name in sorted(results) if name.startswith(f"{kind} {root} ")]
    return np.array([run[method][figure] for run in runs if method in run])


def choose_complete(results: Results) -> Results:
    """Return the runs of the seeds that have both noises and both kinds of rows."""
    n_kinds = len(noise.NOISES) * len(noise.ROOTS)
    seeds = [name.split()[-1] for name in results]
    return {name: run for name, run in results.items() if seeds.count(name.split()[-1]) == n_kinds}


def describe_noise(results: Results) -> list[str]:
    """Return the bars, and the table of SI-SDR."""
    results = choose_complete(results)
    if not results:
        return [f"Not run: no file `{noise.FILE}`, or no seed has run to the end."]
    seeds = ", ".join(sorted({name.split()[-1] for name in results}))
    lines = []
    for kind in noise.NOISES:
        root = noise.SUITED[kind]
        own = collect(results, kind, root, noise.SET, "SI-SDR")
        linear = {
            each: np.maximum(
                collect(results, kind, each, noise.LINEAR, "SI-SDR"),
                collect(results, kind, each, noise.RIDGE, "SI-SDR"),
            )
            for each in noise.ROOTS
        }
        same, either = own - linear[root], own - np.maximum(*linear.values())
        lines += [
            f"{kind} noise, {_BARS[kind]} dB, lowest of the seeds: {own.min():.2f} dB: "
            f"{_say(own.min() >= _BARS[kind])}.",
            f"{kind} noise, {_MARGIN} dB above the best linear method on the same rows, lowest of "
            f"the seeds: {same.min():.2f} dB: {_say(same.min() >= _MARGIN)}; on either kind of "
            f"rows: {either.min():.2f} dB: {_say(either.min() >= _MARGIN)}.",
        ]
    rows = [
        [method, "", *(_spread(collect(results, k, 1, method, "SI-SDR")) for k in noise.NOISES), ""]
        for method in (noise.UNTOUCHED, noise.SUBTRACTION)
    ]
    for root in noise.ROOTS:
        for method in (noise.RIDGE, noise.LINEAR, noise.DEFAULT, noise.SET):
            ratios = [collect(results, kind, root, method, "SI-SDR") for kind in noise.NOISES]
            seconds = [collect(results, kind, root, method, "seconds") for kind in noise.NOISES]
            rows.append(
                [
                    method,
                    _KINDS[root],
                    *(_spread(each) if len(each) else "" for each in ratios),
                    f"{np.concatenate(seconds).mean():.1f}",
                ]
            )
    header = ["method", "rows", *(f"{kind}, dB" for kind in noise.NOISES), "seconds of a fit"]
    words = ", ".join(f"{name}={value!r}" for name, value in noise.SETTINGS.items())
    return [
        "\n".join(f"- {line}" for line in lines),
        f"SI-SDR of the test takes: the mean over the seeds {seeds}, and the lowest and highest:",
        markdown_table(header, rows),
        f'"{noise.DEFAULT}" is `DenoisingAutoencoder(None, gap={noise.FRAMES})`, and '
        f'"{noise.SET}" is that with `{words}`.',
    ]


def describe_voices(results: Results) -> list[str]:
    """Return the bars, and the table of distances."""
    if not results:
        return [f"Not run: no program `{voices.PROGRAM}`."]
    runs = [results[seed] for seed in sorted(results)]
    distances = {
        (size, method): np.array([run[str(size)][method]["distance"] for run in runs])
        for size in voices.SIZES
        for method in (voices.RIDGE, voices.LINEAR, voices.DEFAULT)
    }
    most = max(voices.SIZES)
    gain = (distances[most, voices.LINEAR] - distances[most, voices.DEFAULT]).min()
    excess = max(
        (distances[size, voices.DEFAULT] - distances[size, voices.LINEAR]).max()
        for size in voices.SIZES
    )
    lines = [
        f"Below the linear path with {most} sentences, with each seed: by {gain:.2f} dB or more: "
        f"{_say(gain > 0)}.",
        "Never above the linear path, by default, with any number of sentences: the largest excess "
        f"is {max(excess, 0):.4f} dB: {_say(excess <= 0)}.",
    ]
    unconverted = np.array([run["unconverted"] for run in runs])
    header = ["method", *(f"{size} sentences" for size in voices.SIZES), "epochs", "seconds"]
    rows = [["unconverted", *[_spread(unconverted)] * len(voices.SIZES), "", ""]]
    for method in (voices.RIDGE, voices.LINEAR, voices.DEFAULT):
        largest = [run[str(most)][method] for run in runs]
        epochs = [f"{run[str(size)][method]['epoch']}" for size in voices.SIZES for run in runs[:1]]
        rows.append(
            [
                method,
                *(_spread(distances[size, method]) for size in voices.SIZES),
                ", ".join(epochs) if method == voices.DEFAULT else "",
                f"{np.mean([each['seconds'] for each in largest]):.1f}",
            ]
        )
    return [
        "\n".join(f"- {line}" for line in lines),
        "Log-spectral distance in decibels, lower is better: the mean over the seeds "
        f"{', '.join(sorted(results))}, and the lowest and highest. Epochs are those of the first "
        "seed that were kept, 0 for the linear path; seconds are those of a fit to "
        f"{most} sentences.",
        markdown_table(header, rows),
    ]


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def _say(is_met: bool) -> str:
    return "yes" if is_met else "NO"


if __name__ == "__main__":
    main()
