"""Bytes of tensors brought into memory: few system calls, few open files, no file trusted to stay as it was."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from forensics.errors import ChangedError, ForensicsError, TruncatedError
from forensics.formats.dtypes import Bytes
from forensics.model.tensors import Piece
from forensics.storage.file import File, Signature
from forensics.storage.locations import Root
from forensics.weights.blocks import Part
from forensics.weights.tracks import Track, span_of

OPEN_FILES = 256
LEAST_TOGETHER, SMALL_BYTES = 8, 4096
"""So many parts of so many bytes in the mean, one behind the other in a file, are read at once and dealt out."""
Failed: TypeAlias = dict[int, tuple[str, str]]
"""Rows that could not be read: path and reason."""
_Read = tuple[str, int, int, int]
"""Path, offset in the file, size, place in the buffer."""


class Readable(Protocol):
    """What a block needs of a file."""

    @property
    def size(self) -> int: ...

    @property
    def descriptor(self) -> int: ...

    def read_into(self, offset: int, buffer: memoryview) -> None: ...


class Lender(Protocol):
    """Whoever lends files by their path; raises what `File` raises."""

    def borrow(self, path: str) -> AbstractContextManager[Readable]: ...


class Files:
    """Files of one run, opened once and shared by threads.

    At most about `OPEN_FILES` stay open. A file that is no longer the one that was first opened, at any time until
    `close`, is named in `changed`.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._open: OrderedDict[str, File] = OrderedDict()
        self._users: dict[str, int] = {}
        self._signatures: dict[str, Signature] = {}
        self._errors: dict[str, ForensicsError] = {}
        self.changed: dict[str, str] = {}

    @contextmanager
    def borrow(self, path: str) -> Iterator[File]:
        """Lend the open file; raises what `File` raises, the same error again for a file that failed to open."""
        with self._lock:
            file = self._opened(path)
            self._users[path] = self._users.get(path, 0) + 1
        try:
            yield file
        finally:
            with self._lock:
                self._users[path] -= 1

    def size(self, path: str) -> int:
        """Return the bytes of a file as it was first opened; raises what `File` raises."""
        return self.signature(path)[0]

    def signature(self, path: str) -> Signature:
        """Return what a file was known by when it was first opened; raises what `File` raises."""
        found = self._signatures.get(path)
        if found is None:
            with self._lock:
                self._opened(path)
            found = self._signatures[path]
        return found

    @property
    def signatures(self) -> dict[str, Signature]:
        """What the files were known by when they were first opened."""
        return dict(self._signatures)

    def close(self) -> None:
        """Close all files, noticing those that changed."""
        with self._lock:
            for path, file in self._open.items():
                self._retire(path, file)
            self._open.clear()

    def _opened(self, path: str) -> File:
        if path in self._errors:
            raise self._errors[path]
        file = self._open.get(path)
        if file is not None:
            self._open.move_to_end(path)
            return file
        if len(self._open) >= OPEN_FILES:
            self._close_idle()
        try:
            file = File(self._root / path)
        except ForensicsError as error:
            self._errors[path] = error
            raise
        self._open[path] = file
        if self._signatures.setdefault(path, file.signature) != file.signature:
            self.changed[path] = f"{path} changed while it was read"
        return file

    def _close_idle(self) -> None:
        for path in list(self._open):
            if not self._users.get(path):
                self._retire(path, self._open.pop(path))
                return

    def _retire(self, path: str, file: File) -> None:
        try:
            file.check_unchanged()
        except ChangedError as error:
            self.changed[path] = str(error)
        file.close()


def extents(pieces: Sequence[Piece], first: int, stop: int) -> Iterator[tuple[str, int, int]]:
    """Yield (path, offset in the file, size) of bytes `first` up to `stop` of a tensor that lies in pieces."""
    if len(pieces) == 1:
        yield pieces[0].path, pieces[0].offset + first, stop - first
        return
    begin = 0
    for piece in pieces:
        end = begin + piece.nbytes
        low, high = max(first, begin), min(stop, end)
        if low < high:
            yield piece.path, piece.offset + low - begin, high - low
        begin = end


class Pieces:
    """The bytes of one tensor, read by their offset in it; its files stay open until `stack` is left."""

    def __init__(self, files: Lender, pieces: Sequence[Piece], stack: ExitStack) -> None:
        self._files, self._pieces, self._stack = files, pieces, stack
        self._lent: dict[str, Readable] = {}

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer`; raises what `File` raises, and `OSError`."""
        done = 0
        for path, start, size in extents(self._pieces, offset, offset + len(buffer)):
            file = self._lent.get(path)
            if file is None:
                file = self._lent[path] = self._stack.enter_context(self._files.borrow(path))
            file.read_into(start, buffer[done : done + size])
            done += size


class Slot(NamedTuple):
    """A part, the pieces that its tensor lies in, and where in the buffer it goes."""

    part: Part
    pieces: Sequence[Piece]
    start: int


def slots_of(parts: Sequence[Part], starts: Sequence[int], place: int) -> list[Slot]:
    """Return where the parts of one checkpoint go."""
    return [Slot(part, part.track.places[place].pieces, start) for part, start in zip(parts, starts, strict=True)]


def joined(slots: Sequence[Slot]) -> list[tuple[str, int, int, int]]:
    """Return what to read: path, offset in the file, size, place in the buffer; neighbours are joined."""
    made: list[tuple[str, int, int, int]] = []
    for part, pieces, start in slots:
        bits, target = part.track.dtype.bits, start
        for path, offset, size in extents(pieces, part.first * bits // 8, part.stop * bits // 8):
            last = made[-1] if made else None
            if last and last[0] == path and last[1] + last[2] == offset and last[3] + last[2] == target:
                made[-1] = path, last[1], last[2] + size, last[3]
            else:
                made.append((path, offset, size, target))
            target += size
    return made


def read_slots(files: Lender, slots: Sequence[Slot], buffer: memoryview) -> dict[int, tuple[str, str]]:
    """Fill `buffer` with each part at its start.

    Return the numbers of the parts that could not be read, each with its path and the reason.
    """
    failed: dict[int, tuple[str, str]] = {}
    for path, offset, size, target in _left(files, joined(slots), buffer):
        reason = _read(files, path, offset, buffer[target : target + size])
        if reason is None:
            continue
        inside = [n for n, slot in enumerate(slots) if _overlaps(slot, target, target + size)]
        if len(inside) == 1:
            failed[inside[0]] = path, reason
            continue
        for number in inside:  # one by one, so that only those suffer whose bytes are missing
            alone = read_slots(files, [slots[number]], buffer)
            if alone:
                failed[number] = alone[0]
    return failed


def _left(files: Lender, reads: Sequence[_Read], buffer: memoryview) -> Iterator[_Read]:
    """Do reads of small parts that lie one behind the other in a file at once; yield what is left to be read alone."""
    begin = 0
    for end in range(1, len(reads) + 1):
        last = reads[end - 1]
        if end < len(reads) and reads[end][:2] == (last[0], last[1] + last[2]):
            continue
        group, begin = reads[begin:end], end
        path, first = group[0][:2]
        total = last[1] + last[2] - first
        if len(group) < LEAST_TOGETHER or total > len(group) * SMALL_BYTES:
            yield from group
            continue
        raw = memoryview(bytearray(total))
        if _read(files, path, first, raw) is not None:
            yield from group
            continue
        for _, offset, size, target in group:
            buffer[target : target + size] = raw[offset - first : offset - first + size]


def located(files: Lender, places: Sequence[Sequence[Slot]], stack: ExitStack) -> list[tuple[int, int, int, int, int]]:
    """Return the reads that fill a buffer from each checkpoint, for `kernels.walk`; files stay open with `stack`.

    Empty when a file has no descriptor (it lies in a store). Raises what `File` raises when one cannot be opened or
    ends before what is to be read.
    """
    lent: dict[str, Readable] = {}
    reads = []
    for number, slots in enumerate(places):
        for path, offset, size, target in joined(slots):
            if path not in lent:
                lent[path] = stack.enter_context(files.borrow(path))
            if lent[path].descriptor < 0:
                return []
            if offset < 0 or offset + size > lent[path].size:
                raise TruncatedError(f"{path} ends before byte {offset + size}")
            reads.append((number, lent[path].descriptor, offset, size, target))
    return reads


def _overlaps(slot: Slot, low: int, high: int) -> bool:
    return slot.start < high and slot.start + slot.part.nbytes > low


def _read(files: Lender, path: str, offset: int, into: memoryview) -> str | None:
    try:
        with files.borrow(path) as file:
            file.read_into(offset, into)
    except (ForensicsError, OSError) as error:
        return str(error)
    return None


def gather(files: Lender, track: Track, pieces: Sequence[Piece], first: int, stop: int) -> Bytes:
    """Return whole rows (elements `first` up to `stop`) of a strided tensor, put in order of elements.

    Raises what `File` raises, and `OSError`.
    """
    assert track.strides is not None
    width = track.dtype.itemsize
    row = track.elements // track.shape[0]
    shape = ((stop - first) // row, *track.shape[1:])
    begin = first // row * track.strides[0]
    raw = np.empty(span_of(shape, track.strides) * width, dtype=np.uint8)
    done = 0
    for path, offset, size in extents(pieces, begin * width, begin * width + raw.size):
        with files.borrow(path) as file:
            file.read_into(offset, raw.data[done : done + size])
        done += size
    unit = raw.view(f"V{width}")
    view = np.lib.stride_tricks.as_strided(unit, shape, tuple(width * stride for stride in track.strides))
    return np.ascontiguousarray(view).reshape(-1).view(np.uint8)
