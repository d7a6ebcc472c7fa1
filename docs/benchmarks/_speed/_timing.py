"""Timing: contestants take turns for several rounds, and results are shown with their range."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the wall time of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def alternate(calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return the results of each call in each round; calls take turns.

    Taking turns exposes all calls to the same load of the machine. The caller warms up.
    """
    figures: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, call in calls.items():
            figures[name].append(call())
        latest = ", ".join(f"{name} {values[-1]:.4g} s" for name, values in figures.items())
        print(f"  round {number + 1}: {latest}", flush=True)
    return figures


def repeated(call: Callable[[], Any], rounds: int, budget: float) -> tuple[list[float], Any]:
    """Return the times of a repeated call, and its last result.

    The call is made at least once, and up to `rounds` times while `budget` seconds last.
    """
    seconds: list[float] = []
    result = None
    while not seconds or (len(seconds) < rounds and sum(seconds) < budget):
        began = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - began)
    return seconds, result


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return the ratio of medians."""
    return statistics.median(numerator) / statistics.median(denominator)


def median(values: Sequence[float], scale: float = 1.0) -> str:
    """Return the median as text."""
    return _text(scale * statistics.median(values))


def spread(values: Sequence[float], scale: float = 1.0) -> str:
    """Return the smallest and the largest value as text."""
    if len(values) == 1:
        return "one run"
    return f"{_text(scale * min(values))} to {_text(scale * max(values))}"


def _text(value: float) -> str:
    """Return three digits, without an exponent above a thousand."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
