"""Published figures of autoencoders, and skae's beside them.

    python docs/benchmarks/classics.py MNIST.npz [--only ROW ...]

Every row computes what a paper or a repository published, states a bar, and says whether
it is reached:

- `deep`: the 784-1000-500-250-30 autoencoder of Hinton and Salakhutdinov (2006) in 15
  minutes, with the default optimizer and with the best that we found;
- `deep_hour`: the same in 60 minutes;
- `layerwise`: the same with logistic units and layerwise pretraining, as in 2006;
- `codes`: codes of 2 and of 64 numbers;
- `sparse`: 256 sparse codes of scikit-learn's digits and a linear classifier;
- `few_labels`: codes as features where 100 digits have labels;
- `denoise`: Gaussian noise taken off MNIST's test images;
- `vae`: the log-likelihood of binarised MNIST under a variational autoencoder;
- `clusters`: MNIST's digits found without labels, by k-means on codes;
- `samples`: rows drawn from densities of scikit-learn's tables.

What a row does exactly is at the top of its file in `_classics`. Nothing of ours is chosen by
test images: settings were by training images, 5,000 of MNIST's that were held out or, on
scikit-learn's digits, as the row says, before they were written down here. `clusters` is the
exception: its design was chosen with labels in sight, as it says.

MNIST.npz has the uint8 arrays X_train, y_train, X_test and y_test; pixels are divided by
255. `--minutes` is the time that a training may take, and its default what the row's bar
allows: a short fit is timed first, and the number of epochs chosen so that the training,
whose learning rate falls to zero at its end, fills 97 % of it. The time reported is that of
`fit`, less what recording its curve took.

Results are kept row by row: a run with `--only` replaces these rows' in `classics.json`,
leaves the others there, and writes the page `classics.md` anew from all of them. Pictures
are saved in the folder `pictures` beside them.
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
    parser.add_argument("--only", nargs="+", choices=list(ROWS), metavar="ROW", help="these alone")
    parser.add_argument("--minutes", type=float, help="budget of each training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results are written")
    return parser.parse_args()


def keep(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Put a row's record beside those of other rows, and write the page of all."""
    path = folder / "classics.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    # Read only now, so that rows computed meanwhile by another run are not lost.
    records = {**found, name: record}
    in_order = {name: records[name] for name in sorted(records, key=_rank)}
    write_results(folder, "classics", in_order, page(in_order))


def _rank(name: str) -> int:
    return list(ROWS).index(name) if name in ROWS else len(ROWS)


if __name__ == "__main__":
    main()
