"""A rank's own gradient is not finite, before any reduction."""

from collections.abc import Iterator

from forensics.analysis.recorded import Break, breaks, index_of
from forensics.detectors._recorded import capsule_of, of_tensors, ranks_in_words, who_recorded
from forensics.detectors._wording import joined
from forensics.model import Finding, Run, Severity
from forensics.plugin import detector


@detector("local-gradient-nonfinite", any_of=("recordings",))
def local_gradient_nonfinite(run: Run) -> Iterator[Finding]:
    """Find the first step at which the black box saw NaN or Inf in a gradient before it was reduced.

    Source: `forensics.recorder`, whose norms are queued in the backward pass of each rank.
    Minimum: one row. An error when it lasts to the last row, a warning when the run recovered.
    Silenced by: a step that a dynamic loss scale skipped, as it does at each overflow.
    Known false alarms: none; that every tensor is hit at once means that the loss or the weights already were not
    finite, and is said.
    """
    for found in breaks(run):
        if found.local:
            yield _finding(found)


def _finding(found: Break) -> Finding:
    recording, names = found.local[0]
    at = index_of(recording, found.step)
    assert at is not None
    everywhere = len(names) == len(recording.names)
    ranks = ranks_in_words([r.rank for r, _ in found.local])
    where = f" on {ranks}" if found.attempt.several else ""
    before = " before the reduction" if found.attempt.several else ""
    others = len(found.attempt.ranks) - len(found.local)
    severity: Severity = "error" if found.until is None else "warning"
    return Finding(
        symptom="local-gradient-nonfinite",
        severity=severity,
        statement=joined(
            (
                f"at step {found.step} the gradient is not finite{where}{before}: {of_tensors(names, recording)}",
                "all of them at once: the loss or the weights were not finite" if everywhere else "",
                "the loss of that step was not finite" if found.loss_bad else "the loss of that step was finite",
                f"the other {others} rank{'s were' if others > 1 else ' was'} finite" if others else "",
                "the step was skipped" if found.skipped else "",
                who_recorded(found.attempt),
                capsule_of(found),
            )
        ),
        source=recording.source(at),
        step=found.step,
        step_range=(found.step - 1, found.step),
        until=found.until,
    )
