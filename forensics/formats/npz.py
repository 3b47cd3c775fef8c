"""Where the arrays of numpy's `.npy` and `.npz` files lie. Headers are matched, never evaluated.

Format: numpy `lib/format.py` (versions 1.0 to 3.0) and NEP 1. An array of objects is a pickle and is refused.
"""

import re
from types import MappingProxyType

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.errors import MalformedError, TruncatedError
from forensics.formats.pickle_values import DTYPE_BYTES
from forensics.formats.zip_index import STORED, ZipIndex, read_index
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File

MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 1 << 16
_LARGEST_SIZE = 1 << 62
# numpy's dtype text -> the safetensors spelling; numpy has no text of its own for bfloat16 and 8-bit floats.
_DTYPES = MappingProxyType(
    {
        "<f8": "F64",
        "<f4": "F32",
        "<f2": "F16",
        "<i8": "I64",
        "<i4": "I32",
        "<i2": "I16",
        "|i1": "I8",
        "<u8": "U64",
        "<u4": "U32",
        "<u2": "U16",
        "|u1": "U8",
        "|b1": "BOOL",
        "<c8": "C64",
        "<c16": "C128",
    }
)
_HEADER = expression(
    rb"\{\s*'descr':\s*(?:'(?P<dtype>[^']{1,16})'|\[)"  # a list: an array of records
    rb".{0,4000}?'fortran_order':\s*(?P<order>True|False),"
    rb"\s*'shape':\s*\((?P<shape>[\d, L]{0,800})\),?\s*\}",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array: dtype in the safetensors spelling, absolute byte `offset`, `nbytes`, and its element order."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    fortran: bool


@dataclass(frozen=True, slots=True)
class NumpyFile:
    """The arrays that can be read, sentences about damage, and about sound arrays whose bytes are `unread`."""

    arrays: tuple[StoredArray, ...]
    problems: tuple[str, ...]
    unread: tuple[str, ...] = ()


class _UnreadError(MalformedError):
    """An array that numpy may write and that is no numbers, or not as they lie in the file."""


def read_numpy(file: File, limits: Limits = DEFAULT) -> NumpyFile:
    """Return arrays and problems of a `.npz` or `.npy` file. Raises `MalformedError` when it is neither."""
    if file.head(len(MAGIC)) == MAGIC:
        name = file.path.name.removesuffix(".npy")
        try:
            return NumpyFile((_array(file, name, limits),), ())
        except _UnreadError as error:
            return NumpyFile((), (), (str(error),))
        except MalformedError as error:
            return NumpyFile((), (str(error),))
    if not file.head(4).startswith(b"PK"):
        raise MalformedError(f"no numpy file (it starts with {file.head(4).hex()})")
    return _archive(file, read_index(file, limits), limits)


def _archive(file: File, index: ZipIndex, limits: Limits) -> NumpyFile:
    arrays: list[StoredArray] = []
    problems, unread = list(index.problems), []
    for entry in index.entries.values():
        name = entry.name.removesuffix(".npy")
        if name == entry.name:
            continue
        if entry.method != STORED or entry.stored != entry.size:
            unread.append(f"array {name[:60]!r} is compressed (savez_compressed): not read")
            continue
        try:
            arrays.append(_array(file.window(entry.offset, entry.stored), name, limits))
        except _UnreadError as error:
            unread.append(str(error))
        except MalformedError as error:
            problems.append(str(error))
    return NumpyFile(tuple(arrays), tuple(problems), tuple(unread))


def object_array(file: File) -> int | None:
    """Return where the pickle of an array of Python objects begins, None for any other array.

    Raises `MalformedError` when it has no header that numpy writes.
    """
    header, start = _header(file, "of objects")
    described = header.string[: header.start("order")]
    return start if b"'|O'" in described or b"'O'" in described else None


def _header(file: File, shown: str) -> tuple[re.Match[bytes], int]:
    """Return the header of one array, and where its bytes begin."""
    lead = file.head(12)
    if not lead.startswith(MAGIC) or len(lead) < 12 or lead[6] not in {1, 2, 3}:
        raise MalformedError(f"array {shown} has no numpy header")
    size_bytes = 2 if lead[6] == 1 else 4
    size, start = int.from_bytes(lead[8 : 8 + size_bytes], "little"), 8 + size_bytes
    if size > _LONGEST_HEADER:
        raise MalformedError(f"array {shown} has a header of {size} bytes")
    match = _HEADER.fullmatch(file.read(start, size).rstrip())
    if match is None:
        raise MalformedError(f"array {shown} has a header that numpy does not write")
    return match, start + size


def _array(file: File, name: str, limits: Limits) -> StoredArray:
    """Read the header of one array. Raises `MalformedError`, `TruncatedError` and `_UnreadError`."""
    shown = repr(name[:60])
    match, start = _header(file, shown)
    text = (match["dtype"] or b"").decode("latin-1")
    if "O" in text:
        raise MalformedError(f"array {shown} holds Python objects (a pickle): refused")
    dtype = _DTYPES.get(text)
    if dtype is None:
        raise _UnreadError(f"array {shown} is of the dtype {text or 'record'}: not read")
    shape = _shape(match["shape"], shown, limits)
    nbytes = DTYPE_BYTES[dtype]
    for length in shape:
        nbytes *= length
    if nbytes > file.size - start:
        raise TruncatedError(f"array {shown} needs {nbytes} bytes, {file.size - start} are there")
    return StoredArray(name, dtype, shape, file.base + start, nbytes, match["order"] == b"True")


def _shape(text: bytes, shown: str, limits: Limits) -> tuple[int, ...]:
    parts = [part.strip(b" L") for part in text.split(b",")]
    if parts[-1] == b"":
        parts.pop()
    if len(parts) > limits.dimensions or not all(part.isdigit() and len(part) < 20 for part in parts):
        raise MalformedError(f"array {shown} has an impossible shape")
    shape = tuple(map(int, parts))
    if any(length >= _LARGEST_SIZE for length in shape):
        raise MalformedError(f"array {shown} has an impossible shape")
    return shape
