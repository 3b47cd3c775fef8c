"""How far bad values have spread over a checkpoint, and where in the model they lie.

One bad gradient reaches every trained tensor at once when gradients are clipped by a NaN norm
(`torch.nn.utils.clip_grad_norm_`); a bad shard or rank shows as its slice, a bad pipeline stage as contiguous
layers, unstable code or a bad bit as one tensor.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import TensorRecord, TensorTable

Extent: TypeAlias = Literal["one tensor", "contiguous layers", "one rank's slice", "everything trainable", "scattered"]
LAYER = expression(r"(?:^|.*\.)(?:layers?|h|blocks?)\.(\d{1,6})\.")
FIRST = expression(r"embed|\bwte\b|\bwpe\b|patch|conv1|tok_embeddings")
LAST = expression(r"lm_head|embed_out|score|classifier|\boutput\.weight")
EVERYTHING = 0.95
"""Share of the trained tensors from which all are said to be hit: a frozen one among them may be unknown."""


@dataclass(frozen=True, slots=True)
class Spread:
    """`names` are the bad tensors, nearest to the input first; `layers` the lowest and the highest layer hit."""

    extent: Extent
    names: tuple[str, ...]
    layers: tuple[int, int] | None = None
    file: str | None = None

    def __str__(self) -> str:
        """Return the extent as the end of a sentence."""
        if self.extent == "contiguous layers" and self.layers is not None:
            low, high = self.layers
            return f"only in layer {low}" if low == high else f"only in the contiguous layers {low} to {high}"
        if self.extent == "one rank's slice":
            return f"only in the slice of {self.file}"
        return {
            "one tensor": "in one tensor only",
            "everything trainable": "in everything that trains",
        }.get(self.extent, "scattered over the model")


def depth_of(name: str) -> tuple[int, int, int]:
    """Return a key that orders tensors from a model's input to its output: embeddings, layers by number, head.

    >>> sorted(["lm_head.weight", "layers.10.a", "layers.9.b", "embed_tokens.weight"], key=depth_of)
    ['embed_tokens.weight', 'layers.9.b', 'layers.10.a', 'lm_head.weight']
    """
    match = LAYER.match(name)
    if match is not None:
        return 1, int(match[1]), 0
    if FIRST.search(name):
        return 0, 0, 0
    return (3, 0, 0) if LAST.search(name) else (2, 0, 0)


def spread_of(table: TensorTable, bad: NDArray[np.bool_], records: Sequence[TensorRecord] = ()) -> Spread | None:
    """Say how the tensors that `bad` (shape (n,)) marks are spread; None when none is marked.

    `records` tell in which files each tensor lies: when the bad ones are those of one rank's file, that is said.
    Tensors of one name in several roles count once.
    """
    names = sorted(dict.fromkeys(table.named(bad)), key=depth_of)
    if not names:
        return None
    weights = set(table.named(table.roles.among({"weight", "master"})))
    trained = weights.intersection(table.named(~table.frozen))
    layers = [int(match[1]) for name in names if (match := LAYER.match(name))]
    span = (min(layers), max(layers)) if layers else None
    hit = trained & set(names)
    if len(names) == 1:
        return Spread("one tensor", tuple(names), span)
    if trained and len(hit) >= EVERYTHING * len(trained):
        return Spread("everything trainable", tuple(names), span)
    file = _one_file(names, records)
    if file is not None:
        return Spread("one rank's slice", tuple(names), span, file)
    everywhere = {int(match[1]) for name in weights if (match := LAYER.match(name))}
    if span is not None and len(layers) == len(names) and _contiguous(set(layers), everywhere):
        return Spread("contiguous layers", tuple(names), span)
    return Spread("scattered", tuple(names), span)


def _contiguous(hit: set[int], there: set[int]) -> bool:
    """Tell whether the layers hit follow each other and others are left."""
    return hit < there and max(hit) - min(hit) + 1 == len(hit)


def _one_file(names: Sequence[str], records: Sequence[TensorRecord]) -> str | None:
    """Return the file that all bad tensors have a part in and every tensor wholly in it is bad."""
    bad = set(names)
    parts: dict[str, set[str]] = defaultdict(set)
    files: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for piece in record.pieces:
            parts[record.name].add(piece.path)
            files[piece.path].add(record.name)
    if len(files) < 2:
        return None
    for path, inside in sorted(files.items()):
        whole = {name for name in inside if parts[name] == {path}}
        if bad <= inside and whole and whole <= bad:
            return path
    return None
