"""One file a save: Lightning's `.ckpt`, and the loops that write `step_100.pt`.

Lightning 2.6 `trainer/connectors/checkpoint_connector.py` (`dump_checkpoint`): state_dict, optimizer_states,
lr_schedulers, global_step, pytorch-lightning_version.
"""

from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.model import Artifact
from forensics.weights.folders import Folder, Folders, step_of
from forensics.weights.found import Found, open_torch
from forensics.weights.layouts._saved import saved_records

LIGHTNING = expression(r".+\.ckpt")


def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
    """Yield each `.ckpt` file of the folder as a checkpoint of its own."""
    del folders
    for _, artifact in folder.matching(LIGHTNING):
        yield _file(artifact)


def _file(artifact: Artifact) -> Found:
    name = artifact.path.rpartition("/")[2]
    found = Found(artifact.path, "lightning", step_of(name), modified=artifact.modified)
    read = open_torch(found, artifact)
    if read is None:
        return found
    value = read.value
    if not isinstance(value, Mapping) or "pytorch-lightning_version" not in value:
        found.kind = "file"
    named = found.step
    saved_records(found, artifact, read)
    inside = value.get("global_step") if isinstance(value, Mapping) else None
    if named is not None and isinstance(inside, int) and inside != named:
        found.suspicious(f"the file's name says step {named}, its global_step {inside}", artifact.path)
    return found
