"""Shell scripts as far as they set a run up: logical lines, assignments, words. Nothing is ever run.

Only what is written plainly is understood: `NAME=value`, `export NAME=value`, `$NAME`, `${NAME}`,
`${NAME:-default}`, and a command with its words. Loops, conditions and substitutions are left as they stand.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forensics.deferred.patterns import expression
from forensics.readers._environment import Line

MAX_COMMAND = 65_536
"""Characters of a command joined over continued lines."""
_ASSIGNMENT = expression(r"^([A-Za-z_]\w{0,120})=(.*)$", re.DOTALL)
_REFERENCE = expression(r"\$(?:([A-Za-z_]\w{0,120})|\{([A-Za-z_]\w{0,120})(?::?-([^{}]{0,200}))?\})")
# 2>&1, > train.log, &>> all.log, < /dev/null
_REDIRECTION = expression(r"(?:(?<=\s)\d)?(?:&>>?|>>?&?|<<?)(?:(?<=&)\d|\s{0,8}[^\s;&|<>()]{1,400})")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what was set before it on its line, or exported, and its words. `number` is its first line."""

    number: int
    assigned: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    exported: bool = False


def find_commands(lines: Sequence[Line]) -> Iterator[Command]:
    """Yield commands in order, with the variables that the script itself set before replaced by their values."""
    known: dict[str, str] = {}
    for number, text in _logical(lines):
        for words in _commands(text):
            yield from _interpret(number, words, known)


def _interpret(number: int, raw: Sequence[str], known: dict[str, str]) -> Iterator[Command]:
    words = [part for word in raw for part in _expanded(word, known)]
    exported = words[0] in {"export", "declare", "setenv"} if words else False
    if exported:
        words = [word for word in words[1:] if not word.startswith("-")]
    assigned: list[tuple[str, str]] = []
    while words and (match := _ASSIGNMENT.match(words[0])):
        assigned.append((match[1], match[2]))
        words = words[1:]
    if exported or not words:
        known.update(assigned)
        if len(known) > 5000:
            known.clear()
    if exported or words:
        yield Command(number, tuple(assigned), () if exported else tuple(words), exported)


def _logical(lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
    """Join continued lines. A comment between them, as people leave it, does not end the command."""
    start, parts, size = 0, list[str](), 0
    for line in lines:
        text = line.text.strip()
        comment = text.startswith("#") and not text.startswith("#!")
        if comment or (not text and not parts):
            continue
        start = start if parts else line.number
        more = text.endswith("\\") and size < MAX_COMMAND
        parts.append(text[:-1] if more else text)
        size += len(text)
        if not more:
            yield start, " ".join(parts)
            parts, size = [], 0
    if parts:
        yield start, " ".join(parts)


def _commands(text: str) -> Iterator[list[str]]:
    if text.startswith("#!"):
        return
    text = _REDIRECTION.sub(" ", text)
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:  # an unclosed quote: the words as they stand
        words = text.split()
    current: list[str] = []
    for word in words:
        if word and not word.strip(";&|"):
            if current:
                yield current
            current = []
        else:
            current.append(word)
    if current:
        yield current


def _expanded(word: str, known: Mapping[str, str]) -> list[str]:
    """Return what a word stands for: a bare variable that holds a command stands for its words."""
    text = _expand(word, known)
    return text.split() if text != word and _REFERENCE.fullmatch(word) and len(text.split()) > 1 else [text]


def _expand(word: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return known.get(name, match[3] if match[3] is not None else match[0])[:4000]

    return _REFERENCE.sub(value, word)[:MAX_COMMAND] if "$" in word else word
