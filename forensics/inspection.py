"""Checkpoints on their own: what `scan` and `diff` look at."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.discover import discover
from forensics.errors import NothingReadableError, UsageError
from forensics.limits import DEFAULT, Limits
from forensics.model import Artifact, Checkpoint, Skip
from forensics.weights import WeightsDepth, examine_checkpoints, find_checkpoints
from forensics.weights.examine import Progress, judged, scan_checkpoints

if TYPE_CHECKING:
    from forensics.weights.verify_with_torch import Verification

ROOT = Path("/")
"""Checkpoints named on the command line may lie anywhere; their pieces are found from here."""


def scan(
    path: Path, *, depth: WeightsDepth = "full", limits: Limits = DEFAULT, progress: Progress | None = None
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Return every checkpoint under `path` (a folder or one weight file), scanned, and what was left out.

    Raises `NothingReadableError` when there is none.
    """
    checkpoints, skips = _held(path, limits)
    examined, unexamined = examine_checkpoints(ROOT, checkpoints, depth, progress)
    return tuple(_named(c, path) for c in examined), (*skips, *unexamined)


def verify(checkpoints: Sequence[Checkpoint]) -> Iterator[tuple[Checkpoint, "Verification"]]:
    """Count scanned checkpoints again with torch, see `weights.verify_with_torch`.

    Raises `UsageError` when torch is not installed.
    """
    from forensics.weights.verify_with_torch import verify_all

    return verify_all(ROOT, checkpoints)


def compare(
    paths: Sequence[Path], *, limits: Limits = DEFAULT, progress: Progress | None = None
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Return the checkpoints at `paths`, each compared with the one before; every byte is read once.

    Raises `UsageError` when a path holds more than one checkpoint or fewer than two are given.
    """
    if len(paths) < 2:
        raise UsageError("diff needs two checkpoints or more")
    chosen: list[Checkpoint] = []
    skips: list[Skip] = []
    for path in paths:
        checkpoints, left = _held(path, limits)
        if len(checkpoints) > 1:
            names = ", ".join(_named(c, path).path for c in checkpoints[:4])
            raise UsageError(f"{path} holds {len(checkpoints)} checkpoints ({names}); name one of them")
        chosen.append(checkpoints[0])
        skips.extend(left)
    scanned = judged(ROOT, scan_checkpoints(ROOT, chosen, "full", progress, skips), full=True)
    return tuple(replace(c, path=str(path)) for c, path in zip(scanned, paths, strict=True)), tuple(skips)


def _held(path: Path, limits: Limits) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    found = discover(path, limits)
    artifacts = [_from_root(artifact) for artifact in found.artifacts]
    checkpoints, skips = find_checkpoints(artifacts, loose=True)
    if not checkpoints:
        reason = f": {skips[0].reason}" if skips else ""
        raise NothingReadableError(f"no checkpoint in {path}{reason}")
    return checkpoints, (*found.skips, *skips)


def _from_root(artifact: Artifact) -> Artifact:
    absolute = artifact.location.absolute()
    return replace(artifact, root=ROOT, path=absolute.as_posix().lstrip("/"))


def _named(checkpoint: Checkpoint, path: Path) -> Checkpoint:
    base = path.absolute() if path.is_dir() else path.absolute().parent
    inside = (ROOT / checkpoint.path).relative_to(base).as_posix()
    return replace(checkpoint, path=inside if inside != "." else str(path))
