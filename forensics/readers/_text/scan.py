"""One window through all families."""

from forensics.formats.text import Window
from forensics.readers._text import (
    deepspeed,
    deepspeed_config,
    events,
    huggingface,
    key_value,
    megatron,
    settings,
    tables,
)
from forensics.readers._text.collected import Found, SettingRow, Unread
from forensics.readers._text.last_words import last_words
from forensics.readers._text.phrases import find_phrases, prepare

_PHRASES = prepare(
    [
        *events.ANCHORS,
        *settings.READERS,
        *deepspeed.ANCHORS,
        *deepspeed_config.ANCHORS,
        *megatron.ANCHORS,
        *tables.ANCHORS,
    ]
)


def scan_window(window: Window) -> Found:
    """Return everything that a window tells, whatever families are mixed in it."""
    found = Found(cut=window.cut)
    positions = find_phrases(window, _PHRASES)
    for table in huggingface.scan_window(window):
        if isinstance(table, Unread):
            found.unread.append(table)
        else:
            found.dicts.append(table)
    found.rows.extend(key_value.scan_window(window))
    found.rows.extend(tables.scan_window(window, positions))
    found.rows.extend(deepspeed.scan_window(window, positions))
    found.rows.extend(megatron.scan_window(window, positions))
    found.events.extend(events.scan_window(window, positions))
    found.last_words.extend(last_words(window))
    found.settings.extend(settings.scan_window(window, positions))
    for each in deepspeed_config.scan_window(window, positions):
        if isinstance(each, SettingRow):
            found.settings.append(each)
        else:
            found.unread.append(each)
    return found
