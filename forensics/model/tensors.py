"""Tensors of a checkpoint in columns: hundreds of thousands of them, and an object only for one that is looked at.

A checkpoint of a mixture of experts has some 200,000 tensors, a header of the largest allowed size 700,000. One object
for each, of five fields, is 1 KB and 3 microseconds, at every station between the header and the report.
"""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, SupportsIndex, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.facts import Integers

Role: TypeAlias = Literal["weight", "buffer", "master", "exp_avg", "exp_avg_sq", "optimizer"]
Trained: TypeAlias = Literal["trainable", "frozen", "tied", "buffer", "unknown"]
Flags: TypeAlias = NDArray[np.bool_]
Item = TypeVar("Item")
LARGEST = 2**63 - 1
_TOGETHER = 20_000
_SAME_DIGIT = str.maketrans("123456789", "000000000")


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


class Column(Sequence[Item]):
    """A column whose items are made when they are asked for; equal to any sequence of the same items."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # arrays have none

    @overload
    def __getitem__(self, index: SupportsIndex) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Item, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Item | tuple[Item, ...]:
        rows = range(len(self))[index]
        return self._item(rows) if isinstance(rows, int) else tuple(map(self._item, rows))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self[:8])!r}{', ...' if len(self) > 8 else ''})"

    def _item(self, row: int) -> Item:
        raise NotImplementedError


class Names(Column[str]):
    """Names of tensors; `shown` is what is done with one before it is given out (it is masked in a report)."""

    __slots__ = ("_kinds", "_shown", "_texts")

    def __init__(self, texts: Iterable[str], shown: Callable[[str], str] | None = None) -> None:
        self._texts = texts if isinstance(texts, (tuple, list)) else tuple(texts)
        self._shown = shown
        self._kinds: tuple[Sequence[str], Integers] | None = None

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts) if self._shown is None else map(self._shown, self._texts)

    def _item(self, row: int) -> str:
        return self.shown(self._texts[row])

    def shown(self, text: str) -> str:
        """Return a name, or a part of one, as it is given out."""
        return text if self._shown is None else self._shown(text)

    @property
    def texts(self) -> Sequence[str]:
        """The names as they are."""
        return self._texts

    def mapped(self, function: Callable[[str], str]) -> "Names":
        """Return the names with a function on each, which is called when one is given out."""
        inner = self._shown
        made = Names(self._texts, function if inner is None else lambda text: function(inner(text)))
        made._kinds = self._kinds
        return made

    def taken(self, rows: Integers) -> "Names":
        texts = self._texts
        made = Names([texts[row] for row in rows.tolist()], self._shown)
        if self._kinds is not None:
            kinds, of = self._kinds
            left, numbers = np.unique(of[rows], return_inverse=True)
            made._kinds = [kinds[number] for number in left.tolist()], numbers.reshape(-1)
        return made

    def where(self, matches: Callable[[str], object]) -> Flags:
        """Return the names that match, shape (n,), by one question for all that differ in digits only.

        So `matches` must not tell one digit from another, as no pattern does that knows names of modules.
        """
        kinds, of = self.kinds
        return np.fromiter((bool(matches(kind)) for kind in kinds), bool, len(kinds))[of]

    @property
    def kinds(self) -> tuple[Sequence[str], Integers]:
        """The names with each digit 0, every one once, and which of them each name is of, shape (n,)."""
        if self._kinds is None:
            numbers: dict[str, int] = {}
            of = np.empty(len(self._texts), np.int64)
            for first in range(0, len(of), _TOGETHER):
                part = self._texts[first : first + _TOGETHER]
                flat = "\n".join(part).translate(_SAME_DIGIT).split("\n")
                if len(flat) != len(part):  # a name of several lines
                    flat = [text.translate(_SAME_DIGIT) for text in part]
                for kind in dict.fromkeys(flat):
                    numbers.setdefault(kind, len(numbers))
                of[first : first + _TOGETHER] = np.fromiter(map(numbers.__getitem__, flat), np.int64, len(flat))
            self._kinds = list(numbers), of
        return self._kinds

    @classmethod
    def of(cls, names: Iterable[str]) -> "Names":
        return names if isinstance(names, Names) else cls(names)


class Coded(Column[Any]):
    """Words of which few differ: `codes` (n,) counts in `words`."""

    __slots__ = ("codes", "words")

    def __init__(self, codes: NDArray[np.integer[Any]], words: Sequence[str]) -> None:
        self.codes, self.words = codes, tuple(words)

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Any]:
        return map(self.words.__getitem__, self.codes.tolist())

    def _item(self, row: int) -> str:
        return str(self.words[self.codes[row]])

    def taken(self, rows: Integers) -> "Coded":
        return Coded(self.codes[rows], self.words)

    def among(self, words: Container[str]) -> Flags:
        """Return which are one of the words, shape (n,)."""
        flags: Flags = np.array([word in words for word in self.words] or [False])[self.codes]
        return flags

    @classmethod
    def of(cls, words: Iterable[str]) -> "Coded":
        if isinstance(words, Coded):
            return words
        known: dict[str, int] = {}
        codes = np.fromiter((known.setdefault(word, len(known)) for word in words), np.int32)
        return cls(codes, tuple(known))

    @classmethod
    def all(cls, word: str, count: int) -> "Coded":
        return cls(np.zeros(count, np.int32), (word,))


class Shapes(Column[tuple[int, ...]]):
    """Shapes of tensors: `sizes` of all, one behind the other; those of row i begin at `starts[i]`, of n + 1."""

    __slots__ = ("sizes", "starts")

    def __init__(self, sizes: Integers, starts: Integers) -> None:
        self.sizes, self.starts = sizes, starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        sizes, starts = self.sizes.tolist(), self.starts.tolist()
        return (tuple(sizes[first:stop]) for first, stop in pairwise(starts))

    def _item(self, row: int) -> tuple[int, ...]:
        return tuple(self.sizes[self.starts[row] : self.starts[row + 1]].tolist())

    @property
    def dimensions(self) -> Integers:
        """How many sizes each has, shape (n,)."""
        return np.diff(self.starts)

    @property
    def elements(self) -> Integers:
        """The elements of each, shape (n,); those of a shape beyond 64 bits are as many as 64 bits hold."""
        found, filled = np.ones(len(self), np.int64), self.dimensions > 0
        if filled.any():
            with np.errstate(over="ignore"):
                found[filled] = np.multiply.reduceat(self.sizes, self.starts[:-1][filled])
                rough = np.multiply.reduceat(np.abs(self.sizes).astype(np.float64), self.starts[:-1][filled])
            for row in np.flatnonzero(filled)[rough >= 2.0**62]:
                found[row] = min(math.prod(self._item(int(row))), LARGEST)
        return found

    def first(self) -> Integers:
        """Return the first size of each, shape (n,); 1 where there is none."""
        return np.where(self.dimensions > 0, np.append(self.sizes, 1)[self.starts[:-1]], 1)

    def taken(self, rows: Integers) -> "Shapes":
        return Shapes(*_ragged(self.sizes, self.starts, rows))

    @classmethod
    def of(cls, shapes: Iterable[tuple[int, ...]]) -> "Shapes":
        if isinstance(shapes, Shapes):
            return shapes
        shapes = shapes if isinstance(shapes, (tuple, list)) else list(shapes)
        starts = np.cumsum([0, *map(len, shapes)], dtype=np.int64)
        return cls(np.array([_fitted(size) for shape in shapes for size in shape], np.int64), starts)


def _fitted(number: int) -> int:
    return max(min(number, LARGEST), -LARGEST)


def _ragged(values: NDArray[Any], starts: Integers, rows: Integers) -> tuple[NDArray[Any], Integers]:
    """Return the values and the starts of some of the rows."""
    first, counts = starts[:-1][rows], np.diff(starts)[rows]
    made = np.concatenate([[0], np.cumsum(counts)])
    return values[np.repeat(first - made[:-1], counts) + np.arange(made[-1])], made


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
        return np.unique(of[hit[self.piece_files]])

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
        files, starts = _ragged(self.piece_files, self.piece_starts, rows)
        return Tensors(
            names=self.names.taken(rows),
            roles=self.roles.taken(rows),
            dtypes=self.dtypes.taken(rows),
            shapes=self.shapes.taken(rows),
            trained=self.trained.taken(rows),
            files=self.files,
            piece_starts=starts,
            piece_files=files,
            piece_offsets=_ragged(self.piece_offsets, self.piece_starts, rows)[0],
            piece_sizes=_ragged(self.piece_sizes, self.piece_starts, rows)[0],
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
            piece_offsets=np.array([_fitted(piece.offset) for piece in pieces], np.int64),
            piece_sizes=np.array([_fitted(piece.nbytes) for piece in pieces], np.int64),
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
