"""Weights that grew out of all proportion."""

from collections.abc import Iterator
from itertools import compress

import numpy as np

from forensics.detectors._tables import Mask, floating, scanned, source_of, with_role
from forensics.detectors._wording import listed, number
from forensics.model import Checkpoint, Finding, Floats, Run, Severity, TensorTable
from forensics.plugin import detector

TIMES = 100.0
LARGE = 100.0
HUGE = 1e4
STATISTICS = ("running_", "num_batches", "masked_bias", "inv_freq", "position")


@detector("weights-exploded", needs=("weights",))
def weights_exploded(run: Run) -> Iterator[Finding]:
    """Find tensors whose largest element is a hundred times what it was, and over 100.

    Source: weightlens 0.3.0 calls 100 times the 99th percentile extreme; here the same tensor in an earlier
    checkpoint is the measure, as outliers of embeddings and norms are usual.
    Minimum: one tensor in two checkpoints, an error; a tensor beyond 10,000 in the first one is a warning.
    Silenced by: integer tensors, buffers and statistics (`running_var`, `masked_bias`, `inv_freq`).
    Known false alarms: none known; weights of language models rest below 100.
    """
    earliest: dict[str, float] = {}
    before: Checkpoint | None = None
    looked = list(scanned(run))
    for checkpoint, table in looked:
        judged = _judged(table)
        then = np.array(
            [earliest.get(name, np.nan) for name in table.names.texts] if earliest else np.full(len(table), np.nan)
        )
        grown = judged & (table.max_abs > LARGE) & (table.max_abs > TIMES * then)
        huge = judged & np.isnan(then) & (table.max_abs > HUGE)
        if bool(grown.any()) or bool(huge.any()):
            yield _finding(checkpoint, table, grown if bool(grown.any()) else huge, then, before)
            return
        if checkpoint is not looked[-1][0]:
            new = judged & np.isnan(then)
            earliest.update(zip(compress(table.names.texts, new), table.max_abs[new].tolist(), strict=True))
        before = checkpoint


def _judged(table: TensorTable) -> Mask:
    plain = ~table.names.where(lambda name: any(part in name for part in STATISTICS))
    return np.asarray(with_role(table, "weight") & floating(table) & plain & np.isfinite(table.max_abs), dtype=bool)


def _finding(
    checkpoint: Checkpoint, table: TensorTable, mask: Mask, then: Floats, before: Checkpoint | None
) -> Finding:
    worst = int(np.argmax(np.where(mask, table.max_abs, -np.inf)))
    names = list(table.named(mask))
    grew = bool(np.isfinite(then[worst]))
    severity: Severity = "error" if grew else "warning"
    was = f", {number(float(then[worst]))} in an earlier checkpoint" if grew else ""
    return Finding(
        symptom="weights-exploded",
        severity=severity,
        statement=f"{checkpoint.path} holds weights out of all proportion in {len(names):,} tensors "
        f"({listed(names)}): {table.names[worst]} reaches {number(float(table.max_abs[worst]))}{was}",
        source=source_of(checkpoint, table.names[worst]),
        step=checkpoint.step,
        step_range=(None if before is None else before.step, checkpoint.step),
    )
