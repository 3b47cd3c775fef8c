"""HTML as a browser would cut it, in time that grows with its length: tags by name, and the text between them.

`html.parser` of the standard library reads the rest of a page anew for each mark that is not closed (CVE-2025-6069):
400 KB of `<!--` take a minute. Here what is not closed ends the page, as the tokenizer of HTML has it
(html.spec.whatwg.org, 13.2.5, "eof-in-comment", "eof-in-tag"), so nothing is looked at twice.
"""

import html
from collections.abc import Iterator
from typing import Literal

from forensics.deferred.patterns import expression

Kind = Literal["start", "end", "text"]
_TAG = expression(r"</?([a-zA-Z][^\s/>]{0,60})")
_SIGN = expression(r"[>\"']")
_LONG_NUMBER = expression(r"&#(?:\d{8}\d*|[xX][0-9a-fA-F]{7}[0-9a-fA-F]*);?")
"""No character has such a number, and `int` refuses more than 4,300 digits."""
QUOTED = 65_536
"""Characters that the value of an attribute may have; a quote that is not closed by then is none."""
_VERBATIM = frozenset({"script", "style"})


def marks(text: str) -> Iterator[tuple[Kind, str]]:
    """Yield ("start", tag), ("end", tag) and ("text", what stands between), tags in small letters.

    Comments, declarations and attributes are passed over, entities are replaced.
    """
    place = 0
    while (opened := text.find("<", place)) >= 0:
        if opened > place:
            yield "text", _plain(text[place:opened])
        tag = _TAG.match(text, opened)
        place = _silent(text, opened) if tag is None else _closed(text, tag.end())
        if place < 0:
            return
        if tag is None:
            if place == opened + 1:
                yield "text", "<"
            continue
        name, ends = tag[1].lower(), text[opened + 1] == "/"
        yield ("end" if ends else "start"), name
        if name in _VERBATIM and not ends:
            place = _end_of(name, text, place)
    if place < len(text):
        yield "text", _plain(text[place:])


def _silent(text: str, place: int) -> int:
    """Return where a comment or a declaration ends, -1 where nothing ends it; behind the sign where it is neither."""
    if not text.startswith(("<!", "<?", "</"), place):
        return place + 1
    close = "-->" if text.startswith("<!--", place) else ">"
    found = text.find(close, place + 2)
    return found + len(close) if found >= 0 else -1


def _closed(text: str, place: int) -> int:
    """Return where a tag ends whose name was read; -1 where nothing ends it."""
    while (found := _SIGN.search(text, place)) is not None:
        if found[0] == ">":
            return found.end()
        close = text.find(found[0], found.end(), found.end() + QUOTED)
        place = (found.start() if close < 0 else close) + 1
    return -1


def _end_of(name: str, text: str, place: int) -> int:
    """Return where a script ends; everything in it is no text. The end of the page where nothing ends it."""
    close = f"</{name}"
    while (found := text.find("</", place)) >= 0:
        if text[found : found + len(close)].lower() == close:
            return found
        place = found + 2
    return len(text)


def _plain(text: str) -> str:
    return html.unescape(_LONG_NUMBER.sub("\ufffd", text)) if "&" in text else text
