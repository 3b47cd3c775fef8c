"""Weight matrices that are all zero."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.detectors._tables import Mask, floating, matrices, scanned, source_of, with_role
from forensics.detectors._wording import listed
from forensics.model import Checkpoint, Finding, Run, Severity, TensorTable
from forensics.names import SECOND_OF_LORA
from forensics.plugin import detector

DEAD = 0.9999
START = ("lora_magnitude", "zero_conv", "gate", "vera_lambda", "adaLN")
"""Parts of names of tensors that are zero at initialisation by design (PEFT `LoraLayer.reset_lora_parameters`,
ControlNet's zero convolutions, gates of LLaMA-Adapter and DiT)."""


BEFORE = expression(
    r"(?:^|[/_.-])(?:init\w*|base\w*|start|pre-?train\w*|ref\w*|epoch_?0|step_?0)(?:$|[/_.-])", re.IGNORECASE
)
"""Names of folders with what a run began from."""
_LOGS = expression(r"(?:^|/)(?:logs?|runs|tb|tensorboard|events|lightning_logs|wandb|metrics)(?:/.*)?$", re.IGNORECASE)
"""Folders of logs: what lies beside one lies beside its log."""


@detector("weights-zero", needs=("weights",))
def weights_zero(run: Run) -> Iterator[Finding]:
    """Find kernels and embeddings of which 99.99 % of the elements are zero.

    Source: weightlens 0.3.0 `rules.py` (99.99 %, kernels and embeddings only).
    Minimum: one tensor of two dimensions or more. An error when it was not zero in an earlier checkpoint; a
    warning when every `lora_B` is still zero in the last of two checkpoints or more, or in the adapter that lies
    beside or below the log of the run (PEFT issue 1402), so that the adapter does nothing; else a notice.
    Silenced by: biases, norms and other vectors, padding rows, buffers, integer and quantised tensors; frozen and
    tied tensors; tensors that begin at zero by design, in the first checkpoint.
    Known false alarms: a module that is zeroed on purpose; it is a notice as long as no checkpoint shows it alive.
    """
    alive: set[str] = set()
    tables = list(scanned(run))
    for position, (checkpoint, table) in enumerate(tables):
        dead = _dead(table)
        names = list(table.named(dead))
        killed = [name for name in names if name in alive]
        if killed:
            yield _finding(checkpoint, killed, "error", "were alive in an earlier checkpoint and are now", tables)
            return
        living = with_role(table, "weight") & (table.elements > 0) & (table.zero < DEAD * table.elements)
        if position < len(tables) - 1:
            alive.update(table.named(np.asarray(living, dtype=bool)))
        if position == len(tables) - 1 and names:
            yield from _last(run, checkpoint, table, names, tables)


Tables = list[tuple[Checkpoint, TensorTable]]


def _dead(table: TensorTable) -> Mask:
    candidate = with_role(table, "weight") & floating(table) & matrices(table) & ~table.frozen
    return np.asarray(candidate & (table.elements > 0) & (table.zero >= DEAD * table.elements), dtype=bool)


def _last(run: Run, checkpoint: Checkpoint, table: TensorTable, names: list[str], tables: Tables) -> Iterator[Finding]:
    """Judge tensors that are zero in the last checkpoint and were never seen alive."""
    adapters = [name for name in table.names if SECOND_OF_LORA.search(name)]
    if adapters and all(name in names for name in adapters):
        if len(tables) > 1 or (checkpoint.step or 0) > 1 or _saved_at_the_end(run, checkpoint):
            yield _finding(checkpoint, adapters, "warning", "still are, so that the adapter does nothing,", tables)
        return
    others = [n for n in names if not SECOND_OF_LORA.search(n) and not any(part in n for part in START)]
    if others:
        yield _finding(checkpoint, others, "notice", "are", tables)


def _saved_at_the_end(run: Run, checkpoint: Checkpoint) -> bool:
    """Tell whether weights without a step lie where a run that trained saves last: beside or below its log."""
    loss = run.timeline.get("loss")
    if checkpoint.step is not None or loss is None or len(loss) <= 1 or BEFORE.search(checkpoint.path):
        return False
    folders = {_LOGS.sub("", path.rpartition("/")[0]) or "." for path, _ in loss.places}
    return any(folder in {".", checkpoint.path} or checkpoint.path.startswith(f"{folder}/") for folder in folders)


def _finding(checkpoint: Checkpoint, names: list[str], severity: Severity, told: str, tables: Tables) -> Finding:
    steps = [c.step for c, _ in tables if c.step is not None and checkpoint.step is not None]
    before = [step for step in steps if step < (checkpoint.step or 0)]
    return Finding(
        symptom="weights-zero",
        severity=severity,
        statement=f"{len(names):,} weight matrices of {checkpoint.path} {told} all zero ({listed(names)})",
        source=source_of(checkpoint, names[0]),
        step=checkpoint.step,
        step_range=(max(before) if before and severity == "error" else None, checkpoint.step),
    )
