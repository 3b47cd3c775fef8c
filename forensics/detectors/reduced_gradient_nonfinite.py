"""The gradients were finite on every rank, and are not after their reduction."""

from collections.abc import Iterator

from forensics.analysis.recorded import Break, breaks, index_of, made_by_reduction
from forensics.detectors._recorded import capsule_of, of_tensors, ranks_in_words, who_recorded
from forensics.detectors._wording import joined
from forensics.model import Finding, Run
from forensics.plugin import detector


@detector("reduced-gradient-nonfinite", any_of=("recordings",))
def reduced_gradient_nonfinite(run: Run) -> Iterator[Finding]:
    """Find the first step at which gradients were finite before the reduction and not after it.

    Source: `forensics.recorder`, which reads both sides in the same step; no log has the first of them.
    Minimum: one row. An error when it lasts to the last row, a warning when the run recovered.
    Silenced by: a step that a dynamic loss scale skipped; a gradient that was not finite before.
    Known false alarms: none. In one process nothing is reduced, and the words say what lies between.
    """
    for found in breaks(run):
        if found.reduced and not found.local:
            yield _finding(found)


def _finding(found: Break) -> Finding:
    recording, names = found.reduced[0]
    at = index_of(recording, found.step)
    assert at is not None
    hit = ranks_in_words([r.rank for r, _ in found.reduced])
    if made_by_reduction(found):
        said = (
            f"the reduction made gradients NaN or infinite at step {found.step}: every rank's were finite before it and"
            " are not after it"
        )
    elif not found.attempt.several:
        said = (
            f"gradients turned NaN or infinite after the backward pass of step {found.step}: they were finite in it and"
            " are not at the optimizer's step: clipping, unscaling or the code between them"
        )
    else:
        said = f"at step {found.step} the gradients were finite where that was recorded, and are not when applied"
    where = f" ({hit})" if found.attempt.several else ""
    return Finding(
        symptom="reduced-gradient-nonfinite",
        severity="error" if found.until is None else "warning",
        statement=joined(
            (
                f"{said}: {of_tensors(names, recording)}{where}",
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
