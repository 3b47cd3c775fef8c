"""The gradient norm is NaN or infinite, to the end or now and then."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from forensics.analysis import context
from forensics.analysis.endings import stated
from forensics.analysis.onset import point_onset, stretches, tail_onset
from forensics.analysis.refine import refine
from forensics.analysis.robust import trend
from forensics.analysis.tails import loss_tail
from forensics.detectors._wording import began, counted, joined
from forensics.model import Finding, Run, Series, Severity
from forensics.model.statistics import median
from forensics.names import GRAD_NORM, LOSS, LOSS_SCALE, Kind
from forensics.plugin import detector

HEALTHY_AFTER = 10
"""Entries of a falling loss after the onset that show the weights to be alive."""
OFTEN = 0.2
CHANCE = 1e-3
"""Probability that as many entries at the end are NaN by the frequency of isolated ones before."""


@detector("grad-norm-nan", needs=("grad_norm",))
def grad_norm_nan(run: Run) -> Iterator[Finding]:
    """Find a gradient norm that is NaN or infinite from some entry to the last one.

    Source: one NaN or Inf in any gradient makes the total norm so (`torch.nn.utils.clip_grad_norm_`), and clipping
    by it spreads the NaN to every gradient; DeepSpeed >= 0.19.8 reports `inf`.
    Minimum: an exception that states it, two entries, or one beside a loss of 0.0 or NaN, or one that is the whole log.
    Silenced by: nothing; a warning when every entry is so and the loss falls for ten entries and more, which dead
    weights cannot do: then only the report is wrong.
    A single last entry beside a finite loss is a warning where neither a loss scale nor a skipped step is on file: none
    finite follows (2 of 59 faulty runs that were called healthy, 0 of 396 others).
    Known false alarms: a log that ends in a skipped fp16 step, or in as many as chance allows where such steps are
    frequent; those are `grad-norm-nan-isolated`.
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    norms = context.recorded(run, GRAD_NORM)
    index = _tail(run, norms)
    judged: tuple[Severity, str] = ("warning", "no finite one follows")
    severity, reason = judged if index is None else _severity(run, norms, index)
    index = _last(run, norms) if index is None else index
    if index is None:
        told = stated(run, "grad-norm-nan")
        yield from () if told is None else (told,)
        return
    bracket = point_onset(norms, index, context.logging_window(run)).bracket()
    step = int(norms.steps[index])
    draft = Finding("grad-norm-nan", severity, "", norms.source_at(index), step, bracket)
    refined = refine(run, draft)
    count = counted(len(norms) - index, "entry", "entries")
    first = "in every entry" if index == 0 else f"from step {step} to the end"
    shown = f"the gradient norm is NaN or infinite {first}, {count}"
    yield replace(refined, statement=joined((shown, began(refined.step_range, refined.step), reason)))


def _tail(run: Run, norms: Series) -> int | None:
    """Return where the lasting NaN begins; None without one, or when the last entries may be skipped steps."""
    nonfinite = ~np.isfinite(norms.values)
    index = tail_onset(nonfinite)
    if index is not None and _missing_later(run, norms):
        return None
    if index is None or index == 0:
        return index
    count = len(norms) - index
    if count > 1 and float(np.mean(nonfinite[:index])) ** count < CHANCE:
        return index
    series = run.timeline.get(LOSS)
    tail = None if series is None or len(series) == 0 else loss_tail(series)
    return None if tail is None else index


def _last(run: Run, norms: Series) -> int | None:
    """Return the last entry where it alone is bad and nothing that skips steps is on file."""
    index = tail_onset(~np.isfinite(norms.values))
    bad = int(np.count_nonzero(~np.isfinite(norms.values)))
    skips = (Kind.OVERFLOW, Kind.NONFINITE_SKIPPED, Kind.LOSS_SCALE_AT_MINIMUM)
    guarded = _scales(run) or any(run.has(f"event {kind}") for kind in skips)
    fp16 = any(run.environment.flag(name) for name in ("fp16", "fp16.enabled"))
    if index is None or guarded or fp16 or bad != len(norms) - index or _missing_later(run, norms):
        return None
    return index


def _scales(run: Run) -> bool:
    """Tell whether a loss scaler is at work; Megatron prints a scale of 1.0 in bf16 and float32 as well."""
    scale = run.timeline.get(LOSS_SCALE)
    return scale is not None and bool(np.any(scale.values != 1))


def _missing_later(run: Run, norms: Series) -> bool:
    """Tell whether entries with a sound loss but no norm follow the last norm: how it went on is not known."""
    losses = run.timeline.beside(norms, LOSS)
    if losses is None or not len(norms):
        return False
    later = losses.values[losses.steps > norms.steps[-1]]
    gaps = np.diff(np.searchsorted(losses.steps, norms.steps))
    usual = 2 * median(gaps) if len(gaps) else 0.0
    return len(later) > usual and bool(np.all(np.isfinite(later))) and bool(np.all(later != 0))


def _severity(run: Run, norms: Series, index: int) -> tuple[Severity, str]:
    series = run.timeline.beside(norms, LOSS)
    if series is None:
        return "error", ""
    after = series.values[series.steps >= norms.steps[index]]
    if len(after) >= HEALTHY_AFTER and bool(np.isfinite(after).all()) and loss_tail(series) is None:
        moved = trend(after)
        if moved.falls and index == 0:
            return "warning", "the loss falls all the same, so the weights are alive and the report is wrong"
        return "error", "the loss stays finite, as when every step is skipped"
    return "error", ""


@detector("grad-norm-nan-isolated", needs=("grad_norm",))
def grad_norm_nan_isolated(run: Run) -> Iterator[Finding]:
    """Find gradient norms that are NaN or infinite now and then, with finite ones after.

    Source: `torch.amp.GradScaler` and DeepSpeed's dynamic loss scaler skip a step that overflowed and go on
    (LLaMA-Factory #9462 shows such a healthy run); the Trainer still logs the norm of the skipped step.
    Minimum: one entry. A notice; a warning when more than 20 % of at least 10 entries are so.
    Silenced by: nothing.
    Known false alarms: none, as a notice makes no run suspicious.
    """
    norms = context.recorded(run, GRAD_NORM)
    nonfinite = ~np.isfinite(norms.values)
    lasting = _tail(run, norms)
    lasting = _last(run, norms) if lasting is None else lasting
    if lasting is not None:
        nonfinite = nonfinite[:lasting]
    starts, ends = stretches(nonfinite)
    if len(starts) == 0:
        return
    count, first, last = int(nonfinite.sum()), int(starts[0]), int(ends[-1]) - 1
    often = len(norms) >= 10 and count > OFTEN * len(norms)
    before = int(norms.steps[first - 1]) if first else None
    yield Finding(
        symptom="grad-norm-nan-isolated",
        severity="warning" if often else "notice",
        statement=f"the gradient norm is NaN or infinite in {counted(count, 'entry', 'entries')} of "
        f"{len(norms):,} (steps {int(norms.steps[first])} to {int(norms.steps[last])}) and "
        + (
            "logged in no other entry"
            if count == len(norms)
            else "finite otherwise, as when a loss scaler skips a step"
        ),
        source=norms.source_at(first),
        step=int(norms.steps[first]),
        step_range=(before, int(norms.steps[first])),
        until=int(norms.steps[last]),
    )
