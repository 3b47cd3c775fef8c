"""What the checkpoints show: nonfinite tensors before and after an onset, tensors that did not move."""

import re
from collections.abc import Callable
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.model import Checkpoint, Explained, Run, Source, TensorTable
from forensics.names import SECOND_OF_LORA
from forensics.rules._curves import onset
from forensics.rules._seen import Seen

MOST = 0.9
"""Share of tensors from which "nearly all" is said; rows of unused tokens keep the embedding from being whole."""


def scanned(run: Run) -> tuple[Checkpoint, ...]:
    return tuple(c for c in run.checkpoints if c.table is not None and len(c.table))


def table_of(checkpoint: Checkpoint) -> TensorTable:
    assert checkpoint.table is not None
    return checkpoint.table


def bad_mask(table: TensorTable) -> NDArray[np.bool_]:
    return np.asarray((table.nan > 0) | (table.infinite > 0), dtype=bool)


def name_of(checkpoint: Checkpoint) -> str:
    return checkpoint.path if checkpoint.path != "." else "the final model"


def first_bad(run: Run) -> Checkpoint | None:
    return next((c for c in scanned(run) if bad_mask(table_of(c)).any()), None)


def poisoned(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the weights saved after the onset hold NaN or infinities.

    False needs a full scan of a checkpoint at the onset or later; a quick look proves nothing.
    """
    bad = first_bad(run)
    if bad is not None:
        table = table_of(bad)
        mask = bad_mask(table)
        name = next(table.named(mask))
        said = f"{int(mask.sum())} of {len(table)} tensors of {name_of(bad)} hold NaN or infinities"
        return Seen(True, said, Source(bad.path, f"tensor {name}"), "weights after the onset")
    step = onset(explained)
    clean = [c for c in scanned(run) if c.depth == "full" and c.step is not None and (step is None or c.step >= step)]
    if not clean:
        return None
    said = f"every tensor of {name_of(clean[-1])}, saved after the onset, is finite"
    return Seen(False, said, Source(clean[-1].path), "weights after the onset")


def widespread(run: Run) -> Seen | None:
    """Tell whether nearly all tensors that train hold NaN in the first bad checkpoint."""
    bad = first_bad(run)
    if bad is None:
        return None
    table = table_of(bad)
    training = ~table.frozen
    mask = bad_mask(table)
    total, hit = int(training.sum()), int((mask & training).sum())
    if not total:
        return None
    said = f"{hit} of {total} tensors that train hold NaN or infinities in {name_of(bad)}"
    source = Source(bad.path, f"tensor {next(table.named(mask))}")
    return Seen(hit >= MOST * total and total > 1, said, source, "extent of the damage")


def single(run: Run) -> Seen | None:
    """Tell whether exactly one tensor of the first bad checkpoint holds NaN, and which."""
    bad = first_bad(run)
    if bad is None:
        return None
    table = table_of(bad)
    weights = bad_mask(table) & table.is_weight
    names = list(table.named(weights))
    if not names or len(table) < 2:
        return None
    said = f"{len(names)} tensors of {name_of(bad)} hold NaN or infinities, among them {names[0]}"
    if len(names) == 1:
        said = f"{names[0]} is the only tensor of {name_of(bad)} with NaN or infinities"
    return Seen(len(names) == 1, said, Source(bad.path, f"tensor {names[0]}"), "extent of the damage")


def compared(run: Run) -> tuple[Checkpoint, NDArray[np.bool_]] | None:
    """Return the newest checkpoint that was compared with the one before, and which of its tensors were."""
    for checkpoint in reversed(scanned(run)):
        table = table_of(checkpoint)
        mask = np.asarray(table.compared & (table.elements > 0) & table.is_weight, dtype=bool)
        if mask.any():
            return checkpoint, mask
    return None


def unmoved(run: Run) -> Seen | None:
    """Tell whether every tensor that should train is bit-identical to the checkpoint before."""
    found = compared(run)
    if found is None:
        return None
    checkpoint, mask = found
    table = table_of(checkpoint)
    training = mask & ~table.frozen & ~bad_mask(table)
    if not training.any():
        return None
    same = int((table.unchanged & training).sum())
    total = int(training.sum())
    said = f"{same} of {total} tensors that train are bit-identical in {name_of(checkpoint)} and the one before"
    return Seen(same == total, said, Source(checkpoint.path), "change of the weights")


def only_frozen_unmoved(run: Run) -> Seen | None:
    """Tell whether all unchanged tensors are ones that were declared frozen, while the others moved."""
    found = compared(run)
    if found is None:
        return None
    checkpoint, mask = found
    table = table_of(checkpoint)
    still, frozen = table.unchanged & mask, table.frozen & mask
    if not still.any():
        return None
    moved = int((mask & ~still).sum())
    held = bool(np.all(frozen[still])) and moved > 0
    share = f"{int((still & frozen).sum())} of {int(still.sum())}"
    said = f"{share} unchanged tensors are frozen, and {moved} others moved"
    return Seen(held, said, Source(checkpoint.path), "frozen tensors")


def only_open_unmoved(run: Run) -> Seen | None:
    """Tell whether the unchanged tensors may be frozen: not one is known to train, and all that train moved.

    The optimizer state tells parameters apart by their shapes; two of one shape (embedding and head) stay unknown.
    """
    found = compared(run)
    if found is None:
        return None
    checkpoint, mask = found
    table = table_of(checkpoint)
    training = mask & np.array([state == "trainable" for state in table.trained], dtype=bool)
    still = mask & table.unchanged & ~table.frozen & ~bad_mask(table)
    if not still.any() or not training.any():
        return None
    held = not (still & training).any()
    name = next(table.named(still))
    said = f"all {int(training.sum())} tensors known to train moved, {name} did not"
    if not held:
        said = f"{int((still & training).sum())} of {int(training.sum())} tensors known to train did not move"
    return Seen(held, said, Source(checkpoint.path, f"tensor {name}"), "frozen tensors")


def ones_unmoved(run: Run) -> Seen | None:
    """Tell whether norm weights stayed bit-identical while matrices moved: the mark of bf16 without fp32 masters.

    An update below half a unit in the last place rounds away. Norm weights lie near 1.0, where bf16 values are
    2^-8 apart; matrices hold small values, which are closer together.
    """
    found = compared(run)
    if found is None:
        return None
    checkpoint, mask = found
    table = table_of(checkpoint)
    norm = np.array(["norm" in name.lower() or ".ln_" in name for name in table.names], dtype=bool)
    scales, others = mask & norm & ~table.frozen, mask & ~norm & ~table.frozen
    if not scales.any() or not others.any():
        return None
    still = int((table.unchanged & scales).sum())
    moved = int((~table.unchanged & others).sum())
    holds = still == int(scales.sum()) and moved > 0
    said = f"{still} of {int(scales.sum())} norm weights are bit-identical while {moved} other tensors moved"
    return Seen(holds, said, Source(checkpoint.path), "change of the norms")


def too_fine(run: Run) -> Seen | None:
    """Tell whether Adam's next step is smaller than what the 16-bit weights can resolve, with the numbers.

    The optimizer's own moments give the step, the dtype the distance between neighbours; see `UpdateResolution`.
    """
    checkpoint = next((c for c in reversed(run.checkpoints) if c.resolution), None)
    if checkpoint is None:
        return None
    looked = sum(one.elements for one in checkpoint.resolution)
    stuck = sum(one.stuck for one in checkpoint.resolution)
    typical = max(checkpoint.resolution, key=lambda one: one.elements)
    said = (
        f"{100 * stuck / looked:.3g} % of {looked:,} elements of {name_of(checkpoint)} cannot move: at a "
        f"learning rate of {typical.learning_rate:.3g} Adam's next step for {typical.name} is "
        f"{typical.expected_update:.2g}, and half the distance between neighbouring {typical.dtype} "
        f"numbers there is {typical.smallest_moving:.2g}"
    )
    ones = sum(one.ones for one in checkpoint.resolution)
    if ones:
        said += f"; {ones} tensors are still exactly 1.0 throughout"
    return Seen(2 * stuck > looked, said, Source(checkpoint.path, f"tensor {typical.name}"), "size of the updates")


def weights_stored_as(run: Run, *dtypes: str) -> Seen | None:
    """Tell whether most tensors that train are stored in one of the dtypes (safetensors spelling)."""
    checkpoints = scanned(run)
    if not checkpoints:
        return None
    table = table_of(checkpoints[-1])
    training = table.is_weight & ~table.frozen
    if not training.any():
        return None
    stored = list(compress(table.dtypes, training))
    hit = sum(dtype in dtypes for dtype in stored)
    usual = max(set(stored), key=stored.count)
    said = f"the tensors that train are stored as {usual} in {name_of(checkpoints[-1])}"
    return Seen(2 * hit > len(stored), said, Source(checkpoints[-1].path), "dtype of the weights")


def keeps_masters(run: Run) -> Seen | None:
    """Tell whether a checkpoint holds fp32 master weights beside the working copy."""
    for checkpoint in scanned(run):
        if "master" in table_of(checkpoint).roles:
            return Seen(True, f"{name_of(checkpoint)} holds fp32 master weights", Source(checkpoint.path), "masters")
    return None


def without_masters(run: Run, deepspeed: Seen | None) -> Seen | None:
    """Tell whether the 16-bit weights are the only copy; None where neither trainer nor optimizer state tells.

    DeepSpeed's 16-bit optimizers keep fp32 masters; an optimizer state that was read would show them.
    """
    masters = keeps_masters(run)
    if masters is not None:
        return Seen(False, masters.statement, masters.source, masters.key)
    if deepspeed is not None and deepspeed.holds:
        return Seen(False, f"{deepspeed.statement}, which keeps fp32 masters", deepspeed.source, deepspeed.key)
    read = next((c for c in run.checkpoints if c.optimizer is not None), None)
    if read is not None:
        return Seen(True, f"the optimizer state of {name_of(read)} has no fp32 masters", Source(read.path), "masters")
    return None if deepspeed is None else Seen(True, deepspeed.statement, deepspeed.source, deepspeed.key)


def zero_lora_b(run: Run) -> Seen | None:
    """Tell whether every lora_B tensor of the newest scanned checkpoint is zero, as it was initialised."""
    for checkpoint in reversed(scanned(run)):
        table = table_of(checkpoint)
        adapters = np.array([SECOND_OF_LORA.search(name) is not None for name in table.names], dtype=bool)
        if adapters.any():
            zero = int((table.all_zero & adapters).sum())
            name = next(table.named(adapters))
            said = f"{zero} of {int(adapters.sum())} lora_B tensors of {name_of(checkpoint)} are exactly zero"
            return Seen(zero == int(adapters.sum()), said, Source(checkpoint.path, f"tensor {name}"), "lora_B")
    return None


WRAPPED = expression(r"(?:_orig_mod|module|_fsdp_wrapped_module|_forward_module)\.")
"""What torch.compile, DDP, FSDP and DeepSpeed's engine write before the names of a model that they hold."""


def wrapped_names(run: Run) -> Seen | None:
    """Tell whether every weight of a saved model bears the prefix of a wrapper, as only the wrapper can load it."""
    looked: Checkpoint | None = None
    for checkpoint in run.checkpoints:
        held = checkpoint.tensors
        weights = list(compress(held.names.texts, held.roles.among({"weight"})))
        if not weights or not checkpoint.kind.startswith("huggingface"):
            continue
        looked = checkpoint
        if all(WRAPPED.match(name) for name in weights):
            said = f"every weight of {name_of(checkpoint)} bears the prefix of a wrapper ({weights[0]})"
            return Seen(True, said, Source(checkpoint.path, f"tensor {weights[0]}"), "prefix of the names")
    if looked is None:
        return None
    return Seen(
        False, f"the names in {name_of(looked)} bear no wrapper's prefix", Source(looked.path), "prefix of the names"
    )


SMALL_ROW = 0.01
"""A row of less than this share of the median was never trained: the reported ones lie 20,000 times below it
(01-ai/Yi issue 285), a row that begins as the mean of the others lies at a tenth of it."""


def template_rows_small(run: Run) -> Seen | None:
    """Tell whether the embedding has rows of the chat template's tokens that its training never touched."""
    for checkpoint in reversed(run.checkpoints):
        rows = checkpoint.token_rows
        if rows is None or not rows.usual > 0:
            continue
        small = [text for text, norm in zip(rows.tokens, rows.norms, strict=True) if norm < SMALL_ROW * rows.usual]
        source = Source(checkpoint.path, f"tensor {rows.name}")
        if not small:
            said = f"the rows of all {len(rows.tokens)} tokens of the chat template are as long as others"
            return Seen(False, f"{said} in {name_of(checkpoint)}", source, "rows of the template")
        shown = ", ".join(small[:3]) + (" ..." if len(small) > 3 else "")
        said = (
            f"the rows of {shown} in {rows.name} of {name_of(checkpoint)} were never trained: "
            f"{min(rows.norms):.2g} long, where those of other tokens are {rows.usual:.2g}"
        )
        return Seen(True, said, source, "rows of the template")
    return None


def empty_shapes(run: Run) -> Seen | None:
    """Tell whether a saved model holds tensors with a 0 in their shape.

    DeepSpeed's own `*_model_states.pt` holds empty placeholders under ZeRO-3 by design and does not count.
    """
    looked = False
    for checkpoint in run.checkpoints:
        if "deepspeed" in checkpoint.kind or not checkpoint.records:
            continue
        looked = True
        held = checkpoint.tensors
        empty = list(held.only(held.roles.among({"weight"}) & (held.elements == 0)))
        if empty:
            share = f"{len(empty)} of {len(checkpoint.records)}"
            said = f"{share} tensors of {name_of(checkpoint)} have a 0 in their shape"
            return Seen(True, said, Source(checkpoint.path, f"tensor {empty[0].name}"), "empty shapes")
    return Seen(False, "no tensor has a 0 in its shape", None, "empty shapes") if looked else None


COPIED = expression(r"modules_to_save|embed_tokens|lm_head")
"""What an adapter trains beside its own matrices: PEFT's `modules_to_save`, mostly the embedding and the head."""


def saved_modules_empty(run: Run) -> Seen | None:
    """Tell whether only whole modules that an adapter trains are empty, while its matrices were saved."""
    return _empty_among(run, lambda name: COPIED.search(name) is not None, "tensors of modules_to_save", "modules")


def adapters_empty(run: Run) -> Seen | None:
    """Tell whether the matrices of an adapter themselves are empty."""
    return _empty_among(run, lambda name: "lora_" in name, "tensors of the adapter", "empty adapter")


def _empty_among(run: Run, wanted: Callable[[str], bool], what: str, key: str) -> Seen | None:
    for checkpoint in run.checkpoints:
        if "deepspeed" in checkpoint.kind:
            continue
        held = checkpoint.tensors
        weights = held.roles.among({"weight"})
        empty = list(compress(held.names.texts, weights & (held.elements == 0)))
        if empty:
            hit = [name for name in empty if wanted(name)]
            said = f"{len(hit)} of {len(empty)} empty tensors of {name_of(checkpoint)} are {what}"
            source = Source(checkpoint.path, f"tensor {empty[0]}")
            return Seen(
                hit == empty and len(empty) < int(np.count_nonzero(weights)) + (key != "modules"), said, source, key
            )
    return None


def problem_matches(run: Run, pattern: str) -> Seen | None:
    """Tell whether a checkpoint has a problem whose statement matches; None when no checkpoint has any problem."""
    problems = [problem for checkpoint in run.checkpoints for problem in checkpoint.problems]
    if not problems:
        return None
    for problem in problems:
        if re.search(pattern, problem.statement, re.IGNORECASE):
            return Seen(True, problem.statement, problem.source, "problem of the files")
    return Seen(False, problems[0].statement, problems[0].source, "problem of the files")


def damaged(run: Run) -> Seen | None:
    """Tell whether a checkpoint file is damaged."""
    for checkpoint in run.checkpoints:
        for problem in checkpoint.problems:
            if problem.kind == "damaged":
                return Seen(True, f"{checkpoint.path} is damaged: {problem.statement}", problem.source, "damaged file")
    return Seen(False, "no checkpoint file is damaged", None, "damaged file") if run.checkpoints else None
