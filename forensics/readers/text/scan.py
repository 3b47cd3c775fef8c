"""One window through everything that reads text: metrics, events, settings."""

from collections import Counter

from forensics.formats.text import Window, cleaned, windows
from forensics.formats.text.places import find_pairs
from forensics.readers._events import scan as events
from forensics.readers._events.phrases import find_phrases, prepare
from forensics.readers.text import engine_config, printed_settings
from forensics.readers.text.entries import Parser, read_window
from forensics.readers.text.found import Found, SettingRow
from forensics.readers.text.lines import MARGIN, PAIRS

RARE_BYTES = 1 << 18
"""A text of which no line with a usual word tells anything is read again with rare words: if so many bytes have any."""
_PHRASES = prepare(
    [
        *events.ANCHORS,
        *printed_settings.READERS,
        *engine_config.ANCHORS,
    ]
)
_PAIRS = _PHRASES.begins | PAIRS
"""What everything is found by that is sought in a text."""


def scan_text(data: bytes) -> Found:
    """Return everything that a text at hand tells."""
    text = cleaned(data)
    for rare in (False, True):
        found, parser = Found(), Parser(rare=rare)
        for window in windows([text]):
            found.extend(scan_window(window, parser))
        if found.tells_of_training or len(data) > RARE_BYTES:
            break
    return found


def scan_window(window: Window, parser: Parser | None = None) -> Found:
    """Return everything that a window tells, whatever is mixed in it."""
    found = Found(cut=window.cut)
    pairs = find_pairs(window.data, window.begin, window.end + MARGIN, _PAIRS)
    positions = find_phrases(window, _PHRASES, pairs)
    parser = parser or Parser()
    read_window(parser, window, pairs)
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
