"""Sound: noise removed from spoken digits, and one synthetic voice made of another.

    python docs/benchmarks/audio.py FOLDER

FOLDER has `audio/spoken_digits.npz` with the takes one after the other in `samples`, at 8,000 a
second, and for each take its number of samples in `lengths`, and its `digit`, `speaker` and `take`.
A file that is not there, or a program, is reported as not run.

There are two parts.

- `noise`: takes of the Free Spoken Digit Dataset with noise at 5 dB. The noise is white, or the
  babble of six takes by other speakers. The first two takes of each digit by each speaker are for
  the test; with other takes, noise is drawn four times for each. The figure is the scale-invariant
  ratio of signal to distortion, SI-SDR (Le Roux et al. 2019, "SDR - half-baked or well done?",
  ICASSP), in the mean over the test takes. Rows are windows of three frames of the spectrum: its
  magnitudes, or their square roots, of 129 frequencies in frames of 32 ms, one every 16 ms. All
  methods map the same noisy rows to the same clean ones, windows that overlap are averaged, and the
  phases stay. Spectral subtraction is told the mean power of the noise, at each frequency.
- `voices`: sentences of random words that `espeak-ng` speaks in a man's voice and in a woman's. The
  levels of the spectrum in decibels of one voice are to become those of the other. Sentences are
  aligned by dynamic time warping of their cepstra. The figure is the log-spectral distance of 16
  other sentences: the root of the mean square over frequencies, in the mean over frames. Levels are
  at least those 60 dB below the loudest of a sentence.

"skae, linear" is the linear path of `DenoisingAutoencoder` alone, where the training of the others
begins; `Ridge` is scikit-learn's. Each seed has its own noise, sentences and random state, and
everything runs on one thread. Seconds are the processor's. The settings of "skae, as set" were
chosen on seed 0.
"""

import argparse
import json
import multiprocessing
import shutil
import subprocess
from concurrent.futures import Future, ProcessPoolExecutor
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
    record: Results = {"runs": {}}
    if (stored := options.out / "audio.json").exists():  # the other part stays as it is
        record |= json.loads(stored.read_text())
    context = multiprocessing.get_context("spawn")  # a fork inherits no threads of torch
    with ProcessPoolExecutor(options.jobs, context, limit_threads, (1,)) as pool:
        tasks = {
            part: submit(pool, options.folder, options.seeds)
            for part, submit in (("noise", submit_noise), ("voices", submit_voices))
            if part in options.parts
        }
        for part, by_name in tasks.items():
            results = {}
            for name, task in by_name.items():
                results[name] = task.result()
                print(part, name, results[name], flush=True)
            record[part] = results or None
            record["runs"][part] = {**where, "seeds": options.seeds, "speaker": find_program()}
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


def submit_noise(
    pool: ProcessPoolExecutor, folder: Path, seeds: list[int]
) -> dict[str, Future[Results]]:
    """Return the runs of each noise, kind of rows and seed; none if there is no file."""
    path = folder / noise.FILE
    if not path.exists():
        return {}
    return {
        f"{kind} {root} {seed}": pool.submit(noise.run, path, kind, root, seed)
        for seed in seeds
        for kind in noise.NOISES
        for root in noise.ROOTS
    }


def submit_voices(
    pool: ProcessPoolExecutor, folder: Path, seeds: list[int]
) -> dict[str, Future[Results]]:
    """Return the run of each seed; none if there is no program that speaks."""
    if find_program() is None:
        return {}
    return {str(seed): pool.submit(voices.run, seed) for seed in seeds}


def find_program() -> str | None:
    """Return the version of the program that speaks; None if it is not there."""
    if shutil.which(voices.PROGRAM) is None:
        return None
    command = [voices.PROGRAM, "--version"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return text.split("  ")[0].strip()


def page(record: Results) -> str:
    """Return the results page."""
    parts = ["# Sound"]
    if "noise" in record:
        parts += ["## Noise removed from spoken digits", *describe_noise(record["noise"])]
    if "voices" in record:
        parts += ["## One voice made of another", *describe_voices(record["voices"])]
    for part, where in record["runs"].items():
        seeds, program = ", ".join(map(str, where["seeds"])), where["speaker"]
        spoken = f", {program}" if part == "voices" and program else ""
        parts.append(f"`{part}`, seeds {seeds}{spoken}: {provenance(where)}")
    return "\n\n".join(parts)


def collect(results: Results, kind: str, root: int, method: str, figure: str) -> np.ndarray:
    """Return a figure of one method, by seed."""
    runs = [run for name, run in results.items() if name.startswith(f"{kind} {root} ")]
    return np.array([run[method][figure] for run in runs])


def describe_noise(results: Results | None) -> list[str]:
    """Return the bars, and the table of SI-SDR."""
    if results is None:
        return [f"Not run: no file `{noise.FILE}`."]
    methods = list(next(iter(results.values())))
    ratios = {
        (kind, root, method): collect(results, kind, root, method, "SI-SDR")
        for kind in noise.NOISES
        for root in noise.ROOTS
        for method in methods
    }
    lines = []
    for kind in noise.NOISES:
        own = {root: ratios[kind, root, noise.SET] for root in noise.ROOTS}
        linear = {
            root: np.maximum(ratios[kind, root, noise.LINEAR], ratios[kind, root, noise.RIDGE])
            for root in noise.ROOTS
        }
        root = max(noise.ROOTS, key=lambda root: own[root].mean())
        lowest, gain = own[root].min(), (own[root] - linear[root]).min()
        best = min(np.subtract(own[root], np.maximum(*linear.values())))
        lines += [
            f"{kind} noise, {_BARS[kind]} dB, with {_KINDS[root]}, the lowest of the seeds: "
            f"{lowest:.2f} dB: {_say(lowest >= _BARS[kind])}.",
            f"{kind} noise, {_MARGIN} dB above the best linear method on the same rows, the lowest "
            f"of the seeds: {gain:.2f} dB: {_say(gain >= _MARGIN)}; above the best linear method "
            f"on either kind of rows: {best:.2f} dB: {_say(best >= _MARGIN)}.",
        ]
    header = ["method", "rows", *(f"{kind}, dB" for kind in noise.NOISES), "seconds of a fit"]
    rows = []
    for root in noise.ROOTS:
        for method in methods:
            is_row_free = method in (noise.UNTOUCHED, noise.SUBTRACTION)
            if is_row_free and root != noise.ROOTS[0]:
                continue
            figures = [ratios[kind, root, method] for kind in noise.NOISES]
            seconds = np.concatenate(
                [collect(results, kind, root, method, "seconds") for kind in noise.NOISES]
            ).mean()
            rows.append(
                [
                    method,
                    "" if is_row_free else _KINDS[root],
                    *(_spread(each) for each in figures),
                    "" if is_row_free else f"{seconds:.1f}",
                ]
            )
    words = ", ".join(f"{name}={value!r}" for name, value in noise.SETTINGS.items())
    return [
        "\n".join(f"- {line}" for line in lines),
        "SI-SDR of the test takes, the mean over the seeds, and the lowest and highest of them:",
        markdown_table(header, rows),
        f'"{noise.DEFAULT}" is `DenoisingAutoencoder(None, gap={noise.FRAMES})`, and '
        f'"{noise.SET}" is that with `{words}`.',
    ]


def describe_voices(results: Results | None) -> list[str]:
    """Return the bars, and the table of distances."""
    if results is None:
        return [f"Not run: no program `{voices.PROGRAM}`."]
    runs = list(results.values())
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
        f"is {max(excess, 0):.3f} dB: {_say(excess <= 0)}.",
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
        "Log-spectral distance in decibels, lower is better: the mean over the seeds, and the "
        "lowest and highest of them. Epochs are those of the first seed that were kept, 0 for the "
        f"linear path; seconds are those of a fit to {most} sentences.",
        markdown_table(header, rows),
    ]


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def _say(is_met: bool) -> str:
    return "yes" if is_met else "NO"


if __name__ == "__main__":
    main()
