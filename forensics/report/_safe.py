"""Text from strangers made safe to show: no control characters, no direction tricks, bounded."""

import re
import unicodedata

MAXIMUM_LENGTH = 400
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!$])")
_COMBINING_RUN = 2


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
    """Return text that GitHub shows as it is: no markup, link, mention, reference or HTML of its own."""
    shown = _MARKDOWN.sub(r"\\\1", clean(text, limit))
    return shown.replace("@", "@\u2060").replace("://", ":\u2060//") if ("@" in shown or "://" in shown) else shown


def code(text: str, limit: int = MAXIMUM_LENGTH) -> str:
    """Return a Markdown code span; backticks become apostrophes, bars are escaped for tables."""
    return f"`{clean(text, limit).replace('`', chr(39)).replace('|', chr(92) + '|') or ' '}`"
