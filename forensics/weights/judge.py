"""What files and headers alone say against a checkpoint, before a weight is read."""

from collections.abc import Iterator, Mapping, Sequence

from forensics.errors import ForensicsError
from forensics.formats.lenient_json import load
from forensics.model import Artifact, Problem, Source
from forensics.storage.file import File
from forensics.weights.folders import Folder, Folders, step_of
from forensics.weights.found import Found
from forensics.weights.optimizer import whole

TAG_BYTES = 256
STATE_BYTES = 64 << 20
TAGS = ("latest", "latest_universal", "latest_checkpointed_iteration.txt", "latest.txt")
"""Of DeepSpeed (`engine.py`, `_save_checkpoint`), its universal form, Megatron-LM and verl, nanotron."""


def judge_files(found: Found, folders: Folders) -> Iterator[Problem]:
    """Yield where the steps disagree that name, engine, trainer state, scheduler and optimizer tell."""
    folder = folders.get(found.path)
    yield from _engine_step(found)
    if folder is not None:
        yield from _trainer_step(found, folder)
    yield from _optimizer_step(found)


def _engine_step(found: Found) -> Iterator[Problem]:
    state = found.optimizer
    if state is None or found.step is None or state.global_steps is None:
        return
    if state.global_steps != found.step:
        yield Problem(
            "suspicious",
            f"the folder says step {found.step}, its DeepSpeed state {state.global_steps}",
            Source(found.path),
        )


def _trainer_step(found: Found, folder: Folder) -> Iterator[Problem]:
    artifact = folder.files.get("trainer_state.json")
    if artifact is None or found.step is None or artifact.size > STATE_BYTES:
        return
    try:
        with File(artifact.location) as file:
            state = load(file, artifact.limits).value
    except ForensicsError:
        return  # The reader of trainer states tells it.
    step = whole(state.get("global_step")) if isinstance(state, Mapping) else None
    if step is not None and step != found.step:
        yield Problem(
            "suspicious",
            f"the folder says step {found.step}, its trainer_state.json global_step {step}",
            Source(artifact.path),
        )


def _optimizer_step(found: Found) -> Iterator[Problem]:
    """Compare the counters of scheduler and optimizer with the step.

    Both lag behind when fp16 steps are skipped, so only what no skipped step explains is told: a counter that is
    ahead, or one that lags without a loss scale. accelerate steps a scheduler once a process
    (`AcceleratedScheduler.step`).
    """
    state = found.optimizer
    if state is None or found.step is None or not found.kind.startswith("huggingface"):
        return
    # DeepSpeed before 0.14 makes a step on zeros when it starts, and is saved before its scheduler steps.
    near = 1 if "deepspeed" in found.kind else 0
    skips = state.loss_scale is not None or (state.skipped_steps or 0) > 0
    for what, counted in (("scheduler", state.scheduler_step), ("optimizer", state.step)):
        if counted is None or abs(counted - found.step) <= near:
            continue
        times = what == "scheduler" and counted == found.step * (found.world_size or 1)
        if times or (skips and counted < found.step):
            continue
        yield Problem(
            "suspicious",
            f"the folder says step {found.step}, its {what} has counted {counted:,}",
            Source(found.path),
        )


def judge_tags(found: Sequence[Found], folders: Folders) -> Iterator[tuple[str, Problem]]:
    """Yield (path of a checkpoint, problem) of the files that name the last save: it must be there and be last.

    They are written when a save is complete, so a newer folder than the one named did not finish, or is left from
    before the run went back.
    """
    for folder in folders.values():
        for name in TAGS:
            if name in folder.files:
                yield from _tag(folder, folder.files[name], found, folders)


def _tag(folder: Folder, artifact: Artifact, found: Sequence[Found], folders: Folders) -> Iterator[tuple[str, Problem]]:
    beside = [one for one in found if one.path == folder.path or folder.path in {".", _above(one.path)}]
    beside += [one for one in found if _above(_above(one.path)) == folder.path and one not in beside]
    if not beside or artifact.size > TAG_BYTES:
        return
    try:
        with File(artifact.location) as file:
            tag = file.read(0, file.size).decode("utf-8", "replace").strip()
    except ForensicsError:
        return
    newest = max(beside, key=lambda one: (one.step or 0, one.path))
    source, shown = Source(artifact.path), tag[:80]
    if "/" in tag or "\\" in tag or tag in {"..", "."} or "\0" in tag:
        told = f"`{artifact.path}` names {shown!r}, which leads outside the run folder"
        yield newest.path, Problem("suspicious", told, source)
        return
    names = [tag, f"iter_{int(tag):07d}", f"global_step_{tag}"] if tag.isdigit() and len(tag) < 16 else [tag]
    step = int(tag) if tag.isdigit() and len(tag) < 16 else step_of(tag)
    if step is None:
        return
    if not any(_exists(folder.below(name), folders) for name in names):
        yield newest.path, Problem("incomplete", f"`{artifact.path}` names {shown}, which is not there", source)
    elif newest.step is not None and newest.step > step:
        yield (
            newest.path,
            Problem(
                "suspicious",
                f"`{artifact.path}`, which is written last, names {shown} and not {newest.path}: that save did "
                "not finish, or is left from before the run went back",
                source,
            ),
        )


def _above(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _exists(path: str, folders: Folders) -> bool:
    return path in folders or path in folders.children or any(each.startswith(f"{path}/") for each in folders)
