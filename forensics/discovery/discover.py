"""A directory (or a file) to a sorted list of artifacts. Looks at names and sizes only, opens nothing."""

import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.discovery.kinds import chosen
from forensics.errors import UnreadableError
from forensics.limits import DEFAULT, Limits
from forensics.model import Artifact, Skip
from forensics.storage.locations import Locations, Packed

IGNORED_FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        "__pycache__",
        "node_modules",
        "site-packages",
        ".venv",
        "venv",
        ".cache",
        ".ipynb_checkpoints",
    }
)
"""Folders that hold no trace of the run, or copies (Jupyter's). A `site-packages` may nest itself and be endless."""
ROCKSDB = expression(r"(?:^|/)\.aim/(?:meta|seqs)/(?:chunks|index)$")
"""Where Aim keeps its databases (aim 3.29, `aim/sdk/repo.py`); their write-ahead logs are named `000008.log`."""
LISTED = 2
"""How many times the files that are looked at are listed, for the others to be chosen among."""
LATEST = "/latest-run/"
RUN_FOLDER = expression(r"(?P<folder>.*/)(?P<run>latest-run|(?:offline-)?run-\d{8}_\d{6}-[\w-]+)/(?P<rest>.+)$")


@dataclass(frozen=True, slots=True)
class Discovery:
    """What lies under `root`: regular files by path, and what was passed over with the reason."""

    root: Path | Locations | Packed
    artifacts: tuple[Artifact, ...]
    skips: tuple[Skip, ...]


def discover_packed(place: Packed, limits: Limits = DEFAULT) -> Discovery:
    """Return a file that was packed alone as a run of one artifact."""
    return Discovery(place, (Artifact(place, place.name, place.file.size, place.file.modified, limits),), ())


def discover(path: Path, limits: Limits = DEFAULT) -> Discovery:
    """List the files of a run; a single file is a run of one artifact.

    Links that lead out of the directory, to a directory, or nowhere are not followed; FIFOs, sockets and devices
    are named in `skips`. Raises `UnreadableError` when `path` does not exist or cannot be listed.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableError(f"{path} cannot be read: {reason}") from error
    if stat.S_ISREG(status.st_mode):
        artifact = Artifact(path.parent, path.name, status.st_size, status.st_mtime, limits)
        return Discovery(path.parent, (artifact,), ())
    if not stat.S_ISDIR(status.st_mode):
        raise UnreadableError(f"{path} is neither a directory nor a regular file")
    artifacts: list[Artifact] = []
    skips: list[Skip] = []
    listed: list[tuple[str, os.DirEntry[str]]] = []
    for entry in _walk(path, limits):
        if isinstance(entry, Skip):
            skips.append(entry)
        elif len(listed) < LISTED * limits.files:
            listed.append(entry)
        else:
            skips.append(Skip("further files", f"more than {LISTED * limits.files:,} files; name a smaller directory"))
            break
    numbers, left = chosen([name for name, _ in listed], limits, limits.files_of_a_kind)
    skips.extend(left)
    inside = os.path.realpath(path)
    for found in (_file(path, *listed[number], inside, limits) for number in numbers):
        if isinstance(found, Skip):
            skips.append(found)
        else:
            artifacts.append(found)
    artifacts.sort(key=lambda a: a.path)
    copies = _copies(artifacts)
    skips.extend(Skip(copy, f"a copy of {original}, which is read itself") for copy, original in copies.items())
    return Discovery(path, tuple(a for a in artifacts if a.path not in copies), tuple(skips))


def _copies(artifacts: list[Artifact]) -> dict[str, str]:
    """Return files of `wandb/latest-run/` that stand in a run's own folder too, with the path there.

    It is a link, which is not followed; where links cannot be made, or after a download, it is a copy.
    """
    latest = [a for a in artifacts if LATEST in f"/{a.path}"]
    if not latest:
        return {}
    named: dict[tuple[str, str, int], str] = {}
    for artifact in artifacts:
        folder, run, rest = _split_run(artifact.path)
        if run != LATEST.strip("/"):
            named.setdefault((folder, rest, artifact.size), artifact.path)
    found = {a.path: named.get((_split_run(a.path)[0], _split_run(a.path)[2], a.size)) for a in latest}
    return {copy: original for copy, original in found.items() if original is not None}


def _split_run(path: str) -> tuple[str, str, str]:
    """Return the folder of a W&B run's folder, the run's folder, and the path within; empty when there is none."""
    match = RUN_FOLDER.match(f"/{path}")
    return ("", "", path) if match is None else (match["folder"], match["run"], match["rest"])


def _walk(root: Path, limits: Limits) -> Iterator["tuple[str, os.DirEntry[str]] | Skip"]:
    """Yield what is no folder, with its path below the root, and the folders that were passed over."""
    # Iterative on purpose: os.walk recursed before Python 3.12 and fails on a thousand nested folders.
    pending: list[tuple[str, int]] = [("", 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(islice(found, LISTED * limits.files + 1), key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise UnreadableError(f"{root} cannot be listed: {error.strerror}") from error
            yield Skip(folder, f"cannot be listed: {error.strerror}")
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name in IGNORED_FOLDERS or ROCKSDB.search(path):
                    continue
                if depth + 1 >= limits.depth:
                    yield Skip(path, f"more than {limits.depth} folders deep")
                else:
                    pending.append((path, depth + 1))
            else:
                yield path, entry


def _file(root: Path, path: str, entry: "os.DirEntry[str]", inside: str, limits: Limits) -> Artifact | Skip:
    try:
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if os.path.commonpath([target, inside]) != inside:
                return Skip(path, "a link that leaves the run folder; not followed")
            if not stat.S_ISREG(os.stat(target).st_mode):  # noqa: PTH116  (a resolved text path)
                return Skip(path, "a link to something that is not a regular file; not followed")
            return Skip(path, f"a link to {os.path.relpath(target, inside)}, which is read itself")
        status = entry.stat(follow_symlinks=False)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        loop = isinstance(error, OSError) and error.errno == errno.ELOOP
        return Skip(path, "a link loop; not followed" if loop else f"cannot be read: {reason}")
    if not stat.S_ISREG(status.st_mode):
        return Skip(path, "not a regular file (a FIFO, socket or device); not opened")
    return Artifact(root, path, status.st_size, status.st_mtime, limits)
