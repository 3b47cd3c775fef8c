"""Columns of what is known of tensors: names, words of a few kinds, shapes. An array or two hold them all."""

import math
from abc import abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, SupportsIndex, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from forensics.model.facts import Integers

Flags: TypeAlias = NDArray[np.bool_]
Item = TypeVar("Item")
LARGEST = 2**63 - 1
_SAME_DIGIT = str.maketrans("123456789", "000000000")
_TOGETHER = 20_000


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

    @abstractmethod
    def _item(self, row: int) -> Item:
        """Return the item of a row that is there."""


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
        return Shapes(*ragged(self.sizes, self.starts, rows))

    @classmethod
    def of(cls, shapes: Iterable[tuple[int, ...]]) -> "Shapes":
        if isinstance(shapes, Shapes):
            return shapes
        shapes = shapes if isinstance(shapes, (tuple, list)) else list(shapes)
        starts = np.cumsum([0, *map(len, shapes)], dtype=np.int64)
        return cls(np.array([fitted(size) for shape in shapes for size in shape], np.int64), starts)


def fitted(number: int) -> int:
    return max(min(number, LARGEST), -LARGEST)


def ragged(values: NDArray[Any], starts: Integers, rows: Integers) -> tuple[NDArray[Any], Integers]:
    """Return the values and the starts of some of the rows."""
    first, counts = starts[:-1][rows], np.diff(starts)[rows]
    made = np.concatenate([[0], np.cumsum(counts)])
    return values[np.repeat(first - made[:-1], counts) + np.arange(made[-1])], made
