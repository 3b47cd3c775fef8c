"""Text that is no file of its own: the output of a notebook's cell, a block of a pasted issue, a tracker's console."""

from collections.abc import Iterator

from forensics.model import Fact
from forensics.readers.text.scan import scan_text
from forensics.readers.text.settled import facts


def read_lines(text: bytes | str, path: str, first_line: int = 1) -> Iterator[Fact]:
    """Yield the facts of a text as if it were a log of its own: samples, events, settings, skips.

    `path` and the number of the line in it on which the text begins name the source of each fact.
    """
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    yield from facts(scan_text(data).moved(0, first_line - 1), path)
