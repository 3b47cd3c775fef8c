"""Blocks: one metric a line, name and number in cells, printed again and again with another place among them.

| rollout/           |      |      OpenAI baselines and its kin (Stable-Baselines3, Spinning Up), between ruled lines
|    ep_rew_mean     | 12.1 |
|    total_timesteps | 2048 |
AverageReturn          -172.2       garage, rllab
Iteration               3

----- iteration 300 -----           a loop of one's own: what numbers the block stands above it
loss            2.31
learning_rate   1e-4

A block is one entry of all its numbers, whether the lexicon knows their names or not.
"""

import math
import re

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.readers.text.lexicon import COUNTERS, Role, role_of
from forensics.readers.text.lines import WORDS
from forensics.readers.text.names import Field, Shape
from forensics.readers.text.shapes import NUMBER_ALONE, value_of

FEWEST = 3
"""Numbers from which on lines are a block."""
MOST_ROWS = 400
MOST_UNTOLD = 16
"""Rows of a list before the first with a usual word."""
_WALLED = expression(rb"[ \t]{0,40}\|[ \t]{0,40}(?=[A-Za-z_])([^|\r\n]{1,80})\|([^|\r\n]{0,60})\|[ \t]{0,40}\r?")
_ALIGNED = expression(
    rb"[ \t]{0,8}([A-Za-z_][\w/().%-]{0,60}(?: [\w/().%-]{1,40}){0,3})"
    rb"(?: {2,40}|[ ]?\t)[ \t]{0,40}([^ \t\r\n]{1,40})[ \t\r]*"
)
_LISTED = expression(
    rb"[ \t]{0,8}(?:[-*>][ \t])?[ \t]{0,8}([A-Za-z_][\w/().%-]{0,60}(?: [\w/().%-]{1,40}){0,3})"
    rb"(?:[ \t]{0,40}[:=]| {2}| ?\t)[ \t]{0,40}([^ \t\r\n]{1,40})[ \t\r]*"
)
"""Only below a heading: configurations are printed like this as well."""
_RULE = expression(rb"[ \t]{0,40}[-=+|*]{5}[-=+|* \t]*\r?")
_COUNTED = expression(
    rb"([A-Za-z]{2,24}(?: [A-Za-z]{2,24})?)[ :=#\[(]{1,4}(\d{1,12})(?: ?(?:/|of) ?\d{1,12})?(?![\w.])"
)
_WORD = expression(rb"\w")
_HEADING = 160
"""Bytes of a line that numbers what stands below it and says nothing else."""
_WORDED = expression(b"(?i)" + b"|".join(WORDS))
_TRAIN = "train/"
_TELLING = frozenset({Role.LOSS, Role.NORM, Role.KNOWN})


@dataclass(frozen=True, slots=True)
class Block:
    """The numbers of a block by name, and where its lines begin and end."""

    numbers: dict[str, float]
    start: int
    end: int

    @property
    def totals(self) -> list[float]:
        return [math.nan] * len(self.numbers)

    def shape(self) -> Shape:
        names = list(self.numbers)
        stepped = any(_role(name) is Role.GLOBAL and "step" in name.lower() for name in names)
        fields = tuple(
            Field(name, Role.OTHER if stepped and _is_of_updates(name) else _role(name), index)
            for index, name in enumerate(names)
        )
        return Shape(b"\x04" + "|".join(names).encode(), fields, block=True)


def block_at(data: bytes, line: tuple[int, int], begin: int, reach: int) -> Block | None:
    """Return the block that a line (its start and end) lies in, None where there is none or a window has read it.

    The line is the first of its block with a usual word from `begin` on; text may be read up to `reach`.
    """
    form = next(
        (form for form in (_WALLED, _ALIGNED, _LISTED) if _number(form.fullmatch(data, *line)) is not None), None
    )
    if form is None:
        return None
    start = _begin(data, line[0], form)
    if start < 0:
        return None
    if start < begin and _WORDED.search(data, start, begin):
        return None  # the window before has read it
    numbers: dict[str, float] = {}
    at = start
    heading = {} if form is _WALLED else _heading(data, start)
    if form is _LISTED and not heading:
        return None
    while at < reach and len(numbers) < MOST_ROWS:
        end = data.find(b"\n", at, reach)
        end = reach if end < 0 else end
        row = form.fullmatch(data, at, end)
        value = _number(row)
        if row is not None and value is not None:
            name = row[1].decode("utf-8", "replace").strip().removeprefix(_TRAIN)
            if name in numbers:
                break  # the next block
            numbers[name] = value
        elif form is not _WALLED or (row is None and not _RULE.fullmatch(data, at, end)):
            break
        at = end + 1
    counted = any(_role(name) in COUNTERS for name in numbers)
    if not counted and any(_role(name) in _TELLING for name in numbers):
        counted, numbers = bool(heading), heading | numbers
    return Block(numbers, start, at) if counted and len(numbers) >= FEWEST else None


def _heading(data: bytes, start: int) -> dict[str, float]:
    """Return what the line above a place counts where it does nothing else, empty otherwise."""
    above = data.rfind(b"\n", 0, max(start - 1, 0)) + 1
    line = data[above : max(start - 1, 0)]
    if len(line) > _HEADING or _WORD.search(_COUNTED.sub(b"", line)):
        return {}
    counts = {found[1].decode(): float(found[2]) for found in _COUNTED.finditer(line)}
    return counts if all(_role(name) in COUNTERS for name in counts) else {}


def _begin(data: bytes, start: int, form: re.Pattern[bytes]) -> int:
    """Return where the rows begin that stand above a line without a break, -1 where the line heads no list.

    Of a list they are few, and none has a usual word: that one would have been asked before.
    """
    for _ in range(MOST_UNTOLD if form is _LISTED else MOST_ROWS):
        above = data.rfind(b"\n", 0, max(start - 1, 0)) + 1
        if start <= 0 or form.fullmatch(data, above, start - 1) is None:
            break
        if form is _LISTED and _WORDED.search(data, above, start - 1):
            return -1
        start = above
    return start


def _number(row: re.Match[bytes] | None) -> float | None:
    number = row[2].strip() if row is not None else b""
    return value_of(number) if NUMBER_ALONE.fullmatch(number) else None


def _is_of_updates(name: str) -> bool:
    """Tell whether a name counts updates; beside them steps of an environment number the rows of `progress.csv`."""
    return _role(name) is Role.GLOBAL and "step" not in name.lower()


def _role(name: str) -> Role:
    role = role_of(name)
    return Role.OTHER if role is Role.NOTHING else role
