"""Flat ZeRO partitions as pieces of files, by parameter name.

ZeRO-1/2 (`deepspeed/runtime/zero/stage_1_and_2.py`): per parameter group the parameters are laid end to end, the
total is rounded up to 2 x ranks, and each rank owns one consecutive slice. The order is that of `param_shapes`,
which `zero_to_fp32.py` follows. `param_slice_mappings` also says which part of its slice belongs to which
parameter, but with `round_robin_gradients` DeepSpeed 0.19.8 saves it in an order that the slices do not have
(measured: six of nine parameters elsewhere), so it is only asked when the sizes do not add up.
ZeRO-3 (`stage3.py`): every parameter is cut into `ranks` equal parts of ceil(elements / ranks), and a rank's parts
lie end to end over its sub-groups.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from forensics.deferred.records import dataclass
from forensics.formats.pickle_values import StoredTensor
from forensics.model import Piece, Role
from forensics.weights.optimizer import record_state, whole

DTYPE_BYTES = {"F32": 4, "BF16": 2, "F16": 2, "F64": 8}


@dataclass(frozen=True, slots=True)
class Partition:
    """One rank's optimizer state: the file it is in and its `optimizer_state_dict`."""

    path: str
    state: Mapping[object, object]

    @property
    def is_stage3(self) -> bool:
        return "fp32_flat_groups" in self.state


@dataclass(frozen=True, slots=True)
class Pieces:
    """The places of one parameter, in element order."""

    pieces: tuple[Piece, ...]
    dtype: str


@dataclass(slots=True)
class _Flat:
    """A rank's flat tensors, laid end to end."""

    path: str
    tensors: Sequence[StoredTensor]
    starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        position = 0
        for tensor in self.tensors:
            self.starts.append(position)
            position += tensor.elements

    @property
    def elements(self) -> int:
        return self.starts[-1] + self.tensors[-1].elements if self.tensors else 0

    def cut(self, start: int, count: int) -> Iterator[Piece]:
        for begin, tensor in zip(self.starts, self.tensors, strict=True):
            first, last = max(start, begin), min(start + count, begin + tensor.elements)
            if first < last:
                size = DTYPE_BYTES[tensor.dtype]
                yield Piece(self.path, tensor.offset + (first - begin) * size, (last - first) * size)


Named = tuple[str, tuple[int, ...], Pieces]


def named_pieces(
    partitions: Sequence[Partition], groups: Sequence[Mapping[object, object]], role: Role, *, flat: bool = False
) -> Iterator[Named]:
    """Yield (name, shape, pieces) of every parameter whose elements are all there.

    `groups` is `param_shapes` of the model states: one mapping of name to shape a parameter group. With `flat`,
    the one name of a group stands for the whole flat tensor of the one partition, whatever it holds.
    """
    if partitions and partitions[0].is_stage3:
        shapes = {name: shape for group in groups for name, shape in _shapes(group)}
        yield from _stage3([_Flat(p.path, _sub_groups(p.state, role)) for p in partitions], shapes)
        return
    for number, group in enumerate(groups):
        flats = [_Flat(p.path, _group_tensors(p.state, number, role)) for p in partitions]
        if not group or not all(one.tensors for one in flats):
            continue
        if flat:
            name, size = str(next(iter(group))), flats[0].elements
            yield name, (size,), Pieces(tuple(flats[0].cut(0, size)), flats[0].tensors[0].dtype)
            continue
        shapes, padding = dict(_shapes(group)), _alignment(partitions[0].state, number)
        mappings = [_slices(p.state, number) for p in partitions]
        needed = sum(math.prod(shape) for shape in shapes.values()) + sum(padding)
        if needed <= sum(one.elements for one in flats) or not all(mapping is not None for mapping in mappings):
            yield from _by_order(flats, shapes, padding)
        else:
            yield from _by_slices(flats, [m or {} for m in mappings], shapes)


def unaccounted(partitions: Sequence[Partition], groups: Sequence[Mapping[object, object]]) -> str | None:
    """Say by how much the flat fp32 partitions and the parameters' shapes disagree; None when they agree.

    ZeRO-1/2 round a group up to 2 x ranks elements (`stage_1_and_2.py`, `nccl_start_alignment_factor`), ZeRO-3
    every parameter to a multiple of the ranks, and each partition to be divisible anew.
    """
    ranks = len(partitions)
    if not ranks:
        return None
    if partitions[0].is_stage3:
        held = sum(_Flat(p.path, _sub_groups(p.state, "master")).elements for p in partitions)
        sizes = [math.prod(shape) for group in groups for _, shape in _shapes(group)]
        needed = sum(-(-size // ranks) * ranks for size in sizes)
        return _disagreement(held, needed, "", needed) if held else None
    for number, group in enumerate(groups):
        flats = [_Flat(p.path, _group_tensors(p.state, number, "master")) for p in partitions]
        if not group or not all(flat.tensors for flat in flats):
            continue
        needed = sum(math.prod(shape) for _, shape in _shapes(group))
        needed += sum(_alignment(partitions[0].state, number))
        held = sum(flat.elements for flat in flats)
        aligned = -(-needed // (2 * ranks)) * 2 * ranks
        problem = _disagreement(held, needed, f" of parameter group {number}", aligned)
        if problem is not None:
            return problem
    return None


def _disagreement(held: int, needed: int, where: str, most: int) -> str | None:
    if needed <= held <= most:
        return None
    return f"the fp32 partitions{where} hold {held:,} elements, its parameters need {needed:,}"


def _alignment(state: Mapping[object, object], number: int) -> list[int]:
    """Return the padding behind each parameter of a group (DeepSpeed >= 0.19.8, `param_alignment_paddings`)."""
    listed = state.get("param_alignment_paddings")
    group = listed[number] if isinstance(listed, list) and number < len(listed) else None
    return [max(whole(count) or 0, 0) for count in group] if isinstance(group, list | tuple) else []


def _by_slices(
    flats: Sequence[_Flat],
    mappings: Sequence[Mapping[str, tuple[int, int]]],
    shapes: Mapping[str, tuple[int, ...]],
) -> Iterator[Named]:
    for name, shape in shapes.items():
        pieces: list[Piece] = []
        covered = 0
        for flat, mapping in zip(flats, mappings, strict=True):
            start, count = mapping.get(name, (0, 0))
            count = min(count, max(flat.elements - start, 0))
            pieces.extend(flat.cut(start, count))
            covered += count
        if covered == math.prod(shape):
            yield name, shape, Pieces(tuple(pieces), flats[0].tensors[0].dtype)


def _by_order(flats: Sequence[_Flat], shapes: Mapping[str, tuple[int, ...]], padding: Sequence[int]) -> Iterator[Named]:
    position = 0
    bounds = [0]
    for flat in flats:
        bounds.append(bounds[-1] + flat.elements)
    for number, (name, shape) in enumerate(shapes.items()):
        count = math.prod(shape)
        pieces = [
            piece
            for flat, begin in zip(flats, bounds, strict=False)
            if position < begin + flat.elements and begin < position + count
            for piece in flat.cut(
                max(position - begin, 0), min(position + count - begin, flat.elements) - max(position - begin, 0)
            )
        ]
        position += count
        if position <= bounds[-1]:
            yield name, shape, Pieces(tuple(pieces), flats[0].tensors[0].dtype)
        position += padding[number] if number < len(padding) else 0


def _stage3(flats: Sequence[_Flat], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Named]:
    if not flats or not all(flat.tensors for flat in flats):
        return
    position = 0
    for name, shape in shapes.items():
        count = math.prod(shape)
        part = -(-count // len(flats))
        pieces: list[Piece] = []
        for rank, flat in enumerate(flats):
            pieces.extend(flat.cut(position, max(min(part, count - rank * part), 0)))
        position += part
        if position <= min(flat.elements for flat in flats):
            yield name, shape, Pieces(tuple(pieces), flats[0].tensors[0].dtype)


def _shapes(group: Mapping[object, object]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, shape in group.items():
        sizes = shape if isinstance(shape, tuple | list) else getattr(shape, "arguments", ((),))[0]
        if isinstance(sizes, tuple | list) and all(
            (whole(size) or 0) >= 0 and whole(size) is not None for size in sizes
        ):
            yield str(name), tuple(int(size) for size in sizes)


def _slices(state: Mapping[object, object], number: int) -> dict[str, tuple[int, int]] | None:
    listed = state.get("param_slice_mappings")
    if not isinstance(listed, list) or number >= len(listed) or not isinstance(listed[number], Mapping):
        return None
    slices = {}
    for name, address in listed[number].items():
        fields = record_state(address)
        start, count = whole(fields.get("start")), whole(fields.get("numel"))
        if start is None or count is None or start < 0 or count < 0:
            return None
        slices[str(name)] = (start, count)
    return slices


def _group_tensors(state: Mapping[object, object], number: int, role: Role) -> list[StoredTensor]:
    if role == "master":
        groups = state.get("single_partition_of_fp32_groups")
        return _usable([groups[number]]) if isinstance(groups, list) and number < len(groups) else []
    return _moments(state.get("base_optimizer_state"), [number], role)


def _sub_groups(state: Mapping[object, object], role: Role) -> list[StoredTensor]:
    groups = state.get("fp32_flat_groups")
    if not isinstance(groups, list):
        return []
    if role == "master":
        return _usable(groups)
    return _moments(state.get("optimizer_state_dict"), range(len(groups)), role)


def _moments(base: object, numbers: Sequence[int], role: Role) -> list[StoredTensor]:
    state = base.get("state") if isinstance(base, Mapping) else None
    if not isinstance(state, Mapping):
        return []
    entries = [state.get(number) for number in numbers]
    return _usable([entry.get(role) if isinstance(entry, Mapping) else None for entry in entries])


def _usable(tensors: Sequence[object]) -> list[StoredTensor]:
    good = [t for t in tensors if isinstance(t, StoredTensor) and t.problem is None and t.dtype in DTYPE_BYTES]
    return good if len(good) == len(tensors) else []
