"""`model.safetensors.index.json`: which shard holds which tensor, checked before a shard is opened.

transformers `modeling_utils.py` (`save_pretrained`) writes bare file names. What leads elsewhere is refused: an
index is a stranger's text, and a path in it must not make us read another file of the machine.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from forensics.errors import ForensicsError
from forensics.formats.lenient_json import load
from forensics.model import Artifact
from forensics.storage.file import File
from forensics.weights.folders import Folder, Folders
from forensics.weights.found import Found, grepable

SHOWN = 3
LONGEST_SHOWN = 80


def check_index(found: Found, folder: Folder, folders: Folders, artifact: Artifact) -> None:
    """Compare an index with the shards that are there."""
    try:
        with File(artifact.location) as file:
            index = load(file, artifact.limits).value
    except ForensicsError as error:
        found.damaged(f"{artifact.path}: {grepable(str(error))}", artifact.path)
        return
    mapping = index.get("weight_map") if isinstance(index, Mapping) else None
    if not isinstance(mapping, Mapping):
        found.damaged(f"{artifact.path} has no weight_map", artifact.path)
        return
    texts = {name: shard for name, shard in mapping.items() if isinstance(shard, str)}
    if len(texts) < len(mapping):
        found.damaged(
            f"{len(mapping) - len(texts)} of {len(mapping)} entries of the weight_map of {artifact.path} are not text",
            artifact.path,
        )
    shards = set(texts.values())
    refused = {shard: why for shard in sorted(shards) if (why := _refusal(folder, artifact, shard)) is not None}
    for shard, why in list(refused.items())[:SHOWN]:
        found.suspicious(f"{artifact.path} names the shard {shard[:LONGEST_SHOWN]!r}, which {why}", artifact.path)
    kept = {name: shard for name, shard in texts.items() if shard not in refused}
    missing = sorted(shard for shard in set(kept.values()) if not _is_there(folder, folders, artifact, shard))
    _compare(found, folder, artifact, kept, missing)


def _refusal(folder: Folder, artifact: Artifact, shard: str) -> str | None:
    """Say why a shard must not be opened, None when it may (whether it is there is another question)."""
    if shard in folder.files:
        return None
    parts = PurePosixPath(shard)
    if parts.is_absolute() or ".." in parts.parts or "\0" in shard or "\\" in shard:
        return "leads outside the run folder: it was not opened"
    try:
        return _kind(artifact, shard)
    except (OSError, ValueError):
        return "cannot be looked at: it was not opened"


def _kind(artifact: Artifact, shard: str) -> str | None:
    where = artifact.location.parent / shard
    if not isinstance(where, Path) or not os.path.lexists(where):
        return None
    inside = os.path.realpath(str(artifact.root / "."))
    if os.path.commonpath([os.path.realpath(where), inside]) != inside:
        return "is a link that leads outside the run folder: it was not opened"
    if not stat.S_ISREG(where.stat().st_mode):
        return "is not a regular file (a FIFO, socket, device or folder): it was not opened, the shard is missing"
    return None


def _compare(
    found: Found, folder: Folder, artifact: Artifact, mapping: Mapping[str, str], missing: Sequence[str]
) -> None:
    if missing:
        shards = set(mapping.values())
        shown = ", ".join(shard[:LONGEST_SHOWN] for shard in missing[:SHOWN])
        found.incomplete(f"{len(missing)} of {len(shards)} shards are missing: {shown}", artifact.path)
        return
    present = {record.name for record in found.records}
    lost = sorted(name for name, shard in mapping.items() if name not in present and shard in folder.files)
    if lost and not found.problems:
        found.damaged(f"{len(lost)} tensors of the index are in no shard: {', '.join(lost[:SHOWN])}", artifact.path)


def _is_there(folder: Folder, folders: Folders, artifact: Artifact, shard: str) -> bool:
    """Tell whether the run has the shard: beside the index, below it, or as a link inside the run."""
    if shard in folder.files:
        return True
    where = artifact.location.parent / shard
    if isinstance(where, Path):
        return os.path.lexists(where)
    inner, _, name = shard.rpartition("/")
    below = folders.get(folder.below(inner)) if inner else None
    return below is not None and name in below.files
