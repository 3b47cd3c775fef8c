"""Stages that a text announces between two entries: what leaps there begins anew, on purpose.

A curriculum, another task, another loss, the next model of a list. Of itself a leap is a symptom; it is none where a
heading stands before it and the loss comes down again below where all began.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

from forensics.analysis import robust
from forensics.deferred.patterns import expression
from forensics.model import Floats, Integers
from forensics.model.statistics import median

Between = Callable[[str, str, Sequence[tuple[int, int]]], list[list[str]]]
"""Returns the lines of a text (path, place) between two records, for each pair of them."""

HEADING = expression(
    r"\b(?:stages?|phases?|curriculum|levels?|tasks?|folds?|trials?|seeds?|runs?|experiments?|models?|difficulty|"
    r"rounds?|cycles?|parts?|configs?|settings?|(?:un)?freez\w{1,4}|fine-?\s?tun\w{1,4}|pre-?\s?train\w{0,4}|switch\w{0,4}|"
    r"training|architecture|lr|learning[ _]rate|(?:sequence|context|max)[ _]len(?:gth)?|resolution|data ?set|domain|"
    r"generation|student|teacher|discriminator|generator|autoencoder|classifier|encoder|step \d{1,3}:)(?![a-z])",
    re.IGNORECASE,
)
"""What people call what begins; a name alone, in marks, is one too."""
MARKED = expression(r"^\s{0,20}([=*#>~+-]{2,40})\s{0,4}\w[^=*#]{0,80}?\s{0,4}\1?\s{0,8}$")
FAULT = expression(
    r"warn|error|\bnan\b|\binf\b|resum|restor|load|checkpoint|ckpt|skip|overflow|fail|traceback|crash|kill|memory|"
    r"exception|restart|running training|start\w{0,3} training|\bsav(?:e|ed|ing)\b|diverg|spike|corrupt|lost",
    re.IGNORECASE,
)
"""Lines that tell of what may have gone wrong there announce nothing."""
LONGEST = 160
LEAST, LAST = 3, 3
"""Entries of a stage, and those whose median is a level."""
DEVIATIONS, GAINED, SHARE = 6.0, 0.3, 0.2
"""A leap: of so many point-to-point deviations, of so much of what was gained and of its level."""
MANY = 100
"""Leaps from one entry to the next beyond which a curve is noise."""
BETTER, ANOTHER, HALF = 0.9, 3.0, 0.5
"""Share of the first entry of all below which a stage must end; what ends at so many times that, or at so small a part
of it, is another loss, or was learned: it must end below half of its own first entry."""
_DIGITS = expression(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def announced(path: str, place: str, records: Integers, values: Floats, between: Between) -> Integers:
    """Return where announced stages begin: indices of entries, int64, ascending."""
    leaps = _leaps(values)
    if not leaps:
        return np.empty(0, dtype=np.int64)
    spans = []
    for index in leaps:
        spans += [(int(records[i - 1]), int(records[i])) for i in (index - 1, index, index + 1)]
    lines = between(path, place, spans)
    told = [leap for n, leap in enumerate(leaps) if _announces(*lines[3 * n : 3 * n + 3])]
    return np.array(_that_learn(values, told) if told else [], dtype=np.int64)


def _leaps(values: Floats) -> list[int]:
    """Return the entries that lie off the level before them by far more than noise, some entries from either end."""
    found: list[int] = []
    before = np.abs(values[:-1])
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.diff(values))
        some = np.flatnonzero((apart > SHARE * before) & (apart > GAINED * np.abs(values[0] - values[:-1]))) + 1
    if len(some) > MANY:
        return found
    for index in some.tolist():
        known = values[max(0, index - 20) : index]
        known = known[np.isfinite(known)]
        if not LEAST <= index <= len(values) - max(LEAST, 2) or not len(known) or not np.isfinite(values[index]):
            continue
        level = median(known[-LAST:])
        leap = abs(float(values[index]) - level)
        bound = max(DEVIATIONS * robust.noise(known), GAINED * abs(float(values[0]) - level), SHARE * abs(level))
        if leap > bound and index - (found[-1] if found else 0) >= LEAST:
            found.append(index)
    return found


def _announces(above: Sequence[str], there: Sequence[str], below: Sequence[str]) -> bool:
    """Tell whether a heading stands among lines, of a form that does not stand between the entries beside them too."""
    usual = {_DIGITS.sub("0", line).strip() for line in (*above, *below)}
    lines = [line.strip() for line in there if line.strip() and _DIGITS.sub("0", line).strip() not in usual]
    if any(FAULT.search(line) for line in lines):
        return False
    return any(len(line) <= LONGEST and (HEADING.search(line) or MARKED.search(line)) for line in lines)


def _that_learn(values: Floats, begins: Sequence[int]) -> list[int]:
    """Return the stages that end better than all began, or, of another loss, than they began themselves."""
    kept: list[int] = []
    first = float(values[np.isfinite(values)][0])
    for index, stop in zip(begins, [*begins[1:], len(values)], strict=True):
        begin, end = float(values[index]), median(values[max(index, stop - LAST) : stop])
        another = not first / ANOTHER < end < ANOTHER * first
        if end < (HALF * begin if another else BETTER * first):
            kept.append(index)
    return kept
