"""What the curves show around an onset: the loss before it, the gradient norm on both sides, the learning rate."""

import math
from typing import Literal

import numpy as np

from forensics.analysis.robust import trend
from forensics.deferred.records import dataclass
from forensics.model import Explained, Floats, Run, Series, Source
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, GRAD_NORM, LEARNING_RATE, LOSS
from forensics.rules._seen import Seen

NormKind = Literal["nonfinite", "recovering", "sentinel", "zero", "positive"]

HISTORY = 50
"""Entries before an onset that are looked at; older ones say nothing about how it came."""
GROWTH = 5.0
"""A norm this many times its median counts as growing; OLMo's and PaLM's reports call spikes from 3 to 10."""
ALIVE = 0.05
"""A loss above this is no rounding remainder: language models rest above it unless they memorise."""
ROUNDS_TO_ZERO = 5e-5
"""`round(loss, 4)` prints 0.0 below this (transformers 4.x, `Trainer._maybe_log_save_evaluate`)."""
ABSURD = 100.0
"""No mean token loss is this high: even uniform logits over a million tokens give 13.8."""
FALLS = 0.1
"""Share by which a loss falls of which a cause says that the run learns."""
SENTINEL_LIMIT = 64
"""Largest number of norm groups looked for in a constant sqrt(k)."""


def onset(explained: Explained) -> int | None:
    """Return the first step at which the symptom surely holds."""
    finding = explained.finding
    return finding.step if finding.step is not None else finding.step_range[1]


def series_of(run: Run, name: str) -> Series | None:
    series = run.timeline.get(name)
    return series if series is not None and len(series) else None


def before(series: Series, step: int | None) -> Floats:
    """Return the values logged before `step`, all of them when it is unknown; shape (n,), float64."""
    if step is None:
        return series.values
    return series.values[: int(np.searchsorted(series.steps, step))]


def after(series: Series, step: int | None) -> Floats:
    """Return the values logged at `step` and later; shape (n,), float64."""
    return series.values[len(before(series, step)) if step is not None else 0 :]


def shown(value: float) -> str:
    """Return a number as a reader knows it from the log.

    >>> shown(float("nan")), shown(1.8299999), shown(0.0)
    ('NaN', '1.83', '0.0')
    """
    if math.isnan(value):
        return "NaN"
    return "0.0" if value == 0 else f"{value:.6g}"


@dataclass(frozen=True, slots=True)
class Norms:
    """What the gradient norm does from an onset on; `index` is its first entry there."""

    kind: NormKind
    index: int
    count: int
    value: float
    source: Source

    @property
    def statement(self) -> str:
        root = round(self.value**2) if abs(self.value) <= SENTINEL_LIMIT else 0
        told = {
            "nonfinite": f"grad_norm is {shown(self.value)}",
            "recovering": "grad_norm is NaN or infinite, then finite again",
            "sentinel": f"grad_norm is exactly {self.value!r}, the root of {root},",
            "zero": "grad_norm is exactly 0.0",
            "positive": f"grad_norm is finite and above zero (first {shown(self.value)})",
        }
        times = "the one entry" if self.count == 1 else f"{self.count} entries"
        return f"{told[self.kind]} in {times} after the onset"


def is_sentinel(values: Floats) -> bool:
    """Tell whether all values are one constant sqrt(k), k from 1 to 64, to float32 exactness.

    DeepSpeed replaces the norm of a group that is NaN or infinite by -1, so k bad groups give sqrt(k)
    (`get_grad_norm_direct`, `scaled_global_norm`; up to 0.13.1 and from 0.16.6 on every path).
    """
    if not len(values) or not np.all(values == values[0]) or not abs(values[0]) <= SENTINEL_LIMIT:
        return False
    square = float(values[0]) ** 2
    return 1 <= round(square) <= SENTINEL_LIMIT and abs(square - round(square)) < 1e-3


def norms(run: Run, explained: Explained) -> Norms | None:
    """Classify the gradient norm from the onset of the symptom on; None when none was logged there."""
    series = series_of(run, GRAD_NORM)
    if series is None:
        return None
    step = onset(explained)
    start = 0 if step is None else int(np.searchsorted(series.steps, step))
    if step is None and not np.all(np.isfinite(series.values)):
        start = int(np.argmin(np.isfinite(series.values)))
    until = explained.finding.until
    stop = len(series) if until is None else int(np.searchsorted(series.steps, until, side="right"))
    tail = series.values[start:stop]
    if not len(tail):
        return None
    kind = _kind(run, series, start, tail)
    first = start + (int(np.argmin(np.isfinite(tail))) if kind in {"nonfinite", "recovering"} else 0)
    return Norms(kind, first, len(tail), float(series.values[first]), series.source_at(first))


def _kind(run: Run, series: Series, start: int, tail: Floats) -> NormKind:
    finite = np.isfinite(tail)
    if not np.all(finite):
        rest = series.values[start:]
        first = int(np.argmin(np.isfinite(rest)))
        return "nonfinite" if not np.any(np.isfinite(rest[first:])) else "recovering"
    if is_sentinel(tail) and (len(tail) >= 3 or _loss_is_dead(run, int(series.steps[start]))):
        return "sentinel"
    if np.all(tail == 0):
        return "zero"
    return "positive"


def _loss_is_dead(run: Run, step: int) -> bool:
    loss = series_of(run, LOSS)
    if loss is None:
        return False
    value = loss.value_at(step)
    return value is not None and (value == 0 or not math.isfinite(value))


def norm_is(run: Run, explained: Explained, *kinds: NormKind) -> Seen | None:
    found = norms(run, explained)
    if found is None:
        return None
    return Seen(found.kind in kinds, found.statement, found.source, "grad_norm after the onset")


def healthy_before(run: Run, explained: Explained) -> Seen | None:
    """Tell whether a finite, plausible loss was logged before the onset."""
    loss, step = series_of(run, LOSS), onset(explained)
    if loss is None or step is None:
        return None
    values = before(loss, step)
    good = np.flatnonzero(np.isfinite(values) & (values > 0) & (values < ABSURD))
    if not len(good):
        return Seen(False, "no healthy loss was logged before the onset", loss.source_at(0), "loss before")
    last = int(good[-1])
    said = f"loss was healthy in {len(good)} entries before (last {shown(values[last])} at step {loss.steps[last]})"
    return Seen(True, said, loss.source_at(last), "loss before")


def sudden(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss fell to 0 or NaN from one entry to the next; None when nothing was logged before."""
    loss, step = series_of(run, LOSS), onset(explained)
    if loss is None or step is None:
        return None
    index = len(before(loss, step))
    if not 0 < index < len(loss):
        return None
    last, now = float(loss.values[index - 1]), float(loss.values[index])
    dead = now == 0 or not math.isfinite(now)
    said = f"loss goes from {shown(last)} at step {loss.steps[index - 1]} to {shown(now)} at step {loss.steps[index]}"
    return Seen(dead and math.isfinite(last) and last > ALIVE, said, loss.source_at(index), "step of the loss")


def from_first_entry(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the symptom holds in the very first entry of the loss."""
    loss, step = series_of(run, LOSS), onset(explained)
    if loss is None or step is None:
        return None
    first = int(loss.steps[0])
    if step > first and explained.finding.step_range[0] is None:
        return None
    holds = step <= first
    said = f"it holds from the first entry (step {first})" if holds else f"it starts after the first entry, at {step}"
    return Seen(holds, said, loss.source_at(0), "first entry")


def norms_grew(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the gradient norm grew before the onset; needs five finite entries there."""
    series = series_of(run, GRAD_NORM)
    if series is None:
        return None
    values = before(series, onset(explained))
    finite = values[np.isfinite(values) & (values > 0)][-HISTORY:]
    if len(finite) < 5:
        return None
    usual, last = median(finite[:-2]), float(np.max(finite[-3:]))
    grew = last > GROWTH * usual
    told = "grew" if grew else "was steady"
    said = f"grad_norm {told} before the onset (median {shown(usual)}, largest of the last three {shown(last)})"
    return Seen(grew, said, series.source_at(max(0, len(values) - 1)), "grad_norm before")


def loss_rose(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss rose before the onset, by half of its lowest value and by 0.5 at least.

    The last entry before the onset is left out when entries span several steps: the NaN filter of the Trainer may
    have contaminated it.
    """
    loss, step = series_of(run, LOSS), onset(explained)
    if loss is None:
        return None
    values = before(loss, step)
    spaced = len(loss) > 1 and int(loss.steps[1]) - int(loss.steps[0]) > 1
    values = values[: len(values) - 1] if spaced and step is not None else values
    finite = values[np.isfinite(values) & (values > 0)][-HISTORY:]
    if len(finite) < 4:
        return None
    lowest = int(np.argmin(finite))
    low, last = float(finite[lowest]), float(np.max(finite[lowest:][-3:]))
    rose = last > max(1.5 * low, low + 0.5)
    told = (
        f"rose from {shown(low)} to {shown(last)}" if rose else f"did not rise (between {shown(low)} and {shown(last)})"
    )
    return Seen(rose, f"loss {told} before the onset", loss.source_at(max(0, len(values) - 1)), "loss before, shape")


def loss_falls(run: Run, step: int | None = None) -> Seen | None:
    """Tell whether the loss falls by a tenth at least, from `step` on; needs six finite positive entries there.

    None where it is a tenth lower and that may be chance (`analysis.robust.trend`): of a few noisy entries the
    medians of the outer thirds differ by more.
    """
    loss = series_of(run, LOSS)
    if loss is None:
        return None
    values = after(loss, step)
    finite = values[np.isfinite(values) & (values > 0)]
    if len(finite) < 6:
        return None
    moved = trend(finite, least=FALLS)
    if not moved.falls and moved.end < (1 - FALLS) * moved.start:
        return None
    told = "falls" if moved.falls else "stays"
    said = f"loss {told} from {shown(moved.start)} to {shown(moved.end)} (medians of the outer thirds)"
    return Seen(moved.falls, said, loss.source_at(len(loss) - 1), "loss over the run")


def learnt(run: Run, explained: Explained) -> Seen | None:
    """Tell whether something was learnt: the loss fell over the run, or gradients above zero were applied."""
    fell, norm = loss_falls(run), norm_is(run, explained, "positive")
    return fell if fell is not None and fell.holds else norm or fell


def finite_beside(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss from the onset on is mostly a finite number above zero."""
    loss = series_of(run, LOSS)
    values = after(loss, onset(explained)) if loss is not None else None
    if loss is None or values is None or not len(values):
        return None
    alive = np.isfinite(values) & (values > 0)
    index = len(loss) - len(values)
    said = f"loss is {shown(float(values[0]))} beside it, finite in {int(alive.sum())} of {len(values)} entries"
    return Seen(bool(alive.mean() > 0.5), said, loss.source_at(index), "loss beside it")


def eval_is_nan(run: Run, explained: Explained) -> Seen | None:
    """Tell whether eval_loss is NaN after the onset; None when nothing was evaluated there."""
    series = series_of(run, EVAL_LOSS)
    if series is None:
        return None
    values = after(series, onset(explained))
    if not len(values):
        return None
    index = len(series) - len(values)
    said = f"eval_loss is {shown(float(values[0]))} at step {series.steps[index]}"
    return Seen(not math.isfinite(float(values[0])), said, series.source_at(index), "eval_loss")


def evaluations_broke(run: Run, explained: Explained) -> Seen | None:
    """Tell whether evaluations were finite before the onset and are NaN in all that follow.

    An evaluation runs forward only, over the same data each time: what changed are the weights. None where nothing
    was evaluated on one of the sides.
    """
    series = series_of(run, EVAL_LOSS)
    if series is None:
        return None
    late = after(series, onset(explained))
    early = series.values[: len(series) - len(late)]
    if not len(late) or not np.isfinite(early).any():
        return None
    broken = not np.isfinite(late).any()
    said = f"eval_loss was {shown(float(early[np.isfinite(early)][-1]))} before and is NaN in each of {len(late)} after"
    return Seen(
        broken, said if broken else "an evaluation after the onset is finite", series.source_at(len(early)), "eval_loss"
    )


def first_norm_bad_loss_good(run: Run) -> Seen | None:
    """Tell whether the first bad gradient norm stands beside a finite loss: the backward pass broke first.

    False means that the loss was already 0 or NaN there: the forward pass may have broken first.
    """
    norm, loss = series_of(run, GRAD_NORM), series_of(run, LOSS) or _only_other(run)
    if norm is None or loss is None or np.all(np.isfinite(norm.values)):
        return None
    index = int(np.argmin(np.isfinite(norm.values)))
    step = int(norm.steps[index])
    value = loss.value_at(step)
    if value is None:
        return None
    good = math.isfinite(value) and 0 < value < ABSURD
    said = f"at step {step}, the first bad grad_norm, {loss.name} is {shown(value)}"
    return Seen(good, said, norm.source_at(index), "forward or backward")


def infinite_first(run: Run) -> Seen | None:
    """Tell whether the first bad value of the loss is infinite rather than NaN; None without a bad value."""
    loss = series_of(run, LOSS)
    if loss is None or np.isfinite(loss.values).all():
        return None
    index = int(np.argmin(np.isfinite(loss.values)))
    value = float(loss.values[index])
    said = f"the first bad loss, at {loss.axis} {loss.steps[index]}, is {'inf' if math.isinf(value) else 'NaN'}"
    return Seen(math.isinf(value), said, loss.source_at(index), "first bad loss")


def single_steps(series: Series | None) -> bool:
    """Tell whether a series has an entry for every step, so that none stands for several."""
    return series is not None and series.axis == "step" and len(series) > 1 and bool(np.all(np.diff(series.steps) == 1))


def _only_other(run: Run) -> Series | None:
    """Return the one metric that is logged beside a gradient norm: a loss under a name of its own."""
    others = [name for name in run.timeline.series if name not in {GRAD_NORM, LEARNING_RATE}]
    return series_of(run, others[0]) if len(others) == 1 else None


def bad_at_first_norm(run: Run) -> Seen | None:
    """Tell whether the very first gradient norm that was logged is NaN or infinite."""
    norm = series_of(run, GRAD_NORM)
    if norm is None:
        return None
    bad = not math.isfinite(float(norm.values[0]))
    said = f"the first grad_norm, at step {norm.steps[0]}, is {shown(float(norm.values[0]))}"
    return Seen(bad, said, norm.source_at(0), "first grad_norm")
