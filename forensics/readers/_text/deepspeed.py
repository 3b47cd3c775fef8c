"""Lines of the DeepSpeed engine: step reports, throughput, checkpoints and the configuration dump.

Every line stands in the envelope `[time] [LEVEL] [file:line:function] [Rank N] message` (`utils/logging.py`,
0.3.16 to 0.19). Most are INFO and hidden since 0.17.6, when the default level became WARNING.
"""

import re
from collections.abc import Iterator

import numpy as np

from forensics.formats.text import Window, clock_times, fragment_start, number
from forensics.model import UNKNOWN_STEP
from forensics.readers._text.collected import NO_RANK, Rows, plain_rows
from forensics.readers._text.phrases import Positions

# `engine._report_progress`: `skipped` is cumulative, the line of step 0 is printed when the engine is made.
# `ThroughputTimer.stop` prints the other one.
ANCHORS = (b"kipped=", b"RunningAvgSamplesPerSec=")
_ENVELOPE = rb"\[(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\] \[[A-Z]+\] \[[^\]\r\n]*\] (?:\[Rank (\d{1,6})\] )?"
_STEP = rb"step=(\d{1,18}), skipped=([^,\s]+), lr=\[([^,\]\r\n]*)(?=[,\]])"
_SPEED = rb"epoch=[\w/=]*/global_step=(\d{1,18}), RunningAvgSamplesPerSec=([^,\s]+), CurrSamplesPerSec=([^,\s]+)"
_LINES = tuple(re.compile(_ENVELOPE + message) for message in (_STEP, _SPEED))
_NAMES = (("skipped", "lr"), ("running_samples_per_second", "samples_per_second"))
_LAUNCHED = re.compile(rb"\[(?:default|rank)(\d{1,6})\]:")


def scan_window(window: Window, positions: Positions) -> Iterator[Rows]:
    """Yield learning rate and skipped steps, and the samples per second, of each reported step."""
    for anchor, line, names in zip(ANCHORS, _LINES, _NAMES, strict=True):
        if anchor in positions:
            yield from _reported(window, positions[anchor], line, names)


def _reported(window: Window, places: list[int], line: re.Pattern[bytes], names: tuple[str, str]) -> Iterator[Rows]:
    starts, steps, values, stamps, ranks = [], [], [], [], []
    data = window.data
    for place in places:
        start = fragment_start(data, place, window.floor(place))
        # Prefixes of launchers, or a bar, may stand before the envelope.
        found = line.match(data, start) or line.search(data, start, place + 200)
        if found is None or found[3] == b"0":
            continue
        first, second = number(found[4]), number(found[5])
        if first is None or second is None:
            continue
        starts.append(place)
        steps.append(int(found[3]))
        values.append((first, second))
        stamps.append(found[1])
        launched = _LAUNCHED.findall(data, start, found.start()) if found.start() > start else ()
        # Rank 0 alone reports: its lines count as those of no particular rank.
        ranks.append(int(found[2] or (launched[-1] if launched else 0)) or NO_RANK)
    if starts:
        yield plain_rows(
            names,
            np.array(values, dtype=np.float64),
            [window.offset + start for start in starts],
            window.lines(starts),
            steps,
            wall_times=clock_times(stamps),
            ranks=ranks,
        )


def checkpoint_step(path: bytes) -> int:
    """Return the step that a checkpoint's path names, unknown when it names none.

    >>> checkpoint_step(b"out/checkpoint-500/global_step480/mp_rank_00_model_states.pt"), checkpoint_step(b"final")
    (480, -1)
    """
    found = re.findall(rb"(?:global_step|checkpoint-|step[-_]|iter_)(\d{1,18})", path)
    return int(found[-1]) if found else UNKNOWN_STEP
