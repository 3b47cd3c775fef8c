"""`model.safetensors.index.json`: which shard holds which tensor, checked before a shard is opened.

transformers `modeling_utils.py` (`save_pretrained`) writes bare file names. What leads elsewhere is refused: an
index is a stranger's text, and a path in it must not make us read another file of the machine.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

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
    above = artifact.location.parent
    beside = _Beside(str(above)) if isinstance(above, Path) else None
    refused = {s: why for s in sorted(shards) if (why := _refusal(folder, artifact, beside, s)) is not None}
    for shard, why in list(refused.items())[:SHOWN]:
        found.suspicious(f"{artifact.path} names the shard {shard[:LONGEST_SHOWN]!r}, which {why}", artifact.path)
    kept = {name: shard for name, shard in texts.items() if shard not in refused}
    missing = sorted(shard for shard in set(kept.values()) if not _is_there(folder, folders, beside, shard))
    _compare(found, folder, artifact, kept, missing)


class _Beside:
    """The folder of an index on this machine, listed once: an index may name 300,000 shards."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        try:
            self._names = frozenset(os.listdir(folder))  # noqa: PTH208  (texts)
        except OSError:
            self._names = frozenset()

    def place(self, shard: str) -> str:
        return os.path.join(self._folder, shard)  # noqa: PTH118  (texts)

    def has(self, shard: str) -> bool:
        return (
            shard in self._names if "/" not in shard and shard not in {"", "."} else os.path.lexists(self.place(shard))
        )


def _refusal(folder: Folder, artifact: Artifact, beside: "_Beside | None", shard: str) -> str | None:
    """Say why a shard must not be opened, None when it may (whether it is there is another question).

    `beside` is the folder of the index, None where it is not on this machine.
    """
    if shard in folder.files:
        return None
    if shard.startswith("/") or ".." in shard.split("/") or "\0" in shard or "\\" in shard:
        return "leads outside the run folder: it was not opened"
    try:
        return None if beside is None or not beside.has(shard) else _kind(artifact, beside.place(shard))
    except (OSError, ValueError):
        return "cannot be looked at: it was not opened"


def _kind(artifact: Artifact, where: str) -> str | None:
    inside = os.path.realpath(str(artifact.root / "."))
    if os.path.commonpath([os.path.realpath(where), inside]) != inside:
        return "is a link that leads outside the run folder: it was not opened"
    if not stat.S_ISREG(os.stat(where).st_mode):  # noqa: PTH116  (a text)
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
    present = set(found.records.tensors.names)
    lost = sorted(name for name, shard in mapping.items() if name not in present and shard in folder.files)
    if lost and not found.problems:
        found.damaged(f"{len(lost)} tensors of the index are in no shard: {', '.join(lost[:SHOWN])}", artifact.path)


def _is_there(folder: Folder, folders: Folders, beside: "_Beside | None", shard: str) -> bool:
    """Tell whether the run has the shard: beside the index, below it, or as a link inside the run."""
    if shard in folder.files:
        return True
    if beside is not None:
        return beside.has(shard)
    inner, _, name = shard.rpartition("/")
    below = folders.get(folder.below(inner)) if inner else None
    return below is not None and name in below.files
