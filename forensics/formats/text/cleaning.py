"""From a file to clean text: one encoding, one line end, no colours, no endless lines.

What comes out are bytes in UTF-8 whose only separators are LF and lone CR. Every piece is cut at a separator, so
that the same file gives the same text whatever the size of the chunks it is read in.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text.places import find_separators, has_pair
from forensics.limits import DEFAULT
from forensics.model import Integers
from forensics.storage.file import File

CHUNK_BYTES = 2 << 20
SEARCHED_BYTES = 1 << 20
"""How far a line end is looked for where a file is to be cut into stretches."""

_ANSI = expression(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\r\n]{0,400}\x07)")
# Word processors and some issue forms turn the quotes of a pasted dictionary into curly ones.
_CURLY = expression(rb"\xe2\x80[\x98\x9c]([\w/.@() -]{1,80})\xe2\x80[\x99\x9d](?=[:,}])")
# Colours that a viewer of logs wrote out: `#033[34m`, `^[[34m`.
_SPELLED = expression(rb"(?:#033|\^\[)\[[0-9;]{0,20}m")
# A line as the one text of a JSON object: Docker's json-file, Kaggle's, python-json-logger's.
_WRAPPERS = tuple(
    b'"%b":' % key
    for key in (b"log", b"message", b"msg", b"data", b"line", b"text", b"textPayload", b"MESSAGE", b"body")
)
_TEXT = rb'"(?:[^"\\\n]|\\.){0,400}"'
_FLAT = rb"[^{}\n]{0,400}"
_VALUE = (
    rb"(?:"
    + _TEXT
    + rb"|[-+.\w]{1,40}|\[[^\[\]{}\n]{0,200}\]|\{"
    + _FLAT
    + rb"(?:\{"
    + _FLAT
    + rb"\}"
    + _FLAT
    + rb"){0,4}\})"
)
_BEFORE = rb'(?:"[\w@./-]{1,40}": ?' + _VALUE + rb", ?){0,12}"
_BEHIND = rb'(?:, ?"[\w@./-]{1,40}": ?' + _VALUE + rb"){0,12}"
_WRAPPED = expression(
    rb"^[,\[]?\{" + _BEFORE + rb'(?:"(?:jsonPayload|_source|fields|attributes)": ?\{' + _BEFORE + rb")?"
    rb'"(?:log|message|msg|data|line|text|textPayload|MESSAGE|body)": ?"([^"\\\n]*(?:\\.[^"\\\n]*){0,20000})"'
    + _BEHIND
    + rb"(?:\}"
    + _BEHIND
    + rb")?\}\]?$",
    re.MULTILINE,
)
_STREAM = b'"textPayload"'
"""Google Cloud calls whatever a process wrote to its standard error an ERROR, line by line."""
_GRAVE = expression(rb""""(?:level|severity|levelname|lvl)": ?"(?i:error|fatal|critical|alert|emergency)\"""")
_TIMED = expression(rb"""(?i:time|"ts"|date)""")
"""An object with a text and without a time is a row of data."""
_BESIDE = expression(rb"""\{?"(?:step|loss|epoch|iter\w*|global_step|lr)": ?["\d]""")
# The end of a file that a writer did not finish: `loss 0.` is no zero.
_CUT_NUMBER = expression(rb"(?<=[ =:,])[-+]?(?:0\.|\d{1,20}(?:\.\d{1,40})?[eE][-+]?)\Z")
_ESCAPED = expression(rb"\\(?:u([0-9a-fA-F]{4})|(.))")
_ESCAPES = {b"n": b"", b"r": b"\r", b"t": b"\t"}
_UTF8_MARK = codecs.BOM_UTF8
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MOST_LINES = 1 << 17
"""Lines of a piece: a piece of ordinary ones has a third of them."""
_PRINTED = bytes(byte for byte in range(256) if byte >= 0x20 or byte in b"\b\t\n\f\r\x1b")
"""What a program prints; binary files are full of other control characters."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of clean text, how many overlong fragments in it lost their rest, and where its separators stand."""

    data: bytes
    cut: int
    separators: Integers


def pieces(
    file: File, line_bytes: int, chunk_bytes: int = CHUNK_BYTES, stretch: tuple[int, int] | None = None
) -> Iterator[Piece]:
    """Yield the text of `file`, or of one of its `stretches`.

    Fragments (what stands between CR or LF) are kept up to `line_bytes`.

    UTF-16 is recognised by its mark, anything else is taken as UTF-8 with whatever errors it has.
    Raises `ChangedError` when the file becomes shorter meanwhile; what was yielded before stays true.
    """
    for data, cut in _whole_fragments(_decoded(file, chunk_bytes, stretch or (0, file.size)), line_bytes):
        piece = cleaned(data, line_bytes)
        yield from _of_fewer_lines(replace(piece, cut=cut + piece.cut))


def _of_fewer_lines(piece: Piece) -> Iterator[Piece]:
    """Yield a piece in parts of about `MOST_LINES` at most: what is kept of each line is more than a short one is."""
    text = np.frombuffer(piece.data, dtype=np.uint8)
    done = known = 0
    for line in range(MOST_LINES, len(piece.separators), MOST_LINES):
        place = int(piece.separators[line])
        feed = bool(text[place] == ord("\n"))  # a CR begins the next part: an LF may follow it
        yield Piece(piece.data[done : place + feed], 0, piece.separators[known : line + feed] - done)
        done, known = place + feed, line + feed
    rest = (piece.data[done:], piece.cut, piece.separators[known:] - done) if done else None
    yield Piece(*rest) if rest else piece


def cleaned(data: bytes, line_bytes: int = DEFAULT.text_line_bytes) -> Piece:
    """Return a text that is at hand, UTF-8 with whatever errors it has, as one piece."""
    separators = find_separators(data)
    clean = data.replace(b"\r\n", b"\n") if _has_both(data, separators) else data
    clean, cut = _shortened(clean, line_bytes)
    # One byte is sought twenty times as fast as several, two side by side six times.
    if b'"' in clean and has_pair(clean, b'{"') and any(key in clean for key in _WRAPPERS):
        clean = _WRAPPED.sub(_unwrapped, clean)
    if b"\x1b" in clean:
        clean = _ANSI.sub(b"", clean)
    if (b"#" in clean and has_pair(clean, b"#0")) or (b"^" in clean and has_pair(clean, b"^[")):
        clean = _SPELLED.sub(b"", clean)
    if b"\x80" in clean and (has_pair(clean, b"\x99:") or has_pair(clean, b"\x9d:")):
        clean = _CURLY.sub(rb"'\1'", clean)
    return Piece(clean, cut, separators if clean is data else find_separators(clean))


def _has_both(data: bytes, separators: Integers) -> bool:
    """Tell whether an LF stands right behind a CR."""
    text = np.frombuffer(data, dtype=np.uint8)
    beside = separators[:-1][separators[1:] == separators[:-1] + 1]
    return bool(((text[beside] == ord("\r")) & (text[beside + 1] == ord("\n"))).any())


def _unwrapped(found: re.Match[bytes]) -> bytes:
    """Return the text that a JSON object wraps, without the end of its line; one with metrics beside it stays.

    So does one that its writer calls an error, which is read with its level (`forensics.readers._events.last_words`).
    """
    start, end = found.start(1) - found.start(), found.end(1) - found.start()
    around = found[0][:start] + found[0][end:]
    data = found[0][:start].endswith((b'"text":"', b'"text": "')) and _TIMED.search(around) is None
    if data or _BESIDE.search(around) or (_STREAM not in around and _GRAVE.search(around)):
        return found[0]
    return _ESCAPED.sub(_unescaped, found[1])


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return chr(int(found[1], 16)).encode("utf-8", "replace")
    return _ESCAPES.get(found[2], found[2])


def decoded(data: bytes) -> str:
    """Return a text without its mark, which says when it is UTF-16; bytes that are no text become U+FFFD."""
    encoding = "utf-16" if data.startswith(UTF16_MARKS) else "utf-8"
    return data.decode(encoding, "replace").removeprefix("\ufeff")


def looks_binary(head: bytes) -> bool:
    """Tell whether the beginning of a file is no text: one byte in a hundred is a control character no program prints.

    Text in UTF-16 says what it is by its mark.
    """
    strange = len(head.translate(None, _PRINTED))
    return strange > len(head) // 100 + 8 and not head.startswith(UTF16_MARKS)


def stretches(file: File, size: int) -> list[tuple[int, int]]:
    """Cut a file into stretches of at least `size` bytes (first byte, end), whose clean texts joined are the whole.

    Stretches end behind an LF, where no fragment is open. UTF-16 is one stretch.
    """
    if file.head(2) in UTF16_MARKS:
        return [(0, file.size)]
    cuts = [0]
    for target in range(size, file.size, size):
        block = file.read(target, min(SEARCHED_BYTES, file.size - target))
        cut = target + block.find(b"\n") + 1
        if cut > max(target, cuts[-1]) and cut < file.size:
            cuts.append(cut)
    return list(zip(cuts, [*cuts[1:], file.size], strict=True))


def numbered_lines(file: File, line_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield number (1-based) and text of every line that is not blank; CR ends a line as LF does."""
    rest = b""
    number = 0
    for piece in pieces(file, line_bytes):
        *lines, rest = (rest + piece.data.replace(b"\r", b"\n")).split(b"\n")
        for line in lines:
            number += 1
            if line.strip():
                yield number, line
    if rest.strip():
        yield number + 1, rest


def _decoded(file: File, chunk_bytes: int, stretch: tuple[int, int]) -> Iterator[bytes]:
    head = file.head(3)
    if not head.startswith(UTF16_MARKS):
        first, end = stretch
        if first == 0 and head == _UTF8_MARK:
            first = len(_UTF8_MARK)
        yield from file.window(first, end - first).blocks(chunk_bytes)
        return
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for chunk in file.blocks(chunk_bytes):
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _whole_fragments(chunks: Iterable[bytes], line_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Cut the stream at separators; of a fragment that outgrows `line_bytes` the rest is dropped as it comes."""
    rest = b""
    dropping = False
    for chunk in chunks:
        data = chunk
        if dropping:  # nothing is left of the chunk before
            separator = _separator(data)
            if separator < 0:
                continue
            data = data[separator:]
            dropping = False
        cut_at = _last_cut(data)
        if cut_at or data.startswith(b"\r"):
            body, rest = rest + memoryview(data)[:cut_at], data[cut_at:]
        else:
            body, rest = b"", rest + data
        lead = 1 if rest.startswith(b"\r") else 0
        # One byte more than the limit: a fragment of exactly `line_bytes` is no overlong one.
        if len(rest) - lead > line_bytes:
            body, rest, dropping = body + rest[: lead + line_bytes], b"", True
        yield body, int(dropping)
    if rest:
        yield _CUT_NUMBER.sub(b"", rest), 0


def _separator(data: bytes, start: int = 0) -> int:
    """Return where the first LF or CR stands, -1 without one. `find` is fifty times as fast as an expression."""
    feed = data.find(b"\n", start)
    back = data.find(b"\r", start) if feed < 0 else data.find(b"\r", start, feed)
    return back if back >= 0 else feed


def _last_cut(data: bytes) -> int:
    """Return where to cut: behind the last LF, or before the last CR (an LF may follow it)."""
    return max(data.rfind(b"\n") + 1, data.rfind(b"\r"), 0)


def _shortened(data: bytes, line_bytes: int) -> tuple[bytes, int]:
    """Cut overlong fragments inside `data`, looking only once every `line_bytes`."""
    kept: list[bytes] = []
    done = start = cuts = 0
    while start + line_bytes < len(data):
        stop = start + line_bytes + 1
        last = max(data.rfind(b"\n", start, stop), data.rfind(b"\r", start, stop))
        if last >= 0:
            start = last + 1
            continue
        separator = _separator(data, stop)
        end = separator if separator >= 0 else len(data)
        kept.append(data[done : start + line_bytes])
        done = start = end
        cuts += 1
    if not cuts:
        return data, 0
    kept.append(data[done:])
    return b"".join(kept), cuts
