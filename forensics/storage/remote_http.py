"""Ranges of a file on a web server (RFC 9110, section 14), checked answer by answer.

The session is fsspec's; the requests are ours, because `HTTPFileSystem._cat_file` (fsspec 2026.9) takes the body of
a server that ignores `Range` for the range.
"""

import asyncio
import contextlib
import functools
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import fsspec
import yarl
from fsspec.asyn import sync

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.errors import AbsentError, ChangedError, RemoteError
from forensics.storage.facts import Facts
from forensics.storage.locations import RemotePath

ATTEMPTS = 3
PAUSE_SECONDS = 0.3
"""Before the second attempt; doubled before each further one."""
CONNECT_SECONDS = 20.0
SILENCE_SECONDS = 60.0
"""How long a server that has answered may send nothing."""
WHOLE_BYTES = 4 << 20
"""A file up to this size (an index, a configuration) is taken whole from a server without ranges."""
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE = expression(r"bytes (?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19})")


class _TryAgainError(Exception):
    """A request failed in a way that may pass."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpSource:
    """One file of a web server."""

    def __init__(self, place: RemotePath) -> None:
        self._name = place.name
        address = place.address
        # What is already escaped must stay so to the letter: the signature of a signed URL covers it.
        self._address = yarl.URL(address, encoded=address.isascii() and " " not in address)

    def facts(self, head: int = 1) -> Facts:
        """Ask for the first bytes, which tells size, version and whether there are ranges at all."""
        answer = self._asked(0, head)
        modified, mark = _modified(answer.headers), _mark(answer.headers)
        if answer.status == 200:
            if len(answer.body) != int(answer.headers.get("Content-Length", -1)):
                raise RemoteError(
                    f"{self._name}: the server ignores byte ranges and sends all of the file; nothing was read, "
                    "download it and look at the copy"
                )
            return Facts(len(answer.body), modified, mark, answer.body, whole=True)
        first, stop, size = _range_of(answer.headers)
        if answer.status == 416 and size == 0:
            return Facts(0, modified, mark, b"", whole=True)
        if answer.status != 206 or size is None:
            raise RemoteError(f"{self._name}: the server answers a range with {answer.status} and tells no size")
        if (first, stop) != (0, min(head, size)) or len(answer.body) != stop:
            raise RemoteError(f"{self._name}: the server sends another range than it was asked for")
        return Facts(size, modified, mark, answer.body)

    def fetch(self, start: int, stop: int, known: Facts) -> bytes:
        answer = self._asked(start, stop)
        first, end, size = _range_of(answer.headers)
        mark = _mark(answer.headers)
        if answer.status == 416 or (size is not None and size != known.size) or (mark and mark != known.mark):
            raise ChangedError(f"{self._name} changed while it was read")
        if answer.status == 200:
            raise RemoteError(f"{self._name}: the server stopped to serve byte ranges")
        if answer.status != 206 or (first, end) != (start, stop):
            raise RemoteError(f"{self._name}: the server sends another range than it was asked for")
        return answer.body

    def _asked(self, start: int, stop: int) -> _Answer:
        try:
            answer: _Answer = sync(_filesystem().loop, _attempts, self._address, start, stop)
        except _TryAgainError as error:
            raise RemoteError(f"{self._name}: {error}") from error
        if answer.status in {404, 410}:
            raise AbsentError(f"{self._name} is not there: the server answers {answer.status}")
        if answer.status in {401, 403}:
            raise RemoteError(f"{self._name}: the server does not let it be read (status {answer.status})")
        if answer.status not in {200, 206, 416}:
            raise RemoteError(f"{self._name}: the server answers with status {answer.status}")
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise RemoteError(f"{self._name}: the server compresses what it sends, so that ranges mean nothing")
        return answer


@functools.cache
def _filesystem() -> Any:  # noqa: ANN401  (fsspec is untyped)
    # Proxies and the user's netrc are taken from the environment, as by every other program.
    return fsspec.filesystem("http", client_kwargs={"trust_env": True})


async def _attempts(address: yarl.URL, start: int, stop: int) -> _Answer:
    for attempt in range(1, ATTEMPTS):
        with contextlib.suppress(_TryAgainError):
            return await _answer(address, start, stop)
        await asyncio.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
    return await _answer(address, start, stop)


async def _answer(address: yarl.URL, start: int, stop: int) -> _Answer:
    session = await _filesystem().set_session()
    headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
    patience = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
    try:
        async with session.get(address, headers=headers, timeout=patience) as answer:
            if answer.status in _BUSY:
                raise _TryAgainError(f"the server answers with status {answer.status}")
            return _Answer(answer.status, answer.headers, await _body(answer, stop - start))
    except (aiohttp.ClientError, TimeoutError, asyncio.TimeoutError, OSError, ValueError) as error:
        raise _TryAgainError(_reason(error)) from error


async def _body(answer: aiohttp.ClientResponse, wanted: int) -> bytes:
    """Return the body of a range, or a small whole one; of anything else nothing is read."""
    most = {206: wanted, 200: WHOLE_BYTES}.get(answer.status, 0)
    if not most or (answer.content_length is None and answer.status == 200) or (answer.content_length or 0) > most:
        answer.close()
        return b""
    parts: list[bytes] = []
    async for part in answer.content.iter_chunked(1 << 18):
        parts.append(part)
        if sum(map(len, parts)) > most:
            answer.close()
            break
    return b"".join(parts)


def _reason(error: Exception) -> str:
    """Say what failed without the words of the library, which may hold the URL with its secrets."""
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "the server does not answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to the server: {error.os_error.strerror or type(error.os_error).__name__}"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError | ConnectionError):
        return "the connection broke off while the server was sending"
    return f"the request failed ({type(error).__name__})"


def _range_of(headers: Mapping[str, str]) -> tuple[int, int, int | None]:
    """Return first byte, byte after the last and size of the whole file, as the answer tells them."""
    match = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return 0, 0, None
    return int(match[1] or 0), int(match[2] or -1) + 1, int(match[3])


def _mark(headers: Mapping[str, str]) -> str:
    return headers.get("ETag") or headers.get("Last-Modified", "")


def _modified(headers: Mapping[str, str]) -> float:
    try:
        return parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
