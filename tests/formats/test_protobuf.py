"""The protobuf wire format: what it says is read, what it cannot say is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_records import message, varint
from forensics.errors import MalformedError
from forensics.formats.protobuf import fields, packed_varints


@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_keep_their_sign(number: int) -> None:
    """Every int64 comes back from its ten bytes or fewer."""
    (field,) = fields(memoryview(b"\x10" + varint(number)))

    assert (2, number) == (field.key, field.signed)


def test_all_wire_types() -> None:
    """A message of every wire type is read in the order of the wire."""
    data = b"\x08\x05" + b"\x11" + bytes(7) + b"\x40" + message(3, b"abc") + b"\x25" + bytes(3) + b"\x40"

    first, second, third, fourth = fields(memoryview(data))

    assert (first.number, second.double, third.text, fourth.single) == (5, 2.0, "abc", 2.0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a\x05abc", "field 1 is 5 bytes long, 3 are left"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "bytes long"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "varint does not end"),
        (b"\x08", "varint does not end"),
        (b"\x00\x01", "0 is no field number"),
        (b"\x0b\x0c", "field 1 has wire type 3"),
        (b"\x09" + bytes(7), "field 1 is 8 bytes long, 7 are left"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    """Lengths that leave the message, endless varints, groups and field number 0 are refused."""
    with pytest.raises(MalformedError, match=reason):
        list(fields(memoryview(data)))


def test_wrong_wire_type_is_told() -> None:
    """A field that holds another type than its number promises is refused when it is asked for."""
    (field,) = fields(memoryview(b"\x08\x05"))
    with pytest.raises(MalformedError, match="wire type 0 where 2 belongs"):
        _ = field.text


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are fields within their bounds, or refused."""
    try:
        sizes = [len(field.data) for field in fields(memoryview(data))]
        list(packed_varints(memoryview(data)))
    except MalformedError:
        return

    assert sum(sizes) <= len(data)
