"""Discovered files by folder: what a layout looks at to recognise a checkpoint."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Artifact


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one directory by name; `path` is relative to the run, "." for the run itself."""

    path: str
    files: Mapping[str, Artifact]

    def matching(self, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], Artifact]]:
        """Yield (match, artifact) of the files whose whole name matches, in natural order of their numbers."""
        found = [(match, self.files[name]) for name in self.files if (match := pattern.fullmatch(name))]
        return iter(sorted(found, key=lambda pair: natural(pair[0].string)))

    def below(self, name: str) -> str:
        """Return the path of a folder in this one, as `folders_of` names it."""
        return name if self.path == "." else f"{self.path}/{name}"

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        return self.path.rpartition("/")[0] or "."

    @property
    def modified(self) -> float:
        return max((artifact.modified for artifact in self.files.values()), default=0.0)


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts `rank_9` before `rank_10`."""
    return tuple((int(p), "") if p.isdigit() and len(p) < 19 else (-1, p) for p in re.split(r"(\d+)", name))


class Folders(dict[str, Folder]):
    """The folders of a run by path, in natural order."""

    @cached_property
    def children(self) -> Mapping[str, Sequence[Folder]]:
        """Return the folders that hold files, by the folder around them, in natural order."""
        found: dict[str, list[Folder]] = defaultdict(list)
        for folder in self.values():
            found[folder.parent].append(folder)
        return found


def folders_of(artifacts: Sequence[Artifact]) -> Folders:
    """Group artifacts by directory, in natural order of the paths."""
    groups: dict[str, dict[str, Artifact]] = defaultdict(dict)
    for artifact in artifacts:
        parent, _, name = artifact.path.rpartition("/")
        groups[parent or "."][name] = artifact
    return Folders((path, Folder(path, groups[path])) for path in sorted(groups, key=natural))


_STEP = expression(
    r"(?:checkpoint|ckpt|global_?step|iter(?:ation)?|step|epoch=\d+-step)[-_=]?0*(\d{1,15})"
    r"(?:[-_](?:universal|consumed_samples=.*|last|v\d+))?$",
    re.IGNORECASE,
)


def step_of(name: str) -> int | None:
    """Return the optimizer step that a checkpoint's name tells.

    `checkpoint_3` of accelerate's `save_state` counts saves, not steps, and tells nothing.

    >>> step_of("checkpoint-500"), step_of("global_step20"), step_of("iter_0001000"), step_of("checkpoint_3")
    (500, 20, 1000, None)
    """
    stem = name.removesuffix(".ckpt")
    if re.fullmatch(r"checkpoint_\d+", stem):
        return None
    match = _STEP.search(stem)
    return int(match[1]) if match else None
