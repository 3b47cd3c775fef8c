"""Which signatures a text may suit, asked once for all texts that differ in their digits only.

A log may hold sixty thousand exceptions that differ in a number. An expression that names no digit finds as much in a
text as in the same text with zeros for its digits, so what it rules out it rules out for the whole kind.
"""

import re
from functools import cache

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.signatures.general import GENERAL, General
from forensics.signatures.signature import Signature, Words

_ZEROS = str.maketrans("123456789", "000000000")
_COUNTS = expression(r"\\d|\{\d{0,6},?\d{0,6}\}")
"""What holds a digit or tells of digits, and names none: a class, a number of repeats."""
_PARTS = expression(r"(?s)\\.|\{\d{0,6},?\d{0,6}\}|\[\^?\]?(?:\\.|[^\]\\]){0,160}\]|\(\?<?[!=]|.")
_DENIED = frozenset({"(?!", "(?<!"})
_NUMBERED = expression(r"\(\?(?:P|\()|\\[1-9xuU]")
"""Groups that have a name or ask for another, characters by number."""


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
        tuple(row for row in GENERAL if all(_for_zeros(words).search(kind) for words in row[1])),
    )


def _may_hold(words: Words, kind: str) -> bool:
    if kind_of(words.anchor) not in kind:
        return False
    return not words.confirm or _for_zeros(words.confirm, 0).search(kind) is not None


@cache
def _for_zeros(words: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    """Return an expression that finds something in a kind if another does in a text of it."""
    names_digits = any(letter.isdigit() for letter in _COUNTS.sub("", words))
    return re.compile(_of_any_digits(words) if names_digits else words, flags)


def _of_any_digits(words: str) -> str:
    r"""Return an expression to which any digit is as good as those that it names.

    Where digits are denied they say something else: then it rules out nothing.

    >>> _of_any_digits(r"errno (?:23|2[45])\b"), _of_any_digits(r"(?!137)\d{2,3}")
    ('errno (?:\\d\\d|\\d[\\d45])\\b', '')
    """
    opened: list[bool] = []
    loose: list[str] = []
    for part in (found[0] for found in _PARTS.finditer(words)):
        if part[0] == "(":
            opened.append(part in _DENIED)
        elif part == ")":
            opened.pop()
        digits = part.isdigit() or (part[0] == "[" and re.search(r"\d", part) is not None)
        if digits and (any(opened) or part[1:2] in {"^", "]"}):
            return ""
        loose.append(part if not digits else rf"[\d{part[1:]}" if part[0] == "[" else r"\d")
    return "" if _NUMBERED.search(words) else "".join(loose)
