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

STAMP = re.compile(rb"\[(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\]")

# `engine._report_progress`; `skipped` is cumulative. The line of step 0 is printed when the engine is made.
_REPORT = re.compile(rb"kipped=(\d{1,18}), lr=\[([^,\]\r\n]*)")
_STEP = re.compile(rb"\bstep=(\d{1,18}), s\Z")
# `ThroughputTimer.stop`
_THROUGHPUT = re.compile(rb"RunningAvgSamplesPerSec=([^,\s]+), CurrSamplesPerSec=([^,\s]+)")
_GLOBAL_STEP = re.compile(rb"/global_step=(\d{1,18}), \Z")
_RANK = re.compile(rb"\[Rank (\d{1,6})\]|\[(?:default|rank)(\d{1,6})\]:")
ANCHORS = (b"kipped=", b"RunningAvgSamplesPerSec=")

_NOTHING = b"1970-01-01 00:00:00,000"


def scan_window(window: Window, positions: Positions) -> Iterator[Rows]:
    """Yield learning rate and skipped steps, and the samples per second, of each reported step."""
    reports, throughputs = (positions.get(anchor, []) for anchor in ANCHORS)
    yield from _reported(window, reports, (_REPORT, _STEP), ("skipped", "lr"))
    yield from _reported(
        window, throughputs, (_THROUGHPUT, _GLOBAL_STEP), ("running_samples_per_second", "samples_per_second")
    )


def _reported(
    window: Window,
    places: list[int],
    patterns: tuple[re.Pattern[bytes], re.Pattern[bytes]],
    names: tuple[str, str],
) -> Iterator[Rows]:
    pattern, counter = patterns
    starts, steps, values, stamps, ranks = [], [], [], [], []
    for place in places:
        found = pattern.match(window.data, place, window.reach(place))
        if found is None:
            continue
        head = window.data[fragment_start(window.data, place, window.floor(place)) : place]
        counted = counter.search(head)
        first, second = number(found[1]), number(found[2])
        if counted is None or first is None or second is None or int(counted[1]) == 0:
            continue
        step = int(counted[1])
        starts.append(place)
        steps.append(step)
        values.append((first, second))
        stamp = STAMP.search(head)
        stamps.append(stamp[1] if stamp else _NOTHING)
        ranks.append(_rank(head))
    if starts:
        times = clock_times(stamps)
        yield plain_rows(
            names,
            np.array(values, dtype=np.float64),
            [window.offset + start for start in starts],
            window.lines(starts),
            steps,
            wall_times=np.where(times == 0, np.nan, times),
            ranks=ranks,
        )


def _rank(head: bytes) -> int:
    """Rank 0 alone reports: its lines count as those of no particular rank, others as theirs."""
    found = _RANK.search(head)
    rank = int(found[1] or found[2]) if found else NO_RANK
    return NO_RANK if rank == 0 else rank


def checkpoint_step(path: bytes) -> int:
    """Return the step that a checkpoint's path names, unknown when it names none.

    >>> checkpoint_step(b"out/checkpoint-500/global_step480/mp_rank_00_model_states.pt"), checkpoint_step(b"final")
    (480, -1)
    """
    found = re.findall(rb"(?:global_step|checkpoint-|step[-_]|iter_)(\d{1,18})", path)
    return int(found[-1]) if found else UNKNOWN_STEP
