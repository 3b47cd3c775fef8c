"""Lines of the DeepSpeed engine: step reports, throughput, checkpoints and the configuration dump.

Every line stands in the envelope `[time] [LEVEL] [file:line:function] [Rank N] message` (`utils/logging.py`,
0.3.16 to 0.19). Most are INFO and hidden since 0.17.6, when the default level became WARNING.
"""

import re
from collections.abc import Iterator

import numpy as np

from forensics.formats.text import Window, clock_times, fragment_start, numbers
from forensics.model import UNKNOWN_STEP
from forensics.readers._text.collected import NO_RANK, Rows, as_integers, plain_rows
from forensics.readers._text.phrases import Positions

# `engine._report_progress`: `skipped` is cumulative, the line of step 0 is printed when the engine is made.
# `ThroughputTimer.stop` prints the other one.
ANCHORS = (b"kipped=", b"RunningAvgSamplesPerSec=")
_ENVELOPE = rb"\[(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\] \[[A-Z]+\] \[[^\]\r\n]*\] (?:\[Rank (\d{1,6})\] )?"
_STEP = rb"step=(\d{1,18}), skipped=([^,\s]+), lr=\[([^,\]\r\n]*)(?=[,\]])"
_SPEED = rb"epoch=[\w/=]*/global_step=(\d{1,18}), RunningAvgSamplesPerSec=([^,\s]+), CurrSamplesPerSec=([^,\s]+)"
_LINES = tuple(re.compile(_ENVELOPE + message) for message in (_STEP, _SPEED))
_NAMES = (("skipped", "lr"), ("running_samples_per_second", "samples_per_second"))
SEPARATORS = b"\r\n"
_LAUNCHED = re.compile(rb"\[(?:default|rank)(\d{1,6})\]:")


def scan_window(window: Window, positions: Positions) -> Iterator[Rows]:
    """Yield learning rate and skipped steps, and the samples per second, of each reported step."""
    for anchor, line, names in zip(ANCHORS, _LINES, _NAMES, strict=True):
        if anchor in positions:
            yield from _reported(window, positions[anchor], line, names)


def _reported(window: Window, places: list[int], line: re.Pattern[bytes], names: tuple[str, str]) -> Iterator[Rows]:
    found = list(_matches(window, places, line))
    if not found:
        return
    stamps, own_ranks, steps, first, second = zip(*[match.groups() for _, match, _ in found], strict=True)
    columns = [numbers(first), numbers(second)]
    readable = columns[0][1] & columns[1][1]
    starts = as_integers([place for place, _, _ in found])
    rows = plain_rows(
        names,
        np.column_stack([values for values, _ in columns]),
        window.offset + starts,
        window.lines(starts),
        [int(step) for step in steps],
        wall_times=clock_times(stamps),
        # Rank 0 alone reports: its lines count as those of no particular rank.
        ranks=[int(own or launched) or NO_RANK for own, (_, _, launched) in zip(own_ranks, found, strict=True)],
    )
    if readable.any():
        yield rows if readable.all() else rows.take(readable)


def _matches(
    window: Window, places: list[int], line: re.Pattern[bytes]
) -> Iterator[tuple[int, re.Match[bytes], bytes | int]]:
    """Yield the place of each report but that of step 0, its match, and the rank that a launcher put before it."""
    data = window.data
    before = 0
    for place in places:
        # Reports resemble each other: most begin as far before their anchor as the one before did. A match holds no
        # separator, so one that follows a separator and reaches the anchor is what a search for the start gives.
        start = place - before
        tried = start > window.floor(place) and data[start - 1] in SEPARATORS
        found = line.match(data, start) if tried else None
        if found is None or found.end() <= place:
            start = fragment_start(data, place, window.floor(place))
            before = place - start
            # Prefixes of launchers, or a bar, may stand before the envelope.
            found = line.match(data, start) or line.search(data, start, place + 200)
        if found is None or found[3] == b"0":
            continue
        launched = _LAUNCHED.findall(data, start, found.start()) if found.start() > start else ()
        yield place, found, launched[-1] if launched else 0


def checkpoint_step(path: bytes) -> int:
    """Return the step that a checkpoint's path names, unknown when it names none.

    >>> checkpoint_step(b"out/checkpoint-500/global_step480/mp_rank_00_model_states.pt"), checkpoint_step(b"final")
    (480, -1)
    """
    found = re.findall(rb"(?:global_step|checkpoint-|step[-_]|iter_)(\d{1,18})", path)
    return int(found[-1]) if found else UNKNOWN_STEP
