"""Checkpoints on their own: what `scan` and `diff` look at."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cluster import Cluster
from forensics.deferred.records import dataclass
from forensics.discovery.discover import discover
from forensics.discovery.remote import discover_remote
from forensics.errors import NothingReadableError, UsageError
from forensics.formats.dtypes import DTYPES
from forensics.limits import DEFAULT, Limits
from forensics.model import Artifact, Checkpoint, Problem, Skip, Source
from forensics.storage.locations import Locations, Place
from forensics.weights import WeightsDepth, bits, examine_checkpoints, find_checkpoints
from forensics.weights.examine import Progress, judged, scan_checkpoints
from forensics.weights.unsafe import unsafe_pickles
from forensics.weights.work import installed

if TYPE_CHECKING:
    from forensics.weights.verify_with_torch import Verification

ROOT = Path("/")
"""Checkpoints named on the command line may lie anywhere; their pieces are found from here."""


@dataclass(frozen=True, slots=True)
class _Held:
    """The checkpoints at one place, headers read, and where their pieces are found."""

    root: Locations
    checkpoints: tuple[Checkpoint, ...]
    skips: tuple[Skip, ...]


def scan(
    path: Place,
    *,
    depth: WeightsDepth = "full",
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
    cluster: Cluster | None = None,
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Return every checkpoint under `path` (a folder, one weight file, a URL of either), and what was left out.

    Raises `NothingReadableError` when there is none, `RemoteError` when a store does not answer.
    """
    held = _held(path, limits)
    examined, unexamined = examine_checkpoints(held.root, held.checkpoints, depth, progress, cluster)
    return tuple(_named(c, path) for c in examined), tuple(_told(s, path) for s in (*held.skips, *unexamined))


def verify(checkpoints: Sequence[Checkpoint]) -> Iterator[tuple[Checkpoint, "Verification"]]:
    """Count scanned checkpoints again with torch, see `weights.verify_with_torch`.

    Raises `UsageError` when torch is not installed.
    """
    from forensics.weights.verify_with_torch import verify_all

    return verify_all(ROOT, checkpoints)


def compare(
    paths: Sequence[Place],
    *,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
    cluster: Cluster | None = None,
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Return the checkpoints at `paths`, each compared with the one before; every byte is read once.

    Raises `UsageError` when a path holds more than one checkpoint or fewer than two are given.
    """
    if len(paths) < 2:
        raise UsageError("diff needs two checkpoints or more")
    chosen: list[_Held] = []
    for path in paths:
        held = _held(path, limits)
        if len(held.checkpoints) > 1:
            names = ", ".join(_named(c, path).path for c in held.checkpoints[:4])
            raise UsageError(f"{path} holds {len(held.checkpoints)} checkpoints ({names}); name one of them")
        chosen.append(held)
    root = _joined(chosen)
    skips: list[Skip] = [skip for held in chosen for skip in held.skips]
    series = [held.checkpoints[0] for held in chosen]
    scanned = judged(root, scan_checkpoints(root, series, "full", progress, skips, cluster), full=True)
    for path in paths:
        skips = [_told(skip, path) for skip in skips]
    named = (replace(_named(c, path), path=str(path)) for c, path in zip(scanned, paths, strict=True))
    return tuple(named), tuple(skips)


SECONDS_A_GB = 0.3
"""Processor time that the kernels save: numpy needs 0.40 s a GB, they 0.09 s (benchmarks/weights.py)."""
WORTH_TELLING = 3.0


def hint(checkpoints: Sequence[Checkpoint]) -> str:
    """Say in a line that compiled loops would have been worth their installation; empty where they would not."""
    if installed():
        return ""
    looked_at = [one.tensors for one in checkpoints if one.table is not None]
    quick = {name for name, dtype in DTYPES.items() if bits.handles(dtype)}
    counted = sum(int(held.nbytes[held.own & held.dtypes.among(quick)].sum()) for held in looked_at)
    saved = counted / 1e9 * SECONDS_A_GB
    if saved < WORTH_TELLING:
        return ""
    return f"the compiled loops of medforensics[fast] would have saved about {saved:.0f} s of processor time"


def _joined(held: Sequence[_Held]) -> Locations:
    """Return one root for all. Raises `UsageError` when two URLs would be told apart by their secrets only."""
    remotes = {remote: None for one in held for remote in one.root.remotes}
    named: dict[str, str] = {}
    for remote in remotes:
        if named.setdefault(remote.url, remote.address) != remote.address:
            raise UsageError(f"two URLs of {remote.url} differ in their query or user only; look at them one by one")
    return Locations(tuple(remotes))


def _held(path: Place, limits: Limits) -> _Held:
    if isinstance(path, Path):
        found = discover(path, limits)
        root, left = Locations(), found.skips
        artifacts = tuple(_from_root(artifact) for artifact in found.artifacts)
    else:
        root, artifacts, left = discover_remote(path, limits)
    checkpoints, skips = find_checkpoints(artifacts, loose=True, asked=True)
    checkpoints, unread = _with_pickles(artifacts, checkpoints)
    skips = (*skips, *unread)
    if not checkpoints:
        reason = f": {_told(skips[0], path).reason}" if skips else ""
        raise NothingReadableError(f"no checkpoint in {path}{reason}")
    return _Held(root, checkpoints, (*left, *skips))


def _from_root(artifact: Artifact) -> Artifact:
    absolute = artifact.local.absolute()
    return replace(artifact, root=ROOT, path=absolute.as_posix().lstrip("/"))


def _told(skip: Skip, path: Place) -> Skip:
    """Return a skip that names its file as the user named the place."""
    return replace(skip, what=_as_named(skip.what, path), reason=_as_named(skip.reason, path))


def _as_named(text: str, path: Place) -> str:
    """Spell the files of a sentence as the user spelled the place; from `ROOT` they lack their first slash."""
    if not isinstance(path, Path):
        return text
    given = path if path.is_dir() else path.parent
    inside = given.absolute().as_posix().lstrip("/")
    return re.sub(rf"(?<![\w/.-]){re.escape(inside)}(?![\w.-])", lambda _: given.as_posix(), text) if inside else text


def _with_pickles(
    artifacts: Sequence[Artifact], checkpoints: Sequence[Checkpoint]
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Tell every pickle beside the weights that asks for code, in the save that it lies in or as a file of its own."""
    made = {checkpoint.path: checkpoint for checkpoint in checkpoints}
    skips = []
    for fact in unsafe_pickles(artifacts, checkpoints):
        if isinstance(fact, Skip):
            skips.append(fact)
            continue
        folders = (path for path in made if fact.path == path or fact.path.startswith(f"{path}/"))
        save = made.setdefault(max(folders, key=len, default=fact.path), Checkpoint(fact.path, "file"))
        problem = Problem("unsafe", fact.text, Source(fact.path, fact.place))
        made[save.path] = replace(save, problems=(*save.problems, problem))
    return tuple(made.values()), tuple(skips)


def _named(checkpoint: Checkpoint, path: Place) -> Checkpoint:
    if not isinstance(path, Path):
        # A single file is told as it was named, as are the shards of an index by the folder that they lie in.
        inside = checkpoint.path.removeprefix(f"{path.url}/")
        return replace(checkpoint, path=inside)
    base = path.absolute() if path.is_dir() else path.absolute().parent
    inside = (ROOT / checkpoint.path).relative_to(base).as_posix()
    problems = tuple(replace(one, statement=_as_named(one.statement, path)) for one in checkpoint.problems)
    return replace(checkpoint, path=inside if inside != "." else str(path), problems=problems)
