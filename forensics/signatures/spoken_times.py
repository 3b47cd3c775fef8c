"""When something began, by the words of a sentence: counts of steps and epochs with what stands before and behind them.

A time is a number, its unit and a relation: "after about 200 iterations", "at epoch=4", "within the first epoch", "20k+
steps". Numbers are digits or words, exact or rough ("a few hundred"); the relation makes a bracket of them.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from forensics.deferred.patterns import expression

Bracket: TypeAlias = tuple[int | None, int | None, str]

_UNIT = (
    r"(?:(?:(?:global |training |train |optimi[sz]ation )?(?:steps?|iterations?|iters?|epochs?|epcohs?)\b)"
    r"|(?:batch(?:es)?|updates?|rounds?|episodes?)\b"
    "|个? ?(?:epochs?|steps?|iters?|iterations?|batch)|次?迭代|轮次?|步|个周期|エポック|ステップ"
    r"|эпох\w{0,2}|шаг\w{0,3}|итерац\w{1,3}|épocas?\b|pasos?\b|Schritt\w{0,2}\b|Epochen?\b)"
)
_NEAR = r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|some|ca\.?|~|大概|大约|约|差不多|几乎)"
_ROUGH = {
    "dozens": (24, 100),
    "a dozen": (10, 24),
    "dozen": (10, 24),
    "a couple": (2, 4),
    "few": (1, 10),
    "a few": (1, 10),
    "several": (2, 10),
    "some": (2, 20),
    "few hundred": (200, 1000),
    "a few hundred": (200, 1000),
    "several hundred": (200, 1000),
    "hundreds": (100, 1000),
    "few thousand": (2000, 10_000),
    "a few thousand": (2000, 10_000),
    "several thousand": (2000, 10_000),
    "thousands": (1000, 10_000),
    "a couple of": (2, 4),
    "几": (1, 10),
    "几十": (20, 100),
    "几百": (200, 1000),
    "几千": (2000, 10_000),
    "十几": (10, 20),
}
"""Counts that are told roughly, and the range that they leave open."""
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {
    **{word: number for number, word in enumerate(_COUNTED, 1)},
    **{word: number for number, word in enumerate("一二三四五六七八九十", 1)},
    "a single": 1,
    "single": 1,
    "an": 1,
    "两": 2,
    "twenty": 20,
    "thirty": 30,
    "fifty": 50,
    "a hundred": 100,
    "hundred": 100,
    "thousand": 1000,
}
_FIRST = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_THOUSANDS = {"k": 1000, "m": 1_000_000, "w": 10_000, "万": 10_000, "千": 1000, "百": 100}


def _either(words: object) -> str:
    return "|".join(sorted(map(str, words), key=len, reverse=True))  # type: ignore[call-overload]  # keys of a table


_LEAD = (
    "(?:after|at|from|since|around|about|within|in|during|by|first|of|approximately|roughly|until|till|before"
    "|(?:train(?:ing|ed)?|run(?:ning)?|ran) for|reach(?:es|ed|ing)?"
    "|beyond|past|over|exactly at|less than|not even|on|nach|bei|después de|tras|en|после|на"
    "|不到|到|在|前|过了|经过|至)"
)
_DIGITS = r"(?P<n>\d{1,9}(?:[.,]\d{1,3})?) ?(?P<k>[kmw万千百](?![a-z]))?(?P<plus>\+|多)?"
_UP_TO = r"(?: ?(?:-|\u2013|~|to|or|到|或) ?(?P<to>\d{1,9}) ?(?P<tok>[kmw万](?![a-z]))?)?(?:st|nd|rd|th)?"
_BEHIND = "(?P<behind> ?(?:后|之后|以后|左右|之内|以内|内|之前|前))?"
_TIME = expression(
    rf"(?i)(?:(?P<lead>(?<![A-Za-z]){_LEAD}|[(~]) ?(?:the )?)?"
    rf"(?P<about>(?:(?:{_NEAR}|the first|first|just|only|more than|as little as|第) ?){{0,2}})"
    rf"(?:{_DIGITS}{_UP_TO}|(?<![A-Za-z])(?P<rough>{_either(_ROUGH)})(?: of)?"
    rf"|(?<![A-Za-z])(?P<word>{_either(_NUMBERS)})|(?P<ordinal>\b(?:{'|'.join(_FIRST)})))"
    rf" ?(?P<unit>{_UNIT}){_BEHIND}(?! ?=)"
)
_NAMED = expression(
    rf"(?i)(?P<lead>(?<![A-Za-z]){_LEAD})? ?(?:about |around |the |the \w{{1,8}} of )?(?<!\d )"
    r"(?P<unit>(?:steps?|iterations?|iters?|epochs?|epcohs?|batch|rounds?|эпох\w{0,2}|шаг\w{0,2}|época|paso|Schritt"
    r"|Epoche)) ?(?:number |no\. ?|up to |reach(?:es|ed)? |到 ?|为 ?|={1,2} ?|: ?|#){0,2} ?"
    rf"(?P<n>\d{{1,9}}(?:[.,]\d{{3}}(?!\d))?) ?(?P<k>[kmw万](?![a-z]))?(?![\d.]*[A-Za-z\d]){_BEHIND}"
)
_LENGTH = expression(
    r"(?i)(?:\b(?:every|each|per|(?<!train )(?<!training )(?<!trained )(?<!running )(?<!ran )for|=|total(?: of)?|all)"
    "|每|共|=) ?(?:the )?$"
)
_THEN = expression(r"(?i)\bthen\b|\bafter (?:that|which)\b|然后|之后|后来|而后")
"""Behind a time within which all went well: what follows began at its end."""
_AT_ONCE = expression(
    r"(?i)\b(?:from|in|at|since) the (?:very )?(?:beginning|start|first)|\b(?:each|every) (?:iteration|step|batch)"
    r"|\bimmediately\b|\bright (?:away|from the start)\b|一开始|刚开始|从头|从开始|最初から"
    r"|с самого начала|\bdesde el principio|\bvon Anfang an"  # noqa: RUF001  (Russian)
)
NEARLY = 5
"""One part in so many by which a count that is told as about, or as after, may be off."""
_INSIDE = expression(r"(?i)\b(?:first|within|in|during|before|until|less|even)\b|不到|内|前")
_AFTER = expression(
    r"(?i)\b(?:(?:train|run|ran)\w* for|after|from|since|of|just|beyond|past|over|nach|tras)\b|后|過|过|después|после"
)
_AT = expression(r"(?i)\b(?:at|by|on|until|reach\w{0,3}|bei|en)\b|[第到在至(~]|на")


class _Told(NamedTuple):
    start: int
    bracket: Bracket


def began(text: str, at: int = 0) -> Bracket:
    """Return the bracket in which something began by the words of its sentence, and the axis it is counted on.

    Of several times the one nearest to `at` counts, where the sentence says what became of it.

    >>> began("it hangs at step 1200"), began("NaN in the first fifty iterations"), began("during the fifth epoch")
    ((1200, 1200, 'step'), (0, 50, 'step'), (4, 5, 'epoch'))
    """
    told = [*_counts(text), *_places(text)]
    if told:
        near = min(told, key=lambda one: abs(one.start - at))
        first, last, axis = near.bracket
        if first == 0 and last is not None and _THEN.search(text[near.start : at]):
            return last, last + last // NEARLY, axis
        return near.bracket
    return (0, 1, "step") if _AT_ONCE.search(text) else (None, None, "step")


def _counts(text: str) -> Iterator[_Told]:
    """Yield what has its number in front: "after 200 steps", "the third epoch"."""
    for found in _TIME.finditer(text):
        if _LENGTH.search(text[: found.start()]):
            continue
        words = f"{found['lead'] or ''} {found['about'] or ''} {found['behind'] or ''}".lower()
        axis = _axis(found["unit"])
        bracket = _rough(found, words) or _ordinal(found) or _counted(found, words)
        if bracket is not None:
            yield _Told(found.start(), (*bracket, axis))


def _places(text: str) -> Iterator[_Told]:
    """Yield what has its number behind: "at iteration 249", "epoch=4"."""
    for found in _NAMED.finditer(text):
        if _LENGTH.search(text[: found.start()]):
            continue
        n = _number(found["n"], found["k"])
        words = f"{found['lead'] or ''} {found['behind'] or ''}".lower()
        loose = n // NEARLY if re.search("after|past|beyond|后", words) else 0
        yield _Told(found.start(), (n, n + loose, _axis(found["unit"])))


def _rough(found: re.Match[str], words: str) -> tuple[int, int] | None:
    if not found["rough"]:
        return None
    low, high = _ROUGH[found["rough"].lower()]
    return (0 if _INSIDE.search(words) else low), high


def _ordinal(found: re.Match[str]) -> tuple[int, int] | None:
    """Return where "the third epoch" or "the 25th" lies; None for a count."""
    if found["ordinal"]:
        number = _FIRST.index(found["ordinal"].lower()) + 1
    elif found["n"] and re.search(r"(?:st|nd|rd|th) ?$", found[0][: -len(found["unit"])]):
        number = _number(found["n"], None)
    elif "第" in (found["about"] or "") and (found["n"] or found["word"]):
        number = _number(found["n"], found["k"]) if found["n"] else _NUMBERS[found["word"].lower()]
        return number - 1, number + (number // NEARLY if found["behind"] else 0)
    else:
        return None
    return number - 1, number


def _counted(found: re.Match[str], words: str) -> tuple[int, int] | None:
    """Return the bracket of a count by the words around it; None where they say nothing."""
    n = _NUMBERS[found["word"].lower()] if found["word"] else _number(found["n"], found["k"])
    if found["to"]:
        return n, max(n, _number(found["to"], found["tok"]))
    if found["plus"]:
        return n, n + max(1, n // NEARLY)
    if _INSIDE.search(words) and not re.search("后", words):
        return 0, n
    if re.search(rf"{_NEAR}(?![A-Za-z])|左右", words):
        return n - n // NEARLY, n + n // NEARLY
    if _AFTER.search(words):
        return n, max(n + 1, n + n // NEARLY)
    return (n, n) if _AT.search(words) else None


def _number(digits: str, thousands: str | None) -> int:
    factor = _THOUSANDS.get((thousands or "").lower(), 1)
    if factor == 1:
        return int(re.sub(r"\D", "", digits))
    return int(float(digits.replace(",", ".")) * factor)


def _axis(unit: str) -> str:
    return "epoch" if re.search("epo|epc|轮|周期|エポック|эпох|épo", unit.lower()) else "step"
