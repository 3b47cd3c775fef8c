"""A safetensors header into columns, with no object for a tensor but its name.

The library writes an object of three keys for each tensor, in one order and without a blank
(`safetensors/src/tensor.rs`, `TensorInfo`). Such a header is taken apart by its quotes, with numpy, some megabytes at a
time. Whatever else JSON allows, and whatever is wrong, is not understood here: the caller reads it as JSON, more
slowly, and finds the words for it.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.facts import Integers

CHUNK_BYTES = 4 << 20
DIGITS = 18
"""Digits of the largest number that surely fits into 64 bits."""
LONGEST_DTYPE = 16
_QUOTE, _COMMA, _COLON, _OPEN, _CLOSE, _OBJECT, _END = b'",:[]{}'
_BETWEEN = b']},"'
_KEYS = ((2, b"dtype"), (6, b"shape"), (8, b"data_offsets"))
_Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Columns:
    """The tensors of a header in its order, int64.

    `dtypes` (n,) counts in `dtype_names`; `sizes` are those of all shapes, one behind the other, with `starts` (n + 1);
    `first` and `last` (n,) are the `data_offsets`.
    """

    names: list[str]
    dtypes: Integers
    dtype_names: tuple[str, ...]
    sizes: Integers
    starts: Integers
    first: Integers
    last: Integers


class _UnusualError(Exception):
    """The header is not as the library writes it."""


def columns(read: Callable[[int, int], bytes], length: int) -> tuple[Columns, object] | None:
    """Return the tensors of a header and its `__metadata__`; None for one that is not as the library writes it.

    `read` returns so many bytes (second number) of the header from a place on; never all of it is held.
    """
    try:
        metadata: object = {}
        parts: list[_Part] = []
        for chunk in _chunks(read, length):
            begin = 0
            if not parts:
                begin, metadata = _metadata(chunk)
            if begin < len(chunk):
                parts.append(_Part(chunk[begin:] if begin else chunk))
        return _joined(parts), metadata
    except (_UnusualError, ValueError, RecursionError):
        return None


def _metadata(head: bytes) -> tuple[int, object]:
    """Return the place of the first tensor, and what stands before it."""
    mark = b'{"__metadata__":'
    if not head.startswith(mark):
        return 1, {}
    close = head.find(b'},"', len(mark))
    if close < 0:
        raise _UnusualError
    return close + 2, json.loads(head[len(mark) : close + 1])


def _chunks(read: Callable[[int, int], bytes], length: int) -> Iterator[bytes]:
    """Yield the text of some tensors at a time, without the comma behind them and the brace that ends the header."""
    rest, place = b"", 0
    while place < length:
        data = rest + read(place, min(CHUNK_BYTES, length - place))
        place = min(place + CHUNK_BYTES, length)
        cut = data.rfind(_BETWEEN) + 2
        if place < length and cut > 1:
            yield data[:cut]
            rest = data[cut + 1 :]
        else:
            rest = data
    rest = rest.rstrip(b" ")
    if not rest.endswith(b"}}"):
        raise _UnusualError
    yield rest[:-1]


class _Part:
    """The tensors of a stretch of a header; quotes are numbered ten to a tensor."""

    def __init__(self, text: bytes) -> None:
        self.bytes: _Bytes = np.frombuffer(text, np.uint8)
        quotes = self._quotes(b"\\" in text)
        if len(quotes) % 10 or not len(quotes):
            raise _UnusualError
        q = self.quotes = quotes.reshape(-1, 10)
        # The byte behind each tensor but the last is a comma, and the next begins after it.
        self.ends = np.append(q[1:, 0] - 1, len(text))
        self._check()
        self.names = self._names()
        self.dtypes, self.dtype_names = self._dtypes()
        numbers, counts = self._numbers()
        pairs = counts[1::2]
        if (pairs != 2).any():
            raise _UnusualError
        stops = np.cumsum(counts)
        last = stops[1::2] - 1
        self.first, self.last = numbers[last - 1], numbers[last]
        kept = np.ones(len(numbers), bool)
        kept[last - 1] = kept[last] = False
        self.sizes, self.dimensions = numbers[kept], counts[::2]
        del self.bytes, self.quotes, self.ends  # three times what is kept

    def _quotes(self, escapes: bool) -> Integers:
        quotes = np.flatnonzero(self.bytes == _QUOTE)
        if not escapes:
            return quotes
        # A quote is escaped by an odd number of backslashes before it.
        slashes = np.flatnonzero(self.bytes == 0x5C)
        begins = np.append(True, np.diff(slashes) > 1)
        starts = slashes[begins]
        lengths = np.diff(np.append(np.flatnonzero(begins), len(slashes)))
        escaped = (starts + lengths)[lengths % 2 == 1]
        return np.setdiff1d(quotes, escaped, assume_unique=True)

    def _check(self) -> None:
        """Refuse what does not stand where the library puts it."""
        b, q, ends = self.bytes, self.quotes, self.ends
        fits = [q[:, 0] == np.append(0, ends[:-1] + 1), q[:, 2] == q[:, 1] + 3, q[:, 4] == q[:, 3] + 2]
        fits += [q[:, 6] == q[:, 5] + 2, ends - 3 > q[:, 9] + 2, q[:, 8] > q[:, 7] + 4]
        if not all(bool(one.all()) for one in fits):
            raise _UnusualError
        expected = [(q[:, 1] + 1, _COLON), (q[:, 1] + 2, _OBJECT), (q[:, 3] + 1, _COLON), (q[:, 5] + 1, _COMMA)]
        expected += [(q[:, 7] + 1, _COLON), (q[:, 7] + 2, _OPEN), (q[:, 8] - 1, _COMMA), (q[:, 8] - 2, _CLOSE)]
        expected += [
            (q[:, 9] + 1, _COLON),
            (q[:, 9] + 2, _OPEN),
            (ends - 1, _END),
            (ends - 2, _CLOSE),
            (ends[:-1], _COMMA),
        ]
        for column, key in _KEYS:
            if (q[:, column + 1] - q[:, column] != len(key) + 1).any():
                raise _UnusualError
            expected += [(q[:, column] + 1 + place, letter) for place, letter in enumerate(key)]
        for places, letter in expected:
            if (b[places] != letter).any():
                raise _UnusualError

    def _between(self, first: Integers, stop: Integers) -> _Bytes:
        """Return the bytes of all ranges, one behind the other; the ranges do not touch."""
        edges = np.zeros(len(self.bytes) + 1, np.int8)
        edges[first] = 1
        edges[stop] = -1
        found: _Bytes = self.bytes[np.cumsum(edges[:-1], dtype=np.int8).view(bool)]
        return found

    def _names(self) -> list[str]:
        first, stop = self.quotes[:, 0], self.quotes[:, 1] + 2
        inside = self._between(first, stop).copy()
        inside[np.cumsum(stop - first) - 1] = _COMMA  # where each has its colon
        names: list[str] = json.loads(b"[" + inside[:-1].tobytes() + b"]")
        "".join(names).encode()  # a lone surrogate is no text
        return names

    def _dtypes(self) -> tuple[Integers, tuple[str, ...]]:
        first, length = self.quotes[:, 4] + 1, self.quotes[:, 5] - self.quotes[:, 4] - 1
        if (length > LONGEST_DTYPE).any() or (length == 0).any():
            raise _UnusualError
        spelled = np.zeros((len(first), LONGEST_DTYPE), np.uint8)
        for place in range(int(length.max())):
            spelled[:, place] = np.where(length > place, self.bytes[np.minimum(first + place, len(self.bytes) - 1)], 0)
        halves = spelled.view(np.uint64)
        order = np.lexsort((halves[:, 0], halves[:, 1])) if (halves != halves[0]).any() else np.zeros(1, np.intp)
        changes = np.append(True, (halves[order][1:] != halves[order][:-1]).any(axis=1))
        codes = np.zeros(len(first), np.int64)
        if len(order) == len(first):
            codes[order] = np.cumsum(changes) - 1
        words = [spelled[row].tobytes().rstrip(b"\0").decode("ascii") for row in order[changes].tolist()]
        return codes, tuple(words)

    def _numbers(self) -> tuple[Integers, Integers]:
        """Return the numbers of every shape and offsets, and how many each list has, two lists a tensor."""
        q = self.quotes
        first = np.stack((q[:, 7] + 3, q[:, 9] + 3), axis=1).reshape(-1)
        stop = np.stack((q[:, 8] - 1, self.ends - 1), axis=1).reshape(-1)
        text = self._between(first, stop)  # each list with the bracket that closes it
        ends = np.flatnonzero((text < 0x30) | (text > 0x39))
        closing = text[ends] == _CLOSE
        if not (closing | (text[ends] == _COMMA)).all() or np.count_nonzero(closing) != len(first):
            raise _UnusualError
        lengths = np.diff(np.append(-1, ends)) - 1
        lists = np.diff(np.append(-1, np.flatnonzero(closing)))
        empty = lengths == 0
        if lengths.max() > DIGITS or (empty & ~closing).any():
            raise _UnusualError
        alone = np.zeros(len(ends), bool)
        alone[np.flatnonzero(closing)[lists == 1]] = True
        if (empty & ~alone).any() or ((lengths > 1) & (text[np.maximum(ends - lengths, 0)] == 0x30)).any():
            raise _UnusualError
        values, power = np.zeros(len(ends), np.int64), 1
        for place in range(int(lengths.max())):
            has = lengths > place
            values[has] += (text[ends[has] - 1 - place].astype(np.int64) - 0x30) * power
            power *= 10
        counts = lists.copy()
        counts[empty[closing]] = 0
        return values[~empty], counts


def _joined(parts: list[_Part]) -> Columns:
    if not parts:
        raise _UnusualError
    names = [name for part in parts for name in part.names] if len(parts) > 1 else parts[0].names
    once = set(names)
    if len(once) != len(names) or "__metadata__" in once:
        raise _UnusualError
    known: dict[str, int] = {}
    codes = [np.array([known.setdefault(word, len(known)) for word in part.dtype_names])[part.dtypes] for part in parts]

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    starts = np.cumsum(np.append(0, column("dimensions")), dtype=np.int64)
    return Columns(names, np.concatenate(codes), tuple(known), column("sizes"), starts, column("first"), column("last"))
