"""Compiled statistics of BF16, F16 and F32 elements: fused loops over raw bits that keep up with the page cache.

A block of `SPAN` elements is first looked at as integers: the extremes of its bit patterns tell whether it holds
any NaN, Inf, zero or subnormal element, and only then are these counted. Squares are summed in float32 within a
block and in float64 over blocks; a block that holds NaN or Inf, or whose squares come near the ends of float32, is
summed in float64 throughout. BF16 blocks without anything special, which are most, stay in 16 bits; all others
are looked at as float32.

Large tensors are read and looked at in one compiled loop without the interpreter's lock, `STREAM_BYTES` at a time
so that what was read is still in the second level of cache. It reads with `pread` from files that
`forensics.storage.file.File` opened and whose bounds were checked; anything unexpected makes it stop and say so.

Importing compiles once, for about 3 s. numba keeps the code in `__pycache__` beside this file, in the user's cache
folder where that is not writable, or in `NUMBA_CACHE_DIR`; where no folder can be written it compiles every time.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from forensics.formats.dtypes import Bytes, DType
from forensics.model.facts import Floats, Integers
from forensics.weights import loops, plain
from forensics.weights import statistics as columns
from forensics.weights.loops import BYTES, HALVES, NUMBERS, WORDS, Typed, as_f4, compiled, inlined

SPAN = 4096
"""Elements of a block of 16-bit elements (half as many of 32 bits): counts fit 16 bits, sums are good to 1e-6."""

_f4, _f8, _u2, _u4 = np.float32, np.float64, np.uint16, np.uint32
_SIGN, _INFINITY = _u4(0x80000000), _u4(0x7F800000)
_BF16, _F16, _F32 = 0, 1, 2
_KINDS = {"BF16": _BF16, "F16": _F16, "F32": _F32}
_BUFFER = types.Tuple((BYTES, HALVES, WORDS))
_TABLE, _TABLES = types.Array(types.float64, 2, "C"), types.Array(types.float64, 3, "C")
_LIST = types.Array(types.int64, 2, "C")
_pread = types.ExternalFunction("pread", types.intp(types.int32, types.voidptr, types.uintp, types.int64))
STREAM_BYTES = 256 << 10
"""Of a large tensor in each of two checkpoints: together they stay in the second level of cache."""


@compiled(types.uint32(NUMBERS, types.int64, types.UniTuple(types.uint32, 8)))
def _settle(row: Typed, elements: Typed, seen: Typed) -> Typed:
    """Add a block's counts and extremes (float32 bits); return the largest finite magnitude (bits)."""
    nan, positive, negative, zero, subnormal, top, most_negative, low = seen
    row[columns.LOOKED_AT] += elements
    row[columns.NAN] += nan
    row[columns.POSITIVE_INFINITY] += positive
    row[columns.NEGATIVE_INFINITY] += negative
    row[columns.ZERO] += zero
    row[columns.SUBNORMAL] += subnormal
    finite = elements - nan - positive - negative
    row[columns.FINITE] += finite
    if not finite:
        return _u4(0)
    some_positive, some_negative = top < _SIGN, most_negative >= _SIGN
    largest = max(top if some_positive else _u4(0), _u4(most_negative & ~_SIGN) if some_negative else _u4(0))
    maximum = _f8(as_f4(top)) if some_positive else -_f8(as_f4(low))
    minimum = _f8(as_f4(most_negative)) if some_negative else _f8(as_f4(low))
    row[columns.MAXIMUM] = max(row[columns.MAXIMUM], maximum)
    row[columns.MINIMUM] = min(row[columns.MINIMUM], minimum)
    row[columns.LARGEST] = max(row[columns.LARGEST], _f8(as_f4(largest)))
    return largest


@compiled(types.void(WORDS, WORDS, types.boolean, types.uint32, NUMBERS))
def _words(before: Typed, now: Typed, compare: Typed, normal: Typed, row: Typed) -> Typed:
    """Add a block of float32 bits; `normal` is the smallest normal magnitude of the format it came from."""
    top, most_negative, low = loops.extremes(now)
    nan = positive = negative = zero = subnormal = _u4(0)
    clean = (top >= _SIGN or top < _INFINITY) and most_negative < _u4(_INFINITY | _SIGN)
    if not clean or low < normal:
        nan, positive, negative, zero, subnormal, top, most_negative, low = loops.count(now, normal)
    largest = _settle(row, now.size, (nan, positive, negative, zero, subnormal, top, most_negative, low))
    if clean and loops.SMALL <= largest <= loops.LARGE:
        total, squares = loops.moments(now)
        row[columns.TOTAL] += total
        row[columns.SQUARES] += squares
    elif largest:
        wide_total, wide_squares = loops.careful_moments(now)
        row[columns.TOTAL] += wide_total
        row[columns.SQUARES] += wide_squares
    if not compare:
        return
    same = loops.same(before, now)
    row[columns.SAME] += same
    if same == now.size:
        row[columns.BOTH_FINITE] += now.size - nan - positive - negative
        return
    narrow, difference = loops.change(before, now)
    both, change, farthest = _u4(now.size), _f8(narrow), _f8(as_f4(difference))
    if difference and not loops.SMALL <= difference <= loops.LARGE:
        both, change, farthest = loops.careful_change(before, now)
    row[columns.BOTH_FINITE] += both
    row[columns.CHANGE_SQUARES] += change
    row[columns.CHANGE_LARGEST] = max(row[columns.CHANGE_LARGEST], farthest)


@compiled(types.void(_BUFFER, _BUFFER, types.boolean, types.int64, types.UniTuple(types.int64, 2), NUMBERS, WORDS))
def _halves(  # noqa: PLR0913, PLR0917  # plain arguments: compiled
    previous: Typed, current: Typed, compare: Typed, kind: Typed, where: Typed, row: Typed, scratch: Typed
) -> Typed:
    """Add a block (first byte, byte after the last) of BF16 or F16 elements, in 16 bits if it is simple BF16."""
    i, k, m, n = where[0] // 2, where[1] // 2, where[0] // 4, where[1] // 4
    before, now = previous[1][i:k], current[1][i:k]
    if kind == _BF16:
        simple, top, most_negative, low = loops.extremes16(now)
        same, squares, difference = _u2(0), _f4(0), _u4(0)
        if simple and compare:
            same = loops.same16(before, now)
            if same < k - i:
                squares, difference = loops.change_pairs(previous[2][m:n], current[2][m:n])
                simple = difference == 0 or loops.SMALL <= difference <= loops.LARGE
        if simple:
            none, shift = _u4(0), _u4(16)
            seen = _u4(top) << shift, _u4(most_negative) << shift, _u4(low) << shift
            _settle(row, k - i, (none, none, none, none, none, *seen))
            total, powers = loops.moments_pairs(current[2][m:n])
            row[columns.TOTAL] += total
            row[columns.SQUARES] += powers
            if compare:
                row[columns.SAME] += same
                row[columns.BOTH_FINITE] += k - i
                row[columns.CHANGE_SQUARES] += squares
                row[columns.CHANGE_LARGEST] = max(row[columns.CHANGE_LARGEST], _f8(as_f4(difference)))
            return
    wide_before, wide_now = scratch[: k - i], scratch[SPAN : SPAN + k - i]
    loops.widen(now, kind, wide_now)
    if compare:
        loops.widen(before, kind, wide_before)
    _words(wide_before, wide_now, compare, _u4(0x38800000) if kind == _F16 else _u4(0x00800000), row)


@compiled(types.void(BYTES, types.int64, types.UniTuple(types.int64, 3), NUMBERS))
def _rows(raw: Typed, width: Typed, where: Typed, row: Typed) -> Typed:
    """Count dead rows of a run (row length, first element, zeros in it); see `plain.accumulate`."""
    row_length, first, zeros = where
    elements = raw.size // width
    if elements < row_length:
        row[columns.ZEROS_IN_ROW] += zeros
        if (first + elements) % row_length == 0:
            row[columns.DEAD_ROWS] += row[columns.ZEROS_IN_ROW] == row_length
            row[columns.ZEROS_IN_ROW] = 0
    elif zeros == elements:
        row[columns.DEAD_ROWS] += elements // row_length
    elif zeros >= row_length:
        for start in range(0, raw.size, row_length * width):
            clean = True
            for i in range(start, start + row_length * width):
                sign = (i - start) % width == width - 1
                if raw[i] & (np.uint8(0x7F) if sign else np.uint8(0xFF)):
                    clean = False
                    break
            row[columns.DEAD_ROWS] += clean


@inlined
def _runs(  # noqa: PLR0913, PLR0917  # plain arguments: compiled
    previous: Typed, current: Typed, compare: Typed, kind: Typed, runs: Typed, into: Typed, scratch: Typed
) -> Typed:
    """Add runs that lie in the buffers."""
    width = 4 if kind == _F32 else 2
    for run in range(runs.shape[0]):
        row, begin, end = into[run], runs[run, 1], runs[run, 1] + runs[run, 2]
        zeros = row[columns.ZERO]
        for start in range(begin, end, 2 * SPAN):
            stop = min(start + 2 * SPAN, end)
            if kind == _F32:
                i, k = start // 4, stop // 4
                _words(previous[2][i:k], current[2][i:k], compare, _u4(0x00800000), row)
            else:
                _halves(previous, current, compare, kind, (start, stop), row, scratch)
        if runs[run, 3]:
            where = runs[run, 3], runs[run, 4], np.int64(row[columns.ZERO] - zeros)
            _rows(current[0][begin:end], width, where, row)


@compiled(types.boolean(types.int64, types.int64, BYTES))
def _read(descriptor: Typed, offset: Typed, into: Typed) -> Typed:
    """Fill `into`; say no when the file ends or cannot be read."""
    done = 0
    while done < into.size:
        count = _pread(np.int32(descriptor), into[done:].ctypes, into.size - done, offset + done)
        if count <= 0:
            return False
        done += count
    return True


@compiled(
    types.int64(_LIST, types.int64, types.int64, _BUFFER, _BUFFER, types.boolean, types.int64, _LIST, _TABLES, WORDS),
    entry=True,
)
def _walk(  # noqa: PLR0913, PLR0917  # one call, no interpreter
    reads: Typed,
    total: Typed,
    step: Typed,
    current: Typed,
    previous: Typed,
    compare: Typed,
    kind: Typed,
    runs: Typed,
    into: Typed,
    scratch: Typed,
) -> Typed:
    """Read and add, checkpoint by checkpoint; return 0, or the number (from 1) of the one that failed.

    With `total`, the bytes of a tensor that is larger than a buffer, go through it `step` bytes at a time.
    """
    width, position = 4 if kind == _F32 else 2, 0
    row_bytes = runs[0, 3] * width
    while True:
        size = min(step, total - position)
        if row_bytes > step:
            size = min(size, row_bytes - runs[0, 4] * width % row_bytes)
        if total:
            runs[0, 2] = size
        done = 0
        for place in range(into.shape[0]):
            while done < reads.shape[0] and reads[done, 0] == place:
                target = reads[done, 4]
                filled = current[0][target : target + (size if total else reads[done, 3])]
                if not _read(reads[done, 1], reads[done, 2] + position, filled):
                    return place + 1
                done += 1
            _runs(previous, current, compare or place > 0, kind, runs, into[place], scratch)
            previous, current = current, previous
        position += size
        runs[0, 4] += size // width
        if position >= total:
            return 0


def handles(dtype: DType) -> bool:
    """Say whether there are compiled loops for the dtype."""
    return dtype.name in _KINDS


def accumulate(dtype: DType, previous: Bytes | None, current: Bytes, runs: Integers, into: Floats) -> None:
    """Do what `plain.accumulate` does, with the compiled loops where there are any for the dtype."""
    if dtype.name not in _KINDS:
        plain.accumulate(dtype, previous, current, runs, into)
    elif len(runs):
        now = _views(current)
        before = now if previous is None else _views(previous)
        scratch = np.empty(2 * SPAN, np.uint32)
        compare = previous is not None
        kind = _KINDS[dtype.name]
        _walk(_NO_READS, 0, 0, now, before, compare, kind, runs.copy(), into[np.newaxis], scratch)


def walk(  # noqa: PLR0913, PLR0917  # what one compiled call needs
    dtype: DType, reads: Integers, total: int, runs: Integers, into: Floats, buffers: tuple[Bytes, Bytes]
) -> bool:
    """Read and add runs of one dtype from several checkpoints, comparing each with the one before.

    `reads` (k, 5) are, in order of checkpoints: number of the checkpoint, descriptor, offset in the file, size,
    target in the buffer. `runs` is that of `plain.accumulate`, `into` has shape (checkpoints, n, COLUMNS). With
    `total`, the one run is that many bytes of a tensor larger than a buffer. Return False when a read failed, in
    which case `into` holds part of the work and is to be thrown away.
    """
    row_bytes = int(runs[0, 3]) * dtype.itemsize
    step = min(STREAM_BYTES, buffers[0].size)
    if 0 < row_bytes <= step:
        step -= step % row_bytes
    first, second = _views(buffers[0]), _views(buffers[1])
    scratch = np.empty(2 * SPAN, np.uint32)
    kind = _KINDS[dtype.name]
    return bool(_walk(reads, total, step, first, second, False, kind, runs.copy(), into, scratch) == 0)


_NO_READS = np.empty((0, 5), np.int64)


def _views(raw: Bytes) -> tuple[Bytes, NDArray[np.uint16], NDArray[np.uint32]]:
    """View bytes also as halves and as words, without the bytes that do not fill one."""
    return raw, raw[: raw.size & ~1].view(np.uint16), raw[: raw.size & ~3].view(np.uint32)
