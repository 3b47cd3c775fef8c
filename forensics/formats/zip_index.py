"""The directory of a zip archive, believed only where the file agrees with it.

Written for archives by `torch.save` and numpy (stored entries, zip64), which may be hostile or cut off: sizes are
checked before anything is read, entries must agree with their local headers and may not overlap, and nothing is
ever extracted. Structures: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5.
"""

import struct
import zlib
from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType

from forensics.deferred.records import dataclass
from forensics.errors import LimitError, MalformedError, TruncatedError
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import READ_BYTES, File

LOCAL_SIGNATURE = b"PK\x03\x04"
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
STORED, DEFLATED = 0, 8
_ENCRYPTED = 1
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LARGEST_COMMENT = 0xFFFF
_LARGEST_DIRECTORY = 64 << 20
_SMALL_LOCAL_HEADER = 96
_IN_EXTRA_FIELD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the archive: `offset` of its data in the window, bytes there (`stored`) and inflated (`size`)."""

    name: str
    offset: int
    stored: int
    size: int
    method: int
    checksum: int


@dataclass(frozen=True, slots=True)
class ZipIndex:
    """Entries by name, in directory order, and sentences about what does not fit together."""

    entries: Mapping[str, Entry]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalHeader:
    """A local header: name, `data` = offset of the bytes behind it; sizes may be zero (a descriptor follows)."""

    name: str
    data: int
    stored: int
    method: int
    descriptor: bool


def read_index(file: File, limits: Limits = DEFAULT) -> ZipIndex:
    """Read the central directory.

    Raises `TruncatedError` when there is none (the file was cut off), `MalformedError` when it cannot be true and
    `LimitError` when it is larger than anything real.
    """
    problems: list[str] = []
    count, size, start, end = _find_directory(file, problems)
    if count > limits.zip_entries or size > _LARGEST_DIRECTORY:
        raise LimitError(f"a zip directory of {count} entries in {size} bytes is over the limit")
    if count * _CENTRAL.size > size:
        raise MalformedError(f"a zip directory of {count} entries cannot have {size} bytes")
    if start + size != end:
        problems.append(f"zip: {abs(end - start - size)} bytes that belong to no entry")
    directory = file.read(start, size)
    entries: dict[str, Entry] = {}
    spans: list[tuple[int, int, str]] = []
    for header, entry, problem in _entries(file, directory, count, start):
        if problem is not None:
            _note(problems, problem)
        if entry is None:
            continue
        if entry.name in entries:
            _note(problems, f"zip: two entries named {entry.name[:60]!r}; the first counts")
            continue
        entries[entry.name] = entry
        spans.append((header, entry.offset + entry.stored, entry.name))
    _drop_overlaps(entries, spans, problems)
    return ZipIndex(MappingProxyType(entries), tuple(problems))


def _note(problems: list[str], problem: str) -> None:
    if len(problems) < 100:
        problems.append(problem)


def _find_directory(file: File, problems: list[str]) -> tuple[int, int, int, int]:
    """Return number of entries, size and offset of the directory, and the offset where it must end."""
    start = max(0, file.size - _LARGEST_COMMENT - _END.size - _LOCATOR.size)
    tail = file.read(start, file.size - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise TruncatedError("no zip directory at the end: the file was cut off while it was written or copied")
    if tail.count(b"PK\x05\x06") > 1:
        problems.append("zip: more than one end-of-directory record: readers may disagree")
    _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, at)
    end = start + at
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size :].startswith(b"PK\x06\x07"):
        _, _, where, _ = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        signature, _, _, _, _, _, _, count, size, offset = _END64.unpack(file.read(where, _END64.size))
        if signature != b"PK\x06\x06":
            raise MalformedError("the zip64 directory record is not where it should be")
        end = where
    return count, size, offset, end


def _entries(file: File, directory: bytes, count: int, start: int) -> Iterator[tuple[int, Entry | None, str | None]]:
    """Yield, for each directory entry, the offset of its local header, the entry (None = refused), a problem."""
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > len(directory) or not directory.startswith(b"PK\x01\x02", at):
            raise MalformedError("the zip directory ends inside an entry")
        fields = _CENTRAL.unpack_from(directory, at)
        _, _, _, flags, method, _, _, checksum, stored, size, name_size, extra_size, comment_size = fields[:13]
        header = fields[16]
        at += _CENTRAL.size
        raw_name = directory[at : at + name_size]
        extra = directory[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment_size
        if _IN_EXTRA_FIELD in {stored, size, header}:
            size, stored, header = _wide_fields(extra, size, stored, header)
        name = raw_name.decode("utf-8", "replace")
        data, problem = _check_local(file, header, raw_name, method)
        if problem is None and data + stored > start:
            problem = f"zip: entry {name[:60]!r} reaches past the data area"
        if problem is None and flags & _ENCRYPTED:
            problem = f"zip: entry {name[:60]!r} is encrypted"
        if problem is not None:
            yield header, None, problem
            continue
        unsafe = f"zip: unsafe entry name {name[:60]!r}" if _is_unsafe(name) else None
        yield header, Entry(name, data, stored, size, method, checksum), unsafe


def _wide_fields(extra: bytes, size: int, stored: int, header: int) -> tuple[int, int, int]:
    """Replace the fields that read 0xFFFFFFFF by those of the zip64 extra field (APPNOTE 4.5.3)."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
            values = iter(struct.unpack(f"<{len(wide) // 8}Q", wide[: len(wide) // 8 * 8]))
            try:
                size = next(values) if size == _IN_EXTRA_FIELD else size
                stored = next(values) if stored == _IN_EXTRA_FIELD else stored
                header = next(values) if header == _IN_EXTRA_FIELD else header
            except StopIteration:
                raise MalformedError("a zip64 entry without its sizes") from None
        at += 4 + length
    return size, stored, header


def _check_local(file: File, header: int, name: bytes, method: int) -> tuple[int, str | None]:
    """Return the offset of the data and what is wrong with the local header."""
    shown = name.decode("utf-8", "replace")[:60]
    if header + _LOCAL.size + len(name) > file.size:
        return 0, f"zip: entry {shown!r} lies past the end of the file"
    # Most names fit into one small read; a read per entry is what this loop costs.
    local = file.read(header, min(max(_SMALL_LOCAL_HEADER, _LOCAL.size + len(name)), file.size - header))
    signature, _, _, local_method, _, _, _, _, _, name_size, extra_size = _LOCAL.unpack_from(local)
    if signature != LOCAL_SIGNATURE:
        return 0, f"zip: entry {shown!r} has no local header"
    if name_size != len(name) or local[_LOCAL.size : _LOCAL.size + len(name)] != name or local_method != method:
        return 0, f"zip: directory and local header disagree about {shown!r}"
    return header + _LOCAL.size + name_size + extra_size, None


def _is_unsafe(name: str) -> bool:
    return (
        name.startswith("/")
        or "\\" in name
        or ":" in name.split("/", 1)[0]
        or ".." in name.split("/")
        or (not name.isprintable() and any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name))
    )


def _drop_overlaps(entries: dict[str, Entry], spans: list[tuple[int, int, str]], problems: list[str]) -> None:
    spans.sort()
    reached = 0
    for start, end, name in spans:
        if start < reached:
            del entries[name]
            _note(problems, f"zip: entry {name[:60]!r} overlaps another and is not read")
        reached = max(reached, end)


def read_entry(file: File, entry: Entry, limit: int) -> bytes:
    """Return the content of an entry, inflated when it must be.

    Raises `LimitError` above `limit` bytes, `MalformedError` when it is not what its entry declares.
    """
    if entry.size > limit:
        raise LimitError(f"{entry.name[:60]} has {entry.size} bytes, over the limit of {limit}")
    if entry.method == STORED:
        if entry.stored != entry.size:
            raise MalformedError(f"{entry.name[:60]} is stored, but its two sizes differ")
        return file.read(entry.offset, entry.stored)
    if entry.method != DEFLATED:
        raise MalformedError(f"{entry.name[:60]} is compressed with the unknown method {entry.method}")
    return _inflate(file, entry)


def _inflate(file: File, entry: Entry) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    made = bytearray()
    try:
        for at in range(0, entry.stored, READ_BYTES):
            piece = file.read(entry.offset + at, min(READ_BYTES, entry.stored - at))
            made += inflater.decompress(piece, entry.size + 1 - len(made))
            if len(made) > entry.size:
                raise MalformedError(f"{entry.name[:60]} inflates past its declared size (a zip bomb)")
            if inflater.eof:
                break
    except zlib.error as error:
        raise MalformedError(f"{entry.name[:60]} holds corrupt compressed data") from error
    if len(made) != entry.size:
        raise MalformedError(f"{entry.name[:60]} inflates to {len(made)} bytes and declares {entry.size}")
    return bytes(made)


@dataclass(frozen=True, slots=True)
class Damage:
    """A stored entry whose bytes have another CRC-32 (`computed`) than its directory tells."""

    entry: Entry
    computed: int


def damaged_entries(
    file: File, index: ZipIndex, budget: int | None = None, first: Container[str] = ()
) -> tuple[Damage, ...]:
    """Read stored entries, up to `budget` bytes, and return those whose bytes no longer match their CRC-32.

    The only way to see a flipped bit; about 2 GB/s. The entries named in `first` come first, then the smallest.
    Entries of which the writer kept no checksum are left out: `torch.serialization.set_crc32_options(False)` writes
    0. An archive of which no entry matches has a writer that computes something else, and is no evidence. Raises
    what `File` raises.
    """
    known = [entry for entry in index.entries.values() if entry.method == STORED and entry.checksum and entry.stored]
    known.sort(key=lambda entry: (entry.name not in first, entry.stored))
    left = file.size if budget is None else budget
    damaged, matching = [], 0
    for entry in known:
        left -= entry.stored
        if left < 0:
            continue
        computed = _checksum_of(file, entry)
        if computed == entry.checksum:
            matching += 1
        else:
            damaged.append(Damage(entry, computed))
    return tuple(damaged) if matching else ()


def _checksum_of(file: File, entry: Entry) -> int:
    checksum = 0
    for block in file.window(entry.offset, entry.stored).blocks(4 * READ_BYTES):
        checksum = zlib.crc32(block, checksum)
    return checksum


def local_header(file: File, offset: int) -> LocalHeader | None:
    """Read the local header at `offset`, or return None when there is none (or not all of it)."""
    if offset + _LOCAL.size > file.size:
        return None
    fields = _LOCAL.unpack(file.read(offset, _LOCAL.size))
    signature, _, flags, method, _, _, _, stored, _, name_size, extra_size = fields
    data = offset + _LOCAL.size + name_size + extra_size
    if signature != LOCAL_SIGNATURE or data > file.size:
        return None
    name = file.read(offset + _LOCAL.size, name_size).decode("utf-8", "replace")
    return LocalHeader(name, data, stored, method, bool(flags & 8))
