"""JSON as a crash, a strict re-writer or a stranger leaves it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import LimitError, MalformedError, PlaceholderError
from forensics.formats.lenient_json import parse
from forensics.limits import Limits

STATE = b'{"global_step": 20, "log_history": [{"loss": NaN, "step": 10}, {"loss": 0.5, "step": 20}], "name": "a\\"]b"}'

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def test_bare_nan_and_infinity_are_numbers() -> None:
    """Python writes NaN, Infinity and -Infinity; all three are read."""
    value = parse(b"[NaN, Infinity, -Infinity]").value

    assert isinstance(value, list)
    assert math.isnan(value[0])
    assert value[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    "data",
    [
        b'\xef\xbb\xbf{"a": "\xc3\xa9"}',
        '{"a": "é"}'.encode("utf-16"),
        b"\xfe\xff" + '{"a": "é"}'.encode("utf-16-be"),
    ],
)
def test_byte_order_marks_are_understood(data: bytes) -> None:
    """UTF-8 with a mark and both UTF-16 orders give the same value."""
    assert parse(data).value == {"a": "é"}


def test_cut_keeps_what_is_complete_and_says_where_it_breaks() -> None:
    """A prefix that ends within a value loses that value only."""
    cut = STATE.index(b"0.5")
    document = parse(STATE[: cut + 2])  # "0." is a 0 and a point that cannot stand there

    assert isinstance(document.value, dict)
    assert document.value["global_step"] == 20
    assert document.value["log_history"][1] == {}
    assert (document.broken_at, document.open_containers) == (cut + 1, 3)


def test_bytes_after_the_value_are_told() -> None:
    """A second object or zeros behind the first one do not cost the first one."""
    document = parse(b'{"a": 1}\n\0\0\0')

    assert (document.value, document.broken_at) == ({"a": 1}, 8)


def test_duplicate_keys_are_counted() -> None:
    """The last of two equal keys wins, and the repetition is counted."""
    document = parse(b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}')

    assert document.value == {"a": 3, "b": {"c": 2}}
    assert document.duplicates == 2


@pytest.mark.parametrize(
    ("bracket", "depth"), [(b"[", 201), (b'{"a":', 201), (b"[", 200_000), (b'["]",', 20_000), (b'{"]":', 20_000)]
)
def test_nesting_is_bounded(bracket: bytes, depth: int) -> None:
    """Deep nesting is a limit, whether or not brackets in texts hide it, and never a RecursionError."""
    with pytest.raises(LimitError):
        parse(bracket * depth)


def test_long_integers_become_floats() -> None:
    """An integer with more digits than Python converts is read as a float, at once."""
    assert parse(b"[1" + b"0" * 100_000 + b"]").value == [math.inf]
    assert parse(b"[1000000000000000019884624838656]").value == [1000000000000000019884624838656]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", PlaceholderError),
        (b"\0" * 4096, PlaceholderError),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", PlaceholderError),
        (b"<!DOCTYPE html><html>", PlaceholderError),
        (b"loss 0.0", MalformedError),
        (b'"text that never en', MalformedError),
    ],
)
def test_what_is_no_json_is_a_typed_error(data: bytes, error: type[Exception]) -> None:
    """Placeholders and other text are refused by kind."""
    with pytest.raises(error):
        parse(data)


def test_size_is_bounded() -> None:
    """More bytes than the limit allows are refused before they are parsed."""
    with pytest.raises(LimitError):
        parse(b"[" + b" " * 100 + b"]", Limits(json_bytes=100))


@given(JSON_VALUES)
def test_agrees_with_the_standard_library(value: object) -> None:
    """Whatever json.dumps writes is read as json.loads reads it."""
    data = json.dumps(value).encode()
    document = parse(data)

    assert document.broken_at is None
    assert repr(document.value) == repr(json.loads(data))


@given(st.integers(1, len(STATE) - 1))
def test_every_prefix_keeps_every_complete_row(cut: int) -> None:
    """Rows of log_history that end before the cut are all kept, whatever the cut."""
    document = parse(STATE[:cut])
    value = document.value
    rows = value.get("log_history", []) if isinstance(value, dict) else []

    complete = STATE[:cut].count(b"}")
    assert [row["step"] for row in rows if "step" in row] == [10, 20][:complete]
    assert document.broken_at is not None
    assert 0 <= document.broken_at <= cut


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_typed_error(data: bytes) -> None:
    """No input raises anything else."""
    try:
        parse(data)
    except MalformedError:
        return
