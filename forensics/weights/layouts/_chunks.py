"""Tensors that were cut into chunks, put together as pieces of files.

A chunk is a box of the tensor: where it begins along each dimension and how large it is there. Cut along the first
dimension (FSDP), chunks follow each other; cut along another one (tensor parallelism), every row of the whole is
made of pieces of several chunks.
"""

import math
from collections.abc import Iterator, Sequence

from forensics.deferred.records import dataclass
from forensics.formats.pickle_values import DTYPE_BYTES
from forensics.model import Piece, Role, TensorRecord

MOST_PIECES = 65_536
"""Of one tensor. What is cut finer stands as one record a chunk, which hides no element and compares as well."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A box of a tensor: `offsets` and `sizes` in elements, and the C-contiguous run of bytes that holds it."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    dtype: str
    piece: Piece

    @property
    def elements(self) -> int:
        return math.prod(self.sizes)


class ChunksError(ValueError):
    """The chunks do not make the tensor; the text says why."""


def assembled(name: str, role: Role, shape: tuple[int, ...], chunks: Sequence[Chunk]) -> tuple[TensorRecord, ...]:
    """Return the tensor as one record, or one record a chunk when it would need too many pieces.

    Raises `ChunksError` when chunks are missing, overlap, stick out or differ in their dtype.
    """
    if not chunks:
        raise ChunksError("none of its parts is there")
    # A rank without a share of its own has an empty part, which begins where another one does.
    held = {chunk.offsets: chunk for chunk in chunks if chunk.elements}
    chunks = sorted(held.values(), key=lambda chunk: chunk.offsets)
    _check(shape, chunks)
    if not chunks:
        return (TensorRecord(name, role, "F32", shape, ()),)
    dtype = chunks[0].dtype
    depth = _depth(shape, chunks)
    rows = math.prod(shape[:depth])
    if depth and rows * len(chunks) > MOST_PIECES:
        return tuple(_alone(name, role, chunk) for chunk in chunks)
    pieces = tuple(_rows(shape, chunks, depth)) if depth else tuple(chunk.piece for chunk in chunks)
    return (TensorRecord(name, role, dtype, shape, pieces),)


def _check(shape: tuple[int, ...], chunks: Sequence[Chunk]) -> None:
    if len({chunk.dtype for chunk in chunks}) > 1:
        raise ChunksError("its parts are of several dtypes")
    for chunk in chunks:
        inside = len(chunk.sizes) == len(shape) == len(chunk.offsets) and all(
            begin >= 0 and begin + size <= whole
            for begin, size, whole in zip(chunk.offsets, chunk.sizes, shape, strict=True)
        )
        if not inside:
            raise ChunksError("a part of it lies outside of its shape")
        if chunk.piece.nbytes != chunk.elements * DTYPE_BYTES[chunk.dtype]:
            raise ChunksError("a part of it has not the bytes that its shape needs")
    covered = sum(chunk.elements for chunk in chunks)
    if covered != math.prod(shape):
        raise ChunksError(f"its parts have {covered:,} of {math.prod(shape):,} elements")


def _depth(shape: tuple[int, ...], chunks: Sequence[Chunk]) -> int:
    """Return along how many leading dimensions one must walk so that each step meets whole runs of bytes.

    0 when the chunks simply follow each other.
    """
    for dimension in range(len(shape) - 1, 0, -1):
        if any(chunk.sizes[dimension] != shape[dimension] for chunk in chunks):
            return dimension
    return 0


def _rows(shape: tuple[int, ...], chunks: Sequence[Chunk], depth: int) -> Iterator[Piece]:
    """Yield the runs of each chunk in the element order of the whole tensor."""
    width = DTYPE_BYTES[chunks[0].dtype]
    runs: list[tuple[int, Piece]] = []
    strides = [math.prod(shape[dimension + 1 :]) for dimension in range(len(shape))]
    for chunk in chunks:
        length = math.prod(chunk.sizes[depth:]) * width
        for number in range(math.prod(chunk.sizes[:depth])):
            rest, position = number, chunk.offsets[depth] * strides[depth]
            for dimension in range(depth - 1, -1, -1):
                rest, index = divmod(rest, chunk.sizes[dimension])
                position += (chunk.offsets[dimension] + index) * strides[dimension]
            runs.append((position, Piece(chunk.piece.path, chunk.piece.offset + number * length, length)))
    runs.sort(key=lambda run: run[0])
    return (piece for _, piece in runs)


def _alone(name: str, role: Role, chunk: Chunk) -> TensorRecord:
    box = ",".join(f"{begin}:{begin + size}" for begin, size in zip(chunk.offsets, chunk.sizes, strict=True))
    return TensorRecord(f"{name}[{box}]", role, chunk.dtype, chunk.sizes, (chunk.piece,))
