"""What files and headers alone say against a checkpoint, before a weight is read."""

from collections.abc import Iterator, Mapping

from forensics.errors import ForensicsError
from forensics.formats.file import File
from forensics.model import Problem, Source
from forensics.weights.folders import Folder, step_of
from forensics.weights.found import Found

TAG_BYTES = 256


def judge_files(found: Found, folders: Mapping[str, Folder]) -> Iterator[Problem]:
    """Yield what is wrong: a tag that names no folder, an engine that stepped otherwise than the name says."""
    folder = folders.get(found.path)
    if folder is None:
        return
    yield from _latest(folder, folders)
    yield from _steps(found)


def _latest(folder: Folder, folders: Mapping[str, Folder]) -> Iterator[Problem]:
    artifact = folder.files.get("latest")
    if artifact is None or artifact.size > TAG_BYTES:
        return
    try:
        with File(artifact.location) as file:
            tag = file.read(0, file.size).decode("utf-8", "replace").strip()
    except ForensicsError:
        return
    inner = tag if folder.path == "." else f"{folder.path}/{tag}"
    if tag and step_of(tag) is not None and inner not in folders:
        yield Problem("incomplete", f"`latest` names {tag[:80]}, which is not there", Source(artifact.path))


def _steps(found: Found) -> Iterator[Problem]:
    state = found.optimizer
    if state is None or found.step is None or state.global_steps is None:
        return
    if state.global_steps != found.step:
        yield Problem(
            "suspicious",
            f"the folder says step {found.step}, its DeepSpeed state {state.global_steps}",
            Source(found.path),
        )
