"""What the scanned values say against a checkpoint."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Checkpoint, Problem, Source, TensorTable
from forensics.names import SECOND_OF_LORA
from forensics.weights.layouts._trained import EMBEDDING, HEAD

RANKED = expression(r"(mp_rank_[\d_]+):(.*)")
REPLICATED = expression(
    r".*(?:norm[^.]{0,80}|ln_\w{1,80}|layernorm_\w{1,80})\.(?:weight|bias)|.*(?:dense|dense_4h_to_h|linear_proj|linear_fc2)\.bias"
    r"|.*position_embeddings\.weight|.*(?:router|gate\.wg)\.weight"
)
"""Names of tensors that tensor-parallel ranks hold as copies (Megatron-LM: norms, biases behind row-parallel
matrices, positions, routers)."""
SCALE = expression(r"\.(?:nested_)?absmax$|\.(?:weight_)?scales?(?:_inv)?$|\.SCB$|\.qscale$")
"""Names of the scales of bitsandbytes (`absmax`, `SCB`), AWQ and GPTQ (`scales`), compressed-tensors and FP8
(`weight_scale`, `weight_scale_inv`)."""
SHOWN = 3


def judge_tables(checkpoint: Checkpoint, *, newest: bool = True) -> Iterator[Problem]:
    """Yield what is suspicious in the values: an untouched adapter, an empty optimizer, ranks that disagree.

    An adapter that has not moved yet is only told of the `newest` checkpoint.
    """
    table = checkpoint.table
    if table is None or not len(table):
        return
    source = Source(checkpoint.path)
    if newest:
        yield from _adapter(checkpoint, table, source)
    yield from _moments(checkpoint, table, source)
    yield from _replicas(table, source)
    yield from _tied(table, source)
    yield from _scales(table, source)


def _adapter(checkpoint: Checkpoint, table: TensorTable, source: Source) -> Iterator[Problem]:
    """PEFT begins with `lora_B` zero (`LoraLayer.reset_lora_parameters`), so zero later means never trained."""
    rows = np.flatnonzero(table.names.where(SECOND_OF_LORA.search) & table.roles.among({"weight"}))
    if len(rows) and (checkpoint.step or 0) > 0 and bool(np.all(table.all_zero[rows])):
        yield Problem(
            "suspicious",
            f"all {len(rows)} lora_B tensors are zero, as they were initialised: the adapter does nothing",
            source,
        )


def _moments(checkpoint: Checkpoint, table: TensorTable, source: Source) -> Iterator[Problem]:
    second = table.roles.among({"exp_avg_sq"}) & (table.elements > 0)
    if not bool(second.any()):
        return
    negative = second & (table.minimum < 0)
    if bool(negative.any()):
        names = list(table.named(negative))
        yield Problem(
            "suspicious",
            f"{len(names)} second moments hold negative numbers, which a mean of squares cannot be "
            f"({', '.join(names[:SHOWN])}): the file was damaged or written while it changed",
            source,
        )
    stepped = checkpoint.optimizer is not None and (checkpoint.optimizer.step or checkpoint.step or 0) > 0
    empty = second & table.all_zero
    if stepped and bool(np.all(empty[second])):
        yield Problem(
            "suspicious",
            f"all {int(second.sum())} second moments of Adam are zero after {checkpoint.step or 'several'} steps: "
            "no gradient ever reached the optimizer",
            source,
        )


def _replicas(table: TensorTable, source: Source) -> Iterator[Problem]:
    """Compare copies by what was measured of them: equal bits give equal numbers, other numbers other bits."""
    if not any(map(RANKED.fullmatch, table.names.kinds[0])):
        return
    copies: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(table.roles.among({"weight"})).tolist():
        match = RANKED.fullmatch(table.names[row])
        plain = match[2] if match is not None else table.names[row]
        if REPLICATED.fullmatch(plain):
            copies[plain].append(row)
    differing = [name for name, rows in copies.items() if len(rows) > 1 and _differ(table, rows)]
    if differing:
        yield Problem(
            "suspicious",
            f"{len(differing)} tensors that every model-parallel rank holds as a copy differ between the ranks "
            f"({', '.join(differing[:SHOWN])}): the ranks went apart, or their files are of several saves",
            source,
        )


def _tied(table: TensorTable, source: Source) -> Iterator[Problem]:
    """Hold a head that the configuration ties to the embedding against it, where the file holds both.

    A loader keeps the embedding: what the head learnt on its own is lost.
    """
    read = table.roles.among({"weight"}) & table.nan.known
    heads = np.flatnonzero(read & table.trained.among({"tied"}) & table.names.where(HEAD.fullmatch)).tolist()
    embeddings = np.flatnonzero(read & table.names.where(EMBEDDING.fullmatch)).tolist()
    if len(heads) != 1 or len(embeddings) != 1:
        return
    head, embedding = heads[0], embeddings[0]
    alike = table.shapes[head] == table.shapes[embedding] and table.dtypes[head] == table.dtypes[embedding]
    whole = table.elements[head] == table.elements[embedding] == math.prod(table.shapes[head])
    if alike and whole and _differ(table, [embedding, head]):
        yield Problem(
            "suspicious",
            f"{table.names[head]} and {table.names[embedding]} differ, although config.json ties them: "
            "a loader keeps the embedding and drops the head",
            source,
        )


def _scales(table: TensorTable, source: Source) -> Iterator[Problem]:
    """Find scales of quantised weights that are zero throughout: what they scale is zero, whatever was stored."""
    named = table.names.where(SCALE.search)
    dead = named & table.all_zero
    if bool(dead.any()):
        names = list(table.named(dead))
        yield Problem(
            "suspicious",
            f"{len(names)} of {int(named.sum())} scales of quantised weights are zero ({', '.join(names[:SHOWN])}): "
            "the weights that they scale are zero too",
            source,
        )


def _differ(table: TensorTable, rows: Sequence[int]) -> bool:
    columns = (table.l2, table.mean, table.minimum, table.maximum, table.nan.values, table.zero.values)
    return any(
        not np.array_equal(column[rows], np.full(len(rows), column[rows[0]]), equal_nan=True)
        for column in (np.asarray(c, dtype=np.float64) for c in columns)
    )
