"""Assemblers for hostile files: pickles opcode by opcode, zips field by field. Nothing here is ever loaded."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

STOP = b"."
NONE = b"N"
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def short_text(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def data(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module: str, attribute: str) -> bytes:
    return short_text(module) + short_text(attribute) + b"\x93"


def number(value: float) -> bytes:
    if not isinstance(value, int):
        return b"G" + struct.pack(">d", value)
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def numbers(*values: float) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def pickled(body: bytes, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + body + STOP


def storage(
    key: str = "0", kind: str = "FloatStorage", elements: float = 4, module: str = "torch", view: bytes = b""
) -> bytes:
    return b"(" + text("storage") + name(module, kind) + text(key) + text("cpu") + number(elements) + view + b"tQ"


def tensor(
    stored: bytes = b"",
    offset: float = 0,
    shape: Sequence[float] | bytes = (4,),
    strides: Sequence[float] | bytes = (1,),
    function: str = "_rebuild_tensor_v2",
) -> bytes:
    return call(
        name("torch._utils", function),
        stored or storage(),
        number(offset),
        shape if isinstance(shape, bytes) else numbers(*shape),
        strides if isinstance(strides, bytes) else numbers(*strides),
        b"\x89",
        ORDERED_DICT,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An entry of a zip; every field may lie. None means the truth."""

    name: bytes
    content: bytes = b""
    local_name: bytes | None = None
    method: int = 0
    local_method: int | None = None
    packed: bytes | None = None
    stored: int | None = None
    size: int | None = None
    checksum: int | None = None
    flags: int = 0x800
    header: int | None = None
    has_local: bool = True


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def zipped(  # noqa: PLR0913  (a lie for each field of the end record)
    members: Sequence[Member],
    *,
    prefix: bytes = b"",
    comment: bytes = b"",
    count: int | None = None,
    wide: bool = False,
    directory_size: int | None = None,
) -> bytes:
    """Write a zip; `wide` adds the zip64 records, `count` and `directory_size` may lie."""
    out, directory = bytearray(prefix), bytearray()
    for member in members:
        local = member.name if member.local_name is None else member.local_name
        packed = member.packed
        if packed is None:
            packed = deflated(member.content) if member.method == 8 else member.content
        stored = len(packed) if member.stored is None else member.stored
        size = len(member.content) if member.size is None else member.size
        checksum = zlib.crc32(member.content) if member.checksum is None else member.checksum
        header = len(out) if member.header is None else member.header
        sizes = (checksum, stored & 0xFFFFFFFF, size & 0xFFFFFFFF)
        if member.has_local:
            method = member.method if member.local_method is None else member.local_method
            out += struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, member.flags, method, 0, 33, *sizes, len(local), 0)
            out += local + packed
        directory += struct.pack("<4sHHHHHH", b"PK\1\2", 20, 20, member.flags, member.method, 0, 33)
        directory += struct.pack("<IIIHHHHHII", *sizes, len(member.name), 0, 0, 0, 0, 0, header) + member.name
    at, entries = len(out), len(members) if count is None else count
    length = len(directory) if directory_size is None else directory_size
    out += directory
    if wide:
        end = len(out)
        out += struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, length, at)
        out += struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
        entries, length, at = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    out += struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, entries, entries, length, at, len(comment))
    return bytes(out + comment)


def torch_members(pickle: bytes, storages: dict[str, bytes] | None = None) -> list[Member]:
    records = {"0": bytes(16)} if storages is None else storages
    return [
        Member(name=b"archive/data.pkl", content=pickle),
        Member(name=b"archive/byteorder", content=b"little"),
        *(Member(name=b"archive/data/" + key.encode(), content=value) for key, value in records.items()),
        Member(name=b"archive/version", content=b"3\n"),
    ]


def torch_zip(pickle: bytes, storages: dict[str, bytes] | None = None, *more: Member) -> bytes:
    return zipped([*torch_members(pickle, storages), *more])
