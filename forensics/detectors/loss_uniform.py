"""The loss is the logarithm of the vocabulary size: every token is as likely as any other."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import tail_onset
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Run, Severity
from forensics.names import GRAD_NORM, LOSS
from forensics.plugin import detector

NEAR = 0.02
EXACT = 0.002
LEAST = 3


@detector("loss-uniform", needs=("loss", "model.vocab_size"))
def loss_uniform(run: Run) -> Iterator[Finding]:
    """Find a loss that ends at ln(vocabulary size).

    Source: cross-entropy of uniform logits; runmedic 0.1.1 takes within 2 %, here with the real vocabulary size.
    transformers 4.57 logs (T-1)/T of it for sequences of T tokens. RMSNorm makes huge finite weights uniform too.
    Minimum: three entries within 2 % to the end.
    Silenced by: a loss that is on its way down.
    Known false alarms: training from scratch begins here; so it is a notice, an error when the loss was lower
    before by a tenth or when the gradient norm beside it is 0.
    """
    series = context.recorded(run, LOSS)
    vocabulary = run.environment.number("model.vocab_size")
    if vocabulary is None or vocabulary < 16 or len(series) < LEAST:
        return
    uniform = float(np.log(vocabulary))
    with np.errstate(invalid="ignore"):
        index = tail_onset(np.abs(series.values - uniform) <= NEAR * uniform)
    if index is None or len(series) - index < LEAST:
        return
    values = series.values[index:]
    before = series.values[:index]
    before = before[np.isfinite(before) & (before > 0)]
    still = float(np.ptp(values)) <= EXACT * uniform
    collapsed = len(before) >= LEAST and float(np.median(before[-5:])) < 0.9 * uniform and still
    norms = run.timeline.get(GRAD_NORM)
    dead = norms is not None and bool(np.all(norms.values[norms.steps >= series.steps[index]] == 0)) and still
    severity: Severity = "error" if collapsed or dead else "notice"
    step = int(series.steps[index])
    yield Finding(
        symptom="loss-uniform",
        severity=severity,
        statement=f"the loss stands at ln({int(vocabulary):,}) = {number(uniform)} in "
        f"{counted(len(values), 'entry', 'entries')} from step {step} to the end: every token is equally likely",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )
