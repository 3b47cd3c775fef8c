"""Numbers, dictionaries and times as Python programs print them, read without evaluating anything."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.model import Floats, Scalar
from forensics.model.facts import Integers

_NUMBER = expression(
    rb"[-+]?(?:\d[\d,]*(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|nan(?:\(\w{1,9}\))?|inf(?:inity)?"
    rb"|1\.#(?:qnan|snan|ind|inf)\d{0,6})",
    re.IGNORECASE,
)
_OF_MICROSOFT = expression(rb"(?i)1\.#(?:(inf)|\w+)\d*|(?<=nan)\(\w+\)")
"""What its runtime printed before 2015, and prints behind `nan`: `1.#QNAN`, `-1.#IND`, `1.#INF00`, `nan(ind)`."""
_WRAPPED = expression(
    rb"(?:tensor|array|(?:np|numpy|torch)\.\w+)\(\s*(?:\[\s*)?([^,()\]\s][^,()\]]*)(?:[,\]][^()]*)?\)"
)
_PAIR = expression(
    rb"""\s*(?:'([^'\r\n]*)'|"([^"\r\n]*)")\s*:\s*"""
    rb"""(?:(?:'([^'\r\n]*)'|"([^"\r\n]*)"|((?:tensor|array|(?:np|numpy|torch)\.\w+)\([^()\r\n]*\)))\s*"""
    rb"""|(?:([^,'"{}\[\]()\s][^,'"{}\[\]()\r\n]*)(?:[\r\n]\s*)?)?)(?:,|\Z)"""
)
"""A key and its value up to the comma. What is not quoted takes the blanks behind it too: were they left to a `\\s*`
as well, each could belong to either, and a few thousand blanks would take minutes."""
_INTEGER = expression(r"[-+]?\d+")
_FLOAT = expression(r"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?")
_WORDS: dict[str, Scalar] = {
    "None": None, "null": None, "True": True, "true": True, "False": False, "false": False,
    "inf": float("inf"), "Infinity": float("inf"), "-inf": float("-inf"), "-Infinity": float("-inf"),
    "nan": float("nan"), "NaN": float("nan"),
}  # fmt: skip


def number(text: bytes) -> float | None:
    """Return the number that `text` is, None when it is none.

    >>> number(b"1.5e-05"), number(b"tensor(0.5, device='cuda:0')"), number(b"52,002"), number(b"1m 2s")
    (1.5e-05, 0.5, 52002.0, None)
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        wrapped = _WRAPPED.fullmatch(text)
        if wrapped is None or not _NUMBER.fullmatch(wrapped[1].strip()):
            return None
        text = wrapped[1].strip()
    if b"#" in text or b"(" in text:
        text = _OF_MICROSOFT.sub(lambda found: found[1] or (b"nan" if b"#" in found[0] else b""), text)
    return float(text.replace(b",", b""))


def numbers(texts: Sequence[bytes]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what `number` makes of each text (NaN where there is none), and where there is a number.

    >>> numbers([b"1.5", b"nan", b"1m"])
    (array([1.5, nan, nan]), array([ True,  True, False]))
    """
    try:
        # Python's `float` accepts all that `number` does but commas and wrappers, and besides only underscores.
        if b"_" not in b"".join(texts):
            return np.fromiter(map(float, texts), np.float64, len(texts)), np.ones(len(texts), dtype=np.bool_)
    except ValueError:
        pass
    parsed = [number(text) for text in texts]
    values = np.array([np.nan if value is None else value for value in parsed], dtype=np.float64)
    return values, np.array([value is not None for value in parsed], dtype=np.bool_)


def pairs(body: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield key, value and whether the value was quoted, from the inside of a flat dict in Python or JSON.

    Stops at the first thing that is no flat pair: a list, a nested dict.
    """
    position = 0
    while position < len(body):
        found = _PAIR.match(body, position)
        if found is None:
            return
        single, double, quoted, quoted_double, wrapped, bare = found.groups()
        key = single if single is not None else double
        text = quoted if quoted is not None else quoted_double
        if text is not None:
            yield key, text, True
        else:
            yield key, (wrapped or bare or b"").strip(), False
        position = found.end()


def scalar(text: str) -> Scalar:
    """Return the constant that `text` spells in Python or JSON; the text itself when it is none.

    >>> scalar("True"), scalar("5e8"), scalar("'adamw'"), scalar("<IntervalStrategy.STEPS: 'steps'>")
    (True, 500000000.0, 'adamw', 'steps')
    """
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    enumeration = re.fullmatch(r"<[\w.]+: ([^<>]+)>", text)
    if enumeration:
        return scalar(enumeration[1])
    plain = text.replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+", text) else text
    if _INTEGER.fullmatch(plain) and len(plain) < 20:
        return int(plain)
    if _FLOAT.fullmatch(plain):
        return float(plain)
    return text


def clock_times(stamps: Sequence[bytes]) -> Floats:
    """Return seconds since the epoch for stamps `2025-05-01 10:00:00,123`, NaN for impossible ones.

    Logs do not name their time zone; the clock is read as UTC, so differences are right and the day nearly so.
    """
    texts = [stamp.decode("ascii", "replace").replace(",", ".").replace(" ", "T") for stamp in stamps]
    try:
        times = np.array(texts, dtype="datetime64[us]")
    except ValueError:
        times = np.array([_clock_time(text) for text in texts], dtype="datetime64[us]")
    seconds = times.astype(np.int64) / 1e6
    return np.where(np.isnat(times), np.nan, seconds)


def clock_columns(texts: NDArray[np.uint8]) -> Floats:
    """Return what `clock_times` does for stamps of one length, as a matrix of shape (stamps, 19 or 21 to 26).

    By arithmetic: with numpy 1.26.0 a cast of bytes to datetime64 that meets a 30th of February ends the process with
    a segmentation fault instead of an error (seen by `.ci/newest lowest-direct`).
    """
    # Lines that follow each other are of one minute mostly: its time is worked out once.
    new = np.append(True, (texts[1:, :16] != texts[:-1, :16]).any(axis=1))[: len(texts)]
    minutes, possible = _minutes(texts[new])
    which = np.cumsum(new) - 1
    second, fraction = _whole(texts, 17, 19), range(20, texts.shape[1])
    micros = _whole(texts, 20, texts.shape[1]) * 10 ** (6 - len(fraction))
    seconds = minutes[which] * 60 + second
    return np.where(possible[which] & (second < 60), (seconds * 10**6 + micros) / 1e6, np.nan)


def _minutes(texts: NDArray[np.uint8]) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the minutes since the epoch for texts that begin with a day and a time, and which of them can be."""
    month, day, hour, minute = (_whole(texts, place, place + 2) for place in (5, 8, 11, 14))
    months = (_whole(texts, 0, 4) - 1970) * 12 + month - 1
    first, following = _first_day(months), _first_day(months + 1)
    possible = (month >= 1) & (month <= 12) & (day >= 1) & (day <= following - first) & (hour < 24) & (minute < 60)
    return ((first + day - 1) * 24 + hour) * 60 + minute, possible


def _whole(texts: NDArray[np.uint8], first: int, end: int) -> Integers:
    """Return the whole numbers whose digits stand in some columns."""
    value = np.zeros(len(texts), dtype=np.int64)
    for place in range(first, end):
        value *= 10
        value += texts[:, place] - np.uint8(ord("0"))
    return value


def _first_day(months: Integers) -> Integers:
    """Return the days from 1970 to the first of each month, which is counted from January 1970."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _clock_time(text: str) -> np.datetime64:
    try:
        return np.datetime64(text, "us")
    except ValueError:
        return np.datetime64("NaT", "us")
