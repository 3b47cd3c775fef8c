"""What stands at many places of a text, by vector operations: no Python object for a place.

All that is sought in a text is found from two neighbouring bytes of it, in one pass for all who ask: a table of 65,536
flags is looked up with the two bytes at every place, 1.5 GB/s however many pairs are sought. What they may belong to is
compared where they are, and nowhere else.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import Integers

Table = NDArray[np.bool_]
SLICE_BYTES = 1 << 18
"""Vector operations run over slices that stay in the processor's cache."""
_WORD = 8
_FEED, _RETURN = ord("\n"), ord("\r")
_MIXER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Places (int64, shape (n,), ascending) of pairs in a text, and the pairs themselves as little-endian numbers."""

    places: Integers
    values: NDArray[np.uint16]

    def of(self, table: Table) -> "Pairs":
        """Return those that another table knows."""
        mine = table.take(self.values)
        return Pairs(self.places[mine], self.values[mine])

    def before(self, end: int) -> "Pairs":
        """Return those that begin before a place."""
        count = int(np.searchsorted(self.places, end))
        return Pairs(self.places[:count], self.values[:count])


def table_of(pairs: Iterable[bytes]) -> Table:
    """Return the table of some pairs of bytes."""
    table = np.zeros(1 << 16, dtype=np.bool_)
    table[[int.from_bytes(pair, "little") for pair in pairs]] = True
    return table


def find_pairs(data: bytes, begin: int, end: int, table: Table) -> Pairs:
    """Return the pairs of a table that begin in a part of a text."""
    text = np.frombuffer(data, dtype=np.uint8)
    found = [np.zeros(0, dtype=np.int64)]
    for first in range(begin, end, SLICE_BYTES):
        part = text[first : min(first + SLICE_BYTES, end) + 1]
        both = [_aligned(part[shift:], table) * 2 + (first + shift) for shift in (0, 1)]
        found.append(np.sort(np.concatenate(both)))
    places = np.concatenate(found)
    return Pairs(places, text.take(places) | text.take(places + 1).astype(np.uint16) << np.uint16(8))


def find_separators(data: bytes) -> Integers:
    """Return where LF and CR stand, ascending."""
    text = np.frombuffer(data, dtype=np.uint8)
    found = [np.zeros(0, dtype=np.int64)]
    for first in range(0, len(data), SLICE_BYTES):
        part = text[first : first + SLICE_BYTES]
        places = np.flatnonzero(part <= _RETURN)  # of what is below them only tabs are common
        bytes_ = part[places]
        found.append(places[(bytes_ == _RETURN) | (bytes_ == _FEED)] + first)
    return np.concatenate(found)


def has_pair(data: bytes, pair: bytes) -> bool:
    """Tell whether two bytes stand side by side where the first of them may be frequent: it is fast with many."""
    text = np.frombuffer(data, dtype=np.uint8)
    for first in range(0, len(data) - 1, SLICE_BYTES):
        part = text[first : first + SLICE_BYTES + 1]
        if ((part[:-1] == pair[0]) & (part[1:] == pair[1])).any():
            return True
    return False


def _aligned(part: NDArray[np.uint8], table: Table) -> Integers:
    """Return which of the two-byte numbers that a part consists of are in the table."""
    # A copy lies where numbers of two bytes may lie: numpy looks through others many times more slowly.
    places: Integers = np.flatnonzero(table.take(np.array(part[: len(part) // 2 * 2]).view("<u2")))
    return places


def words_at(data: bytes, places: Integers) -> NDArray[np.uint64]:
    """Return the eight bytes that begin at each place as little-endian numbers, zeros beyond both ends of the text."""
    inside = (places >= 0) & (places + _WORD <= len(data))
    if inside.all():
        return _words(data)[places].view(np.uint64) if len(places) else np.zeros(0, dtype=np.uint64)
    words = np.zeros(len(places), dtype=np.uint64)
    if inside.any():
        words[inside] = _words(data)[places[inside]].view(np.uint64)
    for row in np.flatnonzero(~inside).tolist():
        place = int(places[row])
        cut = b"\0" * -place + data[: max(place + _WORD, 0)] if place < 0 else data[place : place + _WORD]
        words[row] = int.from_bytes(cut[:_WORD], "little")
    return words


def _words(data: bytes) -> NDArray[np.void]:
    return np.ndarray((len(data) - _WORD + 1,), dtype="V8", buffer=data, strides=(1,))


def stand_at(data: bytes, places: Integers, text: bytes) -> NDArray[np.bool_]:
    """Tell at which places a text stands."""
    good = np.ones(len(places), dtype=np.bool_)
    for first in range(0, len(text), _WORD):
        part = text[first : first + _WORD]
        spared = np.uint64(8 * (_WORD - len(part)))
        wanted = np.uint64(int.from_bytes(part.ljust(_WORD, b"\0"), "little"))
        good &= (words_at(data, places + first) << spared) == (wanted << spared)
    return good


def alike(data: bytes, places: Integers, size: int) -> Integers:
    """Return for each place the index of the first one (in the order given) at which the same `size` bytes stand.

    Bytes beyond the end of the text are zeros; `size` counts in words of eight bytes.
    """
    if not len(places):
        return np.zeros(0, dtype=np.int64)
    columns = np.stack([words_at(data, places + first) for first in range(0, size, _WORD)])
    mixed = np.zeros(len(places), dtype=np.uint64)
    for column in columns:
        mixed = (mixed ^ column) * _MIXER
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    new = np.append(True, mixed[order][1:] != mixed[order][:-1])
    first_of = np.empty(len(places), dtype=np.int64)
    first_of[order] = order[new][np.cumsum(new) - 1]
    # Different bytes may be mixed to the same number: such a place is like itself only.
    return np.where((columns == columns[:, first_of]).all(axis=0), first_of, np.arange(len(places)))
