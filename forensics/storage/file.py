"""A regular file, or one of a store, read by checked offsets.

`pread` and not `mmap`: a mapped file that shrinks while it is read kills the process with SIGBUS, and runs that
are looked at are sometimes still alive. Opening refuses everything that is no regular file, so that a FIFO or a
device in a stranger's folder can neither block nor feed us.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from forensics.errors import ChangedError, TruncatedError, UnreadableError
from forensics.storage.locations import Held, Packed, Place, RemotePath, Unpacked

if TYPE_CHECKING:
    from forensics.storage.remote_file import RemoteFile

READ_BYTES = 1 << 20
_MOST_EXTENTS = 10_000
Signature: TypeAlias = tuple[int, int | str]
"""Size, and the time in ns or the mark of a store: two files of one signature are taken for the same."""
Opened = TypeVar("Opened", bound="File")


class File:
    """A window on a regular file, a file of a store, or bytes: `size` bytes that start at `base`.

    Raises `UnreadableError` when the path is no readable regular file; of a store, `RemoteError` (one of its kind),
    and `UsageError` when nothing installed speaks its protocol. Reads outside the window raise `TruncatedError`, a
    file that became shorter raises `ChangedError`.
    """

    __slots__ = ("_data", "_descriptor", "_owner", "_remote", "_signature", "base", "path", "size")

    def __init__(self, path: Place | Held | Packed) -> None:
        if isinstance(path, RemotePath):
            from forensics.storage.remote_file import RemoteFile

            remote = RemoteFile(path)
            self._set(path, 0, remote.size, None, -1, None, (remote.size, remote.mark), remote)
            return
        if isinstance(path, Packed):
            self._set(path, 0, path.file.size, None, -1, None, path.file.signature, path.file)
            return
        if isinstance(path, Held):
            self._set(path, 0, len(path.data), path.data, -1, None, (len(path.data), 0))
            return
        descriptor = _open_regular(path)
        status = os.fstat(descriptor)
        signature = (status.st_size, status.st_mtime_ns)
        self._set(path, 0, status.st_size, None, descriptor, None, signature)

    def _set(  # noqa: PLR0913, PLR0917  (the fields of a window)
        self,
        path: Place | Held | Packed,
        base: int,
        size: int,
        data: bytes | None,
        descriptor: int,
        owner: "File | None",
        signature: Signature,
        remote: "RemoteFile | Unpacked | None" = None,
    ) -> None:
        self.path, self.base, self.size = path, base, size
        self._data, self._descriptor, self._owner, self._signature = data, descriptor, owner, signature
        self._remote = remote

    @classmethod
    def of_bytes(cls, data: bytes, path: Place | Held | Packed) -> "File":
        """Wrap bytes that were taken out of `path` (an inflated archive member, a nested pickle)."""
        made = cls.__new__(cls)
        made._set(path, 0, len(data), data, -1, None, (len(data), 0))  # noqa: SLF001  (an instance of this class)
        return made

    def window(self, offset: int, size: int) -> "File":
        """Return a view of `size` bytes at `offset`; it keeps this file open."""
        self._check(offset, size)
        made = File.__new__(File)
        inner = self._data, self._descriptor, self, self._signature, self._remote
        made._set(self.path, self.base + offset, size, *inner)  # noqa: SLF001  (of this class)
        return made

    def read(self, offset: int, size: int) -> bytes:
        self._check(offset, size)
        if self._data is not None:
            start = self.base + offset
            return self._data[start : start + size]
        if self._remote is not None:
            made = bytearray(size)
            self._remote.read_into(self.base + offset, memoryview(made))
            return bytes(made)
        parts: list[bytes] = []
        position, left = self.base + offset, size
        while left:
            try:
                part = os.pread(self._descriptor, left, position)
            except OSError as error:
                raise self._failed(error) from error
            if not part:
                raise ChangedError(f"{self.path.name} became shorter while it was read")
            parts.append(part)
            position += len(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` (writable bytes) from `offset`, without allocating."""
        size = len(buffer)
        self._check(offset, size)
        if self._data is not None:
            start = self.base + offset
            buffer[:] = self._data[start : start + size]
            return
        if self._remote is not None:
            self._remote.read_into(self.base + offset, buffer)
            return
        done = 0
        while done < size:
            try:
                count = os.preadv(self._descriptor, [buffer[done:]], self.base + offset + done)
            except OSError as error:
                raise self._failed(error) from error
            if not count:
                raise ChangedError(f"{self.path.name} became shorter while it was read")
            done += count

    def blocks(self, size: int = READ_BYTES) -> Iterator[bytes]:
        for offset in range(0, self.size, size):
            yield self.read(offset, min(size, self.size - offset))

    def head(self, size: int) -> bytes:
        return self.read(0, min(size, self.size))

    @property
    def descriptor(self) -> int:
        """The descriptor for positioned reads; -1 when the window lies on bytes in memory or in a store."""
        return self._descriptor

    @property
    def modified(self) -> float:
        """When the file was last written, seconds since the epoch; 0.0 where a store does not say."""
        if self._remote is not None:
            return self._remote.modified
        return os.fstat(self._descriptor).st_mtime if self._descriptor >= 0 else 0.0

    def held_bytes(self) -> int:
        """Return how many bytes the file system keeps: less than `size` where the file has holes, which read as zeros.

        Blocks are only a hint, since a compressed or migrated file has few; the holes are counted (`lseek`,
        SEEK_DATA), up to `_MOST_EXTENTS` of them.
        """
        whole = self.base + self.size
        if self._descriptor < 0 or getattr(os.fstat(self._descriptor), "st_blocks", whole) * 512 >= whole:
            return whole
        held = at = 0
        try:
            for _ in range(_MOST_EXTENTS):
                start = os.lseek(self._descriptor, at, os.SEEK_DATA)
                at = os.lseek(self._descriptor, start, os.SEEK_HOLE)
                held += at - start
        except OSError as error:
            return held if error.errno == errno.ENXIO else whole
        return whole

    @property
    def is_local(self) -> bool:
        return self._remote is None

    @property
    def signature(self) -> Signature:
        """What the file was known by when it was opened."""
        return self._signature

    def check_unchanged(self) -> None:
        """Raise `ChangedError` when the file is no longer the one that was opened."""
        if self._remote is not None:
            self._remote.check_unchanged()
        if self._descriptor < 0:
            return
        try:
            now = os.fstat(self._descriptor)
        except OSError as error:
            raise ChangedError(f"{self.path.name} went away while it was read: {error.strerror}") from error
        if (now.st_size, now.st_mtime_ns) != self._signature:
            raise ChangedError(f"{self.path.name} changed while it was read")

    def close(self) -> None:
        if self._descriptor >= 0 and self._owner is None:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self: Opened) -> Opened:  # noqa: PYI019  (typing.Self came with Python 3.11)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failed(self, error: OSError) -> UnreadableError:
        """Return the error of a disk that fails (EIO) or a server that forgot the file (ESTALE): it costs this file."""
        return UnreadableError(f"{self.path.name} cannot be read: {error.strerror}")

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise TruncatedError(
                f"{self.path.name} ends at byte {self.size}, but bytes {offset} to {offset + size} are needed"
            )


def _open_regular(path: Path) -> int:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError(f"{path.name} is no regular file")
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableError(f"{path.name} cannot be opened: {reason}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableError(f"{path.name} is no regular file")
    return descriptor
