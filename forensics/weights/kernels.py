"""Compiled statistics of BF16, F16 and F32 elements: fused loops over raw bits that keep up with the page cache.

A block of `SPAN` elements is first looked at as integers: the extremes of its bit patterns tell whether it holds
any NaN, Inf, zero or subnormal element, and only then are these counted. Squares are summed in float32 within a
block and in float64 over blocks; a block that holds NaN or Inf, or whose squares come near the ends of float32, is
summed in float64 throughout. BF16 blocks without anything special, which are most, stay in 16 bits; all others
are looked at as float32.

Importing compiles once, for 2 - 3 s. numba keeps the code in `__pycache__` beside this file, in the user's cache
folder where that is not writable, or in `NUMBA_CACHE_DIR`; where no folder can be written it compiles every time.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from forensics.formats.dtypes import Bytes, DType
from forensics.model.facts import Floats, Integers
from forensics.weights import loops, plain
from forensics.weights import statistics as columns
from forensics.weights.loops import BYTES, HALVES, NUMBERS, WORDS, as_f4, compiled

SPAN = 2048
"""Elements of a block: its counts fit 16 bits and its float32 sums are good to 1e-6."""

_f4, _f8, _u2, _u4 = np.float32, np.float64, np.uint16, np.uint32
_SIGN, _INFINITY = _u4(0x80000000), _u4(0x7F800000)
_BF16, _F16, _F32 = 0, 1, 2
_KINDS = {"BF16": _BF16, "F16": _F16, "F32": _F32}
_PAIRS = types.Tuple((HALVES, WORDS))
_TABLE, _RUNS = types.Array(types.float64, 2, "C"), types.Array(types.int64, 2, "C")


@compiled(types.uint32(NUMBERS, types.int64, types.UniTuple(types.uint32, 8)))
def _settle(row, elements, seen):
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


@compiled(types.int64(_PAIRS, _PAIRS, types.boolean, _RUNS, _TABLE, _RUNS), entry=True)
def _pairs(previous, current, compare, runs, into, left):
    """Add BF16 blocks without anything special; list the others in `left` (run, start, size), return how many."""
    listed, shift, none = 0, _u4(16), _u4(0)
    old_halves, old_words = previous
    halves, words = current
    for run in range(runs.shape[0]):
        row, begin, end = into[run], runs[run, 1], runs[run, 1] + runs[run, 2]
        for start in range(begin, end, 2 * SPAN):
            stop = min(start + 2 * SPAN, end)
            i, k, m, n = start // 2, stop // 2, start // 4, stop // 4
            simple, top, most_negative, low = loops.extremes16(halves[i:k])
            same, squares, difference = _u2(0), _f4(0), none
            if simple and compare:
                same = loops.same16(old_halves[i:k], halves[i:k])
                if same < k - i:
                    squares, difference = loops.change_pairs(old_words[m:n], words[m:n])
                simple = difference == none or (difference >= loops.SMALL and difference <= loops.LARGE)
            if not simple:
                left[listed, 0] = run
                left[listed, 1] = start
                left[listed, 2] = stop - start
                listed += 1
                continue
            seen = _u4(top) << shift, _u4(most_negative) << shift, _u4(low) << shift
            _settle(row, k - i, (none, none, none, none, none, *seen))
            total, powers = loops.moments_pairs(words[m:n])
            row[columns.TOTAL] += total
            row[columns.SQUARES] += powers
            if compare:
                row[columns.SAME] += same
                row[columns.BOTH_FINITE] += k - i
                row[columns.CHANGE_SQUARES] += squares
                if as_f4(difference) > row[columns.CHANGE_LARGEST]:
                    row[columns.CHANGE_LARGEST] = as_f4(difference)
    return listed


@compiled(types.void(WORDS, WORDS, types.boolean, types.uint32, NUMBERS))
def _words(before, now, compare, normal, row):
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


@compiled(types.void(WORDS, WORDS, types.boolean, _RUNS, _TABLE), entry=True)
def _words_runs(previous, current, compare, listed, into):
    """Add the listed runs (row of `into`, first byte, size, ...) of float32 elements."""
    for i in range(listed.shape[0]):
        begin, end = listed[i, 1] // 4, (listed[i, 1] + listed[i, 2]) // 4
        for start in range(begin, end, SPAN):
            stop = min(start + SPAN, end)
            _words(previous[start:stop], current[start:stop], compare, _u4(0x00800000), into[listed[i, 0]])


@compiled(types.void(HALVES, HALVES, types.boolean, types.int64, _RUNS, _TABLE, WORDS), entry=True)
def _halves_runs(previous, current, compare, kind, listed, into, scratch):
    """Add the listed runs of BF16 or F16 elements, widened to float32 block by block."""
    normal = _u4(0x38800000) if kind == _F16 else _u4(0x00800000)
    for i in range(listed.shape[0]):
        begin, end = listed[i, 1] // 2, (listed[i, 1] + listed[i, 2]) // 2
        for start in range(begin, end, SPAN):
            stop = min(start + SPAN, end)
            before, now = scratch[: stop - start], scratch[SPAN : SPAN + stop - start]
            loops.widen(current[start:stop], kind, now)
            if compare:
                loops.widen(previous[start:stop], kind, before)
            _words(before, now, compare, normal, into[listed[i, 0]])


@compiled(types.int64(BYTES, types.int64, types.int64))
def _dead_rows(raw, row_bytes, width):
    """Count rows without a bit set, signs left out; `width` is that of an element in bytes."""
    dead = 0
    for start in range(0, raw.size, row_bytes):
        clean = True
        for i in range(start, start + row_bytes):
            ignored = np.uint8(0x80) if (i - start) % width == width - 1 else np.uint8(0)
            if raw[i] & ~ignored:
                clean = False
                break
        dead += clean
    return dead


@compiled(types.void(BYTES, types.int64, _RUNS, NUMBERS, _TABLE), entry=True)
def _rows(current, width, runs, zeros_of, into):
    """Count dead rows of runs whose zeros are known; see `plain.accumulate`."""
    for i in range(runs.shape[0]):
        _, start, size, row_length, first = runs[i]
        elements, zeros, row = size // width, zeros_of[i], into[i]
        if row_length == 0:
            continue
        if elements < row_length:
            row[columns.ZEROS_IN_ROW] += zeros
            if (first + elements) % row_length == 0:
                row[columns.DEAD_ROWS] += row[columns.ZEROS_IN_ROW] == row_length
                row[columns.ZEROS_IN_ROW] = 0
        elif zeros == elements:
            row[columns.DEAD_ROWS] += elements // row_length
        elif zeros >= row_length:
            row[columns.DEAD_ROWS] += _dead_rows(current[start : start + size], row_length * width, width)


def accumulate(dtype: DType, previous: Bytes | None, current: Bytes, runs: Integers, into: Floats) -> None:
    """Do what `plain.accumulate` does, with the compiled loops where there are any for the dtype."""
    kind = _KINDS.get(dtype.name)
    if kind is None:
        plain.accumulate(dtype, previous, current, runs, into)
        return
    compare = previous is not None
    new = _views(current)
    old = new if previous is None else _views(previous)
    before = into[:, columns.ZERO].copy()
    if kind == _F32:
        _words_runs(old[1], new[1], compare, runs, into)
    else:
        listed = runs
        if kind == _BF16:
            listed = np.empty((current.size // (2 * SPAN) + len(runs), 3), np.int64)
            listed = listed[: _pairs(old, new, compare, runs, into, listed)]
        if len(listed):
            _halves_runs(old[0], new[0], compare, kind, listed, into, np.empty(2 * SPAN, np.uint32))
    np.subtract(into[:, columns.ZERO], before, out=before)
    if before.any() or into[:, columns.ZEROS_IN_ROW].any():
        _rows(current, dtype.itemsize, runs, before, into)


def _views(raw: Bytes) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    """View bytes as halves and as words, without the bytes that do not fill one."""
    return raw[: raw.size & ~1].view(np.uint16), raw[: raw.size & ~3].view(np.uint32)
