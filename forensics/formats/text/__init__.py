"""Text as trainers leave it: any encoding and line end, progress bars, colours, several ranks in one file."""

from forensics.formats.text.bars import BAR, POSTFIXES
from forensics.formats.text.cleaning import (
    UTF16_MARKS,
    Piece,
    cleaned,
    decoded,
    looks_binary,
    numbered_lines,
    pieces,
    stretches,
)
from forensics.formats.text.prefixes import fragment_end, fragment_start, line_rank, strip_prefixes
from forensics.formats.text.secrets import redact
from forensics.formats.text.values import clock_columns, clock_times, number, numbers, pairs, scalar
from forensics.formats.text.windows import AHEAD, BEHIND, Window, windows

__all__ = [
    "AHEAD",
    "BAR",
    "BEHIND",
    "POSTFIXES",
    "UTF16_MARKS",
    "Piece",
    "Window",
    "cleaned",
    "clock_columns",
    "clock_times",
    "decoded",
    "fragment_end",
    "fragment_start",
    "line_rank",
    "looks_binary",
    "number",
    "numbered_lines",
    "numbers",
    "pairs",
    "pieces",
    "redact",
    "scalar",
    "stretches",
    "strip_prefixes",
    "windows",
]
