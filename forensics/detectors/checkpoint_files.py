"""Checkpoints that are broken as files."""

from collections.abc import Iterator
from itertools import compress

from forensics.detectors._tables import source_of
from forensics.detectors._wording import counted, listed
from forensics.model import Checkpoint, Finding, Problem, Run, Severity
from forensics.plugin import detector


@detector("checkpoint-damaged", needs=("checkpoints",))
def checkpoint_damaged(run: Run) -> Iterator[Finding]:
    """Find checkpoints of which a file contradicts itself, is cut short or is something else.

    Source: the formats' own rules (safetensors: header, offsets and size agree; zip: directory and checksums). A
    problem that is only suspicious is a notice.
    Minimum: one file.
    Silenced by: nothing.
    Known false alarms: a directory copied while it was written.
    """
    for checkpoint in run.checkpoints:
        yield from _told(checkpoint, "checkpoint-damaged", "damaged", "error")
        yield from _told(checkpoint, "checkpoint-damaged", "suspicious", "notice")


@detector("checkpoint-incomplete", needs=("checkpoints",))
def checkpoint_incomplete(run: Run) -> Iterator[Finding]:
    """Find checkpoints of which a shard or a rank's file is missing, or whose saving was interrupted.

    Source: the index or the layout names files that are not there.
    Minimum: one file.
    Silenced by: nothing.
    Known false alarms: shards deleted on purpose.
    """
    for checkpoint in run.checkpoints:
        yield from _told(checkpoint, "checkpoint-incomplete", "incomplete", "error")


def _told(checkpoint: Checkpoint, symptom: str, kind: str, severity: Severity) -> Iterator[Finding]:
    problems: list[Problem] = [problem for problem in checkpoint.problems if problem.kind == kind]
    if not problems:
        return
    more = f" (and {counted(len(problems) - 1, 'more problem')})" if len(problems) > 1 else ""
    yield Finding(
        symptom=symptom,
        severity=severity,
        statement=f"{checkpoint.path} is {kind}: {problems[0].statement}{more}",
        source=problems[0].source,
        step=checkpoint.step,
        step_range=(None, checkpoint.step),
    )


@detector("checkpoint-empty-tensors", needs=("checkpoints",))
def checkpoint_empty_tensors(run: Run) -> Iterator[Finding]:
    """Find weights saved with no elements at all.

    Source: a ZeRO-3 or FSDP model saved without gathering its parameters leaves tensors of shape (0,) or 443-byte
    adapters (PEFT #2450, OpenRLHF #839).
    Minimum: one weight named `.weight` or of an adapter, an error; other empty tensors are a notice.
    Silenced by: DeepSpeed's own layout, whose `*_model_states.pt` hold empty tensors under ZeRO-3 by design.
    Known false alarms: placeholders of quantised layers, which carry other names and are a notice.
    """
    for checkpoint in run.checkpoints:
        if checkpoint.kind.startswith(("deepspeed", "zero")):
            continue
        held = checkpoint.tensors
        names = list(compress(held.names.texts, (held.elements == 0) & held.roles.among({"weight"})))
        if not names:
            continue
        weights = [name for name in names if name.endswith(".weight") or "lora_" in name]
        severity: Severity = "error" if weights else "notice"
        yield Finding(
            symptom="checkpoint-empty-tensors",
            severity=severity,
            statement=f"{len(names):,} of {counted(len(checkpoint.records), 'tensor')} in {checkpoint.path} have "
            f"no elements ({listed(weights or names)}): they were saved without being gathered",
            source=source_of(checkpoint, (weights or names)[0]),
            step=checkpoint.step,
            step_range=(None, checkpoint.step),
        )
        return
