"""Lines of the DeepSpeed engine: step reports, throughput, checkpoints and the configuration dump.

Every line stands in the envelope `[time] [LEVEL] [file:line:function] [Rank N] message` (`deepspeed/utils/logging.py`,
0.3.16 to 0.19). Most are INFO and hidden since 0.17.6, when the default level became WARNING.
"""

import re
from collections.abc import Iterator

import numpy as np

from forensics.formats.text import Window, clock_times, fragment_start, number
from forensics.model import UNKNOWN_STEP
from forensics.readers._text.collected import NO_RANK, Rows, plain_rows

STAMP = re.compile(rb"\[(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\]")

# `engine._report_progress`; `skipped` is cumulative. The line of step 0 is printed when the engine is made.
_STEP = re.compile(rb"step=(\d{1,18}), skipped=(\d{1,18}), lr=\[([^,\]\r\n]*)")
# `ThroughputTimer.stop`
_THROUGHPUT = re.compile(rb"/global_step=(\d{1,18}), RunningAvgSamplesPerSec=([^,\s]+), CurrSamplesPerSec=([^,\s]+)")
_RANK = re.compile(rb"\[Rank (\d{1,6})\]|\[(?:default|rank)(\d{1,6})\]:")
_NOTHING = b"1970-01-01 00:00:00,000"


def scan_window(window: Window) -> Iterator[Rows]:
    """Yield learning rate and skipped steps, and the samples per second, of each reported step."""
    yield from _reported(window, _STEP, ("skipped", "lr"))
    yield from _reported(window, _THROUGHPUT, ("running_samples_per_second", "samples_per_second"))


def _reported(window: Window, pattern: re.Pattern[bytes], names: tuple[str, str]) -> Iterator[Rows]:
    starts, steps, values, stamps, ranks = [], [], [], [], []
    for found in pattern.finditer(window.data, window.begin, window.end):
        step = int(found[1])
        first, second = number(found[2]), number(found[3])
        if step == 0 or first is None or second is None:
            continue
        head = window.data[
            fragment_start(window.data, found.start(), window.floor(found.start())) : found.start()
        ]
        starts.append(found.start())
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
