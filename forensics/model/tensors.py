"""Tensors of a checkpoint in columns: hundreds of thousands of them, and an object only for one that is looked at.

A checkpoint of a mixture of experts has some 200,000 tensors, a header of the largest allowed size 700,000. One object
for each, of five fields, is 1 KB and 3 microseconds, at every station between the header and the report.
"""

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.columns import Coded, Column, Flags, Names, Shapes, fitted, ragged
from forensics.model.facts import Integers
from forensics.model.order import distinct

Role: TypeAlias = Literal["weight", "buffer", "master", "exp_avg", "exp_avg_sq", "optimizer"]
Trained: TypeAlias = Literal["trainable", "frozen", "tied", "buffer", "unknown"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of bytes of one file (path relative to the run) that holds a part of a tensor, in order."""

    path: str
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor as its file declares it.

    `dtype` is the safetensors spelling (F32, BF16, F8_E4M3, ...). `strides` counts elements and is None for a
    C-contiguous tensor. `alias_of` names the tensor whose bytes this one shares. A tensor may lie in several
    pieces (a parameter that straddles two ZeRO ranks); pieces are in element order. `trained` says whether the
    run meant to move it, as far as optimizer and adapter files tell.
    """

    name: str
    role: Role
    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    strides: tuple[int, ...] | None = None
    alias_of: str | None = None
    trained: Trained = "unknown"

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return sum(piece.nbytes for piece in self.pieces)


class Tensors(Column[TensorRecord]):
    """The tensors of a checkpoint, a row each, in the order of its files.

    `files` are the paths of its pieces; those of row i are `piece_files`, `piece_offsets` and `piece_sizes` from
    `piece_starts[i]` on (n + 1). `strides` and `aliases` hold the few rows that are not contiguous or not alone.
    """

    __slots__ = (
        "aliases", "dtypes", "elements", "files", "names", "piece_files", "piece_offsets", "piece_sizes",
        "piece_starts", "roles", "shapes", "strides", "trained",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913  (columns, by keyword)
        self,
        *,
        names: Names,
        roles: Coded,
        dtypes: Coded,
        shapes: Shapes,
        trained: Coded,
        files: Sequence[str],
        piece_starts: Integers,
        piece_files: Integers,
        piece_offsets: Integers,
        piece_sizes: Integers,
        strides: dict[int, tuple[int, ...]],
        aliases: dict[int, str],
    ) -> None:
        self.names, self.roles, self.dtypes, self.shapes, self.trained = names, roles, dtypes, shapes, trained
        self.files, self.piece_starts, self.piece_files = tuple(files), piece_starts, piece_files
        self.piece_offsets, self.piece_sizes = piece_offsets, piece_sizes
        self.strides, self.aliases = strides, aliases
        self.elements = shapes.elements

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[TensorRecord]:
        return (self._item(row) for row in range(len(self)))

    def _item(self, row: int) -> TensorRecord:
        return TensorRecord(
            self.names[row],
            self.roles[row],
            self.dtypes[row],
            self.shapes[row],
            self.pieces(row),
            self.strides.get(row),
            self.aliases.get(row),
            self.trained[row],
        )

    def pieces(self, row: int) -> tuple[Piece, ...]:
        """Return where one of them lies."""
        return tuple(
            Piece(self.files[self.piece_files[at]], int(self.piece_offsets[at]), int(self.piece_sizes[at]))
            for at in range(self.piece_starts[row], self.piece_starts[row + 1])
        )

    @property
    def nbytes(self) -> Integers:
        """Bytes of all pieces of each, shape (n,)."""
        sums = np.concatenate([[0], np.cumsum(self.piece_sizes)])
        return np.asarray(sums[self.piece_starts[1:]] - sums[self.piece_starts[:-1]])

    @property
    def own(self) -> Flags:
        """Those with bytes of their own, shape (n,)."""
        made = np.ones(len(self), dtype=bool)
        made[list(self.aliases)] = False
        return made

    def only(self, mask: Flags) -> Iterator[TensorRecord]:
        """Yield the tensors that a mask (n,) chooses."""
        return (self._item(int(row)) for row in np.flatnonzero(mask))

    def in_files(self, paths: Container[str]) -> Integers:
        """Return the rows of tensors that have a piece in one of the files."""
        hit = np.fromiter((path in paths for path in self.files), bool, len(self.files))
        if not hit.any():
            return np.zeros(0, np.intp)
        of = np.repeat(np.arange(len(self)), np.diff(self.piece_starts))
        return distinct(of[hit[self.piece_files]])

    def changed(self, *, names: Names | None = None, trained: Coded | None = None) -> "Tensors":
        """Return the same tensors with other names or labels."""
        made = {slot: getattr(self, slot) for slot in self.__slots__ if slot != "elements"}
        made["names"] = self.names if names is None else names
        made["trained"] = self.trained if trained is None else trained
        return Tensors(**made)

    def taken(self, rows: Integers) -> "Tensors":
        """Return some of the rows, each once, in the order given."""
        if len(rows) == len(self) and (np.diff(rows) == 1).all():
            return self
        old = {int(row): place for place, row in enumerate(rows)} if self.strides or self.aliases else {}
        files, starts = ragged(self.piece_files, self.piece_starts, rows)
        return Tensors(
            names=self.names.taken(rows),
            roles=self.roles.taken(rows),
            dtypes=self.dtypes.taken(rows),
            shapes=self.shapes.taken(rows),
            trained=self.trained.taken(rows),
            files=self.files,
            piece_starts=starts,
            piece_files=files,
            piece_offsets=ragged(self.piece_offsets, self.piece_starts, rows)[0],
            piece_sizes=ragged(self.piece_sizes, self.piece_starts, rows)[0],
            strides={old[row]: value for row, value in self.strides.items() if row in old},
            aliases={old[row]: value for row, value in self.aliases.items() if row in old},
        )

    @classmethod
    def of(cls, records: Iterable[TensorRecord]) -> "Tensors":
        """Put records into columns."""
        if isinstance(records, Tensors):
            return records
        records = records if isinstance(records, (tuple, list)) else list(records)
        pieces = [piece for record in records for piece in record.pieces]
        files = {path: number for number, path in enumerate(dict.fromkeys(piece.path for piece in pieces))}
        return cls(
            names=Names([record.name for record in records]),
            roles=Coded.of(record.role for record in records),
            dtypes=Coded.of(record.dtype for record in records),
            shapes=Shapes.of([record.shape for record in records]),
            trained=Coded.of(record.trained for record in records),
            files=tuple(files),
            piece_starts=np.cumsum([0, *(len(record.pieces) for record in records)], dtype=np.int64),
            piece_files=np.array([files[piece.path] for piece in pieces], np.int32),
            piece_offsets=np.array([fitted(piece.offset) for piece in pieces], np.int64),
            piece_sizes=np.array([fitted(piece.nbytes) for piece in pieces], np.int64),
            strides={row: r.strides for row, r in enumerate(records) if r.strides is not None},
            aliases={row: r.alias_of for row, r in enumerate(records) if r.alias_of is not None},
        )

    @classmethod
    def joined(cls, parts: Sequence["Tensors"]) -> "Tensors":
        """Return the tensors of all parts, one behind the other."""
        if len(parts) == 1:
            return parts[0]
        files = {path: number for number, path in enumerate(dict.fromkeys(p for part in parts for p in part.files))}
        bases = np.cumsum([0, *map(len, parts)]).tolist()
        return cls(
            names=Names([name for part in parts for name in part.names]),
            roles=_concatenated([part.roles for part in parts]),
            dtypes=_concatenated([part.dtypes for part in parts]),
            shapes=Shapes(
                np.concatenate([part.shapes.sizes for part in parts] or [np.zeros(0, np.int64)]),
                np.cumsum(np.concatenate([[0], *(part.shapes.dimensions for part in parts)]), dtype=np.int64),
            ),
            trained=_concatenated([part.trained for part in parts]),
            files=tuple(files),
            piece_starts=np.cumsum(
                np.concatenate([[0], *(np.diff(part.piece_starts) for part in parts)]), dtype=np.int64
            ),
            piece_files=_together([_renumbered(part, files) for part in parts], np.int32),
            piece_offsets=_together([part.piece_offsets for part in parts], np.int64),
            piece_sizes=_together([part.piece_sizes for part in parts], np.int64),
            strides={
                base + row: v for base, part in zip(bases, parts, strict=False) for row, v in part.strides.items()
            },
            aliases={
                base + row: v for base, part in zip(bases, parts, strict=False) for row, v in part.aliases.items()
            },
        )


def _together(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _renumbered(part: Tensors, files: dict[str, int]) -> NDArray[Any]:
    return (
        np.array([files[path] for path in part.files], np.int32)[part.piece_files] if part.files else part.piece_files
    )


def _concatenated(parts: Sequence[Coded]) -> Coded:
    known: dict[str, int] = {}
    codes = [
        np.array([known.setdefault(word, len(known)) for word in part.words] or [0], np.int32)[part.codes]
        for part in parts
    ]
    return Coded(_together(codes, np.int32), tuple(known))
