"""Which model to use, in sentences that need no knowledge of this package."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .._training.epoch_selection import Course, find_course
from .certainty import Difference
from .measurement import Measurement, Pair
from .size_choice import NATS_THAT_MATTER, SizeChoice, choose_size, is_exact

# A sure difference counts if it is at least this share of PCA's error.
_SHARE_THAT_MATTERS = 0.05

_MOST_DIGITS = 4


@dataclass(frozen=True)
class Verdict:
    """What the figures say.

    Attributes
    ----------
    n_components : int
        The number of components that the verdict is about.
    is_size_advised : bool
        Whether the figures tell that it is a good one; if not, it is an example.
    model : {"PCA", "autoencoder"}
        The model to compress rows with, at that number of components.
    unexplained_ratio : float or None
        The autoencoder's squared error as a share of PCA's; None if PCA makes no error, or the
        autoencoder an infinite one.
    finds_structure : bool or None
        Whether the models find more than in a copy of the table whose columns are independent;
        None if the autoencoder is not advised, or there is no copy.
    sentences : tuple of str
        The advice, and after it what it rests on.
    """

    n_components: int
    is_size_advised: bool
    model: Literal["PCA", "autoencoder"]
    unexplained_ratio: float | None
    finds_structure: bool | None
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole answer."""
        return " ".join(self.sentences)


def find_praised_size(results: dict[int, Pair]) -> int | None:
    """Return the number of components with which the verdict advises the autoencoder, if any."""
    signs, choice = _choose(results)
    return choice.size if signs[choice.size] > 0 else None


def reach_verdict(results: dict[int, Pair], shuffled: Pair | None = None) -> Verdict:
    """Say which model to use.

    Parameters
    ----------
    results : dict of int to Pair
        The measurements by number of components.
    shuffled : Pair or None, default=None
        Those with `find_praised_size(results)` components, on columns shuffled one by one.
    """
    signs, choice = _choose(results)
    pair = results[choice.size]
    gain = _measure_density_gain(pair)
    finds_structure = None
    if shuffled is not None and signs[choice.size] > 0:
        finds_structure = _find_structure(pair, shuffled)
    sentences = [
        _advise(choice, signs, gain, finds_structure),
        _describe_errors(choice.size, pair, signs[choice.size]),
        *_describe_densities(gain),
        *(_describe_shuffled(shuffled) if shuffled and finds_structure is False else []),
        *_describe_choice(choice, results, is_tested=finds_structure is not None),
        *_describe_other_sizes(choice, signs, results),
    ]
    return Verdict(
        n_components=choice.size,
        is_size_advised=choice.is_advised,
        model="autoencoder" if signs[choice.size] > 0 else "PCA",
        unexplained_ratio=compute_unexplained_ratio(pair),
        finds_structure=finds_structure,
        sentences=tuple(sentences),
    )


def compute_unexplained_ratio(pair: Pair) -> float | None:
    """Return the autoencoder's squared error over PCA's; None if there is no finite one."""
    if is_exact(pair):
        return None
    ratio = float(pair.autoencoder.errors.sum() / pair.pca.errors.sum())
    return ratio if math.isfinite(ratio) else None


# The figures --------------------------------------------------------------------------


def _compare_errors(pair: Pair) -> int:
    """Return 1 if the autoencoder surely explains more than PCA, -1 if less, else 0."""
    if is_exact(pair):
        return 0
    ratio = compute_unexplained_ratio(pair)
    if ratio is None:
        return -1
    if abs(ratio - 1) < _SHARE_THAT_MATTERS:
        return 0
    gain = _measure_error_gain(pair)
    return int(np.sign(gain.mean)) if gain.is_sure else 0


def _measure_error_gain(pair: Pair) -> Difference:
    """Return by how much PCA's error is larger: as a share of the variance, if the rows vary."""
    differences = pair.pca.errors - pair.autoencoder.errors
    if pair.pca.explained_variance is None:
        return Difference.from_rows(differences)
    return Difference.from_shares(differences, pair.pca.squares)


def _measure_density_gain(pair: Pair) -> Difference | None:
    """Return by how many nats a row the autoencoder's density is surely higher, if it is.

    Where training has found nothing the densities may differ too, as the autoencoder estimates
    the noise otherwise; its codes don't, and are what was asked for.
    """
    pca, autoencoder = (
        None if found.log_likelihood is None else found.log_densities
        for found in (pair.pca, pair.autoencoder)
    )
    if pca is None or autoencoder is None or pair.autoencoder.n_epochs == 0:
        return None
    gain = Difference.from_rows(autoencoder - pca)
    return gain if gain.is_sure and abs(gain.mean) >= NATS_THAT_MATTER else None


def _find_structure(pair: Pair, shuffled: Pair) -> bool:
    """Return whether the models surely find more than on columns that are independent.

    PCA's errors and the densities tell. The autoencoder's errors differ from one training to the
    next, as codes are packed more or less well, so they tell only of rows without a density.
    """
    has_density = False
    for own, other in ((pair.pca, shuffled.pca), (pair.autoencoder, shuffled.autoencoder)):
        if own.log_likelihood is None or other.log_likelihood is None:
            continue
        has_density = True
        if _is_surely_larger(own.log_densities, other.log_densities, NATS_THAT_MATTER):
            return True
    models = [(pair.pca, shuffled.pca)]
    if not has_density:
        models.append((pair.autoencoder, shuffled.autoencoder))
    return any(
        _is_surely_larger(other.errors, own.errors, _SHARE_THAT_MATTERS * other.errors.mean())
        for own, other in models
    )


def _is_surely_larger(first: np.ndarray | None, second: np.ndarray | None, least: float) -> bool:
    """Return whether the first sample's mean is surely larger, and by as much at least."""
    if first is None or second is None:
        return False
    means = [Difference.from_rows(values) for values in (first, second)]
    gain = means[0].mean - means[1].mean
    return gain >= least and gain > math.hypot(*(mean.margin for mean in means))


def _choose(results: dict[int, Pair]) -> tuple[dict[int, int], SizeChoice]:
    """Return which model explains more, by number of components, and the number to speak of."""
    signs = {size: _compare_errors(pair) for size, pair in results.items()}
    return signs, _choose_example(choose_size(results), signs)


def _choose_example(choice: SizeChoice, signs: dict[int, int]) -> SizeChoice:
    """Return the choice, with an example for which the model named first is the better one."""
    better = [size for size, sign in sorted(signs.items()) if sign > 0]
    if choice.is_advised or not better or choice.size in better:
        return choice
    tied = [size for size in better if size in choice.others]
    return replace(choice, size=(tied or better)[0])


# The sentences ------------------------------------------------------------------------


def _advise(
    choice: SizeChoice,
    signs: dict[int, int],
    gain: Difference | None,
    finds_structure: bool | None,
) -> str:
    """Return the advice: each model for what it is better at."""
    purpose, limit = "", ""
    if finds_structure is False:
        purpose = " to compress rows"
        limit = "; these figures do not show that columns tell of each other"
    is_better = signs[choice.size] > 0
    better = [size for size, sign in sorted(signs.items()) if sign > 0]
    if not choice.is_advised and 0 < len(better) < len(signs):
        others = [size for size in sorted(signs) if size not in better]
        return (
            f"Use the autoencoder with {_name_sizes(*better, link='or')}, and PCA with "
            f"{_list_sizes(others, link='or')}{purpose and ','}{purpose}{limit}."
        )
    size = f" with {_name_sizes(choice.size)}" if choice.is_advised else ""
    first, second = ("the autoencoder", "PCA") if is_better else ("PCA", "the autoencoder")
    if gain is not None and (gain.mean > 0) != is_better:
        purpose = f" to compress rows, and {second} to score how probable they are"
    return f"Use {first}{size}{purpose}{limit}."


def _describe_errors(size: int, pair: Pair, sign: int) -> str:
    """Return what both models explain of the held-out rows, and how sure the difference is."""
    n_rows = len(pair.pca.errors)
    rows = f"{n_rows} rows" if n_rows > 1 else "single row"
    start = f"On the {rows} held out of training, PCA with {_name_sizes(size)} explains"
    if is_exact(pair):
        return f"{start} all of the variance."
    first, second = pair.pca.explained_variance, pair.autoencoder.explained_variance
    ratio = compute_unexplained_ratio(pair)
    if ratio is None:
        share = "" if first is None else f"{start} {100 * first:.1f}% of the variance. "
        return f"{share}The autoencoder's error with {_name_sizes(size)} is infinite."
    difference = _measure_error_gain(pair)
    if first is None or second is None:
        return (
            f"The {rows} held out of training {'do' if n_rows > 1 else 'does'} not vary; the "
            f"autoencoder's squared error with {_name_sizes(size)} is {ratio:.2f} of PCA's"
            f"{_explain_doubt(difference, sign)}."
        )
    digits = _choose_digits(first, second, are_apart=sign != 0)
    pca, autoencoder = (f"{100 * share:.{digits}f}%" for share in (first, second))
    if pair.autoencoder.n_epochs == 0:
        return f"{start} {pca} of the variance; {_explain_pca(pair.autoencoder)}."
    points = difference.scale(100)
    if pca == autoencoder and not sign:
        interval = _describe_interval(points, digits, " percentage points")
        return f"{start} {pca} of the variance, and the autoencoder as much{interval}."
    more = "more" if points.mean >= 0 else "less"
    return (
        f"{start} {pca} of the variance and the autoencoder {autoencoder}: "
        f"{abs(points.mean):.{digits}f} percentage points {more}"
        f"{_explain_doubt(difference, sign)}{_describe_interval(points, digits)}."
    )


def _explain_pca(autoencoder: Measurement) -> str:
    """Return why the autoencoder is PCA."""
    losses = autoencoder.loss_curve
    if not losses:
        return "there are too few rows to train the autoencoder on"
    course = find_course(losses, autoencoder.held_out_curve)
    if course is Course.STAYS:
        return f"training the autoencoder did not leave PCA in {len(losses)} epochs"
    if course is Course.RISES:
        return f"training the autoencoder raised its loss from {losses[0]:.3g} to {losses[-1]:.3g}"
    return "training found nothing that is surely better, so the autoencoder is PCA"


def _describe_densities(gain: Difference | None) -> list[str]:
    if gain is None:
        return []
    more, higher = ("more", "higher") if gain.mean > 0 else ("less", "lower")
    digits = 1 if abs(gain.mean) >= 1 else 2
    return [
        f"The autoencoder finds these rows {more} probable: its log-likelihood is "
        f"{abs(gain.mean):.{digits}f} nats a row {higher}{_describe_interval(gain, digits)}."
    ]


def _describe_shuffled(shuffled: Pair) -> list[str]:
    """Return what explains the autoencoder's lead where columns need not tell of each other."""
    first, second = shuffled.pca.explained_variance, shuffled.autoencoder.explained_variance
    if first is None or second is None:
        return []
    return [
        "With each column shuffled, so that none tells of another, PCA explains "
        f"{100 * first:.1f}% and the autoencoder {100 * second:.1f}%: codes that pack the values "
        "of several columns into one number explain variance, and are no sign of structure."
    ]


def _describe_choice(choice: SizeChoice, results: dict[int, Pair], is_tested: bool) -> list[str]:
    """Return why the number of components is advised, or why none is."""
    if choice.reason == "only":
        return []
    sizes = sorted(results)
    has_pca = any(pair.pca.log_likelihood is not None for pair in results.values())
    figure = "log-likelihood" if has_pca else "log-likelihood of the autoencoder"
    compared = f"Of the numbers of components compared ({_list_sizes(sizes)}), {choice.size}"
    if choice.reason == "exact":
        return [f"{compared} is the smallest with which PCA makes no error."]
    if choice.reason == "best":
        more = "; more were not compared" if choice.size == sizes[-1] else ""
        return [f"{compared} has the highest {figure}{more}."]
    if choice.reason == "as good":
        return [
            f"{compared} is the smallest whose {figure} is not surely below the highest, "
            f"that of {_list_sizes(choice.others)}."
        ]
    if choice.reason == "too few":
        n_rows = len(results[choice.size].pca.errors)
        few = (
            f"{n_rows} held-out rows are too few"
            if n_rows > 1
            else "a single held-out row is too few"
        )
        reason = f"{few} to tell whether {_list_sizes(choice.others, 'or')} would do"
    elif choice.reason == "no density":
        reason = "neither model has a log-likelihood of these rows"
    else:
        reason = (
            f"the {figure} is the same with {_list_sizes(choice.others)}, as the density describes "
            "these rows without the codes"
        )
    sentences = [
        f"How many components to take, these figures don't tell: {reason}. Take the fewest that "
        f"explain enough of the variance; {choice.size} is an example."
    ]
    if choice.reason == "same density" and not is_tested:
        sentences.append("That codes explain variance does not show that columns tell each other.")
    return sentences


def _describe_other_sizes(
    choice: SizeChoice, signs: dict[int, int], results: dict[int, Pair]
) -> list[str]:
    """Return with which numbers of components the other model is the better one."""
    is_better = signs[choice.size] > 0
    others = [size for size, sign in sorted(signs.items()) if (sign > 0) != is_better]
    if not others or not choice.is_advised:
        return []
    if not is_better:
        return _describe_better_sizes(others, results)
    if all(signs[other] == 0 for other in others):
        return [f"With {_name_sizes(*others)} the autoencoder does not surely explain more."]
    return [f"With {_name_sizes(*others)} PCA is as good or better."]


def _describe_better_sizes(sizes: list[int], results: dict[int, Pair]) -> list[str]:
    """Return with which sizes the autoencoder explains more, and whether that shows structure.

    Codes that pack the values of several columns explain more of noise, too. Rows are more probable
    only if columns tell of each other.
    """
    gains = {size: _measure_density_gain(results[size]) for size in sizes}
    surely = [size for size, gain in gains.items() if gain is not None and gain.mean > 0]
    others = [size for size in sizes if size not in surely]
    sentences = []
    if surely:
        sentences.append(f"With {_name_sizes(*surely)} the autoencoder explains more than PCA.")
    if others:
        sentences.append(
            f"With {_name_sizes(*others)} the autoencoder explains more than PCA, but does not "
            "find these rows more probable: its codes may only pack the values of several columns "
            "into one number."
        )
    return sentences


def _explain_doubt(difference: Difference, sign: int) -> str:
    """Return why a difference counts for nothing; "" if it counts."""
    if sign:
        return ""
    return ", too little to matter" if difference.is_sure else ", which may be chance"


def _describe_interval(difference: Difference, digits: int, unit: str = "") -> str:
    """Return the interval of a difference, in the direction that its mean has."""
    if not math.isfinite(difference.margin):
        return ""
    middle = abs(difference.mean)
    ends = [round(middle + side * difference.margin, digits) for side in (-1, 1)]
    if not any(ends):
        return ""
    low, high = (f"{end + 0.0:.{digits}f}" for end in ends)  # 0.0 takes the sign from -0.0
    return f" (95% interval of the difference: {low} to {high}{unit})"


def _choose_digits(first: float, second: float, are_apart: bool) -> int:
    """Return the decimals that tell shares in percent from 100 and, if apart, from each other."""
    for digits in range(1, _MOST_DIGITS):
        texts = {f"{100 * share:.{digits}f}" for share in (first, second)}
        if len(texts) > are_apart and f"{100:.{digits}f}" not in texts:
            return digits
    return _MOST_DIGITS


def _name_sizes(*sizes: int, link: str = "and") -> str:
    return f"{_list_sizes(sizes, link)} component{'' if sizes == (1,) else 's'}"


def _list_sizes(sizes: Sequence[int], link: str = "and") -> str:
    *first, last = map(str, sizes)
    return f"{', '.join(first)} {link} {last}" if first else last
