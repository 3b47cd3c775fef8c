"""The log warns that prompts and labels were tokenised to different lengths."""

from collections.abc import Iterator

import numpy as np

from forensics.detectors._wording import counted
from forensics.model import Finding, Run, Severity
from forensics.names import Kind
from forensics.plugin import detector

MANY = 10
KINDS = (Kind.TOKENIZATION_MISMATCH, Kind.RESPONSE_TEMPLATE_NOT_FOUND, Kind.ALL_LABELS_IGNORED)


@detector("tokenization-mismatch-warnings", any_of=tuple(f"event {kind}" for kind in KINDS))
def tokenization_mismatch_warnings(run: Run) -> Iterator[Finding]:
    """Find warnings after which all labels of a sample are ignored.

    Source: FastChat `train.py` (`WARNING: tokenization mismatch: 1 vs. N`, the sample's labels become -100) and
    the response template of TRL's `DataCollatorForCompletionOnlyLM`.
    Minimum: one warning is a notice, ten are a warning.
    Silenced by: nothing.
    Known false alarms: a few long samples that were cut (FastChat #1289 is such a run, whose loss is fine); only
    the samples warned about are lost.
    """
    for kind in KINDS:
        events = max(run.timeline.events_of(kind), key=len, default=None)
        if events is None or len(events) == 0:
            continue
        count = len(events)
        known = events.values[np.isfinite(events.values)]
        same = len(known) > 1 and bool(np.all(known == known[0]))
        by = f", always by {int(known[0])}" if same and kind == Kind.TOKENIZATION_MISMATCH else ""
        step = int(events.steps[0]) if events.steps[0] >= 0 else None
        severity: Severity = "warning" if count >= MANY else "notice"
        yield Finding(
            symptom="tokenization-mismatch-warnings",
            severity=severity,
            statement=f"the log warns {counted(count, 'time')} of {kind.replace('-', ' ')}{by}: the labels of "
            "these samples are ignored",
            source=events.source_at(0),
            step=step,
            step_range=(None, run.timeline.last_step if step is None else step),
        )
