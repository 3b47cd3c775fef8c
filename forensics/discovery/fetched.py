"""A run at a URL: what is small is brought here, tensors stay there and are read by ranges.

Logs, states, event files and configurations are a thousandth of a run; readers take them as files of this machine.
What holds tensors is opened where it lies, so that a header costs one request.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.discovery.discover import Discovery
from forensics.discovery.remote import discover_remote
from forensics.errors import ForensicsError
from forensics.limits import DEFAULT, Limits
from forensics.model import Artifact, Skip
from forensics.storage.file import File
from forensics.storage.locations import Locations, RemotePath

TENSORS = expression(r"\.(safetensors|bin|pt|pth|ckpt|distcp|gguf|npz|h5|msgpack)$|(^|/)\.metadata$", re.IGNORECASE)
"""What is opened where it lies, unless it is so small that its header is most of it."""
MOST_OF_TENSORS, MOST_BYTES = 1 << 20, 256 << 20
"""What is larger, of files with tensors and of all others, is opened where it lies."""
AT_ONCE = 8
BLOCK = 4 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """A run at a URL as it was found: its files, and the folder that holds those that were brought here."""

    found: Discovery
    folder: Path


@contextmanager
def fetched(place: RemotePath, limits: Limits = DEFAULT) -> Iterator[Fetched]:
    """Yield the run at a URL; what was brought here is deleted at the end.

    Raises `RemoteError` when the store does not answer or has nothing there, `UsageError` when nothing installed
    speaks its protocol.
    """
    _, artifacts, skips = discover_remote(place, limits)
    alone = len(artifacts) == 1 and artifacts[0].path == place.url
    base = place.parent if alone else place
    import tempfile
    from concurrent.futures import ThreadPoolExecutor

    with tempfile.TemporaryDirectory(prefix="medforensics-") as made, ThreadPoolExecutor(AT_ONCE) as pool:
        folder = Path(made)
        root = Locations((base,), base, folder)
        named = [replace(a, root=root, path=a.path.removeprefix(f"{base.url}/")) for a in artifacts]
        brought = list(pool.map(lambda artifact: _brought(artifact, folder), named))
        kept = tuple(one for one in brought if isinstance(one, Artifact))
        left = tuple(one for one in brought if isinstance(one, Skip))
        below = tuple(replace(skip, what=skip.what.removeprefix(f"{base.url}/")) for skip in skips)
        yield Fetched(Discovery(root, kept, (*below, *left)), folder)


def _brought(artifact: Artifact, folder: Path) -> Artifact | Skip:
    """Bring a file here unless it is better opened where it lies; return it, or why it can be neither."""
    parts = PurePosixPath(artifact.path)
    if parts.is_absolute() or ".." in parts.parts or "\0" in artifact.path:
        return Skip(artifact.path, "a name that leads out of its folder; not read")
    if artifact.size > (MOST_OF_TENSORS if TENSORS.search(artifact.path) else MOST_BYTES):
        return artifact
    part = folder / f"{artifact.path}.part"
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with File(artifact.location) as file, part.open("wb") as out:
            for start in range(0, file.size, BLOCK):
                out.write(file.read(start, min(BLOCK, file.size - start)))
        part.rename(folder / artifact.path)
    except ForensicsError as error:
        return Skip(artifact.path, str(error))
    except OSError as error:
        return Skip(artifact.path, f"cannot be kept here: {error.strerror}")
    return artifact
