"""Text that was meant as numbers or dates."""

import re
from collections.abc import Sequence

# So many texts tell, if so large a share of them is alike: gaps are often written as a word.
_MOST_READ = 200
_NEARLY_ALL = 0.9

# Digits, maybe with a mark between thousands; a leading zero makes a name, as of a postal code.
_NUMBER = (
    r"[-+]?(?=[.,]?\d)(?!0\d)"
    r"(?:\d{1,3}(?P<mark>[,.' \u00a0\u202f])\d{3}(?:(?P=mark)\d{3})*|\d*)"
    r"(?:[.,]\d+)?(?:[eE][-+]?\d+)?"
)

_YEAR, _MONTH, _DAY = r"\d{4}", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_NAMED = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_ZONE = r"(?:Z|UTC|[-+]\d{2}:?\d{2})"
_TIME = rf"[T ]+\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d+)?)?(?: ?[ap]m)?(?: ?{_ZONE})?"
_DATE = "|".join(
    (
        rf"{_YEAR}[-/.]{_MONTH}[-/.]{_DAY}",
        rf"{_YEAR}-{_MONTH}",
        rf"{_DAY}[-/.]{_DAY}[-/.]{_YEAR}",
        rf"{_DAY}/{_DAY}/\d\d",
        rf"{_DAY}[- ]{_NAMED}[- ](?:{_YEAR}|\d\d)",
        rf"{_NAMED} {_DAY},? {_YEAR}",
    )
)

_VALUE = re.compile(rf"{_NUMBER}|(?:{_DATE})(?:{_TIME})?", re.IGNORECASE)


def are_written_values(texts: Sequence[str]) -> bool:
    """Whether nearly all of different texts, of which a sample is read, are numbers or dates."""
    read = texts[:: -(-len(texts) // _MOST_READ)]
    n_values = sum(_VALUE.fullmatch(text.strip()) is not None for text in read)
    return n_values >= _NEARLY_ALL * len(read)
