"""Published figures of autoencoders, reproduced with skae.

    python docs/benchmarks/classics.py MNIST.npz [--only ROW ...]

Every row computes a figure that a paper or a repository published, states a target (the bar),
and says whether it is met:

- `deep`: the 784-1000-500-250-30 autoencoder of Hinton and Salakhutdinov (2006) in 15
  minutes, with the default optimizer and with the best settings that we found;
- `deep_hour`: the same in 60 minutes;
- `layerwise`: the same with logistic units and layerwise pretraining, as in 2006;
- `codes`: codes of 2 and of 64 numbers;
- `sparse`: 256 sparse codes of scikit-learn's digits and a linear classifier;
- `few_labels`: codes as features when 100 digits have labels;
- `denoise`: Gaussian noise removed from MNIST's test images;
- `vae`: the log-likelihood of binarized MNIST under a variational autoencoder;
- `clusters`: MNIST's digits clustered without labels, by k-means on codes;
- `samples`: rows generated from densities of scikit-learn's tables.

The files in `_classics` describe each row in detail. No setting was chosen on test images. The
settings were chosen on training images, 5,000 held-out ones of MNIST or, for scikit-learn's
digits, as the row says, before they were written down here. `clusters` is the exception: its
design was chosen while looking at labels, as it says.

MNIST.npz contains the uint8 arrays X_train, y_train, X_test and y_test; pixels are divided by
255. `--minutes` sets the time limit of a training, and its default is the time that the bar of
the row allows. A short fit is timed first. The number of epochs is then chosen such that the
training, whose learning rate falls to zero at the end, fills 97 % of the time. The reported
time is that of `fit`, without the time for recording the curve.

Results are stored row by row. A run with `--only` replaces these rows in `classics.json`, keeps
the others, and writes the page `classics.md` from all of them. Pictures are saved in the folder
`pictures` next to them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from _classics import clusters, codes, deep, denoise, few_labels, layerwise, samples, sparse, vae
from _classics._data import load_mnist
from _classics._page import page, summary
from _classics._row import Compute, Context
from _report import RESULTS, announce, limit_threads, surroundings, write_results

#: The rows, in the order of the page. A row is a function from a Context to a Row.
ROWS: dict[str, Compute] = {
    "deep": deep.quarter_of_an_hour,
    "deep_hour": deep.hour,
    "layerwise": layerwise.compute,
    "codes": codes.compute,
    "sparse": sparse.compute,
    "few_labels": few_labels.compute,
    "denoise": denoise.compute,
    "vae": vae.compute,
    "clusters": clusters.compute,
    "samples": samples.compute,
}


def main() -> None:
    """Run the benchmark from the command line."""
    options = parse()
    limit_threads(options.threads)
    where = surroundings()
    announce(where)
    context = Context(
        load_mnist(options.mnist), options.minutes, options.seed, options.out / "pictures"
    )
    for name in options.only or ROWS:
        print(f"\n{name}", flush=True)
        row = ROWS[name](context)
        record = {
            "surroundings": {**surroundings(), "began": where["date"]},
            "settings": {"minutes": options.minutes, "seed": options.seed},
            **row.as_record(),
        }
        print("\n".join(summary(record)), flush=True)
        keep(options.out, name, record)


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mnist", type=Path, help="MNIST as an npz file")
    parser.add_argument(
        "--only", nargs="+", choices=list(ROWS), metavar="ROW", help="run only these rows"
    )
    parser.add_argument("--minutes", type=float, help="time limit of each training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


def keep(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Store the record of a row next to the others, and write the page."""
    path = folder / "classics.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    # Read late, so that rows of a concurrent run are not lost.
    records = {**found, name: record}
    in_order = {name: records[name] for name in sorted(records, key=_rank)}
    write_results(folder, "classics", in_order, page(in_order))


def _rank(name: str) -> int:
    return list(ROWS).index(name) if name in ROWS else len(ROWS)


if __name__ == "__main__":
    main()
