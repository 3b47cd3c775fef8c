"""An evaluation loss is NaN or infinite."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from forensics.analysis.onset import Onset, tail_onset
from forensics.analysis.refine import refine
from forensics.analysis.tails import loss_tail
from forensics.deferred.patterns import expression
from forensics.detectors._tables import Mask
from forensics.detectors._wording import counted
from forensics.model import Finding, Run, Series, Severity
from forensics.names import EVALUATION, LOSS, is_loss
from forensics.plugin import detector

LIKE_A_LOSS = expression(r"(?<![a-z])(?:perplexity|ppl|nll|bpc|bpb)$")


@detector("eval-nan")
def eval_nan(run: Run) -> Iterator[Finding]:
    """Find evaluation losses that are NaN or infinite, of any evaluation set, and perplexities that are NaN.

    Source: the evaluation loss is not filtered (before transformers 5.x), so it tells what a train loss of 0.0
    hides; 5.23 drops non-finite samples as long as one is finite.
    Minimum: one entry. An error when it lasts to the end and the train loss is 0.0 or NaN too, else a warning; a
    notice when later evaluations are finite. A perplexity is infinite from a loss of 710 on, which is a number.
    Silenced by: nothing.
    Known false alarms: an evaluation batch without labels, or fp16 evaluation of a sound model: hence a warning.
    """
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        if not len(series) or not (name.startswith("eval_") or EVALUATION.search(name)) or not is_loss(name):
            continue
        wrong = np.isnan(series.values) if LIKE_A_LOSS.search(name) else ~np.isfinite(series.values)
        yield from _judge(run, name, series, wrong)


def _judge(run: Run, name: str, series: Series, nonfinite: Mask) -> Iterator[Finding]:
    if not bool(nonfinite.any()):
        return
    lasting = tail_onset(nonfinite)
    index = lasting if lasting is not None else int(np.argmax(nonfinite))
    step = int(series.steps[index])
    before = int(series.steps[index - 1]) if index else None
    severity: Severity = "notice" if lasting is None else "error" if _train_dead(run) else "warning"
    where = f"from step {step} to the end" if lasting is not None else f"first at step {step}, and finite later"
    bad = counted(int(nonfinite.sum()), "evaluation")
    finding = Finding(
        symptom="eval-nan",
        severity=severity,
        statement=f"{name} is NaN or infinite in {bad} of {len(series):,}, {where}",
        source=series.source_at(index),
        step=step,
        step_range=Onset(None if before is None else before + 1, step).bracket(),
        until=None if lasting is not None else int(series.steps[np.flatnonzero(nonfinite)[-1]]),
    )
    # The bracket of an evaluation may be narrowed, but the step stays the one that was evaluated.
    yield replace(refine(run, finding), step=step) if severity == "error" else finding


def _train_dead(run: Run) -> bool:
    series = run.timeline.get(LOSS)
    return series is not None and len(series) > 0 and loss_tail(series) is not None
