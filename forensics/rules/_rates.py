"""What the learning rate says of an onset: whether it moved, leapt or began anew, and how far it can have carried."""

import numpy as np

from forensics.model import Explained, Run, Source
from forensics.names import LEARNING_RATE, LOSS
from forensics.rules._curves import after, before, onset, series_of, shown
from forensics.rules._seen import Seen


def rate_moves(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the learning rate keeps moving after the onset; needs two entries there."""
    series = series_of(run, LEARNING_RATE)
    if series is None:
        return None
    values = after(series, onset(explained))
    if len(values) < 2:
        return None
    moves = bool(np.any(values != values[0]))
    index = len(series) - len(values)
    told = "keeps following its schedule" if moves else f"stands at {shown(float(values[0]))}"
    return Seen(moves, f"learning_rate {told} after the onset", series.source_at(index), "learning_rate after")


JUMP = 3.0
"""A rate this many times that of the entry before is no schedule: a warmup of ten entries at most doubles it."""


HAD = 0.9
"""A rate of which the run had this share before, without harm, is no rate that is too high."""


def schedule_restarted(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the rate returns to the highest that the run had, right before the onset; None without a rate.

    The scheduler's state was not there when the run was resumed, so that it began anew.
    """
    series, step = series_of(run, LEARNING_RATE), onset(explained)
    if series is None or step is None:
        return None
    index = int(np.searchsorted(series.steps, step, side="right"))
    near = series.values[max(0, index - 3) : index]
    if index < 4 or len(near) < 2 or not np.all(np.isfinite(near)) or not np.all(near > 0):
        return None
    at = int(np.argmax(near[1:] / near[:-1]))
    old, new = float(near[at]), float(near[at + 1])
    peak = float(np.nanmax(series.values[: index - len(near) + at + 1]))
    holds = new >= JUMP * old and HAD <= new / peak <= 1 / HAD
    said = f"learning_rate returns from {shown(old)} to {shown(new)}, where the schedule began"
    if new > peak / HAD:
        said = f"learning_rate leaps from {shown(old)} to {shown(new)}, above all that it had before ({shown(peak)})"
    return Seen(holds, said, series.source_at(index - len(near) + at + 1), "schedule")


def rate_jumped(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the learning rate rose at a bound right before the onset; needs two entries before it."""
    series, step = series_of(run, LEARNING_RATE), onset(explained)
    if series is None or step is None:
        return None
    index = int(np.searchsorted(series.steps, step, side="right"))
    near = series.values[max(0, index - 4) : index]
    if index < 3 or len(near) < 3 or not np.all(np.isfinite(near)) or not np.all(near > 0):
        return None
    ratios = near[1:] / near[:-1]
    at = int(np.argmax(ratios))
    # The growth before the jump tells it from the first steps of a linear warmup.
    calm = np.all(np.delete(ratios, at) < JUMP / 2)
    said = f"learning_rate goes from {shown(float(near[at]))} to {shown(float(near[at + 1]))} right before the onset"
    earlier = series.values[: index - len(near) + at + 1]
    had = float(np.nanmax(earlier)) >= HAD * float(near[at + 1])
    holds = bool(ratios[at] >= JUMP and calm and not had)
    return Seen(holds, said, series.source_at(index - len(near) + at + 1), "jump of the rate")


def peak_rate(run: Run) -> tuple[float, Source | None] | None:
    """Return the highest learning rate of the run, configured or logged, with its source."""
    setting = run.environment.best("learning_rate")
    number = run.environment.number("learning_rate")
    if setting is not None and number is not None and number > 0:
        return number, setting.source
    series = series_of(run, LEARNING_RATE)
    if series is None or not np.any(series.values > 0):
        return None
    index = int(np.nanargmax(series.values))
    return float(series.values[index]), series.source_at(index)


TINY = 1e-5
"""Sum of learning rates that moves no weight by more than a thousandth of its usual 0.01 to 0.02."""


def rate_too_small(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss leapt although all updates up to the onset together are too small to do that.

    Adam moves a weight by at most about the learning rate a step (Kingma and Ba, arXiv 1412.6980, section 2.1), so
    the sum of the rates bounds how far it went. None where loss or rate were not logged on both sides.
    """
    loss, rates, step = series_of(run, LOSS), series_of(run, LEARNING_RATE), onset(explained)
    if loss is None or rates is None or step is None:
        return None
    old, new = before(loss, step), after(loss, step)
    used = rates.values[: int(np.searchsorted(rates.steps, step, side="right"))]
    if not len(old) or not len(new) or not len(used) or not np.all(np.isfinite(used)):
        return None
    moved = float(np.mean(used)) * step
    leapt = float(new[0]) > max(1.5 * float(old[-1]), float(old[-1]) + 0.5)
    said = f"loss goes from {shown(float(old[-1]))} to {shown(float(new[0]))} after updates of {moved:.2g} in all"
    return Seen(leapt and 0 < moved < TINY, said, rates.source_at(len(used) - 1), "size of the first updates")
