"""Tensors of a checkpoint put together by layer and by what they are: the short view of a long table."""

from collections.abc import Sequence

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model.facts import Floats, Integers
from forensics.model.weights import TensorTable

_NUMBER = expression(r"(?<![^.])\d+(?![^.])")


@dataclass(frozen=True, slots=True)
class Groups:
    """One row a group, in the order in which its first tensor stands in the table; arrays have shape (n,).

    Counts are sums over the examined tensors of the group, `l2` and `change_l2` the norms of all their elements
    together, `max_abs` and `change_max` the largest. `compared` counts the elements that had something to be
    compared with. Numbers are NaN where no tensor has them. `unexamined` counts tensors, the rest elements.
    """

    names: tuple[str, ...]
    tensors: Integers
    unexamined: Integers
    elements: Integers
    nan: Integers
    infinite: Integers
    zero: Integers
    compared: Integers
    same: Integers
    l2: Floats
    max_abs: Floats
    change_l2: Floats
    change_max: Floats


def layer_of(name: str) -> str:
    """Return the name up to its first number that stands alone, which is that of the layer; else all but the end.

    >>> layer_of("model.layers.10.self_attn.q_proj.weight"), layer_of("model.embed_tokens.weight")
    ('model.layers.10', 'model.embed_tokens')
    """
    found = _NUMBER.search(name)
    return name[: found.end()] if found else name.rpartition(".")[0] or name


def kind_of(name: str) -> str:
    """Return the name with every number that stands alone replaced: the same tensor of all layers.

    >>> kind_of("model.layers.10.self_attn.q_proj.weight")
    'model.layers.*.self_attn.q_proj.weight'
    """
    return _NUMBER.sub("*", name)


def by_layer(table: TensorTable) -> list[str]:
    """Return the layer of each row; what an optimizer holds is one group a role, behind the layers it is of."""
    kinds, of = table.names.kinds
    # Names of a kind have their digits at the same places.
    ends = np.array([len(layer_of(kind)) for kind in kinds] or [0])[of].tolist()
    rows = zip(table.names.texts, ends, table.roles, strict=True)
    labels = [name[:end] if role in {"weight", "buffer"} else f"({role})" for name, end, role in rows]
    return _shown(table, labels)


def by_kind(table: TensorTable) -> list[str]:
    """Return the kind of each row, with the role where it is no weight."""
    rows = zip(table.names.texts, table.roles, strict=True)
    return _shown(
        table, [kind_of(name) + ("" if role in {"weight", "buffer"} else f" ({role})") for name, role in rows]
    )


def _shown(table: TensorTable, labels: list[str]) -> list[str]:
    """Return labels as the names of the table are given out, each asked for once."""
    shown = {label: table.names.shown(label) for label in dict.fromkeys(labels)}
    return [shown[label] for label in labels]


def grouped(table: TensorTable, labels: Sequence[str]) -> Groups:
    """Put those rows of a table together that have the same label; `labels` has one a row."""
    numbers: dict[str, int] = {}
    group = np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.intp)
    size, examined = len(numbers), ~table.unread

    def total(values: Integers) -> Integers:
        return np.bincount(group, np.where(examined, values, 0), size).astype(np.int64)

    return Groups(
        names=tuple(numbers),
        tensors=np.bincount(group, minlength=size).astype(np.int64),
        unexamined=np.bincount(group, ~examined, size).astype(np.int64),
        elements=total(table.elements),
        nan=total(table.nan.values),
        infinite=total(table.infinite.values),
        zero=total(table.zero.values),
        compared=total(np.where(table.compared, table.elements, 0)),
        same=total(table.same.values),
        l2=_norm(table.l2, group, size),
        max_abs=_largest(table.max_abs, group, size),
        change_l2=_norm(table.change_l2, group, size),
        change_max=_largest(table.change_max, group, size),
    )


def _norm(values: Floats, group: Integers, size: int) -> Floats:
    known = np.isfinite(values)
    squares = np.bincount(group[known], values[known] ** 2, size)
    return np.where(np.bincount(group[known], minlength=size) > 0, np.sqrt(squares), np.nan)


def _largest(values: Floats, group: Integers, size: int) -> Floats:
    largest = np.full(size, np.nan)
    np.fmax.at(largest, group, values)
    return largest
