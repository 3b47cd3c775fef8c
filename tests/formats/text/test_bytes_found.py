"""What vector operations find at many places of a text, against slices of it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forensics.formats.text.places import (
    SLICE_BYTES,
    alike,
    find_pairs,
    find_separators,
    has_pair,
    stand_at,
    table_of,
    words_at,
)
from forensics.model.order import among, counted, distinct
from forensics.model.statistics import median

TEXTS = st.text("ab\n", max_size=80).map(str.encode)


@given(TEXTS, st.lists(st.sampled_from([b"ab", b"aa", b"b\n"]), max_size=3), st.integers(0, 5), st.integers(0, 90))
def test_pairs(data: bytes, sought: list[bytes], begin: int, end: int) -> None:
    """Every place in the part at which one of the pairs begins, in order."""
    found = find_pairs(data, min(begin, len(data)), min(end, len(data)), table_of(sought))

    expected = [place for place in range(begin, min(end, len(data))) if data[place : place + 2] in sought]
    assert found.places.tolist() == expected
    assert found.values.tolist() == [int.from_bytes(data[place : place + 2], "little") for place in expected]
    assert found.before(10).places.tolist() == [place for place in expected if place < 10]
    assert found.of(table_of([b"aa"])).places.tolist() == [p for p in expected if data[p : p + 2] == b"aa"]


def test_pairs_across_slices() -> None:
    """One that begins with the last byte of a slice is found, wherever the text begins."""
    for moved in (-2, -1, 0, 1):
        data = bytes(SLICE_BYTES + moved) + b"ab" + bytes(100)
        for begin in (0, 1):
            assert find_pairs(data, begin, len(data), table_of([b"ab"])).places.tolist() == [SLICE_BYTES + moved]
        assert has_pair(data, b"ab")
        assert not has_pair(data, b"ba")
        data = data.replace(b"ab", b"\r\n")
        assert find_separators(data).tolist() == [SLICE_BYTES + moved, SLICE_BYTES + moved + 1]


@given(st.text("\t\n\r\x0b\x0ca", max_size=80).map(str.encode))
def test_separators(data: bytes) -> None:
    """Neither tabs nor other control characters part lines."""
    assert find_separators(data).tolist() == [place for place, byte in enumerate(data) if byte in b"\n\r"]


@given(TEXTS, st.lists(st.integers(-12, 90), max_size=12), st.sampled_from([b"a", b"ab", b"abab\nabab"]))
def test_words_and_texts(data: bytes, places: list[int], text: bytes) -> None:
    """Words are zeros beyond both ends of the text."""
    at = np.array(places, dtype=np.int64)
    around = bytes(32) + data + bytes(120)

    expected = [int.from_bytes(around[place + 32 : place + 40], "little") for place in places]
    assert words_at(data, at).tolist() == expected
    assert stand_at(data, at, text).tolist() == [around.startswith(text, place + 32) for place in places]


@given(TEXTS, st.data())
def test_what_goes_on_alike(data: bytes, draw: st.DataObject) -> None:
    """The index of the first place at which the same bytes stand."""
    places = draw.draw(st.lists(st.integers(0, max(len(data) - 1, 0)), max_size=20))
    behind = [data[place : place + 16].ljust(16, b"\0") for place in places]

    assert alike(data, np.array(places, dtype=np.int64), 16).tolist() == [behind.index(each) for each in behind]


@given(st.lists(st.floats(), min_size=1, max_size=9))
def test_medians(values: list[float]) -> None:
    """As numpy tells, bit for bit."""
    with np.errstate(all="ignore"):
        assert np.array_equal(median(values), np.median(np.array(values)), equal_nan=True)


@given(st.lists(st.integers(-5, 5), max_size=20), st.lists(st.integers(-5, 5), max_size=5))
def test_sets(values: list[int], wanted: list[int]) -> None:
    """As Python's own sets tell."""
    column = np.array(values, dtype=np.int64)

    assert distinct(column).tolist() == sorted(set(values))
    assert [each.tolist() for each in counted(column)] == [
        sorted(set(values)),
        [values.count(v) for v in sorted(set(values))],
    ]
    assert among(column, np.array(wanted, dtype=np.int64)).tolist() == [each in wanted for each in values]
