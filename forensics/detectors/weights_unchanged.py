"""Weights that training should have moved and that are the same bits in two checkpoints."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.refine import is_poisoned
from forensics.detectors._tables import (
    Mask,
    floating,
    halves,
    scanned,
    source_of,
    trainable,
    with_role,
)
from forensics.detectors._wording import counted, listed
from forensics.model import Checkpoint, Finding, Run, Severity, TensorTable
from forensics.names import LEARNING_RATE
from forensics.plugin import detector

LARGE = 0.5
STUCK = 0.9
FROZEN = 0.99
STEPS = 10
EMBEDDINGS = ("embed", "wte", "wpe", "lm_head")


@detector("weights-unchanged", needs=("weights",))
def weights_unchanged(run: Run) -> Iterator[Finding]:
    """Find trainable tensors whose bits equal those of the checkpoint before.

    Source: SageMaker Debugger's UnchangedTensor, with equality of bits instead of `numpy.allclose`, whose
    tolerance calls small fp32 updates none. Pure bf16 training rounds updates below half a unit in the last place
    away; measured with AdamW at 2e-6, 98 % of the elements and every norm weight stayed.
    Minimum: two checkpoints at different steps with at least one compared tensor. An error when every trainable
    tensor is unchanged, or when over ten steps and more half of the 16-bit ones kept 99 % of their elements
    (embeddings left out); a warning when they kept 90 % or half of them are unchanged; else a notice.
    Silenced by: frozen and tied tensors, buffers, everything once a weight is NaN, a learning rate that was 0 in
    between (a notice); an fp32 master copy that moves, or DeepSpeed, which keeps one: a copy may lag behind it.
    Known false alarms: embedding rows of tokens that do not occur; a file saved twice under two steps.
    """
    before: Checkpoint | None = None
    moved: int | None = None
    reported: set[Severity] = set()
    for checkpoint, table in scanned(run):
        if is_poisoned(checkpoint):
            return
        previous, before = before, checkpoint
        if previous is None or previous.step is None or checkpoint.step is None or checkpoint.step <= previous.step:
            continue
        found = _judge(run, previous.step, checkpoint, table, moved)
        moved = previous.step if _any_moved(table) else moved
        if found is not None and found.severity not in reported:
            reported.add(found.severity)
            yield found


def _judge(run: Run, since: int, checkpoint: Checkpoint, table: TensorTable, moved: int | None) -> Finding | None:
    compared = with_role(table, "weight") & floating(table) & table.compared & (table.elements > 0)
    candidates = compared & ~table.frozen
    still = candidates & table.unchanged
    count, total = int(still.sum()), int(candidates.sum())
    lagging = _lagging(table, candidates, STUCK)
    if total == 0 or (count == 0 and not lagging):
        return None
    severity = _severity(
        run, table, candidates, still, checkpoint.step is not None and checkpoint.step - since >= STEPS
    )
    reason = ""
    if _rate_was_zero(run, since, checkpoint):
        severity, reason = "notice", "; the learning rate was 0 in between"
    elif lagging and count < total:
        share = float(table.same.values[candidates].sum() / table.elements[candidates].sum())
        reason = f"; {100 * share:.3g} % of all elements are the same"
    names = list(table.named(still))
    shown = f" ({listed(names)})" if names else ""
    return Finding(
        symptom="weights-unchanged",
        severity=severity,
        statement=f"{count:,} of {counted(total, 'tensor')} that may be trained have the same bits at step "
        f"{checkpoint.step} as at step {since}{shown}{reason}",
        source=source_of(checkpoint, names[0] if names else None),
        step=checkpoint.step,
        step_range=(moved, since + 1),
    )


def _any_moved(table: TensorTable) -> bool:
    compared = with_role(table, "weight") & ~table.frozen & table.compared
    return bool(np.any(compared & (table.same < table.elements)))


def _severity(run: Run, table: TensorTable, candidates: Mask, still: Mask, long: bool) -> Severity:
    known = candidates & trainable(table)
    judged = known if bool(known.any()) else candidates
    if bool(np.all(still[judged])):
        return "notice" if _master_moves(table) else "error"
    half = judged & halves(table)
    if not bool(half.any()) or _has_master(run, table):
        return "notice"
    if long and _lagging(table, judged, FROZEN):
        return "error"
    many = float(np.mean(still[half])) >= LARGE and bool(known.any())
    return "warning" if many or _lagging(table, judged, STUCK) else "notice"


def _lagging(table: TensorTable, candidates: Mask, share: float) -> bool:
    """Tell whether half of the 16-bit tensors, embeddings left out, kept this share of their elements."""
    inner = np.array([not any(part in name for part in EMBEDDINGS) for name in table.names], dtype=bool)
    judged = candidates & halves(table) & inner
    if not bool(judged.any()):
        return False
    return float(np.mean((table.same >= share * table.elements)[judged])) >= LARGE


def _master_moves(table: TensorTable) -> bool:
    master = with_role(table, "master") & table.compared
    return bool(np.any(master & (table.same < table.elements)))


def _has_master(run: Run, table: TensorTable) -> bool:
    """Tell whether the 16-bit weights are a copy: an fp32 master moves, or DeepSpeed keeps one."""
    deepspeed = "deepspeed" in run.frameworks or run.has("zero_optimization.stage")
    return _master_moves(table) or (deepspeed and not bool(with_role(table, "master").any()))


def _rate_was_zero(run: Run, since: int, checkpoint: Checkpoint) -> bool:
    """Tell whether every learning rate that is known of the steps in between was 0."""
    series = run.timeline.get(LEARNING_RATE)
    if series is not None and series.axis == "step":
        between = series.values[(series.steps > since) & (series.steps <= (checkpoint.step or 0))]
        if len(between):
            return bool(np.all(between == 0))
    state = checkpoint.optimizer
    return state is not None and len(state.learning_rates) > 0 and not any(state.learning_rates)
