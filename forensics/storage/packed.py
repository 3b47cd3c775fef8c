"""A log packed alone, read as if it were unpacked: its bytes are made again whenever they are asked for.

Nothing is written, and nothing but a block and a few marks is held, so that a small file that unpacks to gigabytes
costs time only, and that within a bound. Of a file that is cut or corrupt the bytes before the fault are there.
"""

import lzma
import threading
import zlib
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

from forensics.deferred.records import dataclass
from forensics.errors import ChangedError, LimitError
from forensics.storage.file import READ_BYTES, File, Signature
from forensics.storage.locations import Held, Packed, Place

if TYPE_CHECKING:
    Inflater = zlib._Decompress  # noqa: SLF001  (the type has no public name)

MARK_BYTES = 32 << 20
"""How far the places lie apart from which a .gz is read again; each holds about 50 KB (its last 32 KB, its trees).
lzma cannot be copied: a .xz is read again from its beginning."""
PACKED_BYTES = 4 << 10
"""How much is unpacked at once: what stands in the same piece before a fault is lost with it."""
MEMORY_BYTES = 256 << 20
"""What a .xz may ask for: its presets need 65 MB at most, its format allows 4 GB."""
FAULTS = (zlib.error, lzma.LZMAError, EOFError)


@dataclass(slots=True)
class _Cursor:
    """A place in the packed file (`packed` bytes of it are used up) and in what it unpacks to (`position`)."""

    file: File
    machine: "Inflater | lzma.LZMADecompressor"
    packed: int = 0
    position: int = 0
    begun: bool = False

    def next(self) -> bytes:
        """Return the next block; empty at the end. Raises one of `FAULTS` where the file is cut or corrupt."""
        while True:
            if self.machine.eof:
                self._next_member(self.machine.unused_data)
            taken = b""
            if isinstance(self.machine, lzma.LZMADecompressor):
                if self.machine.needs_input:
                    taken = self._take()
                made = self.machine.decompress(taken, READ_BYTES)
                hungry = self.machine.needs_input
            else:
                taken = self.machine.unconsumed_tail or self._take()
                made = self.machine.decompress(taken, READ_BYTES)
                hungry = not self.machine.unconsumed_tail
            self.begun = self.begun or bool(taken)
            if made:
                self.position += len(made)
                return made
            if not self.machine.eof and hungry and not taken:
                if self.begun:
                    raise EOFError("it ends before its own end mark")
                return b""

    def _take(self) -> bytes:
        block = self.file.read(self.packed, min(PACKED_BYTES, self.file.size - self.packed))
        self.packed += len(block)
        return block

    def _next_member(self, rest: bytes) -> None:
        """Begin the next of several files that were packed one after another; zeros in between are padding."""
        self.packed -= len(rest)
        while rest := self.file.read(self.packed, min(PACKED_BYTES, self.file.size - self.packed)):
            padding = len(rest) - len(rest.lstrip(b"\0"))
            self.packed += padding
            if padding < len(rest):
                break
        self.machine, self.begun = _machine(self.file), False

    def mark(self) -> "_Cursor | None":
        if isinstance(self.machine, lzma.LZMADecompressor):
            return None
        return _Cursor(self.file, self.machine.copy(), self.packed, self.position, self.begun)


def _machine(file: File) -> "Inflater | lzma.LZMADecompressor":
    if file.path.name.lower().endswith(".xz"):
        return lzma.LZMADecompressor(memlimit=MEMORY_BYTES)
    return zlib.decompressobj(wbits=31)


class PackedFile:
    """What a .gz or .xz file unpacks to, behind the interface of `File`; safe to share among threads.

    `fault` says why the rest of a cut or corrupt file is missing, empty where nothing is. Raises `UnreadableError`
    when the file cannot be opened, `LimitError` when it unpacks to more than `most` bytes; where it need not be
    `whole`, what lies behind them is left out, and `fault` says so. `most` is given the packed bytes that were used up:
    what is packed too far shows it after some of it.
    """

    def __init__(self, path: Place | Held | Packed, most: Callable[[int], int], *, whole: bool = True) -> None:
        self._file = File(path)
        self._lock = threading.Lock()
        self._marks = [_Cursor(self._file, _machine(self._file))]
        self._block, self._start, self.fault = b"", 0, ""
        self._cursor = self._begun(0)
        try:
            while self._cursor.position <= most(self._cursor.packed) and self._advance():
                pass
        except FAULTS as error:
            self.fault = str(error)
        allowed = most(self._cursor.packed)
        self.size = min(self._cursor.position, allowed)
        if self.size < self._cursor.position:
            if whole:
                self._file.close()
                raise LimitError(
                    f"{path.name} unpacks to more than an archive of its size may ({allowed:,} bytes are allowed)"
                )
            self.fault = f"no more than {allowed:,} bytes are unpacked"

    @property
    def modified(self) -> float:
        return self._file.modified

    @property
    def signature(self) -> Signature:
        return self._file.signature

    def read_into(self, offset: int, buffer: memoryview) -> None:
        with self._lock:
            done = 0
            while done < len(buffer):
                here = offset + done - self._start
                if not 0 <= here < len(self._block):
                    self._seek(offset + done)
                    continue
                part = self._block[here : here + len(buffer) - done]
                buffer[done : done + len(part)] = part
                done += len(part)

    def check_unchanged(self) -> None:
        self._file.check_unchanged()

    def close(self) -> None:
        self._file.close()

    def _begun(self, position: int) -> _Cursor:
        """Return a cursor at the last mark that does not lie behind a position."""
        found = self._last_mark(position)
        return found.mark() or _Cursor(self._file, _machine(self._file))

    def _last_mark(self, position: int) -> _Cursor:
        return self._marks[bisect_right([mark.position for mark in self._marks], position) - 1]

    def _advance(self) -> bool:
        self._start = self._cursor.position
        self._block = self._cursor.next()
        if self._cursor.position >= self._marks[-1].position + MARK_BYTES:
            mark = self._cursor.mark()
            if mark is not None:
                self._marks.append(mark)
        return bool(self._block)

    def _seek(self, position: int) -> None:
        """Go to the block that holds a position, which was there when the file was opened."""
        if position < self._cursor.position or self._last_mark(position).position > self._cursor.position:
            self._cursor = self._begun(position)
        try:
            there = self._advance()
        except FAULTS:
            there = False
        if not there:
            raise ChangedError(f"{self._file.path.name} changed while it was read")
