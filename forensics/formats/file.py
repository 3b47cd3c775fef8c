"""A regular file, read by checked offsets.

`pread` and not `mmap`: a mapped file that shrinks while it is read kills the process with SIGBUS, and runs that
are looked at are sometimes still alive. Opening refuses everything that is no regular file, so that a FIFO or a
device in a stranger's folder can neither block nor feed us.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from forensics.errors import ChangedError, TruncatedError, UnreadableError

READ_BYTES = 1 << 20
Opened = TypeVar("Opened", bound="File")


class File:
    """A window on a regular file (or on bytes): `size` bytes that start at `base`.

    Raises `UnreadableError` when the path is no readable regular file. Reads outside the window raise
    `TruncatedError`, a file that became shorter raises `ChangedError`.
    """

    __slots__ = ("_data", "_descriptor", "_owner", "_signature", "base", "path", "size")

    def __init__(self, path: Path) -> None:
        descriptor = _open_regular(path)
        status = os.fstat(descriptor)
        signature = (status.st_size, status.st_mtime_ns)
        self._set(path, 0, status.st_size, None, descriptor, None, signature)

    def _set(  # noqa: PLR0913, PLR0917  (the fields of a window)
        self,
        path: Path,
        base: int,
        size: int,
        data: bytes | None,
        descriptor: int,
        owner: "File | None",
        signature: tuple[int, int],
    ) -> None:
        self.path, self.base, self.size = path, base, size
        self._data, self._descriptor, self._owner, self._signature = data, descriptor, owner, signature

    @classmethod
    def of_bytes(cls, data: bytes, path: Path) -> "File":
        """Wrap bytes that were taken out of `path` (an inflated archive member, a nested pickle)."""
        made = cls.__new__(cls)
        made._set(path, 0, len(data), data, -1, None, (len(data), 0))  # noqa: SLF001  (an instance of this class)
        return made

    def window(self, offset: int, size: int) -> "File":
        """Return a view of `size` bytes at `offset`; it keeps this file open."""
        self._check(offset, size)
        made = File.__new__(File)
        made._set(self.path, self.base + offset, size, self._data, self._descriptor, self, self._signature)  # noqa: SLF001  (of this class)
        return made

    def read(self, offset: int, size: int) -> bytes:
        self._check(offset, size)
        if self._data is not None:
            start = self.base + offset
            return self._data[start : start + size]
        parts: list[bytes] = []
        position, left = self.base + offset, size
        while left:
            part = os.pread(self._descriptor, left, position)
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
        done = 0
        while done < size:
            count = os.preadv(self._descriptor, [buffer[done:]], self.base + offset + done)
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
        """The descriptor for positioned reads; -1 when the window lies on bytes in memory."""
        return self._descriptor

    def check_unchanged(self) -> None:
        """Raise `ChangedError` when the file on disk is no longer the one that was opened."""
        if self._descriptor < 0:
            return
        now = os.fstat(self._descriptor)
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
