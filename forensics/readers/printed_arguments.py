"""What a program prints of its own arguments when it starts, on one line or over many.

    Namespace(lr=0.0001, fp16=True, data_path='/a b', betas=[0.9, 0.95])
    [INFO:swift] args: SftArguments(model_type='qwen2', lr=1e-05, deepspeed={'zero_optimization': {'stage': 2}})
    (TaskRunner pid=4711) {'actor_rollout_ref': {'actor': {'clip_ratio': 0.2,

argparse's Namespace, dataclasses of arguments (ms-swift, LLaMA-Factory, OpenRLHF), the resolved configuration that
verl and others print as a dictionary of dictionaries. The run printed them, so they are recorded.
"""

import ast
import contextlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import LimitError
from forensics.formats.flatten import flatten
from forensics.model import Artifact, Fact, Setting, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, Line, read_lines

_CALL = expression(r"\b(?:Namespace|[A-Z]\w{0,40}(?:Arguments|Args))\((?=[A-Za-z_]\w*=)")
_PREFIX = expression(
    r"^(?:\([\w ]{1,60}pid=\d+[^)]{0,60}\)\s?|\[[^\]]{1,80}\]\s?|[\w:,. \-]{0,60}(?:config|args)[\w ]{0,20}: )?"
)
_NESTED = expression(r"\{'[A-Za-z_]\w{0,60}': \{'?")
_NAME = expression(r"[A-Za-z_]\w{0,100}(?==)")
_SHORT = {"[": "]", "(": ")", "{": "}"}
_CONFIGURES = expression(r"'(?:lr|learning_rate|optim(?:izer)?|trainer|total_epochs|max_steps|train_batch_size)':")
"""What tells a configuration from a dictionary of results."""
UNSPELLED = (ValueError, SyntaxError, MemoryError, RecursionError)
"""What `ast.literal_eval` says of a text that is no written-out value."""
MOST_CHARACTERS = 200_000
MOST_LINES = 3000


def _sniff(head: bytes) -> bool:
    if b"Namespace(" not in head and b"Arguments(" not in head and b"Args(" not in head and b"{'" not in head:
        return False
    text = head.decode("utf-8", "replace")
    return _CALL.search(text) is not None or any(_begins(line) for line in text.split("\n"))


def _begins(line: str) -> bool:
    start = _PREFIX.match(line)
    return "{'" in line and start is not None and _NESTED.match(line, start.end()) is not None


@reader("printed-arguments", sniff=_sniff)
def printed_arguments(artifact: Artifact) -> Iterator[Fact]:
    """Arguments as a program prints them: argparse's Namespace, dataclasses, nested dictionaries of verl."""
    if artifact.path.endswith(".py"):
        return  # the call itself, not what it printed
    lines = list(read_lines(artifact))
    braces: _Braces | None = None
    number = 0
    while number < len(lines):
        line = lines[number]
        call = _CALL.search(line.text)
        if call is not None:
            for name, value in _arguments(line.text[call.end() : call.end() + MOST_CHARACTERS]):
                yield from _told(artifact, name, value, line.number)
        elif _begins(line.text):
            braces = _Braces(lines) if braces is None else braces
            printed, number = _dictionary(braces, number)
            for key, held in printed.items():
                yield from _told(artifact, str(key), held, line.number)
        number += 1


def _told(artifact: Artifact, name: str, value: object, number: int) -> Iterator[Setting]:
    try:
        for dotted, held in flatten(value, name):
            yield Setting("setting", dotted, held, artifact.at(LINE, number), Standing.RECORDED)
    except LimitError:
        return


def _arguments(text: str) -> Iterator[tuple[str, object]]:
    """Yield names and values of a call as far as values are written out; `<class ...>` and calls are left out."""
    position = 0
    while match := _NAME.match(text, position):
        start = match.end() + 1
        end = _end_of_value(text, start)
        with contextlib.suppress(*UNSPELLED):
            yield match[0], ast.literal_eval(text[start:end])
        if text[end : end + 2] != ", ":
            return
        position = end + 2


def _end_of_value(text: str, start: int) -> int:
    """Return where a value ends: at a comma or a bracket that is not inside of it."""
    open_ones: list[str] = []
    quote = ""
    position = start
    while position < len(text):
        sign = text[position]
        if quote:
            position += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in _SHORT:
            open_ones.append(_SHORT[sign])
        elif open_ones and sign == open_ones[-1]:
            open_ones.pop()
        elif not open_ones and sign in ",)":
            return position
        position += 1
    return len(text)


class _Braces:
    """The lines without their prefixes, and how deep each ends: counted once, however many dictionaries never end."""

    __slots__ = ("depths", "sizes", "texts")

    def __init__(self, lines: Sequence[Line]) -> None:
        self.texts = [line.text[start.end() if (start := _PREFIX.match(line.text)) else 0 :] for line in lines]
        self.depths = np.cumsum([0, *(text.count("{") - text.count("}") for text in self.texts)])
        self.sizes = np.cumsum([0, *map(len, self.texts)])

    def end(self, number: int) -> int | None:
        """Return the line that closes what a line opens, None when none within reach does."""
        reach = slice(number + 1, number + 1 + MOST_LINES)
        closed = np.flatnonzero(self.depths[reach] <= self.depths[number])
        if not len(closed):
            return None
        last = number + int(closed[0])
        return last if self.sizes[last] - self.sizes[number] <= MOST_CHARACTERS else None


def _dictionary(braces: _Braces, number: int) -> tuple[Mapping[object, object], int]:
    """Return a printed dictionary and the index of its last line; an empty one where it does not end."""
    last = braces.end(number)
    if last is None:
        return {}, number
    try:
        value = ast.literal_eval("\n".join(braces.texts[number : last + 1]).strip())
    except UNSPELLED:
        return {}, number
    return (value, last) if isinstance(value, dict) and _CONFIGURES.search(repr(value)) else ({}, number)
