"""Which signatures a text may suit, asked once for all texts that differ in their digits only.

A log may hold sixty thousand exceptions that differ in a number. An expression that names no digit finds as much in a
text as in the same text with zeros for its digits, so what it rules out it rules out for the whole kind.
"""

import re
from functools import cache

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.signatures.general import GENERAL, General, general
from forensics.signatures.signature import Signature, Words

_ZEROS = str.maketrans("123456789", "000000000")
_COUNTS = expression(r"\\d|\{\d{0,6},?\d{0,6}\}")
"""What holds a digit or tells of digits, and names none: a class, a number of repeats."""


@dataclass(frozen=True, slots=True)
class Possible:
    """Signatures and rows of `GENERAL` that nothing rules out for texts of one kind, in their order."""

    signatures: tuple[Signature, ...]
    general: tuple[General, ...]


def kind_of(text: str) -> str:
    """Return a text with zeros for its digits, which all texts of its kind share.

    >>> kind_of("CUDA error 719 on rank 3"), kind_of("no number")
    ('CUDA error 000 on rank 0', 'no number')
    """
    return text.translate(_ZEROS)


def possible(kind: str, signatures: tuple[Signature, ...]) -> Possible:
    """Return what texts of a kind (`kind_of`) may suit; each has to be asked of the text itself."""
    return Possible(
        tuple(signature for signature in signatures if any(_may_hold(words, kind) for words in signature.words)),
        tuple(row for row in GENERAL if all(_names_digits(words) or general(words).search(kind) for words in row[1])),
    )


def _may_hold(words: Words, kind: str) -> bool:
    if kind_of(words.anchor) not in kind:
        return False
    return not words.confirm or _names_digits(words.confirm) or re.search(words.confirm, kind) is not None


@cache
def _names_digits(words: str) -> bool:
    """Tell whether an expression names a digit, so that which one stands there matters to it."""
    return any(letter.isdigit() for letter in _COUNTS.sub("", words))
