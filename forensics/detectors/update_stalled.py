"""Weights that stand still although gradients and learning rate are not zero."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis.onset import tail_onset
from forensics.analysis.recorded import attempts
from forensics.deferred.patterns import expression
from forensics.detectors._wording import joined, number
from forensics.model import Finding, Floats, Recording, Run
from forensics.model.recording import LOCAL, STILL, UPDATE
from forensics.plugin import detector

LEAST_ROWS = 5
STANDING = 0.5
REPEATED, MEASURES, SHARE, STANDS, MOST = 10, 3, 0.2, 0.3, 0.7
"""Entries that repeat each other, measures that do, the share of the log; the share in which the step stands, and of
the measures that it does so for."""
LOGGED = expression(
    r"(?:^|[/_ ])(?:(?:param(?:eter)?|weight)s?[_ ])?(?:update|delta)[_ ](?:(?:param|weight)[_ ])?(?:norm|ratio|rms)$",
    re.IGNORECASE,
)
"""How far one step takes the weights, as programs log it themselves."""


@detector("update-stalled")
def update_stalled(run: Run) -> Iterator[Finding]:
    """Find tensors of which most weights keep every bit from step to step, in most steps of the later half.

    Source: the share of unmoved bits among 1,024 weights of each tensor. bfloat16 weights with AdamW at 2e-6: 22 of 26
    tensors, 13 of them wholly; at 2e-3: 6 of 26; float32: none.
    A norm of the updates that a program logs itself and that is exactly 0 to the end is a warning, and so are entries
    that go on, ten and a fifth of the log, while all their measures have come to one number each.
    Minimum: five rows, and more than half of the tensors; five entries of such a norm.
    Silenced by: steps that were skipped, gradients of zero, a learning rate of zero.
    Known false alarms: an optimizer that steps the weights in another place than the probe reads (masters that are
    copied back every n-th step).
    """
    if not run.has("recordings"):
        yield from [*_logged(run), *_repeats(run)][:1]
    for attempt in attempts(run):
        recording = attempt.ranks[0]
        mask = _standing(recording)
        if mask is None or mask.sum() * 2 <= len(mask):
            continue
        wholly = _wholly(recording) & mask
        rows = len(recording)
        names, never = recording.first(mask), int(wholly.sum())
        kinds = sorted({recording.dtypes[i] for i in np.flatnonzero(mask)})
        rate = recording.rates[-1]
        at = 0 if bool(wholly.all()) else rows // 2
        yield Finding(
            symptom="update-stalled",
            severity="error" if never == len(mask) else "warning",
            statement=joined(
                (
                    f"{len(names)} of {len(mask)} tensors stand still for the most part, e.g. {names[0]}",
                    "their gradients are not zero",
                    f"{never} of them did not move at all" if never else "",
                    f"the weights are {' and '.join(kinds)}",
                    f"the learning rate is {number(rate)}" if np.isfinite(rate) else "",
                )
            ),
            source=recording.source(at),
            step=int(recording.steps[at]),
            step_range=(None, int(recording.steps[at])),
        )


def _logged(run: Run) -> Iterator[Finding]:
    for name, series in sorted(run.timeline.series.items()):
        index = tail_onset(series.values == 0) if LOGGED.search(name) else None
        if index is None or len(series) - index < LEAST_ROWS:
            continue
        step = int(series.steps[index])
        yield Finding(
            symptom="update-stalled",
            severity="warning",
            statement=f"{name} is exactly 0 from step {step} to the end, {len(series) - index:,} entries: "
            "no step moves the weights",
            source=series.source_at(index),
            step=step,
            step_range=(int(series.steps[index - 1]) if index else None, step),
        )
        return


def _repeats(run: Run) -> Iterator[Finding]:
    """Find entries that go on while every measure in them has come to one number: nothing is done any more.

    Each of three measures and more varied before from entry to entry. What only counts on does not matter. Where the
    steps that number the entries have stopped, one entry alone is left of all that follow; most measures tell it then.
    """
    yield from _stopped(run)
    moving = [s for s in run.timeline.series.values() if len(s) >= 2 * REPEATED and not _counts_on(s.values)]
    begins = [tail_onset(s.values == s.values[-1]) for s in moving]
    varied = [(s, i) for s, i in zip(moving, begins, strict=True) if i is not None and _varied(s.values[:i])]
    still = [i for i in begins if i is not None]
    if len(varied) < MEASURES or len(still) < len(moving):
        return
    series, index = max(varied, key=lambda each: int(each[0].steps[each[1]]))
    count, step = len(series) - index, int(series.steps[index])
    if count < max(REPEATED, SHARE * len(series)) or len({int(s.steps[i]) for s, i in varied}) > 2:
        return
    yield Finding(
        symptom="update-stalled",
        severity="warning",
        statement=f"all {len(moving)} measures are the same numbers from step {step} to the end, {count:,} entries: "
        "nothing is sampled or trained any more",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]), step),
    )


def _stopped(run: Run) -> Iterator[Finding]:
    """Find steps that stand still while entries are written: 1 of 560 faulty runs, 0 of 655 healthy ones."""
    by_name = {b.name: b for b in sorted(run.timeline.samples, key=lambda each: len(each.values))}
    blocks = [b for b in by_name.values() if len(b.values) >= 2 * REPEATED]
    stands = [b for b in blocks if (b.steps == b.steps[-1]).sum() >= max(REPEATED, STANDS * len(b.steps))]
    stands = [b for b in stands if 0 <= b.steps[0] < b.steps[-1]]
    known = [b for b in stands if len(run.timeline.series.get(b.name, ()))]
    if len(stands) < MEASURES or len(stands) < MOST * len(blocks) or not known:
        return
    block = max(known, key=lambda each: len(each.steps))
    step, count = int(block.steps[-1]), int((block.steps == block.steps[-1]).sum())
    series = run.timeline[block.name]
    yield Finding(
        symptom="update-stalled",
        severity="warning",
        statement=f"the step stands at {step:,} in the last {count:,} of {len(block.steps):,} entries: nothing is "
        "sampled or trained any more",
        source=series.source_at(len(series) - 1),
        step=step,
        step_range=(int(series.steps[-2]) if len(series) > 1 else None, step),
    )


def _counts_on(values: Floats) -> bool:
    """Tell whether a series is a counter, a clock or a constant."""
    return bool((np.diff(values) > 0).all()) or float(np.ptp(values)) == 0


def _varied(values: Floats) -> bool:
    return len(values) >= MEASURES and float(np.mean(np.diff(values) != 0)) > STANDING


def _later(recording: Recording) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which rows count: of the later half, finite, not skipped, with a learning rate that is not zero."""
    rows = len(recording)
    later = np.arange(rows) >= rows // 2
    finite = np.isfinite(recording.values[:, :, UPDATE]).all(axis=1)
    counted: np.ndarray[tuple[int], np.dtype[np.bool_]] = later & finite & ~recording.skipped & ~(recording.rates == 0)
    return counted


def _standing(recording: Recording) -> np.ndarray[tuple[int], np.dtype[np.bool_]] | None:
    rows = _later(recording)
    if rows.sum() * 2 < LEAST_ROWS:
        return None
    moving = (recording.length(LOCAL)[rows] > 0) & recording.probed[rows]
    still = (recording.values[rows][:, :, STILL] > STANDING) & moving
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = still.mean(axis=0) > STANDING
    return mask


def _wholly(recording: Recording) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    rows = _later(recording)
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = (recording.values[rows][:, :, UPDATE] == 0).all(axis=0)
    return mask
