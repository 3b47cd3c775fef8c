"""Artifacts to checkpoints: every layout looks at every folder; parts of one save are joined."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import compress

import numpy as np

from forensics.errors import ForensicsError, InternalError, contained
from forensics.model import Artifact, Checkpoint, OptimizerState, Problem, Skip, Source, Trained
from forensics.model.columns import Coded
from forensics.model.tensors import Tensors
from forensics.weights.folders import Folder, Folders, folders_of, natural, step_of
from forensics.weights.found import Found, Records
from forensics.weights.judge import judge_files, judge_tags
from forensics.weights.judge_config import judge_config
from forensics.weights.layouts import (
    dcp,
    deepspeed,
    huggingface,
    megatron,
    sharded,
    trainers,
    trees,
    universal,
)
from forensics.weights.layouts import loose as loose_layout

LAYOUTS: tuple[Callable[[Folder, Folders], Iterator[Found]], ...] = (
    huggingface.recognise,
    deepspeed.recognise,
    universal.recognise,
    dcp.recognise,
    megatron.recognise,
    sharded.recognise,
    trainers.recognise,
    trees.recognise,
)


def find_checkpoints(
    artifacts: Sequence[Artifact], *, loose: bool = False, asked: bool = False
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Return every checkpoint among the artifacts in step order, headers read and no weight touched.

    A DeepSpeed folder (`checkpoint-20/global_step20`) is joined with the Hugging Face folder around it. Files at
    the top of a run that has numbered checkpoints are its final save. With `loose`, weight files that belong to
    no layout count as checkpoints of their own when there is no other; those that were `asked` for whatever they hold,
    the others where they show that they are checkpoints (`layouts.loose`).
    """
    folders = folders_of(artifacts)
    found: dict[str, Found] = {}
    skips: list[Skip] = []
    for path, folder in folders.items():
        for recognise in LAYOUTS:
            try:
                with contained(f"the layout {recognise.__module__.rpartition('.')[2]} on {path}"):
                    for one in recognise(folder, folders):
                        found[one.path] = one if one.path not in found else _joined(found[one.path], one)
            except ForensicsError as error:
                skips.append(Skip(path, str(error), isinstance(error, InternalError)))
    if loose and not found:
        for artifact in artifacts:
            _add_loose(artifact, found, skips, asked)
    merged = _with_parents(found, folders)
    try:
        with contained("the judgement of the files that name the last save"):
            for path, problem in judge_tags(list(merged.values()), folders):
                merged[path].problems.append(problem)
    except ForensicsError as error:
        skips.append(Skip("files that name the last save", str(error), isinstance(error, InternalError)))
    checkpoints = [_frozen(one, folders) for one in merged.values()]
    checkpoints.sort(key=lambda c: (c.step is None, c.step or 0, natural(c.path)))
    skips.extend(skip for one in merged.values() for skip in one.skips)
    return tuple(checkpoints), tuple(skips)


def _add_loose(artifact: Artifact, found: dict[str, Found], skips: list[Skip], asked: bool) -> None:
    try:
        with contained(f"the look at {artifact.path}"):
            one = loose_layout.recognise(artifact, asked=asked)
    except ForensicsError as error:
        skips.append(Skip(artifact.path, str(error), isinstance(error, InternalError)))
        return
    if isinstance(one, Skip):
        skips.append(one)
    elif one is not None and (one.records or one.problems or one.skips):
        found[artifact.path] = one


def _with_parents(found: dict[str, Found], folders: Folders) -> dict[str, Found]:
    merged: dict[str, Found] = {}
    for path in sorted(found, key=natural):
        parent = path.rpartition("/")[0] or "."
        inner = found[path]
        if inner.part_of_parent:
            outer = merged.get(parent) or Found(parent, "", step_of(parent.rpartition("/")[2]))
            merged[parent] = _joined(outer, inner)
        elif inner.kind == "deepspeed" and parent in merged and _is_one_save(parent, folders):
            merged[parent] = _joined(merged[parent], inner)
        else:
            merged[path] = inner
    return merged


def _is_one_save(path: str, folders: Folders) -> bool:
    """Tell whether a DeepSpeed folder in `path` belongs to the save there, and not to a run that ended there."""
    if path != ".":
        return True
    folder = folders.get(path)
    return folder is not None and {"latest", "trainer_state.json"} <= folder.files.keys()


def _joined(outer: Found, inner: Found) -> Found:
    """Join the parts of one save: weights of the outer folder win, shards of the inner one are added."""
    held, more = outer.records.tensors, inner.records.tensors
    filled = held.elements > 0
    known = set(compress(zip(held.names, held.roles, strict=True), filled))
    has_weights = bool((filled & held.roles.among({"weight"})).any())
    new = [
        key not in known and not (has_weights and key[1] == "weight")
        for key in zip(more.names, more.roles, strict=True)
    ]
    added = more.taken(np.flatnonzero(np.array(new, dtype=bool)))
    # The engine knows its parameters by name, better than their shapes tell; what is a buffer stays one.
    trained = {**outer.trained, **inner.trained}
    trained.update((name, label) for name, label in outer.trained.items() if label == "buffer")
    problems = [*outer.problems, *inner.problems]
    if outer.world_size and inner.world_size and outer.world_size != inner.world_size and not outer.part_of_parent:
        told = f"{outer.path} has the random states of {outer.world_size} ranks and the shards of {inner.world_size}"
        problems.append(Problem("suspicious", told, Source(outer.path)))
    return replace(
        outer,
        kind=f"{outer.kind}+{inner.kind}" if outer.kind not in {"", inner.kind} else inner.kind,
        step=outer.step if outer.step is not None else inner.step,
        records=Records(Tensors.joined([held, added])),
        trained=trained,
        problems=problems,
        skips=[*outer.skips, *inner.skips],
        optimizer=_combined(outer.optimizer, inner.optimizer),
        world_size=inner.world_size or outer.world_size,
        modified=max(outer.modified, inner.modified),
        files=[*outer.files, *inner.files],
    )


def _combined(outer: OptimizerState | None, inner: OptimizerState | None) -> OptimizerState | None:
    """Return the inner state, with what only the outer one knows: the scheduler of an engine of Trainer's own."""
    if outer is None or inner is None:
        return inner or outer
    lacking = {
        field.name: getattr(outer, field.name)
        for field in fields(inner)
        if getattr(inner, field.name) in {None, (), ""}
    }
    return replace(inner, **lacking)


def _frozen(found: Found, folders: Folders) -> Checkpoint:
    problems = list(found.problems)
    for judge in (judge_files, judge_config):
        try:
            with contained(f"the judgement of {found.path}"):
                problems.extend(judge(found, folders))
        except ForensicsError as error:
            found.skips.append(Skip(found.path, str(error), isinstance(error, InternalError)))
    return Checkpoint(
        path=found.path,
        kind=found.kind,
        step=found.step,
        records=_labelled(found.records.tensors, found.trained),
        problems=tuple(dict.fromkeys(problems)),
        optimizer=found.optimizer,
        world_size=found.world_size,
        modified=found.modified,
        files=tuple(found.files),
    )


def _labelled(tensors: Tensors, trained: Mapping[str, Trained]) -> Tensors:
    labels = Coded.of(trained.get(name, "unknown") for name in tensors.names) if trained else None
    labels = labels or Coded.all("unknown", len(tensors))
    if tensors.aliases:
        words = [*labels.words, "tied"]
        codes = labels.codes.copy()
        codes[list(tensors.aliases)] = len(words) - 1
        labels = Coded(codes, words)
    return tensors.changed(trained=labels)
