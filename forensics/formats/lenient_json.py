"""JSON as training runs really leave it: bare NaN, a byte-order mark, cut short by a crash.

Python's `json.dump` writes `NaN`, `Infinity` and `-Infinity`, which strict parsers refuse, and the Trainer writes
its state without a temporary file, so that a crash leaves a prefix. What is complete before the break is kept:

    {"global_step": 20, "log_history": [{"loss": NaN, "step": 10}, {"loss": 0.

reads as `{"global_step": 20, "log_history": [{"loss": nan, "step": 10}, {}]}`, broken at byte 73, with three
containers still open.
"""

import codecs
import json
import re
from typing import TypeAlias

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.errors import LimitError, MalformedError, PlaceholderError
from forensics.formats.placeholder import HEAD_BYTES, recognise
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File

# A checker cannot follow a recursive type through isinstance; values are narrowed where they are used.
Json: TypeAlias = object

MAX_DEPTH = 200
"""Containers within containers. CPython's scanner recurses in C, about 1000 levels before `RecursionError`."""
MAX_DIGITS = 300
"""Digits of an integer; one more becomes a float. Above 308 digits `float()` of the integer would overflow."""

_STRING = expression(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TOKEN = expression(r'\\.|["\[\]{},]', re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text. `broken_at` is the byte at which it stops being JSON, None when it is whole.

    `open_containers` counts the objects and arrays that were not closed: the last value of the document, the last
    value of that one, and so on, are incomplete. `duplicates` counts keys given twice in an object; the last wins.
    """

    value: Json
    size: int
    duplicates: int = 0
    broken_at: int | None = None
    open_containers: int = 0


def load(file: File, limits: Limits = DEFAULT) -> Document:
    """Read and parse a whole file. Raises like `parse`, and what `File.read` raises."""
    if file.size > limits.json_bytes:
        raise LimitError(f"{file.path.name} has {file.size:,} bytes of JSON, more than {limits.json_bytes:,}")
    return parse(file.read(0, file.size), limits)


def parse(data: bytes, limits: Limits = DEFAULT) -> Document:
    """Parse bytes, keeping what is complete when they break off.

    Raises `LimitError` for too many bytes or too deep nesting, `PlaceholderError` for something that was saved in
    place of JSON, and `MalformedError` when not even an opening bracket can be kept.
    """
    if len(data) > limits.json_bytes:
        raise LimitError(f"{len(data):,} bytes of JSON, more than {limits.json_bytes:,}")
    refuse_placeholder(data)
    text, encoding, mark = _decode(data)
    if _nesting(data) > MAX_DEPTH and _nesting(_STRING.sub(b"", data)) > MAX_DEPTH:
        raise LimitError(f"JSON nested more than {MAX_DEPTH} deep")
    duplicates = _Duplicates()
    decoder = json.JSONDecoder(object_pairs_hook=duplicates.take, parse_int=_integer, strict=False)
    start = len(text) - len(text.lstrip())
    try:
        value, end = decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return _salvage(text, error.pos, encoding, mark, len(data))
    except RecursionError:
        raise LimitError(f"JSON nested more than {MAX_DEPTH} deep") from None
    broken = None if not text[end:].strip() else mark + len(text[:end].encode(encoding, "surrogateescape"))
    return Document(value, len(data), duplicates.count, broken)


def refuse_placeholder(data: bytes) -> None:
    """Raise `PlaceholderError` when something else was saved under the name of the file that was meant."""
    if not data.strip(b"\r\n\t "):
        raise PlaceholderError("is empty" if not data else "holds nothing but white space")
    what = None if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else recognise(data[:HEAD_BYTES], len(data))
    if what is not None:
        raise PlaceholderError(f"is {what}")


class _Duplicates:
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def take(self, pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        made = dict(pairs)
        self.count += len(pairs) - len(made)
        return made


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= MAX_DIGITS else float(text)


def _decode(data: bytes) -> tuple[str, str, int]:
    """Return the text, its encoding and the bytes of its mark.

    Bad bytes become lone surrogates, so that an offset in the text maps back to an offset in the bytes.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            errors = "surrogateescape" if encoding == "utf-8" else "replace"
            return data[len(mark) :].decode(encoding, errors), encoding, len(mark)
    return data.decode("utf-8", "surrogateescape"), "utf-8", 0


def _nesting(data: bytes) -> int:
    # Brackets within strings are counted too, which is right where they are few; a document that seems too deep is
    # counted again without its strings. Text made to defeat this count runs into the RecursionError, which is caught.
    folded = np.frombuffer(data, dtype=np.uint8) & 0xDF
    opening = folded == 0x5B
    brackets = np.flatnonzero(opening | (folded == 0x5D))
    if not brackets.size:
        return 0
    return int(np.cumsum(np.where(opening[brackets], 1, -1)).max())


def _salvage(text: str, position: int, encoding: str, mark: int, size: int) -> Document:
    """Cut the text after its last complete value, close what is open, and parse that."""
    cut, closers = _last_complete(text, position)
    broken = mark + len(text[:position].encode(encoding, "surrogateescape"))
    if not closers:
        raise MalformedError(f"is no JSON: breaks at byte {broken:,} of {size:,}")
    duplicates = _Duplicates()
    decoder = json.JSONDecoder(object_pairs_hook=duplicates.take, parse_int=_integer, strict=False)
    try:
        value = decoder.decode(text[:cut].lstrip() + closers)
    except (json.JSONDecodeError, RecursionError):
        raise MalformedError(f"is no JSON: breaks at byte {broken:,} of {size:,}") from None
    return Document(value, size, duplicates.count, broken, len(closers))


def _last_complete(text: str, position: int) -> tuple[int, str]:
    """Return where the last complete value before `position` ends, and the brackets that close what is open."""
    stack: list[str] = []
    inside, cut, depth = False, 0, 0
    for match in _TOKEN.finditer(text, 0, position):
        part = match[0]
        if part == '"':
            inside = not inside
        elif inside or part[0] == "\\":
            continue
        elif part == ",":
            cut, depth = match.start(), len(stack)
        elif part in _CLOSING:
            stack.append(_CLOSING[part])
            cut, depth = match.end(), len(stack)
        elif stack:
            stack.pop()
            cut, depth = match.end(), len(stack)
    return cut, "".join(reversed(stack[:depth]))
