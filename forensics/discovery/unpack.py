"""A path as users have it: a directory, a file, an archive, or `-` for a log on standard input.

A log that was packed alone is read as it is (`storage.packed`). Archives are unpacked member by member into a temporary
directory: regular files only, names kept inside it, sizes counted while they are written. Nothing an archive says about
itself is believed (no `extractall`). Of an archive that is cut, what lies before the cut is there.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from forensics.discovery.kinds import WEIGHTS, chosen, kind_of, told
from forensics.errors import InternalError, LimitError, MalformedError, UnreadableError, contained
from forensics.formats.comet_archive import HEAD_BYTES, is_comet
from forensics.limits import DEFAULT, Limits
from forensics.model import Skip
from forensics.storage.file import File
from forensics.storage.locations import Packed

BLOCK = 1 << 20
STANDARD_INPUT = "-"
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PACKED_ENDINGS = (".gz", ".xz")
FREE_BYTES = 256 << 20
"""Up to here nothing is asked about how far an archive was packed."""
RATIO = 250
"""Bytes that one packed byte may become beyond `FREE_BYTES`: the logs of the fixtures become 4 to 30, deflate can
reach 1,032 with one byte repeated."""


OF_A_KIND = 10_000
"""Files of one ending in one folder that are unpacked; of a tar the first, of a zip the first and the last by name."""
FREE_MEMBERS, BYTES_A_MEMBER = 30_000, 10_000
"""Members of a tar that are looked through whatever its size, and the bytes that each further one has to have."""
UNPACKED = (".db", ".sqlite", ".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".npz", ".npy")
"""What is read at many places and not in order, or by a library that opens files itself."""


@contextmanager
def opened(path: Path, limits: Limits = DEFAULT) -> Iterator[tuple[Path | Packed, tuple[Skip, ...]]]:
    """Yield a place that can be discovered, and what an archive lost; what was unpacked is deleted at the end.

    Raises `UnreadableError` or `MalformedError` when an archive cannot be read, `LimitError` when it holds more
    than `limits` allows.
    """
    name = path.name.lower()
    packed = name.endswith((".zip", *TAR_ENDINGS, *PACKED_ENDINGS)) and path.is_file() and not _is_read_packed(path)
    if str(path) != STANDARD_INPUT and not packed:
        yield path, ()
        return
    if packed and not name.endswith((".zip", *TAR_ENDINGS)) and not name[:-3].endswith(UNPACKED):
        with _streamed(path, limits) as place:
            yield place
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="medforensics-") as made:
        folder = Path(made)
        if str(path) == STANDARD_INPUT:
            yield _standard_input(folder, limits), ()
            return
        lost: list[Skip] = []
        try:
            with contained(f"the unpacking of {path.name}"):
                inner = _unpacked(path, name, folder, limits, lost)
        except InternalError as error:
            raise MalformedError(f"{path.name} cannot be unpacked: {error.__cause__}") from error
        yield inner, tuple(lost)


@contextmanager
def _streamed(path: Path, limits: Limits) -> Iterator[tuple[Packed, tuple[Skip, ...]]]:
    from forensics.storage.packed import PackedFile

    file = PackedFile(path, lambda used: _most(used, limits))
    try:
        if not file.size:
            raise MalformedError(f"{path.name} cannot be unpacked: {file.fault or 'it holds nothing'}")
        yield Packed(file, path.name[:-3]), _lost(path, file.fault, file.size)
    finally:
        file.close()


def _lost(path: Path, fault: str, size: int) -> tuple[Skip, ...]:
    if not fault:
        return ()
    told = f"cut or corrupt ({fault}): {size:,} bytes of it were unpacked, what follows is missing"
    return (Skip(path.name, told, lost=True),)


def _is_read_packed(path: Path) -> bool:
    """Tell whether a reader takes the archive as it is."""
    try:
        with File(path) as file:
            return is_comet(file.head(HEAD_BYTES))
    except UnreadableError:
        return False


def _standard_input(folder: Path, limits: Limits) -> Path:
    import sys

    target = folder / "stdin.log"
    with target.open("wb") as out:
        _copy(sys.stdin.buffer, out, limits.archive_bytes, "standard input")
    return target


def _unpacked(path: Path, name: str, folder: Path, limits: Limits, lost: list[Skip]) -> Path:
    if name.endswith(".zip"):
        _zip(path, folder, limits, lost)
        return _inner(folder)
    if name.endswith(TAR_ENDINGS):
        _tar(path, folder, limits, lost)
        return _inner(folder)
    import gzip
    import lzma

    target = folder / path.name[:-3]
    with gzip.open(path) if name.endswith(".gz") else lzma.open(path) as packed, target.open("wb") as out:
        try:
            _copy(cast("IO[bytes]", packed), out, _most(path.stat().st_size, limits), path.name)
        except _cut() as error:
            lost.extend(_lost(path, str(error), out.tell()))
    return target


def _zip(path: Path, folder: Path, limits: Limits, lost: list[Skip]) -> None:
    import zipfile

    left, place = _most(path.stat().st_size, limits), _Place(folder)
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        _check_count(len(members), path, limits)
        numbers, skips = chosen([member.filename for member in members], limits, OF_A_KIND)
        lost.extend(skips)
        for member in (members[number] for number in numbers):
            # The upper half of the external attributes is the Unix mode; a link has 0o12 as its type.
            if member.external_attr >> 28 in {0, 0o10}:
                with archive.open(member) as packed, place.made(member.filename) as out:
                    left -= _copy(packed, out, left, path.name)


def _tar(path: Path, folder: Path, limits: Limits, lost: list[Skip]) -> None:
    import tarfile

    left, place = _most(path.stat().st_size, limits), _Place(folder)
    kinds: Counter[tuple[str, str]] = Counter()
    most = min(limits.files, FREE_MEMBERS + path.stat().st_size // BYTES_A_MEMBER)
    try:
        with tarfile.open(path) as archive:
            for number, member in enumerate(archive):
                if number >= most:
                    lost.append(Skip(path.name, f"what follows its first {most:,} files was not looked at"))
                    break
                kind = kind_of(member.name)
                kinds[kind] += member.isreg()
                if kinds[kind] > OF_A_KIND and kind[1] not in WEIGHTS:
                    continue
                packed = archive.extractfile(member) if member.isreg() else None
                if packed is not None:
                    with packed, place.made(member.name) as out:
                        left -= _copy(packed, out, left, path.name)
    except _cut() as error:
        if not any(folder.iterdir()):
            raise
        lost.extend(_lost(path, str(error), sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())))
    for kind, count in kinds.items():
        if count > OF_A_KIND and kind[1] not in WEIGHTS:
            lost.append(told(kind, count, f"the first {OF_A_KIND:,} of them were looked at"))


def _cut() -> tuple[type[Exception], ...]:
    """Return what a damaged archive raises; a disk that is full, or not to be read, raises something else."""
    import lzma
    import tarfile
    import zlib

    return EOFError, zlib.error, lzma.LZMAError, tarfile.ReadError


def _most(packed: int, limits: Limits) -> int:
    """Return how many bytes so many packed ones may become."""
    return min(limits.archive_bytes, max(FREE_BYTES, packed * RATIO))


def _check_count(count: int, path: Path, limits: Limits) -> None:
    if count > limits.files:
        raise LimitError(f"{path.name} holds more than {limits.files:,} files")


class _Place:
    """Where members go: below one folder, whatever their names try."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders: set[tuple[str, ...]] = set()

    def made(self, name: str) -> IO[bytes]:
        """Open the file of a member for writing, and make its folders. Raises `MalformedError` where it is there."""
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in {"/", "..", "."}]
        parts = [part.replace("\0", "_")[:200] for part in parts or ["unnamed"]]
        target, above = self._folder.joinpath(*parts), tuple(parts[:-1])
        if above not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(above)
        try:
            return target.open("xb")
        except FileExistsError:
            raise MalformedError(f"the archive holds {name[:80]!r} twice") from None


def _copy(packed: IO[bytes], out: IO[bytes], most: int, name: str) -> int:
    written = 0
    while block := packed.read(BLOCK):
        written += len(block)
        if written > most:
            raise LimitError(f"{name} unpacks to more than an archive of its size may ({most:,} bytes were left)")
        out.write(block)
    return written


def _inner(folder: Path) -> Path:
    """Return the one folder that an archive of a directory holds, or the folder itself."""
    held = list(folder.iterdir())
    if not held:
        raise UnreadableError("the archive holds no regular file")
    return held[0] if len(held) == 1 and held[0].is_dir() else folder
