"""Text from strangers made safe to show: no control characters, no direction tricks, bounded."""

import json
import re
import unicodedata

from forensics.deferred.patterns import expression

MAXIMUM_LENGTH = 400
_UNSAFE = expression(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_MARKDOWN = expression(r"([\\`*_{}\[\]<>#|~!$&])")
_ISSUE_NUMBER = expression(r"\b(GH|gh)-(?=[0-9])")
_WEB_ADDRESS = expression(r"\b(www)\.", re.IGNORECASE)
_LIST_OR_HEADING = expression(r"^([-+=]|[0-9]{1,9}[.)])")
_COMBINING_RUN = 2
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "|", "%")
"""A spreadsheet takes a cell that begins with one of these for a formula or a command (OWASP, "CSV Injection")."""


def clean(text: str, limit: int = MAXIMUM_LENGTH) -> str:
    r"""Return one line without control, bidirectional, zero-width or surrogate characters.

    They are shown as escapes, so that nothing disappears; runs of combining marks are cut to two.

    >>> clean("red \x1b[31m text")
    'red \\x1b[31m text'
    """
    shown = _UNSAFE.sub(_escape, text[:limit])
    if not shown.isascii():
        kept, run = [], 0
        for character in shown:
            run = run + 1 if unicodedata.combining(character) else 0
            if run <= _COMBINING_RUN:
                kept.append(character)
        shown = "".join(kept)
    more = len(text) - limit
    return f"{shown}… (+{more} characters)" if more > 0 else shown


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def markdown(text: str, limit: int = MAXIMUM_LENGTH) -> str:
    """Return text that GitHub shows as it is: no markup, link, mention, reference or HTML of its own.

    A word joiner (U+2060) after `@`, `:` or `www` stops autolinks and mentions without changing what is seen
    (GitHub Flavored Markdown, 6.9 "Autolinks").
    """
    shown = _MARKDOWN.sub(r"\\\1", clean(text, limit))
    shown = _LIST_OR_HEADING.sub(lambda m: f"{m[0][:-1]}\\{m[0][-1]}", shown)
    shown = shown.replace("@", "@\u2060").replace("://", ":\u2060//")
    shown = _ISSUE_NUMBER.sub("\\1-\u2060", shown)
    return _WEB_ADDRESS.sub("\\1\u2060.", shown)


def code(text: str, limit: int = MAXIMUM_LENGTH) -> str:
    """Return a Markdown code span; backticks become apostrophes, bars are escaped for tables."""
    return f"`{clean(text, limit).replace('`', chr(39)).replace('|', chr(92) + '|') or ' '}`"


def ascii_only(text: str) -> str:
    r"""Return text that any output encoding takes: known signs by their ASCII twin, the others as escapes.

    >>> ascii_only("\u201crace\u201d \xe9")
    '"race" \\xe9'
    """
    if text.isascii():
        return text
    return text.translate(_TWINS).encode("ascii", "backslashreplace").decode("ascii")


_TWINS = str.maketrans(
    {
        "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-", "\u201c": '"', "\u201d": '"', "\u2018": "'",
        "\u2019": "'", "\u2026": "...", "\u00d7": "x", "\u2190": "<-", "\u2192": "->",
    }
)  # fmt: skip


def cell(text: str, limit: int = MAXIMUM_LENGTH) -> str:
    """Return text for a CSV cell that no spreadsheet takes for a formula."""
    shown = clean(text, limit)
    return f"'{shown}" if shown.startswith(FORMULA_STARTS) else shown


def island(value: object) -> str:
    """Return JSON that may stand inside a `<script>` element: no character there can end the element.

    U+2028 and U+2029 end lines in JavaScript before ECMAScript 2019.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.translate(
        {60: "\\u003c", 62: "\\u003e", 38: "\\u0026", 39: "\\u0027", 0x2028: "\\u2028", 0x2029: "\\u2029"}
    )
