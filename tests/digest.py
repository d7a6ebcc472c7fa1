"""What small seeded fits give, as digests: a moved wall must not change a bit of them.

Usage: OMP_NUM_THREADS=1 python tests/digest.py [--write] [--values FILE]

Temporary: it guards the moves of one restructuring, on one machine, and goes with its last commit.
"""

import hashlib
import json
import pickle
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_wine
from sklearn.ensemble import IsolationForest

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae.__main__ import main

FILE = Path(__file__).with_suffix(".json")
torch.set_num_threads(1)
warnings.simplefilter("ignore")

WINE = load_wine(as_frame=True).data
rng = np.random.default_rng(0)
HIDDEN = rng.uniform(-1, 1, size=(700, 2))
CURVE = np.hstack([HIDDEN, HIDDEN**2, np.sin(3 * HIDDEN)]) + 0.05 * rng.normal(size=(700, 6))
NOISY = CURVE + 0.2 * rng.normal(size=CURVE.shape)
WEIGHT = rng.integers(0, 4, size=len(CURVE)).astype(float)
SHARES = rng.uniform(0, 1, size=(300, 9))
BITS = (SHARES > 0.6).astype(float)
LARGE = np.hstack([CURVE, CURVE[::-1]])[rng.integers(0, 700, size=4000)]
LARGE = LARGE + 0.1 * rng.normal(size=LARGE.shape)


def network(role, n_inputs, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 7), torch.nn.Tanh(), torch.nn.Linear(7, n_outputs)
    )


def noise(X, generator):
    return X * (1 + 0.3 * torch.empty_like(X).normal_(generator=generator))


def small(**parameters):
    return {"hidden_layer_sizes": (12, 8), "max_epochs": 8, "random_state": 3, **parameters}


AE, DAE, VAE = AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
FITS = {
    "ae default folds": (AE(2, random_state=0), WINE),
    "ae held out": (AE(2, **small()), CURVE),
    "ae pca": (AE(3, hidden_layer_sizes=()), WINE),
    "ae more components than columns": (AE(9, **small()), CURVE),
    "ae raw units": (AE(2, **small(standardize=False)), WINE),
    "ae l1": (AE(2, **small(penalty="l1", alpha=0.01)), CURVE),
    "ae kl": (AE(4, **small(penalty="kl")), CURVE),
    "ae contractive": (AE(2, **small(penalty="contractive")), CURVE),
    "ae tied": (AE(2, **small(tied_weights=True)), CURVE),
    "ae layerwise": (AE(2, **small(pretrain="layerwise")), CURVE),
    "ae random dropout": (AE(2, **small(init="random", dropout=0.2)), CURVE),
    "ae trim": (AE(2, **small(trim_fraction=0.1)), CURVE),
    "ae to the end sgd": (AE(2, **small(early_stopping=False, optimizer="sgd")), CURVE),
    "ae own network": (AE(2, **small(architecture=network, optimizer=torch.optim.Adam)), CURVE),
    "ae few rows": (AE(2, **small()), WINE[:8]),
    "ae float32": (AE(2, **small(activation="tanh")), CURVE.astype(np.float32)),
    "dae default": (DAE(2, **small()), CURVE),
    "dae rows": (DAE(None, **small(n_draws=2)), CURVE),
    "dae rows folds trim": (DAE(None, **small(trim_fraction=0.05)), WINE),
    "dae one level raw": (DAE(2, **small(noise_level=0.3, standardize=False)), CURVE),
    "dae raw range": (DAE(None, **small(noise_level=(0.1, 1.0), standardize=False)), CURVE),
    "dae swap l1": (DAE(2, **small(noise="swap", penalty="l1")), CURVE),
    "dae masking range": (DAE(2, **small(noise="masking", noise_level=(0.1, 0.5))), CURVE),
    "dae salt rows": (DAE(None, **small(noise="salt_and_pepper")), CURVE),
    "dae own noise": (DAE(2, **small(noise=noise)), CURVE),
    "dae kl tied": (DAE(3, **small(penalty="kl", noise_level=0.5)), CURVE),
    "dae tied swap": (DAE(2, **small(tied_weights=True, noise="swap")), CURVE),
    "dae layerwise": (DAE(2, **small(pretrain="layerwise")), CURVE),
    "dae random": (DAE(2, **small(init="random")), CURVE),
    "dae linear": (DAE(2, hidden_layer_sizes=(), random_state=1), CURVE),
    "dae own network": (DAE(None, **small(architecture=network)), CURVE),
    "dae pairs": (DAE(2, **small()), NOISY, CURVE),
    "dae pairs rows": (DAE(None, **small()), NOISY, CURVE),
    "dae pairs layerwise": (DAE(2, **small(pretrain="layerwise")), NOISY[:300], CURVE[:300]),
    "vae default": (VAE(2, **small()), CURVE),
    "vae folds": (VAE(2, **small()), WINE),
    "vae ppca": (VAE(2, hidden_layer_sizes=()), WINE),
    "vae per column": (VAE(2, **small(noise_per_column=True, beta=0.5)), CURVE),
    "vae bernoulli": (VAE(2, **small(likelihood="bernoulli")), BITS),
    "vae binarize": (VAE(2, **small(likelihood="bernoulli", binarize=True)), SHARES),
    "vae warmup trim": (VAE(2, **small(kl_warmup=0.5, trim_fraction=0.1)), CURVE),
    "vae mixture": (VAE(2, **small(prior="mixture", n_prior_components=4)), CURVE),
    "vae vamp": (VAE(2, **small(prior="vamp", n_prior_components=4)), CURVE),
    "vae random": (VAE(2, **small(init="random", standardize=False)), CURVE),
}


def outputs(model, X):
    """Everything that a fitted transformer says of some rows."""
    rows = X[:60]
    found = {
        "transform": model.transform(rows),
        "reconstruct": model.reconstruct(rows),
        "inverse": model.inverse_transform(model.transform(rows)),
        "errors": model.reconstruction_error(rows),
        "cells": model.reconstruction_error(rows, per_cell=True),
        "score_samples": model.score_samples(rows),
        "loss_curve": model.loss_curve_,
        "validation_scores": model.validation_scores_ or [],
        "n_iter": model.n_iter_,
        "scaling": np.stack([model.mean_, model.scale_]),
        "weights": np.concatenate(
            [v.detach().numpy().ravel() for v in model.module_.state_dict().values()]
        ),
    }
    for name in ("noise_variance_", "components_", "active_units_", "noise_levels_"):
        try:
            found[name] = getattr(model, name)
        except AttributeError:
            found[name] = "none"
    if isinstance(model, DAE):
        found["denoise"] = model.denoise(rows)
        try:
            found["denoising_errors"] = model.denoising_errors(rows)
        except ValueError:
            found["denoising_errors"] = "none"
    if isinstance(model, VAE):
        found["posterior"] = np.stack(model.posterior(rows))
        found["elbo"] = np.stack(model.elbo(rows))
        found["sample"] = model.sample(20, random_state=0)
        found["means"] = model.sample(20, random_state=0, noise=False)
        if model.prior != "standard":
            found["component"] = model.predict_component_proba(rows)
    return found


def detector_outputs(detector, X):
    rows = X[:40]
    return {
        "score_samples": detector.score_samples(rows),
        "p_values": detector.p_values(rows),
        "predict": detector.predict(rows),
        "offset": detector.offset_,
        "calibration": detector.calibration_scores_,
        "discoveries": detector.discoveries(rows, false_discovery_rate=0.3),
        "explain": detector.explain(rows[:2]).to_numpy(),
    }


def shrink_limits():
    """Make stored and wide tables out of small ones."""
    for module in [m for name, m in sys.modules.items() if name.startswith("skae")]:
        for name, value in {"LOADED_UP_TO": 2**16, "FULL_UP_TO": 9}.items():
            if hasattr(module, name):
                setattr(module, name, value)


def cases():
    for name, (model, X, *y) in FITS.items():
        yield name, outputs(model.fit(X, *y), X)
    for name, model in {
        "ae": AE(2, **small()),
        "dae": DAE(2, **small()),
        "vae": VAE(2, **small()),
    }.items():
        yield f"{name} weights", outputs(model.fit(CURVE, sample_weight=WEIGHT), CURVE)
        yield f"{name} pickled", outputs(pickle.loads(pickle.dumps(model)), CURVE)
        warm = model.set_params(warm_start=True).fit(CURVE)
        yield f"{name} warm start", outputs(warm, CURVE)
        stream = type(model)(2, **small())
        for block in np.array_split(CURVE, 5):
            stream.partial_fit(block)
        stream.partial_fit(CURVE[:100], sample_weight=WEIGHT[:100] + 1)
        yield f"{name} stream", outputs(stream, CURVE)
    pairs = DAE(2, **small()).fit(NOISY, CURVE, sample_weight=WEIGHT)
    yield "dae pairs weights", outputs(pairs, NOISY)
    stream = DAE(2, **small()).partial_fit(NOISY[:200], CURVE[:200]).partial_fit(NOISY, CURVE)
    yield "dae pairs stream", outputs(stream, NOISY)
    frame = AE(2, **small()).set_output(transform="pandas").fit(WINE)
    yield "ae frame", {"names": list(frame.transform(WINE).columns)}
    odd = pd.DataFrame(WINE).assign(ash=WINE["ash"] * np.where(WINE.index % 50, 1, 10))
    yield "detector default", detector_outputs(AEAnomalyDetector(random_state=0).fit(odd), odd)
    share = AEAnomalyDetector(contamination=0.05, random_state=0)
    yield "detector share", detector_outputs(share.fit(CURVE), CURVE)
    yield "detector weights", detector_outputs(share.fit(CURVE, sample_weight=WEIGHT), CURVE)
    weighted = AEAnomalyDetector(alpha=0.1, random_state=0)
    yield (
        "detector fractions",
        detector_outputs(weighted.fit(CURVE, sample_weight=WEIGHT + 0.5), CURVE),
    )
    for model in (AE(2, **small()), VAE(2, **small()), IsolationForest(random_state=0)):
        detector = AEAnomalyDetector(model, alpha=0.05, random_state=0).fit(CURVE)
        yield f"detector {type(model).__name__}", detector_outputs(detector, CURVE)
    yield "detector pickled", detector_outputs(pickle.loads(pickle.dumps(share)), CURVE)
    with tempfile.TemporaryDirectory() as folder:
        table, record = Path(folder) / "table.csv", Path(folder) / "record.json"
        load_wine(as_frame=True).frame.to_csv(table, index=False)
        main([str(table), "--target", "target", "--components", "2", "--json", str(record)])
        found = json.loads(record.read_text())["results"]
        for pair in found:
            for model in ("PCA", "autoencoder"):
                del pair[model]["fit_seconds"]
        yield "command", {"results": json.dumps(found)}
        shrink_limits()
        np.save(Path(folder) / "large.npy", LARGE)
        store = np.load(Path(folder) / "large.npy", mmap_mode="r")
        weight = np.resize(WEIGHT, len(LARGE))
        for name, model in {
            "ae stored": AE(2, **small()),
            "ae stored trim": AE(2, **small(trim_fraction=0.1, max_epochs=2)),
            "dae stored": DAE(None, **small(max_epochs=2)),
            "vae stored": VAE(2, **small(max_epochs=2, noise_per_column=True)),
        }.items():
            yield name, outputs(model.fit(store), LARGE)
            model.fit(store, sample_weight=weight).partial_fit(store)
            yield f"{name} weights", outputs(model, LARGE)
        detector = AEAnomalyDetector(random_state=0).fit(store)
        yield "detector stored", detector_outputs(detector, LARGE)
    yield "wide ae", outputs(AE(3, **small()).fit(LARGE[:300]), LARGE)
    yield "wide dae", outputs(DAE(None, **small()).fit(LARGE[:300]), LARGE)
    yield "wide vae", outputs(VAE(3, **small()).fit(LARGE[:300]), LARGE)


def digest(value):
    if isinstance(value, str):
        return hashlib.sha256(value.encode()).hexdigest()[:16]
    array = np.ascontiguousarray(value)
    kind = f"{array.dtype} {array.shape}".encode()
    data = "|".join(map(str, value)).encode() if array.dtype.kind in "OU" else array.tobytes()
    return hashlib.sha256(kind + data).hexdigest()[:16]


if __name__ == "__main__":
    values = {f"{case}: {name}": v for case, found in cases() for name, v in found.items()}
    found = {name: digest(value) for name, value in values.items()}
    if "--values" in sys.argv:  # to see how far apart two digests are
        Path(sys.argv[-1]).write_bytes(pickle.dumps(values))
    if "--write" in sys.argv:
        FILE.write_text(json.dumps(found, indent=0) + "\n")
        sys.exit()
    known = json.loads(FILE.read_text())
    wrong = sorted(name for name in known | found if known.get(name) != found.get(name))
    print(f"{len(found)} digests, {len(wrong)} differ", *wrong, sep="\n  ")
    sys.exit(bool(wrong))
