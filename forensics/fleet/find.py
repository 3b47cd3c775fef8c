"""Which folders under a root are runs. Looks at names, and at the first bytes of a few files where names tell nothing.

A folder is *surely* a run when it holds a trainer state, a checkpoint folder, or the record of one trainer; it
is *perhaps* one when it merely holds a log or an event file, or, where nothing below it is a run, a file of any name
in which a loss has a value. A run owns what lies below it: its checkpoints, its event files in `runs/`, the output
folder beside its log. Two folders that are surely runs never share one row.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from pathlib import Path, PurePosixPath

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.discovery.aside import aside
from forensics.discovery.discover import IGNORED_FOLDERS
from forensics.discovery.remote import discover_remote
from forensics.errors import UnreadableError
from forensics.limits import DEFAULT, Limits
from forensics.storage.locations import RemotePath

SURE_FILES = expression(
    r"^(trainer_state\.json|trainer_log\.jsonl|logging\.jsonl|latest|latest_checkpointed_iteration\.txt"
    r"|training_args\.bin|zero_to_fp32\.py)$"
)
"""Written into its output folder by the Trainer, LLaMA-Factory, ms-swift, DeepSpeed and Megatron."""
CHECKPOINT = expression(
    r"^(tmp-)?checkpoint[-_]\d+$|^global_step_?\d+$|^iter_\d+$|^step[-_]\d+$|^epoch[=_-]?\d+.*$", re.IGNORECASE
)
LOG = expression(
    r"\.(log|out|err)(\.\d+)?(\.[gx]z)?$|^(slurm-\d|nohup\.out|stdout|stderr)"
    r"|^(train|log|output|console|running_log)\w*\.txt(\.[gx]z)?$|\.[oe]\d{4,}$",
    re.IGNORECASE,
)
PERHAPS = expression(r"\.(txt|jsonl|ndjson|json|csv|tsv|ipynb|md)$", re.IGNORECASE)
"""What a log or a table of metrics may be called as well as anything else."""
VALUE = expression(rb"(?i)loss[\"'\\]{0,3}[ \t]?[:=|]?[ \t\[\"']{0,3}(?:[-+.]?\d|nan|inf)")
COLUMN = expression(rb"(?i)\A[^\n]{0,400}loss\"?[,;\t\r\n]")
"""A loss with a value behind it; a head of a table in which one stands."""
PEEKED_FILES, PEEKED_BYTES = 20, 1 << 16
RECORD = expression(r"^events\.out\.tfevents\.|\.wandb$|^metrics\.csv$|^metrics\.jsonl$")
INSIDE = frozenset(
    {
        "runs",
        "logs",
        "log",
        "files",
        "tensorboard",
        "tensorboard_logs",
        "tb",
        "tb_logs",
        "wandb",
        "mlruns",
        "lightning_logs",
        "checkpoints",
        "ckpt",
        "attempt_0",
        "tracker",
        "eval",
    }
)
"""Folders that trackers and trainers make inside of a run."""


@dataclass(frozen=True, slots=True)
class Found:
    """A run: its folder (or its single log file), and the folders below it that are runs of their own."""

    path: Path
    apart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteFound:
    """A run of a store: its path below the URL that was named, and the folders below it that are runs of their own."""

    path: str
    apart: tuple[str, ...] = ()


@dataclass(slots=True)
class _Folder:
    path: Path
    sure: bool = False
    logs: list[str] = field(default_factory=list)
    perhaps: list[str] = field(default_factory=list)
    records: bool = False
    folders: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Candidate:
    found: Found
    sure: bool
    peeked: bool = False


def find_runs(root: Path, limits: Limits = DEFAULT, *, peek: bool = False) -> tuple[Found, ...]:
    """Return every run under `root`, by path; links are not followed. A file is a run of its own.

    Logs in folders of documentation, tests and data are runs only where there are no others. With `peek` files that
    may be anything are looked into, too.

    Raises `UnreadableError` when `root` cannot be listed.
    """
    if root.is_file():
        return (Found(root),)
    if not root.is_dir():
        raise UnreadableError(f"{root} does not exist or is no directory")
    found = [candidate.found for candidate in _runs(root, 0, limits, peek=peek)]
    own = [each for each in found if not aside(f"{each.path.relative_to(root).as_posix()}/")]
    return tuple(sorted(own or found, key=lambda f: str(f.path)))


def find_remote(root: RemotePath, limits: Limits = DEFAULT) -> tuple[RemoteFound, ...]:
    """Return every run of a store below a URL, by its path below it, "." for the URL itself; `find_runs` decides.

    The store is listed once, and only names are looked at. Raises `RemoteError` when it does not answer or has nothing
    there, `UsageError` when nothing installed speaks its protocol.
    """
    import tempfile

    _, artifacts, _ = discover_remote(root, limits)
    paths = [a.path.removeprefix(f"{root.url}/") for a in artifacts if a.path != root.url]
    if not paths:
        return (RemoteFound("."),)
    with tempfile.TemporaryDirectory(prefix="medforensics-") as made:
        # Names are all that is looked at: empty files of these names are the store.
        for path in paths:
            parts = PurePosixPath(path)
            if parts.is_absolute() or ".." in parts.parts or "\0" in path:
                continue
            with suppress(OSError):  # a store may hold "a" and "a/b", a disk cannot
                (Path(made) / parts.parent).mkdir(parents=True, exist_ok=True)
                (Path(made) / parts).touch()
        found = find_runs(Path(made), limits)
        return tuple(RemoteFound(run.path.relative_to(made).as_posix(), run.apart) for run in found)


def _runs(path: Path, depth: int, limits: Limits, *, peek: bool) -> list[_Candidate]:
    folder = _listed(path)
    below: list[_Candidate] = []
    if depth + 1 < limits.depth:
        for name in folder.folders:
            below.extend(_runs(path / name, depth + 1, limits, peek=peek))
    if folder.sure or folder.logs or folder.records:
        below = [c for c in below if not c.peeked]  # tables and notes of the run that is here
    if folder.sure:
        return _owner(path, below)
    if peek and not below and not folder.logs and not folder.records:
        told = any(_tells_a_loss(path / name) for name in folder.perhaps[:PEEKED_FILES])
        return [_Candidate(Found(path), sure=False, peeked=True)] if told else []
    outside = [c for c in below if not _inside(path, c)]
    if not folder.logs and not folder.records:
        owns = len(outside) == 1 and len(below) > 1
        if len(below) > 1 and all(_inside(path, c) and c.found.path.parent == path for c in below):
            return [_Candidate(Found(path), sure=False)]  # a tracker's folder whose own record was not copied
        return [_Candidate(Found(path), sure=outside[0].sure)] if owns else below
    sure = [c for c in outside if c.sure]
    if len(outside) <= 1 and len(sure) <= 1:
        return [_Candidate(Found(path, _apart(path, outside)), sure=bool(sure))]
    return [*(_Candidate(Found(path / name), sure=False) for name in folder.logs), *outside]


def _owner(path: Path, below: list[_Candidate]) -> list[_Candidate]:
    """Return a folder that is surely a run, and those below that surely are runs of their own."""
    apart = [c for c in below if c.sure]
    names = tuple(c.found.path.relative_to(path).as_posix() for c in apart)
    return [_Candidate(Found(path, names), sure=True), *apart]


def _apart(path: Path, outside: list[_Candidate]) -> tuple[str, ...]:
    """Return the runs inside of a run that is absorbed, as seen from the folder that absorbs it."""
    return tuple((c.found.path / name).relative_to(path).as_posix() for c in outside for name in c.found.apart)


def _inside(path: Path, candidate: _Candidate) -> bool:
    first = candidate.found.path.relative_to(path).parts[0]
    return not candidate.sure and first.lower() in INSIDE


def _listed(path: Path) -> _Folder:
    folder = _Folder(path)
    for entry in _entries(path):
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            if CHECKPOINT.match(name):
                folder.sure = True
            elif name not in IGNORED_FOLDERS and name != ".aim":
                folder.folders.append(name)
        elif entry.is_file(follow_symlinks=False):
            folder.sure = folder.sure or SURE_FILES.match(name) is not None
            folder.records = folder.records or RECORD.search(name) is not None
            if LOG.search(name):
                folder.logs.append(name)
            elif PERHAPS.search(name):
                folder.perhaps.append(name)
    return folder


def _tells_a_loss(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(PEEKED_BYTES)
    except OSError:
        return False
    is_table = path.suffix.lower() in {".csv", ".tsv"}
    return VALUE.search(head) is not None or (is_table and COLUMN.match(head) is not None)


def _entries(path: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(path) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # A folder that cannot be listed holds no run that could be read; the walk goes on.
        return
