"""Artifacts to checkpoints: every layout looks at every folder; parts of one save are joined."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from forensics.errors import ForensicsError
from forensics.model import Artifact, Checkpoint, Skip, TensorRecord, Trained
from forensics.weights.folders import Folder, folders_of, natural
from forensics.weights.found import Found
from forensics.weights.judge import judge_files
from forensics.weights.layouts import deepspeed, huggingface
from forensics.weights.layouts import loose as loose_layout

LAYOUTS: tuple[Callable[[Folder], Found | None], ...] = (huggingface.recognise, deepspeed.recognise)


def find_checkpoints(
    artifacts: Sequence[Artifact], *, loose: bool = False
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Return every checkpoint among the artifacts in step order, headers read and no weight touched.

    A DeepSpeed folder (`checkpoint-20/global_step20`) is joined with the Hugging Face folder around it. Files at
    the top of a run that has numbered checkpoints are its final save. With `loose`, weight files that belong to
    no layout count as checkpoints of their own when there is no other.
    """
    folders = folders_of(artifacts)
    found: dict[str, Found] = {}
    skips: list[Skip] = []
    for path, folder in folders.items():
        for recognise in LAYOUTS:
            try:
                one = recognise(folder)
            except ForensicsError as error:
                skips.append(Skip(path, str(error)))
                continue
            if one is not None:
                found[path] = one if path not in found else _joined(found[path], one)
    if loose and not found:
        ones = ((artifact.path, loose_layout.recognise(artifact)) for artifact in artifacts)
        found = {path: one for path, one in ones if one is not None and (one.records or one.problems or one.skips)}
    merged = _with_parents(found)
    checkpoints = [_frozen(one, folders) for one in merged.values()]
    checkpoints.sort(key=lambda c: (c.step is None, c.step or 0, natural(c.path)))
    skips.extend(skip for one in merged.values() for skip in one.skips)
    return tuple(checkpoints), tuple(skips)


def _with_parents(found: dict[str, Found]) -> dict[str, Found]:
    merged: dict[str, Found] = {}
    for path in sorted(found, key=natural):
        parent = path.rpartition("/")[0] or "."
        inner = found[path]
        if inner.kind == "deepspeed" and parent in merged and parent != ".":
            merged[parent] = _joined(merged[parent], inner)
        else:
            merged[path] = inner
    return merged


def _joined(outer: Found, inner: Found) -> Found:
    """Join the parts of one save: weights of the outer folder win, shards of the inner one are added."""
    known = {(record.name, record.role) for record in outer.records if record.elements}
    has_weights = any(role == "weight" for _, role in known)
    added = [
        record
        for record in inner.records
        if (record.name, record.role) not in known and not (has_weights and record.role == "weight")
    ]
    trained = {**outer.trained, **inner.trained}
    return replace(
        outer,
        kind=f"{outer.kind}+{inner.kind}",
        step=outer.step if outer.step is not None else inner.step,
        records=[*outer.records, *added],
        trained=trained,
        problems=[*outer.problems, *inner.problems],
        skips=[*outer.skips, *inner.skips],
        optimizer=inner.optimizer or outer.optimizer,
        world_size=inner.world_size or outer.world_size,
        modified=max(outer.modified, inner.modified),
        files=[*outer.files, *inner.files],
    )


def _frozen(found: Found, folders: Mapping[str, Folder]) -> Checkpoint:
    return Checkpoint(
        path=found.path,
        kind=found.kind,
        step=found.step,
        records=tuple(_labelled(record, found.trained) for record in found.records),
        problems=tuple(dict.fromkeys([*found.problems, *judge_files(found, folders)])),
        optimizer=found.optimizer,
        world_size=found.world_size,
        modified=found.modified,
        files=tuple(found.files),
    )


def _labelled(record: TensorRecord, trained: Mapping[str, Trained]) -> TensorRecord:
    label = "tied" if record.alias_of is not None else trained.get(record.name, "unknown")
    return record if label == record.trained else replace(record, trained=label)
