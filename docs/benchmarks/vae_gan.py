"""Images drawn from a variational autoencoder with and without a discriminator, at equal time.

    python docs/benchmarks/vae_gan.py FOLDER

FOLDER contains `mnist.npz`, with the uint8 arrays X_train, y_train, X_test and y_test.

The two models are `VAETransformer` with the same parameters, but for `discriminator="mlp"`, and the
one without has as many more epochs as fill the same processor time. The page shows both times: the
one without must have no less.

Their figure is the Frechet distance (Heusel et al. 2017, "GANs trained by a two time-scale update
rule converge to a local Nash equilibrium", NeurIPS, section 3) between images that they draw,
`sample(10000, noise=False)`, and the test images: that of two Gaussians with the means and
covariances of features. The features are the 84 of the last hidden layer of LeNet-5 (LeCun et al.
1998), trained on the training images to classify digits. As many training images, and images drawn
from the Gaussian of their first 32 principal components, show the ends of the scale. Features of a
classifier that is trained anew differ by their scale, so distances compare within one page only.

The bar is a ratio of the two distances of at most 0.75, with each seed. The settings were chosen on
seed 0, and the number of epochs after a run of 5 in each training, in which the model without had a
fifth more time and the ratios were 0.74, 0.82 and 0.78. Scores are of 500 test images, drawn at
random, with `n_draws=20`.
"""

import argparse
import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _classics._data import Images, load_mnist
from _report import (
    RESULTS,
    announce,
    limit_threads,
    markdown_table,
    provenance,
    surroundings,
    write_results,
)
from sklearn.decomposition import PCA
from torch import nn
from torch.nn.functional import cross_entropy

from skae import VAETransformer

BAR = 0.75
N_DRAWN, N_SCORED = 10_000, 500
PARAMETERS: dict[str, Any] = {
    "n_components": 32,
    "hidden_layer_sizes": (256, 128),
    "likelihood": "bernoulli",
    "standardize": False,
    "early_stopping": False,
    "batch_size": 256,
    "n_draws": 20,
    "device": "cpu",
}
WORDS = ", ".join(f"{name}={value!r}" for name, value in PARAMETERS.items())
WITH, WITHOUT = "with a discriminator", "without"
LENET_EPOCHS = 3


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    limit_threads(1)
    where = surroundings()
    announce(where)
    path = options.folder / "mnist.npz"
    n_epochs = {WITH: options.epochs, WITHOUT: options.plain_epochs}
    context = multiprocessing.get_context("spawn")  # a fork inherits no threads of torch
    with ProcessPoolExecutor(options.jobs, context) as pool:
        tasks = {
            (seed, name): pool.submit(fit, path, name, n_epochs[name], seed)
            for seed in options.seeds
            for name in (WITH, WITHOUT)
        }
        images = load_mnist(path)
        features = LeNetFeatures(images)
        ends = {
            "training images": features.distance(draw_rows(images.train)),
            "Gaussian of 32 principal components": features.distance(draw_linear(images.train)),
        }
        print(
            f"LeNet: {features.accuracy:.4f} of the test images are classified; {ends}", flush=True
        )
        runs: list[dict[str, Any]] = [{"seed": seed, "models": {}} for seed in options.seeds]
        for run in runs:
            for name in (WITH, WITHOUT):
                model = tasks[run["seed"], name].result()
                model["distance"] = features.distance(model.pop("drawn"))
                run["models"][name] = model
                print(run["seed"], name, model, flush=True)
            run["ratio"] = run["models"][WITH]["distance"] / run["models"][WITHOUT]["distance"]
    result = {
        "surroundings": where,
        "settings": {"seeds": options.seeds, "epochs": n_epochs},
        "accuracy": features.accuracy,
        "ends": ends,
        "runs": runs,
    }
    write_results(options.out, "vae_gan", result, page(result))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with mnist.npz")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--epochs", type=int, default=7, help="of either training of the model with a discriminator"
    )
    parser.add_argument(
        "--plain-epochs", type=int, default=24, help="of the model without a discriminator"
    )
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time, one thread each")
    return parser.parse_args()


def fit(path: Path, name: str, n_epochs: int, seed: int) -> dict[str, Any]:
    """Fit a model; return what it draws, its processor time and its score."""
    limit_threads(1)
    images = load_mnist(path)
    discriminator = "mlp" if name == WITH else None
    model = VAETransformer(
        **PARAMETERS, max_epochs=n_epochs, discriminator=discriminator, random_state=seed
    )
    began = time.process_time()
    model.fit(images.train)
    seconds = time.process_time() - began
    scored = np.random.default_rng(0).permutation(len(images.test))[:N_SCORED]
    drawn = model.sample(N_DRAWN, random_state=1, noise=False)
    return {
        "drawn": drawn.astype(np.float32),
        "seconds": seconds,
        "n_epochs": model.n_iter_,
        "score": float(model.score(images.test[scored])),
    }


class LeNetFeatures:
    """Features of a classifier of digits, and distances from those of the test images.

    Parameters
    ----------
    images : Images
        Digits to train on, and those to compare with.
    """

    def __init__(self, images: Images) -> None:
        torch.manual_seed(0)
        self.net = make_lenet()
        train_classifier(self.net, images)
        self.net.eval()
        with torch.no_grad():
            found = self.net(torch.from_numpy(images.test)).argmax(dim=1).numpy()
        self.accuracy = float((found == images.test_labels).mean())
        self.of_test = self.describe(images.test)

    @torch.no_grad()
    def describe(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the covariance of images' features."""
        parts = torch.from_numpy(np.ascontiguousarray(rows, np.float32)).split(2000)
        features = torch.cat([self.net[:-1](part) for part in parts]).double().numpy()
        return features.mean(axis=0), np.cov(features.T)

    def distance(self, rows: np.ndarray) -> float:
        """Return the Frechet distance of images from the test images."""
        (mean, covariance), (theirs, other) = self.describe(rows), self.of_test
        # The trace of the root of the product of two covariances, whose eigenvalues are positive.
        overlap = np.sqrt(np.linalg.eigvals(covariance @ other).real.clip(0)).sum()
        gap = np.square(mean - theirs).sum()
        return float(gap + np.trace(covariance) + np.trace(other) - 2 * overlap)


def make_lenet() -> nn.Sequential:
    """Return LeNet-5 with rectified units and pooling by the maximum."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, 10),
    )


def train_classifier(net: nn.Module, images: Images) -> None:
    """Train a classifier of digits."""
    rows = torch.from_numpy(images.train)
    labels = torch.from_numpy(images.train_labels.astype(np.int64))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.002)
    n_steps = LENET_EPOCHS * math.ceil(len(rows) / 128)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    for _ in range(LENET_EPOCHS):
        for batch in torch.randperm(len(rows)).split(128):
            optimizer.zero_grad()
            cross_entropy(net(rows[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()


def draw_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows drawn without replacement."""
    return rows[np.random.default_rng(0).permutation(len(rows))[:N_DRAWN]]


def draw_linear(rows: np.ndarray) -> np.ndarray:
    """Return rows drawn from a Gaussian in the space of the first principal components."""
    pca = PCA(PARAMETERS["n_components"], random_state=0).fit(rows)
    codes = np.random.default_rng(0).normal(size=(N_DRAWN, pca.n_components_))
    return pca.inverse_transform(codes * np.sqrt(pca.explained_variance_))


def page(result: dict[str, Any]) -> str:
    """Return the results page."""
    header = ["seed", "discriminator", "epochs", "processor seconds", "distance", "score", "ratio"]
    rows = [
        [
            str(run["seed"]),
            '`"mlp"`' if name == WITH else "`None`",
            str(model["n_epochs"]),
            f"{model['seconds']:.0f}",
            f"{model['distance']:.1f}",
            f"{model['score']:.1f}",
            f"{run['ratio']:.2f}" if name == WITH else "",
        ]
        for run in result["runs"]
        for name, model in run["models"].items()
    ]
    worst = max(run["ratio"] for run in result["runs"])
    verdict = "met" if worst <= BAR else "missed"
    ends = ", ".join(f"{name} {value:.1f}" for name, value in result["ends"].items())
    return "\n\n".join(
        [
            "# A discriminator beside a variational autoencoder",
            "MNIST. The Frechet distance between the features of drawn images and of test images, "
            "under a small classifier; lower is better. Scores are nats an image; higher is "
            f"better. Both models are `VAETransformer({WORDS})` on one thread; that without a "
            "discriminator has no less processor time.",
            f"The bar is a ratio of at most {BAR} with each seed: **{verdict}**, the largest is "
            f"{worst:.2f}.",
            markdown_table(header, rows),
            f"The ends of the scale: {ends}. The classifier is right on "
            f"{100 * result['accuracy']:.1f} % of the test images.",
            provenance(result["surroundings"]),
        ]
    )


if __name__ == "__main__":
    main()
