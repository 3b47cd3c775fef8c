"""A file of a store or web server, read by ranges of bytes behind the interface of `File`.

Small reads are served from pages, so that a header costs one request and not a download; large ones are asked for
in ranges of several MiB. What the store says about the file's identity (ETag, time, size) is held against what it
said at first, so that a file replaced meanwhile is noticed.
"""

import threading
from collections import OrderedDict
from typing import Protocol

from forensics.errors import AbsentError, ChangedError, RemoteError, UsageError
from forensics.storage.facts import Facts
from forensics.storage.locations import RemotePath

PAGE_BYTES = 64 << 10
PAGES = 16
"""Pages kept of a file: a header, the directory of an archive, the beginnings of its entries."""
REQUEST_BYTES = 8 << 20
"""The largest range that is asked for at once."""


class Traffic:
    """Bytes that this process was given by stores and web servers; safe to share among threads."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.bytes += count


TRAFFIC = Traffic()


class Source(Protocol):
    """How one file is asked for. Both raise `RemoteError`, `AbsentError` and `ChangedError`."""

    def facts(self, head: int = 1) -> Facts:
        """Ask for what is known of the file, and for its first bytes where one answer can bring both."""
        ...

    def fetch(self, start: int, stop: int, known: Facts) -> bytes:
        """Return bytes `start` up to `stop` of the file that `known` describes, all of them."""
        ...


class RemoteFile:
    """Bytes of a file in a store; safe to share among threads.

    Raises `RemoteError` when the store does not give it, `UsageError` when nothing installed speaks its protocol.
    """

    __slots__ = ("_facts", "_lock", "_name", "_pages", "_source")

    def __init__(self, place: RemotePath) -> None:
        self._name = place.name
        self._source = _source_of(place)
        self._facts = self._source.facts(PAGE_BYTES)
        self._lock = threading.Lock()
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        head = self._facts.head
        TRAFFIC.add(len(head))
        if not self._facts.whole and len(head) >= min(PAGE_BYTES, self._facts.size):
            self._pages[0] = head[:PAGE_BYTES]

    @property
    def size(self) -> int:
        return self._facts.size

    @property
    def modified(self) -> float:
        return self._facts.modified

    @property
    def mark(self) -> str:
        return self._facts.mark

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`; both lie within the file (the caller checks)."""
        stop = offset + len(buffer)
        if self._facts.whole:
            buffer[:] = self._facts.head[offset:stop]
            return
        if len(buffer) <= PAGE_BYTES:
            self._from_pages(offset, buffer)
            return
        for start in range(offset, stop, REQUEST_BYTES):
            end = min(start + REQUEST_BYTES, stop)
            buffer[start - offset : end - offset] = self._fetched(start, end)

    def check_unchanged(self) -> None:
        """Raise `ChangedError` when the store now has another version, or none."""
        if self._facts.whole:
            return
        try:
            now = self._source.facts()
        except AbsentError as error:
            raise ChangedError(f"{self._name} was removed while it was read") from error
        except RemoteError:
            return  # Every range that was read has been held against the first answer; nothing says it changed.
        if (now.size, now.mark) != (self._facts.size, self._facts.mark):
            raise ChangedError(f"{self._name} changed while it was read")

    def _from_pages(self, offset: int, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            page, within = divmod(offset + done, PAGE_BYTES)
            held = self._page(page)[within : within + len(buffer) - done]
            buffer[done : done + len(held)] = held
            done += len(held)

    def _page(self, number: int) -> bytes:
        with self._lock:
            held = self._pages.get(number)
            if held is not None:
                self._pages.move_to_end(number)
                return held
        start = number * PAGE_BYTES
        held = self._fetched(start, min(start + PAGE_BYTES, self.size))
        with self._lock:
            self._pages[number] = held
            while len(self._pages) > PAGES:
                self._pages.popitem(last=False)
        return held

    def _fetched(self, start: int, stop: int) -> bytes:
        data = self._source.fetch(start, stop, self._facts)
        TRAFFIC.add(len(data))
        if len(data) != stop - start:
            raise RemoteError(f"{self._name}: the store gave {len(data)} bytes where {stop - start} were asked for")
        return data


def _source_of(place: RemotePath) -> Source:
    try:
        if place.is_http:
            from forensics.storage.remote_http import HttpSource

            return HttpSource(place)
        from forensics.storage.remote_store import StoreSource

        return StoreSource(place)
    except ModuleNotFoundError as error:
        if error.name not in {"fsspec", "aiohttp", "yarl"}:
            raise
        raise UsageError(f"{place.scheme}:// needs {error.name}: pip install 'medforensics[remote]'") from error
