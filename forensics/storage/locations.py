"""Where a file lies: on this machine, in a store that a URL names, or in memory as a part of another file."""

from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import quote

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass

_SCHEME = expression(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_NO_USER = frozenset({"hf", "abfs", "abfss", "az", "wasb", "wasbs"})
"""Schemes in which what stands before an @ names a repository or a container."""


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder of a store.

    `url` may be printed: it holds no user, no password and, of http, no query. `base` and `query` are what the
    store is asked for, as the user gave them; they are never shown.
    """

    url: str
    base: str = field(repr=False)
    query: str = field(default="", repr=False)

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0].lower()

    @property
    def is_http(self) -> bool:
        return self.scheme in {"http", "https"}

    @property
    def address(self) -> str:
        """What the store is asked for; may hold secrets."""
        return f"{self.base}?{self.query}" if self.query else self.base

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> "RemotePath":
        return RemotePath(self.url.rpartition("/")[0], self.base.rpartition("/")[0], self.query)

    def __truediv__(self, path: str) -> "RemotePath":
        below = quote(path) if self.is_http else path
        return RemotePath(f"{self.url.rstrip('/')}/{path}", f"{self.base.rstrip('/')}/{below}", self.query)

    def as_posix(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class Held:
    """A file in memory: a part of a document that is read as a file of its own. As a root it holds one file only."""

    data: bytes = field(repr=False)
    name: str = ""

    @property
    def parent(self) -> "Held":
        """Itself: nothing lies beside it."""
        return self

    def __truediv__(self, path: str) -> "Held":
        return Held(self.data, path.rpartition("/")[2])

    def __str__(self) -> str:
        return self.name


class Unpacked(Protocol):
    """The bytes of a packed file as they are read: `storage.packed.PackedFile`."""

    size: int

    @property
    def modified(self) -> float: ...

    @property
    def signature(self) -> tuple[int, int | str]: ...

    def read_into(self, offset: int, buffer: memoryview) -> None: ...

    def check_unchanged(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Packed:
    """What a file that was packed alone unpacks to. As a root it holds that one file only."""

    file: Unpacked = field(repr=False, compare=False)
    name: str

    @property
    def parent(self) -> "Packed":
        """Itself: nothing lies beside it."""
        return self

    def __truediv__(self, path: str) -> "Packed":
        return Packed(self.file, path.rpartition("/")[2])

    def __str__(self) -> str:
        return self.name


Place: TypeAlias = Path | RemotePath
"""What a user can name."""


def place_of(text: str) -> Place:
    """Return what a user named: a URL as `RemotePath`, anything else, and `file://`, as a path of this machine.

    >>> place_of("https://me:secret@example.org/a/model.safetensors?sig=abc")
    RemotePath(url='https://example.org/a/model.safetensors')
    >>> place_of("file:///data/run").as_posix(), place_of("out/checkpoint-5").as_posix()
    ('/data/run', 'out/checkpoint-5')
    """
    match = _SCHEME.match(text)
    if match is None:
        return Path(text)
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in {"file", "local"}:
        return Path(rest.removeprefix("localhost"))
    query = ""
    if scheme in {"http", "https"}:
        rest, _, query = rest.partition("#")[0].partition("?")
    rest = rest.rstrip("/")
    host, slash, path = rest.partition("/")
    shown = host if scheme in _NO_USER else host.rpartition("@")[2]
    return RemotePath(f"{scheme}://{shown}{slash}{path}", f"{scheme}://{rest}", query)


def is_url(text: str) -> bool:
    """Tell whether a text names a place that is not of this machine.

    >>> is_url("s3://bucket/run"), is_url("file:///data/run"), is_url("C:/data")
    (True, False, False)
    """
    return isinstance(place_of(text), RemotePath)


@dataclass(frozen=True, slots=True)
class Locations:
    """The root of everything that one call looks at: `locations / path` is where the file lies.

    A path is remote when it is, or lies below, one of the `remotes`, all of which a user named; every other path
    is one of this machine, relative to its root. Paths of files that were discovered here never hold `://`.
    With a `base`, all paths are relative to it; what was brought from there lies under the same path in `here`.
    """

    remotes: tuple[RemotePath, ...] = ()
    base: RemotePath | None = None
    here: Path | None = None

    def __truediv__(self, path: str) -> Place:
        if self.base is not None:
            brought = None if self.here is None else self.here / path
            return brought if brought is not None and brought.is_file() else self.base / path
        best: RemotePath | None = None
        for remote in self.remotes:
            if path == remote.url:
                return remote
            if path.startswith(f"{remote.url}/") and (best is None or len(remote.url) > len(best.url)):
                best = remote
        return Path("/") / path if best is None else best / path[len(best.url) + 1 :]

    def has_remote(self, paths: Iterable[str]) -> bool:
        return self.base is not None or (
            bool(self.remotes) and any(isinstance(self / path, RemotePath) for path in paths)
        )


Root: TypeAlias = Path | Locations | Held | Packed
"""What the paths of artifacts and pieces are relative to."""
