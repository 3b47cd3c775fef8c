"""A URL to a list of artifacts: what `discover` does for a folder of this machine.

Stores are asked for their listing. A web server has none that can be trusted, so there a URL names one weight file,
or an index whose shards lie beside it.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from forensics.discovery.discover import IGNORED_FOLDERS
from forensics.errors import AbsentError, ForensicsError, RemoteError
from forensics.formats.lenient_json import load
from forensics.limits import DEFAULT, Limits
from forensics.model import Artifact, Skip
from forensics.storage.file import File
from forensics.storage.locations import Locations, RemotePath
from forensics.storage.remote_file import RemoteFile

INDEX_ENDING = ".index.json"
AT_ONCE = 8
"""Requests in flight while the shards of an index are looked for."""


def discover_remote(
    place: RemotePath, limits: Limits = DEFAULT
) -> tuple[Locations, tuple[Artifact, ...], tuple[Skip, ...]]:
    """List the files at a URL: a file, the shards of an index with it, or a folder of a store that can list.

    The paths of the artifacts are URLs without secrets, below the `Locations`. Raises `RemoteError` when the store
    does not answer or has nothing there, `UsageError` when nothing installed speaks its protocol.
    """
    if not place.is_http:
        found = _listed(place, limits)
        if found is not None:
            return found
    with File(place) as file:
        here = Locations((place,))
        artifact = Artifact(here, place.url, file.size, file.modified, limits)
        if not place.name.endswith(INDEX_ENDING):
            return here, (artifact,), ()
        index = load(file, limits).value
    beside = Locations((place, place.parent))
    names = _shards(index)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        shards = [one for one in pool.map(lambda name: _shard(beside, place.parent, name, limits), names) if one]
    return beside, (Artifact(beside, place.url, artifact.size, artifact.modified, limits), *shards), ()


def _shards(index: object) -> list[str]:
    """Return the shards that an index names beside itself or below; the layout tells what leads elsewhere."""
    mapping = index.get("weight_map") if isinstance(index, Mapping) else None
    names = {name for name in mapping.values() if isinstance(name, str)} if isinstance(mapping, Mapping) else set()
    return sorted(name for name in names if _lies_below(name))


def _lies_below(name: str) -> bool:
    parts = PurePosixPath(name)
    plain = name == parts.as_posix() and not parts.is_absolute() and ".." not in parts.parts
    return plain and name != "." and not any(letter in name for letter in "\\\0:?#%")


def _shard(root: Locations, folder: RemotePath, name: str, limits: Limits) -> Artifact | None:
    """Return the shard, None when the store says that it is not there; any other trouble is told when it is read."""
    try:
        remote = RemoteFile(folder / name)
    except AbsentError:
        return None
    except ForensicsError:
        return Artifact(root, f"{folder.url}/{name}", 0, 0.0, limits)
    return Artifact(root, f"{folder.url}/{name}", remote.size, remote.modified, limits)


def _listed(place: RemotePath, limits: Limits) -> tuple[Locations, tuple[Artifact, ...], tuple[Skip, ...]] | None:
    """Return the files below a folder of a store, None when the URL names a file."""
    from forensics.storage.remote_store import kind_of

    if kind_of(place) == "file":
        return None
    root = Locations((place,))
    artifacts: list[Artifact] = []
    skips: list[Skip] = []
    for found in _walked(place, root, limits):
        if isinstance(found, Skip):
            skips.append(found)
        elif len(artifacts) < limits.files:
            artifacts.append(found)
        else:
            skips.append(Skip("further files", f"more than {limits.files:,} files; name a smaller folder"))
            break
    if not artifacts:
        raise RemoteError(f"{place} is not there, or is an empty folder")
    artifacts.sort(key=lambda artifact: artifact.path)
    return root, tuple(artifacts), tuple(skips)


def _walked(place: RemotePath, root: Locations, limits: Limits) -> Iterator[Artifact | Skip]:
    from forensics.storage.remote_store import children, modified_of

    pending: list[tuple[str, int]] = [("", 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            entries = children(place / folder if folder else place)
        except RemoteError as error:
            if not folder:
                raise
            yield Skip(f"{place.url}/{folder}", str(error))
            continue
        for name, info in entries:
            path = f"{folder}/{name}" if folder else name
            if info.get("type") == "file" and isinstance(info.get("size"), int):
                yield Artifact(root, f"{place.url}/{path}", info["size"], modified_of(info), limits)
            elif info.get("type") != "directory" or name in IGNORED_FOLDERS:
                continue
            elif depth + 1 >= limits.depth:
                yield Skip(f"{place.url}/{path}", f"more than {limits.depth} folders deep")
            else:
                pending.append((path, depth + 1))
