"""A word without quotes, as YAML reads it: command lines and tables are written in the same way.

YAML 1.1 reads `1e-5` as text, since it has no dot; here what is a number to Python is read as one.
"""

from forensics.deferred.patterns import expression
from forensics.formats.lenient_json import MAX_DIGITS

_INTEGER = expression(r"[-+]?\d[\d_]*")
_NUMBER = expression(r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "inf", "Infinity"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF", "-inf", "-Infinity"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN", "nan", "NaN"), float("nan")),
}


def plain(text: str) -> object:
    """Return the value of a plain (unquoted) scalar.

    >>> plain("1e-5"), plain("True"), plain("0.12.5"), plain("~"), plain("007")
    (1e-05, True, '0.12.5', None, 7)
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
        return text
    digits = text.replace("_", "")
    return int(digits) if _INTEGER.fullmatch(text) else float(digits)
