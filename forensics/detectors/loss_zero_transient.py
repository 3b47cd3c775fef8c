"""The loss is logged as exactly 0.0 for a while and then recovers."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import stretches, tail_onset
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Run, Series
from forensics.names import LOSS
from forensics.plugin import detector

CLEAR = 0.1
"""A loss this high is not on its way to 0 by memorising: 2,000 times the rounding of four decimals."""


@detector("loss-zero-transient", needs=("loss",))
def loss_zero_transient(run: Run) -> Iterator[Finding]:
    """Find entries of exactly 0.0 between entries that are clearly positive.

    Source: the same filter as for loss-to-zero; a NaN that heals (a batch without labels, a skipped step) shows
    as isolated zeros. Peers that ask for a tail of zeros, such as trainproof 0.22, pass such a run.
    Minimum: three entries. One lone zero is a notice, two in a row or more a warning; beside ordinary gradient
    norms, which neither NaN nor ignored labels leave, only a notice.
    Silenced by: a policy-gradient trainer; a loss that is below 0.1 near the zeros or rounds to 0.0 anyway.
    Known false alarms: a last batch of one pair in a contrastive loss, whose true loss is 0.
    """
    series = context.recorded(run, LOSS)
    zero = series.values == 0
    if len(series) < 3 or context.policy_gradient(run) or not bool(zero.any()):
        return
    starts, ends = stretches(zero)
    tail = tail_onset(zero | ~np.isfinite(series.values))
    kept = (starts > 0) & (ends < (len(series) if tail is None else tail))
    if not bool(kept.any()):
        return
    starts, ends = starts[kept], ends[kept]
    clear = _clear(series) & (series.values[starts - 1] > CLEAR) & (series.values[ends] > CLEAR)
    if not bool(clear.any()):
        return
    starts, ends = starts[clear], ends[clear]
    unexplained = context.gradients_at(run, series)[starts] != context.FINE
    longest = int(np.argmax(ends - starts))
    count = int((ends - starts).sum())
    first, last = int(starts[0]), int(ends[-1]) - 1
    yield Finding(
        symptom="loss-zero-transient",
        severity="warning" if int((ends - starts)[unexplained].max(initial=0)) > 1 else "notice",
        statement=f"{counted(count, 'entry', 'entries')} of the loss between steps {int(series.steps[first])} and "
        f"{int(series.steps[last])} show exactly 0.0 amid a loss around "
        f"{number(float(series.values[starts[longest] - 1]))}, and it recovers each time",
        source=series.source_at(first),
        step=int(series.steps[first]),
        step_range=(int(series.steps[first - 1]), int(series.steps[first])),
        until=int(series.steps[last]),
    )


def _clear(series: Series) -> bool:
    """Tell whether low losses are rare enough that 0.0 cannot be one of them, rounded."""
    positive = np.abs(series.values[np.isfinite(series.values) & (series.values != 0)])
    return len(positive) > 0 and bool(np.quantile(positive, 0.05) > CLEAR)
