"""Small tensors of one size are looked at together: to the last bit what each says alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.errors import TruncatedError
from forensics.formats.dtypes import DTYPES
from forensics.weights import plain, reading, statistics
from weights.tensor_reference import Raw, raw_tensors

MANY = 12


def buffer_of(tensors: list[Raw], spacing: int) -> Raw:
    """Lay tensors out as a block does, other bytes between them."""
    buffer = np.full(spacing * len(tensors), 0xAB, np.uint8)
    for number, tensor in enumerate(tensors):
        buffer[number * spacing : number * spacing + tensor.size] = tensor
    return buffer


@pytest.mark.parametrize("name", sorted(DTYPES))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_together_is_as_each_alone(name: str, data: st.DataObject) -> None:
    dtype = DTYPES[name]
    elements = dtype.group * data.draw(st.sampled_from([1, 2, 7, 9, 130 // dtype.group]))
    before, now = ([data.draw(raw_tensors(name, elements)) for _ in range(MANY)] for _ in range(2))
    size = now[0].size
    spacing = -(-size // 8) * 8
    compared = data.draw(st.booleans())
    old, new = buffer_of(before, spacing), buffer_of(now, spacing)
    runs = np.array([[row, row * spacing, size, 0, 0] for row in range(MANY)])
    together, alone = statistics.fresh(MANY), statistics.fresh(MANY)

    plain.accumulate(dtype, old if compared else None, new, runs, together)
    for row in range(MANY):
        one = np.array([[0, 0, size, 0, 0]])
        plain.accumulate(dtype, before[row] if compared else None, now[row], one, alone[row : row + 1])

    np.testing.assert_array_equal(together, alone)


def test_it_takes_what_is_small_and_finite_or_not_at_all_and_leaves_the_rest() -> None:
    tensors = [np.full(4, number, np.float32) for number in range(MANY)]
    tensors[3][1] = np.nan
    tensors[7][:] = [np.nan, np.inf, -np.inf, np.nan]
    buffer = buffer_of([tensor.view(np.uint8) for tensor in tensors], 16)
    runs = np.array([[row, row * 16, 16, 2 * (row == 5), 0] for row in range(MANY)])

    done = plain._alike(DTYPES["F32"], None, buffer, runs, statistics.fresh(MANY))

    assert np.flatnonzero(~done).tolist() == [3, 5]
    assert not plain._alike(DTYPES["F32"], None, buffer, runs[: plain.LEAST_ALIKE - 1], statistics.fresh(MANY)).any()


class Lent:
    """A file of 256 bytes of which each tells its place, and what was read of it."""

    descriptor, size = -1, 256

    def __init__(self) -> None:
        self.reads: list[tuple[int, int]] = []

    @contextmanager
    def borrow(self, path: str) -> Iterator["Lent"]:
        del path
        yield self

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.reads.append((offset, len(buffer)))
        if offset + len(buffer) > self.size:
            raise TruncatedError("the file ends before")
        buffer[:] = bytes(range(offset, offset + len(buffer)))


@pytest.mark.parametrize(
    ("offsets", "reads", "left"),
    [
        (range(3, 83, 4), [(3, 80)], []),
        ([*range(3, 43, 4), *range(60, 100, 4)], [(3, 40), (60, 40)], []),
        (range(3, 3 + 4 * (reading.LEAST_TOGETHER - 1), 4), [], range(reading.LEAST_TOGETHER - 1)),
        (range(200, 280, 4), [(200, 80)], range(20)),
    ],
)
def test_small_parts_behind_each_other_are_read_at_once(
    offsets: Sequence[int], reads: list[tuple[int, int]], left: Sequence[int]
) -> None:
    """What is too little, or cannot be read whole, is left to be read alone."""
    lent = Lent()
    asked = [("f", offset, 4, 8 * number) for number, offset in enumerate(offsets)]
    buffer = bytearray(8 * len(asked))

    assert list(reading._left(lent, asked, memoryview(buffer))) == [asked[number] for number in left]
    assert lent.reads == reads
    if not left:
        dealt = [list(buffer[8 * number : 8 * number + 4]) for number in range(len(asked))]
        assert dealt == [list(range(offset, offset + 4)) for offset in offsets]
