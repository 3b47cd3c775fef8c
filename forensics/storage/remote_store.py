"""Files of an object store (S3, Google Cloud Storage, the Hugging Face Hub, memory, ...) through fsspec."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeAlias

from forensics.errors import AbsentError, ChangedError, ForensicsError, RemoteError, UsageError
from forensics.storage.facts import Facts
from forensics.storage.locations import RemotePath

PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "hf": "huggingface_hub",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
}
"""What speaks a protocol, as fsspec's registry (`fsspec.registry.known_implementations`) names it."""
MARKS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "blob_id",
    "content_md5",
    "LastModified",
    "mtime",
    "updated",
    "created",
)
"""What stores call the version of a file, the most telling first (s3fs, gcsfs, adlfs, huggingface_hub, memory)."""
TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")

FileSystem: TypeAlias = Any
Info: TypeAlias = Mapping[str, Any]


class StoreSource:
    """One file of a store."""

    def __init__(self, place: RemotePath) -> None:
        self._place = place
        self._filesystem, self._path = opened(place)

    def facts(self, head: int = 0) -> Facts:
        del head  # The answer of a store brings no bytes of the file.
        with typed(self._place.name):
            self._filesystem.invalidate_cache()  # Listings may be kept; the run may still save.
            found: Info = self._filesystem.info(self._path)
        if found.get("type") != "file" or not isinstance(found.get("size"), int):
            raise RemoteError(f"{self._place.name} is no file of the store, or has no known size")
        return Facts(found["size"], modified_of(found), _mark(found))

    def fetch(self, start: int, stop: int, known: Facts) -> bytes:
        # A file system without an event loop opens the file for each range; its cache would read ahead.
        how = {} if getattr(self._filesystem, "async_impl", False) else {"cache_type": "none"}
        with typed(self._place.name):
            data: bytes = self._filesystem.cat_file(self._path, start=start, end=stop, **how)
        if len(data) != stop - start:
            now = self.facts()
            if (now.size, now.mark) != (known.size, known.mark):
                raise ChangedError(f"{self._place.name} changed while it was read")
        return data


def opened(place: RemotePath) -> tuple[FileSystem, str]:
    """Return the file system that a URL names and the path within it.

    Raises `UsageError` when nothing installed speaks the protocol.
    """
    filesystem, stripped = _filesystem(place)
    return filesystem, stripped(place.address)


def kind_of(place: RemotePath) -> str:
    """Return `file` or `directory`. Raises `AbsentError` when there is neither."""
    filesystem, path = opened(place)
    with typed(place.url):
        filesystem.invalidate_cache()
        return str(filesystem.info(path).get("type"))


def children(place: RemotePath) -> list[tuple[str, Info]]:
    """Return names and descriptions of what lies in a folder, by name."""
    filesystem, path = opened(place)
    with typed(place.url):
        found = filesystem.ls(path, detail=True)
        named = ((str(info["name"]).rstrip("/"), info) for info in found)
        # S3 and its kind list a folder as an entry of itself when it was made by hand.
        inside = {name.rpartition("/")[2]: info for name, info in named if name.strip("/") != path.strip("/")}
    return sorted(inside.items())


def _filesystem(place: RemotePath) -> tuple[FileSystem, Callable[[str], str]]:
    import fsspec

    if place.scheme not in fsspec.available_protocols():
        raise UsageError(f"no store is known by {place.scheme}://")
    package = PACKAGES.get(place.scheme)
    try:
        kind = fsspec.get_filesystem_class(place.scheme)
    except ImportError as error:
        wanted = package or error.name or "another package"
        raise UsageError(f"{place.scheme}:// needs {wanted}, which is not installed: pip install {wanted}") from error
    with typed(place.name):
        filesystem = _made(kind, tuple(sorted(kind._get_kwargs_from_urls(place.address).items())))  # noqa: SLF001  (what `fsspec.core.url_to_fs` does)
    return filesystem, kind._strip_protocol  # noqa: SLF001  (the same)


@functools.lru_cache(64)
def _made(kind: Callable[..., FileSystem], options: tuple[tuple[str, object], ...]) -> FileSystem:
    return kind(**dict(options))


@contextmanager
def typed(name: str) -> Iterator[None]:
    """Turn what the libraries of the stores raise into `RemoteError`, told in one line."""
    try:
        yield
    except ForensicsError:
        raise
    except FileNotFoundError as error:
        raise AbsentError(f"{name} is not there: the store has nothing under this name") from error
    except PermissionError as error:
        raise RemoteError(f"{name}: the store does not let it be read") from error
    except Exception as error:  # each store's library has errors of its own
        lines = str(error).strip().splitlines()
        told = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        raise RemoteError(f"{name}: the store cannot be read ({told})") from error


def modified_of(info: Info) -> float:
    """Return when a file was last written, seconds since the epoch; 0.0 where the store does not say."""
    for name in TIMES:
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
            except ValueError:
                continue
    return 0.0


def _mark(info: Info) -> str:
    return next((f"{name} {info[name]}" for name in MARKS if info.get(name)), "")
