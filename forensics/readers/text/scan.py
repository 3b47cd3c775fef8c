"""One window through everything that reads text: metrics, events, settings."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.formats.text import Window, cleaned, windows
from forensics.formats.text.places import Pairs, find_pairs
from forensics.readers._events import scan as events
from forensics.readers._events.phrases import find_phrases, prepare
from forensics.readers.text import engine_config, printed_settings
from forensics.readers.text.bulk import NOWHERE
from forensics.readers.text.entries import Parser, read_window
from forensics.readers.text.found import Found, SettingRow
from forensics.readers.text.lines import MARGIN, PAIRS, Lines, all_of
from forensics.readers.text.shapes import outline

RARE_BYTES = 1 << 18
"""A text of which no line with a usual word tells anything is read again with rare words: if so many bytes have any."""
_DIGIT = expression(rb"\d")
_PHRASES = prepare([*events.ANCHORS, *printed_settings.READERS, *engine_config.ANCHORS])
_OTHERS = {*printed_settings.READERS, *engine_config.ANCHORS}
_WITH_DIGITS = tuple(
    (phrase, outline(phrase)) for family in _PHRASES.families for phrase in family if _DIGIT.search(phrase)
)
_PAIRS = _PHRASES.begins | PAIRS
"""What everything is found by that is sought in a text."""


def parser_of(*, rare: bool = False) -> Parser:
    """Return a parser of lines that knows what else is sought in them; `rare` as in `Parser`."""
    return Parser(_anchored, rare=rare)


def scan_text(data: bytes) -> Found:
    """Return everything that a text at hand tells."""
    text = cleaned(data)
    for rare in (False, True):
        found, parser = Found(), parser_of(rare=rare)
        for window in windows([text]):
            found.extend(scan_window(window, parser))
        if found.tells_of_training or len(data) > RARE_BYTES:
            break
    return found


def scan_window(window: Window, parser: Parser | None = None) -> Found:
    """Return everything that a window tells, whatever is mixed in it."""
    found = Found(cut=window.cut)
    parser = parser or parser_of()
    lines = all_of(window)
    known = parser.known(window, lines)
    taken = parser.bulk.taken.by >= 0
    pairs = _pairs_between(window, lines, taken)
    positions = find_phrases(window, _PHRASES, pairs)
    for phrase, places in known.phrases.items():
        positions[phrase] = np.sort(np.concatenate([*places, positions.get(phrase, NOWHERE)]))
    read_window(parser, window, pairs, taken)
    found.lines.extend(parser.tables(window))
    found.beside, parser.unread = parser.unread, Counter()
    found.passed, parser.passed = parser.passed, 0
    found.events.extend(events.scan_window(window, positions))
    found.settings.extend(printed_settings.scan_window(window, positions))
    for each in engine_config.scan_window(window, positions):
        if isinstance(each, SettingRow):
            found.settings.append(each)
        else:
            found.unread.append(each)
    return found


def _pairs_between(window: Window, lines: Lines, taken: NDArray[np.bool_]) -> Pairs:
    """Return the pairs of a window and `MARGIN` bytes behind it, without those in lines that are taken."""
    taken = taken | ((lines.starts == lines.ends) & (lines.starts >= window.begin) & (lines.ends <= window.end))
    if not taken.any():
        return find_pairs(window.data, window.begin, window.end + MARGIN, _PAIRS)
    first = np.flatnonzero(taken & ~np.append(False, taken[:-1]))
    last = np.flatnonzero(taken & ~np.append(taken[1:], False))
    stop = min(window.end + MARGIN, len(window.data))
    begins, ends = np.append(window.begin, lines.ends[last]), np.append(lines.starts[first], stop)
    kept = begins < ends
    begins, ends = begins[kept], ends[kept]
    text = b"".join([window.data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)])
    pairs = find_pairs(text, 0, len(text), _PAIRS)
    behind = np.cumsum(ends - begins)
    part = np.searchsorted(behind, pairs.places, side="right")
    return Pairs(pairs.places + (ends - behind)[part], pairs.values)


def _anchored(line: bytes) -> tuple[tuple[bytes, int], ...] | None:
    """Return the phrases that may tell something in a line, and where they stand; as `bulk.Anchored`.

    One whose digits are others in the line, or that goes on behind it, makes all of them unsure.
    """
    text = outline(line)
    if any(blank in text and text.count(blank) != line.count(phrase) for phrase, blank in _WITH_DIGITS):
        return None
    found = find_phrases(Window(line + b"\n", 0, len(line), 0, 1), _PHRASES)
    if any(phrase.endswith(b"\n") for phrase in found):
        return None
    told = {phrase: places for phrase, places in found.items() if phrase in _OTHERS or events.may_tell(phrase, line)}
    return tuple((phrase, place) for phrase, places in told.items() for place in places.tolist())
