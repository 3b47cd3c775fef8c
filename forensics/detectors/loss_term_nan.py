"""One of several losses is NaN while the loss that is watched is not: a critic, an auxiliary term."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import point_onset, tail_onset
from forensics.analysis.tails import loss_tail
from forensics.deferred.patterns import expression
from forensics.detectors._wording import counted
from forensics.model import Finding, Run, Series
from forensics.names import EVALUATION, GRAD_NORM, LOSS, RECORDED, TRAIN_LOSS
from forensics.plugin import detector

LASTING = 2
_TERM = expression(r"(?:^|[/_ ])(?:loss|grad_norm|perplexity|ppl)(?:$|[/_ ])", re.IGNORECASE)
_WHOLE = frozenset((LOSS, TRAIN_LOSS, GRAD_NORM, *RECORDED.values()))


@detector("loss-term-nan")
def loss_term_nan(run: Run) -> Iterator[Finding]:
    """Find further losses and gradient norms (of a critic, of an auxiliary term) that are NaN or infinite.

    Source: verl logs `critic/vf_loss` and `critic/grad_norm` beside the actor's; verl issue 498. Where no loss is
    logged under such a name at all, as by pytorch-CycleGAN-and-pix2pix (`D_A`, `G_A`, `cycle_A`), the numbers that are
    lost together at one entry and stay so are its terms.
    Minimum: one entry at the end for a warning, two for an error; two entries anywhere for a warning. It is dated to
    the first.
    Silenced by: a loss that is NaN or shown as 0 itself by then, which is told already; beside a loss, a term that
    never was a number, which then is no part of it.
    Known false alarms: a term that is logged as NaN where it does not apply.
    """
    main = run.timeline.get(LOSS)
    ill = [(name, index) for name in sorted(run.timeline.series) if (index := _onset(run, name)) is not None]
    if not ill and main is None:
        ill = _lost_together(run)
    if main is not None and len(main):
        told = _told(main)
        ill = [
            (name, index)
            for name, index in ill
            if index > 0 and (told is None or (at := run.timeline[name]).axis != main.axis or at.steps[index] < told)
        ]
    if not ill:
        return
    name, index = min(ill, key=lambda each: int(run.timeline[each[0]].steps[each[1]]))
    series = run.timeline[name]
    bad = ~np.isfinite(series.values)
    count, lasts = int(np.count_nonzero(bad)), tail_onset(bad) == index
    where = "to the end, " if lasts else "on, in "
    others = ", ".join(each for each, _ in ill if each != name)
    yield Finding(
        symptom="loss-term-nan",
        severity="error" if bad[-1] and count >= LASTING else "warning",
        statement=f"{name} is NaN or infinite from step {int(series.steps[index])} {where}"
        f"{counted(count, 'entry', 'entries')}{'' if lasts else f' of {len(series):,}'}"
        + (f"; so are {others}" if others else ""),
        source=series.source_at(index),
        step=int(series.steps[index]),
        step_range=point_onset(series, index, context.logging_window(run)).bracket(),
        until=None if bad[-1] else int(series.steps[np.flatnonzero(bad)[-1]]),
    )


def _lost_together(run: Run) -> list[tuple[str, int]]:
    """Return the metrics of any name, most of those that are logged, that are no numbers from one entry to the end."""
    lost: dict[int, list[tuple[str, int]]] = {}
    trained = [name for name in sorted(run.timeline.series) if name not in _WHOLE and not EVALUATION.search(name)]
    for name in trained:
        series = run.timeline[name]
        index = tail_onset(~np.isfinite(series.values))
        if index is not None and len(series) - index >= LASTING:
            lost.setdefault(int(series.steps[index]), []).append((name, index))
    together = max(lost.values(), key=len, default=[])
    return together if len(together) > max(1, len(trained) // 2) else []


def _told(main: Series) -> int | None:
    """Return the first step at which a loss that is lost in the end is none; None for one that ends as a number."""
    tail = loss_tail(main)
    if tail is None:
        return None
    bad = ~np.isfinite(main.values)
    bad[tail.index :] = True
    return int(main.steps[np.argmax(bad)])


def _onset(run: Run, name: str) -> int | None:
    """Return where a term first is NaN, if for good or twice; None when it is not or is no term of the loss."""
    series: Series = run.timeline[name]
    if name in _WHOLE or EVALUATION.search(name) or not _TERM.search(name) or not len(series):
        return None
    bad = ~np.isfinite(series.values)
    return int(np.argmax(bad)) if bad[-1] or np.count_nonzero(bad) >= LASTING else None
