"""Weights that are NaN or infinite in a checkpoint."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from forensics.analysis.refine import last_clean_before, refine
from forensics.analysis.spread import spread_of
from forensics.detectors._tables import Mask, scanned, source_of, with_role
from forensics.detectors._wording import counted, listed
from forensics.model import Checkpoint, Finding, Run, Severity, TensorTable
from forensics.plugin import detector


@detector("weights-nan", needs=("weights",))
def weights_nan(run: Run) -> Iterator[Finding]:
    """Find the first checkpoint with NaN in a weight.

    Source: IEEE 754; no trained weight is NaN. A NaN in a buffer alone is a warning.
    Minimum: one element of one tensor.
    Silenced by: nothing.
    Known false alarms: none known.
    """
    yield from _first(run, "weights-nan", "NaN")


@detector("weights-inf", needs=("weights",))
def weights_inf(run: Run) -> Iterator[Finding]:
    """Find the first checkpoint with an infinite weight.

    Source: fp16 ends at 65,504 and what is beyond is stored as Inf.
    Minimum: one element of one tensor.
    Silenced by: infinities in buffers alone, as attention masks hold them, are a notice.
    Known false alarms: none known.
    """
    yield from _first(run, "weights-inf", "Inf")


def _first(run: Run, symptom: str, kind: str) -> Iterator[Finding]:
    held: list[Checkpoint] = []
    found: tuple[Checkpoint, TensorTable, Mask] | None = None
    later_clean = False
    for checkpoint, table in scanned(run):
        bad = (table.nan if kind == "NaN" else table.infinite) > 0
        mask = bad & with_role(table, "weight", "buffer")
        if bool(mask.any()):
            held.append(checkpoint)
            found = found or (checkpoint, table, mask)
            later_clean = False
        else:
            later_clean = bool(held)
    if found is None:
        return
    until = held[-1].step if later_clean else None
    yield _finding(run, symptom, kind, found, until)


def _finding(
    run: Run, symptom: str, kind: str, found: tuple[Checkpoint, TensorTable, Mask], until: int | None
) -> Finding:
    checkpoint, table, mask = found
    weights = mask & with_role(table, "weight")
    severity: Severity = "error" if bool(weights.any()) else "warning" if kind == "NaN" else "notice"
    count = table.nan if kind == "NaN" else table.infinite
    whole = int(np.sum(mask & count.equal(table.elements)))
    spread = spread_of(table, mask, checkpoint.records)
    names = list(table.named(mask)) if spread is None else list(spread.names)
    where = "" if spread is None or len(table) < 2 else f", {spread}"
    told = "" if not whole else f", {counted(whole, 'tensor')} of them throughout"
    good = last_clean_before(run, checkpoint)
    before = "" if good is None else f"; {good.path} is clean"
    finding = Finding(
        symptom=symptom,
        severity=severity,
        statement=f"{checkpoint.path} holds {kind} in {len(names):,} of "
        f"{counted(int(with_role(table, 'weight', 'buffer').sum()), 'tensor')} ({listed(names)})"
        f"{where}{told}{before}",
        source=source_of(checkpoint, names[0]),
        step=checkpoint.step,
        step_range=(None if good is None else good.step, checkpoint.step),
        until=until,
    )
    # The step of the finding is that of the file; the bracket tells when it happened.
    return replace(refine(run, finding), step=checkpoint.step) if severity == "error" else finding
