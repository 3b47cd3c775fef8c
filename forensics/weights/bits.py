"""Statistics of BF16, F16 and F32 elements with numpy over raw bits: a block stays in the cache, one pass from memory.

A block is first looked at as integers: its extremes tell whether it holds NaN, Inf, zero or subnormal elements, and
only then are these counted. Squares and sums are taken in float32 over `CHUNK` elements and in float64 over chunks,
good to 1e-6 as in the kernels; a block with NaN or Inf among numbers, or whose squares come near the ends of float32,
is left to float64 (`plain`). Two BF16 elements lie in a word: the high one is masked, the low one shifted up.
"""

import math
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.formats.dtypes import Bytes, DType
from forensics.model.facts import Floats
from forensics.weights import statistics as columns

BLOCK_BYTES = 256 << 10
"""Of each checkpoint. Its twin and the float32 numbers made of both fit the second level of cache; less, and the calls
cost more than the arithmetic (measured: 64 KiB 0.6, 128 KiB 0.85 of the rate)."""
LEAST_BYTES = 64 << 10
"""A smaller run costs nothing in float64 either, which gives the same digits on every machine."""
CHUNK = 8192
"""Elements of one dot product: a length at which OpenBLAS starts no threads (`kernel/x86_64/sdot.c`: 10,000), so that
the rounding does not depend on how many it may start."""
SMALL, LARGE = 1e-15, 1e15
"""Between these magnitudes squares and their sum over a chunk are normal float32 numbers."""

Singles: TypeAlias = NDArray[np.float32]
Bits: TypeAlias = NDArray[Any]
Otherwise: TypeAlias = Callable[[Bytes | None, Bytes], None]


@dataclass(frozen=True, slots=True)
class _Form:
    """A format: its bits as integers, those of Inf, the smallest normal, `SMALL` and `LARGE`, and how to widen."""

    unsigned: "np.dtype[Any]"
    signed: "np.dtype[Any]"
    single: "np.dtype[Any]"
    infinity: int
    normal: int
    small: int
    large: int
    widen: Callable[[Bits, Singles], Singles]

    def value(self, bits: int) -> float:
        """Return the number with these bits."""
        raw = bits << 16 if self.single.itemsize > self.unsigned.itemsize else bits
        return float(np.array(raw, f"<u{self.single.itemsize}").view(self.single))


def _pairs(bits: Bits, into: Singles) -> Singles:
    half = bits.size // 2
    words, made = bits[: 2 * half].view(np.uint32), into[: bits.size]
    np.bitwise_and(words, np.uint32(0xFFFF0000), out=made[:half].view(np.uint32))
    np.left_shift(words, np.uint32(16), out=made[half : 2 * half].view(np.uint32))
    if bits.size % 2:
        made[-1:].view(np.uint32)[0] = int(bits[-1]) << 16
    return made


def _widened(bits: Bits, into: Singles) -> Singles:
    into[: bits.size] = bits.view(np.float16)
    return into[: bits.size]


def _as_they_are(bits: Bits, _into: Singles) -> Singles:
    made: Singles = bits.view(np.float32)
    return made


def _bits(number: float, single: str, shift: int) -> int:
    return int(np.array(number, single).view(f"<u{single[-1]}")) >> shift


_U2, _I2, _F2, _U4, _I4, _F4 = (np.dtype(f"<{name}") for name in ("u2", "i2", "f2", "u4", "i4", "f4"))
_FORMS = {
    "BF16": _Form(_U2, _I2, _F4, 0x7F80, 0x80, _bits(SMALL, "<f4", 16) + 1, _bits(LARGE, "<f4", 16), _pairs),
    "F16": _Form(_U2, _I2, _F2, 0x7C00, 0x400, 1, 0x7BFF, _widened),
    "F32": _Form(_U4, _I4, _F4, 0x7F800000, 0x800000, _bits(SMALL, "<f4", 0), _bits(LARGE, "<f4", 0), _as_they_are),
}


class _Room(threading.local):
    """Arrays of one thread in which every block is worked."""

    def __init__(self) -> None:
        self.magnitude = np.empty(BLOCK_BYTES, np.uint8)
        self.flags = np.empty(BLOCK_BYTES // 2, np.bool_)
        self.now, self.before = np.empty((2, BLOCK_BYTES // 2), np.float32)


_ROOM = _Room()
_ONES = np.ones((CHUNK, 1), np.float32)


def handles(dtype: DType) -> bool:
    """Say whether elements of the dtype can be looked at here."""
    return dtype.name in _FORMS


def add(dtype: DType, before: Bytes | None, now: Bytes, into: Floats, otherwise: Otherwise) -> None:
    """Add a run of elements to a row of statistics; `otherwise` is handed the blocks that need float64."""
    form = _FORMS[dtype.name]
    seen = _Seen(form)
    for start in range(0, now.size, BLOCK_BYTES):
        part = now[start : start + BLOCK_BYTES]
        old = None if before is None else before[start : start + BLOCK_BYTES]
        if not seen.take(None if old is None else old.view(form.unsigned), part.view(form.unsigned)):
            otherwise(old, part)
    seen.add_to(into)


class _Seen:
    """What the blocks of a run held, in plain numbers and bits until all of them are known."""

    __slots__ = (
        "bottom", "change", "elements", "farthest", "finite", "form", "low", "moved_from", "nan", "same", "squares",
        "subnormal", "top", "total", "zero",
    )  # fmt: skip

    def __init__(self, form: _Form) -> None:
        self.form = form
        self.elements = self.finite = self.nan = self.zero = self.subnormal = self.same = self.moved_from = 0
        self.total = self.squares = self.change = self.farthest = 0.0
        mask = form.unsigned.type(-1 & ((1 << (8 * form.unsigned.itemsize - 1)) - 1))
        self.top, self.bottom, self.low = -int(mask) - 1, 0, int(mask)

    def take(self, before: Bits | None, now: Bits) -> bool:
        """Take a block; say no, having taken nothing, to one that needs float64."""
        form, room, mask = self.form, _ROOM, (1 << (8 * now.itemsize - 1)) - 1
        top, bottom, low = _extremes(now.view(form.signed), now, mask)
        if low > form.infinity:  # Nothing but NaN, as a poisoned checkpoint has in every block.
            self.nan += now.size
            self.elements += now.size
            self.same += 0 if before is None else int(np.count_nonzero(before == now))
            return True
        largest = max(top, bottom & mask if bottom > mask else 0)
        if largest >= form.infinity or (largest and not form.small <= largest <= form.large):
            return False
        singles = form.widen(now, room.now)
        if before is not None and not self._compare(before, now, singles):
            return False
        if largest:
            self.total += _dot(singles, None)
            self.squares += _dot(singles, singles)
        if low < form.normal:
            magnitude = np.bitwise_and(now, form.unsigned.type(mask), out=room.magnitude[: now.nbytes].view(now.dtype))
            zero = now.size - int(np.count_nonzero(magnitude))
            self.zero += zero
            self.subnormal += int(np.count_nonzero(magnitude < form.normal)) - zero
        self.elements += now.size
        self.finite += now.size
        self.top, self.bottom, self.low = max(self.top, top), max(self.bottom, bottom), min(self.low, low)
        return True

    def _compare(self, before: Bits, now: Bits, singles: Singles) -> bool:
        same = int(np.count_nonzero(np.equal(before, now, out=_ROOM.flags[: now.size])))
        if same < now.size:
            old = self.form.widen(before, _ROOM.before)
            moved = np.subtract(singles, old, out=_ROOM.before[: now.size])
            squares = _dot(moved, moved)
            farthest = max(float(np.maximum.reduce(moved)), -float(np.minimum.reduce(moved)))
            # NaN or Inf before, or steps that squares in float32 cannot hold.
            if not math.isfinite(squares) or (farthest and not SMALL <= farthest <= LARGE):
                return False
            self.change += squares
            self.farthest = max(self.farthest, farthest)
        self.same += same
        self.moved_from += now.size
        return True

    def add_to(self, into: Floats) -> None:
        """Add what was taken to a row of statistics."""
        into[columns.LOOKED_AT] += self.elements
        into[columns.NAN] += self.nan
        into[columns.SAME] += self.same
        if not self.finite:
            return
        form, mask = self.form, (1 << (8 * self.form.unsigned.itemsize - 1)) - 1
        into[columns.FINITE] += self.finite
        into[columns.ZERO] += self.zero
        into[columns.SUBNORMAL] += self.subnormal
        into[columns.TOTAL] += self.total
        into[columns.SQUARES] += self.squares
        into[columns.BOTH_FINITE] += self.moved_from
        into[columns.CHANGE_SQUARES] += self.change
        into[columns.CHANGE_LARGEST] = max(into[columns.CHANGE_LARGEST], self.farthest)
        # Of signed integers a positive number is the largest; of unsigned ones the negative number farthest from 0.
        low = form.value(self.low)
        maximum = form.value(self.top) if self.top >= 0 else -low
        minimum = -form.value(self.bottom & mask) if self.bottom > mask else low
        into[columns.MAXIMUM] = max(into[columns.MAXIMUM], maximum)
        into[columns.MINIMUM] = min(into[columns.MINIMUM], minimum)
        into[columns.LARGEST] = max(into[columns.LARGEST], maximum, -minimum)


def _extremes(signed: Bits, unsigned: Bits, mask: int) -> tuple[int, int, int]:
    """Return the largest as signed and as unsigned number, and the smallest magnitude.

    The smallest unsigned number is the smallest positive element if there is one, the smallest signed number the
    negative element nearest to zero.
    """
    top, bottom = int(np.maximum.reduce(signed)), int(np.maximum.reduce(unsigned))
    nearest = [int(np.minimum.reduce(unsigned))] if top >= 0 else []
    if bottom > mask:
        nearest.append(int(np.minimum.reduce(signed)) & mask)
    return top, bottom, min(nearest)


def _dot(one: Singles, other: Singles | None) -> float:
    """Return the sum of the products of two arrays; of the elements of one without another."""
    whole = one.size - one.size % CHUNK
    total = 0.0
    if whole:
        rows = one[:whole].reshape(-1, 1, CHUNK)
        total = float(np.matmul(rows, _ONES if other is None else other[:whole].reshape(-1, CHUNK, 1)).sum(dtype=float))
    if whole < one.size:
        rest = one[whole:]
        total += float(np.dot(rest, _ONES[: rest.size, 0] if other is None else other[whole:]))
    return total
