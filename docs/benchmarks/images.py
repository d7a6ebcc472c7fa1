"""Images by convolution: codes, noise removed, pixels and watermarks restored.

    python docs/benchmarks/images.py FOLDER

FOLDER contains `mnist.npz`, with the uint8 arrays X_train, y_train, X_test and y_test; pixels are
divided by 255. Without the file the tasks on MNIST are reported as not run. All methods of a task
are fitted to the same images and judged on the same others.

- `codes_64` and `codes_2`: MNIST's 10,000 test images from codes of 64 and of 2 numbers, by the
  squared error a pixel. The published figures are those of a convolutional autoencoder in the
  repository of Parametric-UMAP.
- `noise`: Gaussian noise of standard deviation 0.5 on MNIST's test images, by the peak
  signal-to-noise ratio 10 log10(1 / mean squared error), without clipping. The bars are for
  convolutions with at most 50,000 weights beside the linear path.
- `pixels_mnist` and `pixels_photographs`: half of the pixels off: masking noise, which sets each
  with a probability of 0.5 to the mean of its place. No method is told which ones.
- `watermark_mnist` and `watermark_photographs`: a cross of 9 x 9 pixels on each image, at a random
  place, as opaque as a uniform number in [0.3, 0.9] and as bright as one in [0.4, 1]. All methods
  are fitted to pairs.

The photographs are the two of scikit-learn, in grey: 40,000 patches of 16 x 16 pixels of their left
three quarters to train on, and 5,000 of the rest to test. The best linear restorer is a regression
on all training pairs, with the ridge that is best on the test images, which favours it; the bar is
2 dB above it. The Wiener filter and the rank of PCA under noise are those of `classics.py`.

Every method is on one thread, and bars hold for seconds of the processor, which another busy
process changes little; seconds of the clock are stored too. Nothing is held out: epochs are fixed.
"MLP" has the defaults of skae but for what the table shows.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _classics._data import load_mnist
from _classics.denoise import NOISE, linear_guesses, peak_ratio
from _report import (
    RESULTS,
    announce,
    limit_threads,
    markdown_table,
    provenance,
    surroundings,
    write_results,
)
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae.modules import ConvolutionalArchitecture

MARGIN = 2.0  # decibels above the best linear restorer
MOST_WEIGHTS = 50_000  # beside the linear path, under noise
SHARE_OFF = 0.5
PATCH, N_PATCHES, N_TEST_PATCHES = 16, 40_000, 5_000
CROSS = np.maximum(np.eye(9, dtype=np.float32), np.eye(9, dtype=np.float32)[::-1])
RIDGES = tuple(10.0**power for power in range(-3, 6))

_FIXED: dict[str, Any] = {"standardize": False, "early_stopping": False, "device": "cpu"}


class Images(NamedTuple):
    """Images with pixels in [0, 1], in float32: those to train on, and those to test on.

    Where `target` is None, restorers of skae make `given` of clean images by themselves.
    """

    train: np.ndarray
    target: np.ndarray | None
    given: np.ndarray
    wanted: np.ndarray


class Answer(NamedTuple):
    """What a method makes of the test images, and the seconds of its fit."""

    images: np.ndarray
    settings: str
    seconds: float
    clock: float
    n_weights: int | None = None


class Bar(NamedTuple):
    """A figure to reach within so many minutes of the processor."""

    figure: float
    minutes: float


#: Fits with a seed, and maps the test images.
Solve = Callable[[Images, int], Answer]


@dataclass(frozen=True)
class Method:
    """A contestant.

    Attributes
    ----------
    name : str
        Its name on the page.
    solve : Callable
        Returns its answer.
    bars : tuple of Bar, default=()
        What it should reach.
    """

    name: str
    solve: Solve
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True)
class Task:
    """Images that are given and wanted, and the methods.

    Attributes
    ----------
    title : str
        Its heading on the page.
    load : Callable
        Returns the images, from a folder and a generator.
    methods : tuple of Method
        The contestants.
    published : float or None, default=None
        A published squared error; None measures by peak signal-to-noise ratios.
    linear : str or None, default=None
        The method that the bar lies 2 dB above.
    """

    title: str
    load: Callable[[Path, np.random.Generator], Images]
    methods: tuple[Method, ...]
    published: float | None = None
    linear: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether figures are squared errors, of which the lower is better."""
        return self.published is not None

    def measure(self, images: np.ndarray, wanted: np.ndarray) -> float:
        """Return the figure of a method's images."""
        if self.is_error:
            return float(np.square(images - wanted).mean(dtype=np.float64))
        return peak_ratio(images, wanted)


# Images -----------------------------------------------------------------------------------


def load_digits(folder: Path, rng: np.random.Generator) -> Images:
    """Return MNIST's images, to be reconstructed."""
    mnist = load_mnist(folder / "mnist.npz")
    train, test = (rows.reshape(-1, 28, 28) for rows in (mnist.train, mnist.test))
    return Images(train, None, test, test)


def load_noisy_digits(folder: Path, rng: np.random.Generator) -> Images:
    """Return MNIST's images, those to test with noise."""
    images = load_digits(folder, rng)
    noise = rng.standard_normal(images.wanted.shape, dtype=np.float32)
    return images._replace(given=images.wanted + NOISE * noise)


def load_patches(folder: Path, rng: np.random.Generator) -> Images:
    """Return patches of photographs, to be reconstructed; those to test are of another part."""
    train, test = [], []
    for photograph in load_sample_images().images:
        grey = np.asarray(Image.fromarray(photograph).convert("L"), np.float32) / 255
        edge = grey.shape[1] * 3 // 4
        train.append(draw_patches(grey[:, :edge], N_PATCHES // 2, rng))
        test.append(draw_patches(grey[:, edge:], N_TEST_PATCHES // 2, rng))
    tests = np.concatenate(test)
    return Images(np.concatenate(train), None, tests, tests)


def draw_patches(picture: np.ndarray, n_patches: int, rng: np.random.Generator) -> np.ndarray:
    """Return square patches from random places."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (PATCH, PATCH))
    return windows[tuple(rng.integers(windows.shape[:2], size=(n_patches, 2)).T)]


Load = Callable[[Path, np.random.Generator], Images]


def switch_off(load: Load) -> Load:
    """Return a loader whose test images have half of the pixels off."""

    def load_dark(folder: Path, rng: np.random.Generator) -> Images:
        images = load(folder, rng)
        is_off = rng.random(images.wanted.shape) < SHARE_OFF
        return images._replace(given=np.where(is_off, images.train.mean(axis=0), images.wanted))

    return load_dark


def put_stamps(load: Load) -> Load:
    """Return a loader of pairs of images with a watermark and without."""

    def load_marked(folder: Path, rng: np.random.Generator) -> Images:
        images = load(folder, rng)
        marked, given = stamp(images.train, rng), stamp(images.wanted, rng)
        return Images(marked, images.train, given, images.wanted)

    return load_marked


def stamp(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images with a cross on each."""
    marked, length = images.copy(), len(CROSS)
    tops, lefts = rng.integers(0, images.shape[1] - length + 1, size=(2, len(images)))
    opacity, brightness = rng.uniform([0.3, 0.4], [0.9, 1.0], size=(len(images), 2)).T
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        place = marked[i, top : top + length, left : left + length]
        place += opacity[i] * CROSS * (brightness[i] - place)
    return marked


# Methods ----------------------------------------------------------------------------------


def fit_skae(estimator: Any) -> Solve:
    """Return the fit of an estimator of skae."""

    def solve(images: Images, seed: int) -> Answer:
        estimator.set_params(**_FIXED, random_state=seed)
        process, clock = time.process_time(), time.perf_counter()
        estimator.fit(images.train, images.target)
        seconds = time.process_time() - process, time.perf_counter() - clock
        restore = getattr(estimator, "denoise", None) or estimator.reconstruct
        parts = np.array_split(images.given, 10)
        output = np.concatenate([restore(part) for part in parts])
        settings = " ".join(repr(estimator).split())
        return Answer(output, f"`{settings}`", *seconds, count_nonlinear_weights(estimator.module_))

    return solve


def count_nonlinear_weights(module: Any) -> int:
    """Return how many weights a module has beside its linear path."""
    linear = {id(p) for part in module.undecayed_parts() for p in part.parameters()}
    return sum(p.numel() for p in module.parameters() if id(p) not in linear)


def fit_pca(n_components: int) -> Solve:
    """Return the fit of PCA."""

    def solve(images: Images, seed: int) -> Answer:
        process, clock = time.process_time(), time.perf_counter()
        pca = PCA(n_components, svd_solver="covariance_eigh").fit(flatten(images.train))
        seconds = time.process_time() - process, time.perf_counter() - clock
        output = pca.inverse_transform(pca.transform(flatten(images.given)))
        return Answer(output.reshape(images.wanted.shape), f"`PCA({n_components})`", *seconds)

    return solve


def filter_noise(images: Images, seed: int) -> Answer:
    """Return what the Wiener filter makes of noisy images."""
    process, clock = time.process_time(), time.perf_counter()
    parts = (flatten(each) for each in (images.train, images.given, images.wanted))
    output = linear_guesses(*parts)[2].reshape(images.wanted.shape)
    seconds = time.process_time() - process, time.perf_counter() - clock
    return Answer(output, "mean and covariance of the training images", *seconds)


def fit_regression(images: Images, seed: int) -> Answer:
    """Return what the best linear restorer makes of images."""
    process, clock = time.process_time(), time.perf_counter()
    given, clean = images.train, images.target
    if clean is None:
        is_off = np.random.default_rng(seed).random(given.shape) < SHARE_OFF
        given, clean = np.where(is_off, given.mean(axis=0), given), given
    outputs = {}
    for alpha in RIDGES:
        ridge = Ridge(alpha).fit(flatten(given), flatten(clean))
        outputs[alpha] = ridge.predict(flatten(images.given)).reshape(images.wanted.shape)
    seconds = time.process_time() - process, time.perf_counter() - clock
    best = min(outputs, key=lambda alpha: np.square(outputs[alpha] - images.wanted).mean())
    return Answer(outputs[best], f"`Ridge({best:g})`", *seconds)


def flatten(images: np.ndarray) -> np.ndarray:
    """Return images as rows."""
    return images.reshape(len(images), -1)


# Tasks ------------------------------------------------------------------------------------

CODES = ConvolutionalArchitecture((16, 32), activation="gelu", dense=(512,))
DEEP = ConvolutionalArchitecture((16, 32), activation="gelu", dense=(500, 250))
SMALL = ConvolutionalArchitecture((16, 32, 48), activation="gelu")
WIDE = ConvolutionalArchitecture((16, 32, 64), activation="gelu")


def make_encoders(
    n_components: int,
    architecture: ConvolutionalArchitecture,
    n_epochs: Sequence[int],
    bars: Sequence[Bar],
) -> tuple[Method, ...]:
    """Return the methods for codes: convolutions with so many epochs for each bar, and peers."""
    return (
        *(
            Method(
                f"convolutions, {bar.minutes:g} minutes",
                fit_skae(
                    AutoencoderTransformer(
                        n_components,
                        architecture=architecture,
                        max_epochs=epochs,
                        batch_size=256,
                        weight_decay=0.1,
                    )
                ),
                (bar,),
            )
            for epochs, bar in zip(n_epochs, bars, strict=True)
        ),
        Method("MLP", fit_skae(AutoencoderTransformer(n_components))),
        Method("PCA", fit_pca(n_components)),
    )


def make_restorers(n_epochs: int, **parameters: Any) -> tuple[Method, ...]:
    """Return the methods for restoration."""
    convolutions = DenoisingAutoencoder(
        None, architecture=WIDE, max_epochs=n_epochs, batch_size=256, **parameters
    )
    return (
        Method("convolutions", fit_skae(convolutions)),
        Method("MLP", fit_skae(DenoisingAutoencoder(None, **parameters))),
        Method("linear regression", fit_regression),
    )


def make_denoiser(n_epochs: int) -> DenoisingAutoencoder:
    """Return the convolutional denoiser."""
    return DenoisingAutoencoder(
        None, architecture=SMALL, noise_level=NOISE, max_epochs=n_epochs, batch_size=256
    )


_MASKED = {"noise": "masking", "noise_level": SHARE_OFF}

TASKS: dict[str, Task] = {
    "codes_64": Task(
        "Codes of 64 numbers",
        load_digits,
        make_encoders(64, CODES, (14, 64), (Bar(0.0045, 5), Bar(0.0016, 15))),
        published=0.0016,
    ),
    "codes_2": Task(
        "Codes of 2 numbers",
        load_digits,
        make_encoders(2, DEEP, (60,), (Bar(0.0320, 15),)),
        published=0.0369,
    ),
    "noise": Task(
        "Gaussian noise",
        load_noisy_digits,
        (
            Method("convolutions, 4 minutes", fit_skae(make_denoiser(8)), (Bar(18.9, 4),)),
            Method("convolutions, 15 minutes", fit_skae(make_denoiser(24)), (Bar(19.2, 15),)),
            Method("MLP", fit_skae(DenoisingAutoencoder(None, noise_level=NOISE))),
            Method("Wiener filter", filter_noise),
        ),
    ),
    "pixels_mnist": Task(
        "Half of the pixels off, MNIST",
        switch_off(load_digits),
        make_restorers(4, **_MASKED),
        linear="linear regression",
    ),
    "pixels_photographs": Task(
        "Half of the pixels off, photographs",
        switch_off(load_patches),
        make_restorers(20, **_MASKED),
        linear="linear regression",
    ),
    "watermark_mnist": Task(
        "Watermark, MNIST",
        put_stamps(load_digits),
        make_restorers(4),
        linear="linear regression",
    ),
    "watermark_photographs": Task(
        "Watermark, photographs",
        put_stamps(load_patches),
        make_restorers(20),
        linear="linear regression",
    ),
}


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    limit_threads(1)
    where = surroundings()
    announce(where)
    for name in options.tasks:
        run(name, options, where)
    record = read(options.out)
    write_results(options.out, "images", record, page(record))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with mnist.npz")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="measure only these methods")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


def run(name: str, options: argparse.Namespace, where: dict[str, Any]) -> None:
    """Measure the methods of a task, and store each figure as it is measured."""
    task = TASKS[name]
    try:
        images = task.load(options.folder, np.random.default_rng(options.seed))
    except FileNotFoundError as error:
        print(f"{name}: not run: {error}", flush=True)
        return
    # The command too: two runs may begin in the same second.
    signed = {"run": f"{where['date']} {where['command']}", "seed": options.seed}
    for method in task.methods:
        if options.methods and method.name not in options.methods:
            continue
        answer = method.solve(images, options.seed)
        figures = {
            "figure": task.measure(answer.images, images.wanted),
            "seconds": answer.seconds,
            "clock": answer.clock,
            "n_weights": answer.n_weights,
            "settings": answer.settings,
            **signed,
        }
        print(name, method.name, figures, flush=True)
        record = read(options.out)
        record["runs"][signed["run"]] = where
        record["tasks"].setdefault(name, {})[method.name] = figures
        write_results(options.out, "images", record, page(record))


def read(folder: Path) -> dict[str, Any]:
    """Return what has been measured."""
    path = folder / "images.json"
    return json.loads(path.read_text()) if path.exists() else {"runs": {}, "tasks": {}}


# The page ---------------------------------------------------------------------------------


def page(record: dict[str, Any]) -> str:
    """Return the results page."""
    parts = ["# Images by convolution", "## Bars", "\n".join(judge(record["tasks"]))]
    for name, task in TASKS.items():
        parts += [f"## {task.title}", *describe(task, record["tasks"].get(name))]
    used = {figures["run"] for of in record["tasks"].values() for figures in of.values()}
    parts += [provenance(where) for run, where in record["runs"].items() if run in used]
    return "\n\n".join(parts)


def judge(results: dict[str, Any]) -> list[str]:
    """Return the bars, and whether they are met."""
    lines = []
    for name, task in TASKS.items():
        measured = results.get(name, {})
        for method in task.methods:
            if method.name not in measured:
                continue
            own = measured[method.name]
            for bar in method.bars:
                is_met = own["seconds"] <= 60 * bar.minutes and (
                    own["figure"] <= bar.figure
                    if task.is_error
                    else own["figure"] >= bar.figure and own["n_weights"] <= MOST_WEIGHTS
                )
                lines.append(
                    f"- {task.title}, {show(task, bar.figure)} in {bar.minutes:g} minutes: "
                    f"{show(task, own['figure'])} in {own['seconds'] / 60:.1f}: {say(is_met)}."
                )
        if task.linear in measured and "convolutions" in measured:
            gain = measured["convolutions"]["figure"] - measured[task.linear]["figure"]
            lines.append(
                f"- {task.title}, {MARGIN:g} dB above the best linear restorer: {gain:.1f} dB: "
                f"{say(gain >= MARGIN)}."
            )
    return lines


def say(is_met: bool) -> str:
    """Return a verdict."""
    return "yes" if is_met else "NO"


def show(task: Task, figure: float) -> str:
    """Return a figure as text."""
    return f"{figure:.4f}" if task.is_error else f"{figure:.2f} dB"


def describe(task: Task, measured: dict[str, Any] | None) -> list[str]:
    """Return the table of a task's figures."""
    if not measured:
        return ["Not run."]
    names = [method.name for method in task.methods]
    in_order = sorted(measured.items(), key=lambda item: names.index(item[0]))
    header = ["method", "squared error a pixel" if task.is_error else "PSNR", "processor seconds"]
    rows = [
        [
            name,
            show(task, own["figure"]),
            f"{own['seconds']:.0f}",
            "" if own["n_weights"] is None else f"{own['n_weights']:,}",
            str(own["seed"]),
            own["settings"],
        ]
        for name, own in in_order
    ]
    if task.published is not None:
        rows.append(["published", show(task, task.published), "", "", "", "convolutions"])
    return [markdown_table([*header, "nonlinear weights", "seed", "settings"], rows)]


if __name__ == "__main__":
    main()
