"""Shell scripts as far as they set a run up: logical lines, assignments, words. Nothing is ever run.

Only what is written plainly is understood: `NAME=value`, `NAME+=value`, `NAME=(a b)`, `export NAME=value`, `$NAME`,
`${NAME}`, `${NAME[@]}`, `${NAME:-default}`, a text in quotes over several lines, a command with its words, and one
that `bash -c` is given as a text. Loops, conditions and substitutions are left as they stand.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.readers._environment import Line

MAX_COMMAND = 65_536
"""Characters of a command joined over continued lines."""
MOST_LINES = 400
"""Lines that a text in quotes or a list may have: a lone apostrophe opens none."""
_ASSIGNMENT = expression(r"^([A-Za-z_]\w{0,120})(\+?)=(.*)$", re.DOTALL)
_LIST = expression(
    r"(?:(?:declare|local|typeset|readonly|export) (?:-\w+ )?)?([A-Za-z_]\w{0,120})(\+?)=\((.*)$", re.DOTALL
)
_REFERENCE = expression(r"\$(?:([A-Za-z_]\w{0,120})|\{([A-Za-z_]\w{0,120})(?:\[[@*]\])?(?::?-([^{}]{0,200}))?\})")
_TEXT = expression(r"(?:export )?[A-Za-z_]\w{0,120}\+?=[\"']")
_SIGNS = expression(r"\\.|['\"()]")
_SIGN = expression(r"['\"\\;&|#\x0b\x0c\x1c-\x1f]")
"""What `shlex` does more with than to part words; it takes 20 us for a line."""
_SHELLS = frozenset({"bash", "sh", "zsh"})
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
        listed = _LIST.match(text)
        if listed:
            words = [
                part for word in _words(listed[3].rstrip("; ").removesuffix(")")) for part in _expanded(word, known)
            ]
            _assign(known, listed[1], shlex.join(words), more=f" {shlex.join(words)}" if listed[2] else "")
            continue
        for words in _commands(text):
            yield from _interpret(number, words, known)


def _assign(known: dict[str, str], name: str, value: str, *, more: str = "") -> None:
    """Keep the value of a variable, `more` where it is added to what there is."""
    known[name] = (known.get(name, "") + more)[:MAX_COMMAND] if more else value
    if len(known) > 5000:
        known.clear()


def _interpret(number: int, raw: Sequence[str], known: dict[str, str]) -> Iterator[Command]:
    words = [part for word in raw for part in _expanded(word, known)]
    exported = words[0] in {"export", "declare", "setenv"} if words else False
    if exported:
        words = [word for word in words[1:] if not word.startswith("-")]
    assigned: list[tuple[str, str]] = []
    while words and (match := _ASSIGNMENT.match(words[0])):
        value = known.get(match[1], "") + match[3] if match[2] else match[3]
        assigned.append((match[1], value[:MAX_COMMAND]))
        words = words[1:]
    if exported or not words:
        for name, value in assigned:
            _assign(known, name, value)
    if exported or words:
        yield Command(number, tuple(assigned), () if exported else tuple(_told_to_a_shell(words)), exported)


def _told_to_a_shell(words: Sequence[str]) -> Sequence[str]:
    """Return the words of a command with what `bash -c` is given as words of their own."""
    for at, word in enumerate(words[:-2]):
        if word.rpartition("/")[2] in _SHELLS and words[at + 1] in {"-c", "-lc"}:
            return [*words[:at], *_words(words[at + 2])]
    return words


def _logical(lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
    """Join continued lines. A comment between them, as people leave it, does not end the command."""
    start, parts, size = 0, list[str](), 0
    last = looked = -1
    for index, line in enumerate(lines):
        text = line.text.strip()
        comment = text.startswith("#") and not text.startswith("#!")
        if comment or (not text and not parts):
            continue
        start = start if parts else line.number
        if not parts and index > looked:
            last, looked = _opened(lines, index)
        listed = _LIST.match(parts[0] if parts else text) is not None
        text = _without_remark(text) if listed else text
        more = (text.endswith("\\") or index < last) and size < MAX_COMMAND
        parts.append(text.removesuffix("\\") if more else text)
        size += len(text)
        if not more:
            yield start, " ".join(parts)
            parts, size = [], 0
    if parts:
        yield start, " ".join(parts)


def _opened(lines: Sequence[Line], index: int) -> tuple[int, int]:
    """Return the line in which a value that begins here ends, and how far was looked; -1 where it is on one line."""
    text = lines[index].text.strip()
    listed = _LIST.match(text) is not None
    if not listed and not _TEXT.match(text):
        return -1, -1
    quote, depth = "", 0
    for last in range(index, min(index + MOST_LINES, len(lines))):
        line = lines[last].text.strip()
        for found in _SIGNS.finditer("" if line.startswith("#") else _without_remark(line) if listed else line):
            sign = found[0]
            if sign in {"'", '"'}:
                quote = sign if not quote else "" if quote == sign else quote
            elif not quote and sign in {"(", ")"}:
                depth += 1 if sign == "(" else -1
        if not quote and (depth <= 0 or not listed):
            return last, last
    return -1, index + MOST_LINES


def _without_remark(text: str) -> str:
    head, mark, remark = text.rpartition(" #")
    return head if mark and not {"'", '"'} & set(remark) else text


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _commands(text: str) -> Iterator[list[str]]:
    if text.startswith("#!"):
        return
    text = _REDIRECTION.sub(" ", text)
    if text.isascii() and _SIGN.search(text) is None:
        if words := text.split():
            yield words
        return
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
    return _words(text) if text != word and _REFERENCE.fullmatch(word) and len(text.split()) > 1 else [text]


def _expand(word: str, known: Mapping[str, str]) -> str:
    left = MAX_COMMAND

    def value(match: re.Match[str]) -> str:
        nonlocal left
        name = match[1] or match[2]
        text = known.get(name, match[3] if match[3] is not None else match[0])[: min(4000, max(left, 0))]
        left -= len(text)
        return text

    return _REFERENCE.sub(value, word)[:MAX_COMMAND] if "$" in word else word
