"""A training that comes nowhere where others of the same log do: folds, seeds and rates share a loss and its scale."""

import re

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import finite
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Floats, Run, Series, Timeline
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, LOSS

OTHERS = 2
"""Other trainings that learned, at least, and half of all."""
LEARNED, ONE_SCALE, NOWHERE = 0.6, 3.0, 0.9
"""Share of its first entry that is left of a loss that was learned; how far apart such first entries may lie; the share
of them, in the middle, at which a training ends that came nowhere."""
ENTRIES, LAST = 3, 3
ACCURACY, FAR = expression(r"(?:^|[/_ ])acc(?:uracy)?(?:$|[/_ ])", re.IGNORECASE), 2.0
"""Shares have one scale whatever the task; how many times as far another training came."""


def behind_its_siblings(run: Run) -> tuple[Series, str] | None:
    """Return the loss that rests where other trainings of the log began, with what they came to; None where none does.

    A rate that is too high throws a loss above where a network begins, from where it falls to the loss of guessing and
    rests: by itself that is a curve that learns.
    """
    if context.policy_gradient(run):
        return None
    return _by_loss(run) or _by_accuracy(run)


def _by_accuracy(run: Run) -> tuple[Series, str] | None:
    """Return an accuracy that never rises and ends below where that of another training began, which came far above."""
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        if not ACCURACY.search(name) or len(values) < ENTRIES or robust.trend(-values).falls:
            continue
        for other in run.siblings:
            known = _other(other, run.timeline, name)
            if known is None or _end(known) < FAR * _end(values) or _end(values) > float(known[0]):
                continue
            return series, (
                f"{name} never rises and ends at {number(_end(values))}, where another training of the same log goes "
                f"from {number(float(known[0]))} to {number(_end(known))}"
            )
    return None


def _by_loss(run: Run) -> tuple[Series, str] | None:
    for name in (EVAL_LOSS, LOSS):
        series = run.timeline.get(name)
        values = None if series is None else finite(series)
        others = [found for other in run.siblings if (found := _other(other, run.timeline, name)) is not None]
        learned = [each for each in others if _end(each) < LEARNED * each[0]]
        if series is None or values is None or len(values) < ENTRIES or len(learned) < max(OTHERS, len(others) / 2):
            continue
        begins = np.array([each[0] for each in learned])
        if begins.min() <= 0 or begins.max() > ONE_SCALE * begins.min():
            continue
        if _end(values) >= NOWHERE * median(begins):
            told, others_told = number(_end(values)), f"{len(learned)} other trainings of the same log"
            come = f"from {number(median(begins))} to {number(max(map(_end, learned)))} and less"
            return series, f"{name} ends at {told}, where {others_told} come {come}"
    return None


def _other(timeline: Timeline, own: Timeline, name: str) -> Floats | None:
    series = None if timeline is own else timeline.get(name)
    values = np.empty(0) if series is None else finite(series)
    return values if len(values) >= ENTRIES else None


def _end(values: Floats) -> float:
    return median(values[-LAST:])
