"""The protobuf wire format, walked strictly and without copying.

A message is a run of keys and values; `fields` hands out one at a time and believes no length before it has
compared it with the end of the message. Groups (wire types 3 and 4, deprecated) are refused: no format that is
read here uses them. Reference: protobuf.dev, "Encoding".
"""

import struct
from collections.abc import Iterator

from forensics.deferred.records import dataclass
from forensics.errors import MalformedError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VARINT_BYTES = 10
_MASK64 = (1 << 64) - 1
_DOUBLE = struct.Struct("<d")
_SINGLE = struct.Struct("<f")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: a varint is in `number`, unsigned; anything else in `data`."""

    key: int
    wire: int
    number: int
    data: memoryview

    @property
    def signed(self) -> int:
        """The varint as an int32 or int64 (two's complement, sixty-four bits on the wire)."""
        self.need(VARINT)
        return self.number - (1 << 64) if self.number >> 63 else self.number

    @property
    def message(self) -> memoryview:
        self.need(BYTES)
        return self.data

    @property
    def text(self) -> str:
        """The bytes as text; what is not UTF-8 is kept as escapes."""
        self.need(BYTES)
        return str(self.data, "utf-8", "backslashreplace")

    @property
    def double(self) -> float:
        self.need(FIXED64)
        return float(_DOUBLE.unpack(self.data)[0])

    @property
    def single(self) -> float:
        self.need(FIXED32)
        return float(_SINGLE.unpack(self.data)[0])

    def need(self, wire: int) -> None:
        if self.wire != wire:
            raise MalformedError(f"field {self.key} has wire type {self.wire} where {wire} belongs")


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return the unsigned varint at `position` and where the next byte lies.

    Raises `MalformedError` when it does not end within ten bytes or within `data`.
    """
    number = 0
    for shift, byte in enumerate(data[position : position + VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return number & _MASK64, position + shift + 1
    raise MalformedError("a varint does not end")


def fields(data: memoryview) -> Iterator[Field]:
    """Yield the fields of the message `data` in the order of the wire.

    Raises `MalformedError` on field number 0, a group, or a length that leaves the message.
    """
    position, size = 0, len(data)
    nothing = data[:0]
    while position < size:
        tag, position = varint(data, position)
        key, wire = tag >> 3, tag & 7
        if not key or key >> 29:
            raise MalformedError(f"{key} is no field number")
        if wire == VARINT:
            number, position = varint(data, position)
            yield Field(key, wire, number, nothing)
            continue
        if wire == BYTES:
            length, position = varint(data, position)
        elif wire in {FIXED32, FIXED64}:
            length = 4 if wire == FIXED32 else 8
        else:
            raise MalformedError(f"field {key} has wire type {wire}")
        if length > size - position:
            raise MalformedError(f"field {key} is {length} bytes long, {size - position} are left")
        yield Field(key, wire, 0, data[position : position + length])
        position += length


def packed_varints(data: memoryview) -> Iterator[int]:
    position = 0
    while position < len(data):
        number, position = varint(data, position)
        yield number
