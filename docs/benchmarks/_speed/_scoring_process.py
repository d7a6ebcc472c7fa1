"""The growth of a process's peak memory while many rows are scored."""

import json
import sys

import numpy as np
from _report import limit_threads, made_table

import skae

from ._contestants import SEED
from ._growth_process import forget_peak, memory


def main() -> None:
    """Print the MiB beyond the rows that the scores of an estimator take."""
    given = json.loads(sys.argv[1])
    limit_threads(1)
    X = made_table(given["rows"], given["columns"], seed=SEED).astype(np.float32)
    estimator = getattr(skae, given["name"])(random_state=SEED).fit(X[:5000])
    estimator.score_samples(X[:2000])  # a warm-up
    forget_peak()  # which may come from creating the table
    before = memory("VmRSS")
    estimator.score_samples(X)
    peak = memory("VmHWM")
    print(json.dumps({"mib": None if before is None else (peak - before) / 2**20}))


if __name__ == "__main__":
    main()
