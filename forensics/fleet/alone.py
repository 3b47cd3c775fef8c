"""Is a path one run? Several runs side by side are refused, a run inside of a run is left out.

`find_runs` goes by names and finds a run too many rather than one too few. Asked about one run, that would tear it
apart; so what it found is weighed once more: a saved model is no run, nor are the folders of ranks, of trackers
and of evaluations, nor a copy of a checkpoint whose history is that of the run beside it.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.discovery.discover import discover
from forensics.errors import ForensicsError, SeveralRunsError
from forensics.fleet.find import LOG, find_runs
from forensics.formats.lenient_json import load
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File

STATE = "trainer_state.json"
CHECKPOINT = expression(r"(^|/)((tmp-)?checkpoint[-_]\d+|global_step_?\d+|iter_\d+|step[-_]\d+|epoch[=_-]?\d[^/]*)/")
HISTORY = expression(r"(^|/)(trainer_state\.json|trainer_log\.jsonl|logging\.jsonl)$")
RECORDS = {
    "event files": expression(r"^events\.out\.tfevents\."),
    "W&B logs": expression(r"\.wandb$"),
    "metrics": expression(r"^metrics\.(csv|jsonl)$"),
    "logs": LOG,
}
"""What a run writes while it goes, by the name of the file."""
PART_OF_A_RUN = expression(
    r"^((local_|global_|node_)?rank|node|host|worker|gpu|attempt|proc|process|task)?[-_]?\d+$"
    r"|^(train|training|val|valid|validation|eval|evaluation|test|dev)$",
    re.IGNORECASE,
)
"""Folders that one run makes for its processes and for its kinds of data (a summary writer each)."""
WANDB_RUN = expression(r"(?:offline-)?run-\d{8}_\d{6}-([\w-]{1,64})$")


@dataclass(frozen=True, slots=True)
class _Held:
    """A folder that may be a run: its path below the place, and the files below it, relative to it."""

    name: str
    files: tuple[str, ...]

    @property
    def checkpointed(self) -> bool:
        return any(CHECKPOINT.search(file) for file in self.files)

    @property
    def sure(self) -> bool:
        return self.checkpointed or any(HISTORY.search(file) for file in self.files)

    @property
    def kinds(self) -> frozenset[str]:
        names = {file.rpartition("/")[2] for file in self.files}
        return frozenset(kind for kind, pattern in RECORDS.items() if any(map(pattern.search, names)))

    @property
    def part(self) -> bool:
        """Tell whether the folder's name is that of a process or a kind of data of one run."""
        return PART_OF_A_RUN.match(self.name.rpartition("/")[2]) is not None

    @property
    def plain_copy(self) -> bool:
        """One state and nothing that a run leaves while it goes: a checkpoint that was copied or renamed."""
        return not self.checkpointed and self.kinds <= {"logs"}

    @property
    def state(self) -> str | None:
        states = [file for file in self.files if file.rpartition("/")[2] == STATE]
        return min(states, key=lambda f: (f.count("/"), -_last_number(f)), default=None)


def apart_of(place: Path, shown: Path, limits: Limits = DEFAULT) -> tuple[str, ...]:
    """Return the folders below `place` that are runs of their own, when `place` itself is a run.

    `shown` is what the user named. Raises `UsageError` when `place` is no run and holds several.
    """
    if not place.is_dir():
        return ()
    found = [run.path.relative_to(place).as_posix() for run in find_runs(place, limits)]
    if len(found) < 2:
        return ()
    files = [artifact.path for artifact in discover(place, limits).artifacts]
    root, held = _split(files, [name for name in found if (place / name).is_dir() and name != "."])
    sure = [one for one in held if one.sure]
    here = _Held("", tuple(file for file in root.files if "/" not in file))
    if "." in found or here.kinds - {"logs"}:
        return tuple(one.name for one in sure if not _belongs(place, one, root))
    runs = [*_without_copies(place, sure), *_like(sure, held)] if sure else _by_record(held)
    if len(runs) > 1:
        raise SeveralRunsError(shown, [one.name for one in runs])
    return ()


def _split(files: Sequence[str], names: Sequence[str]) -> tuple[_Held, list[_Held]]:
    """Give every file to the innermost of the named folders that holds it, the rest to the root."""
    by_name: dict[str, list[str]] = {name: [] for name in ("", *names)}
    for file in files:
        parents = file.split("/")[:-1]
        owner = next((name for size in range(len(parents), 0, -1) if (name := "/".join(parents[:size])) in by_name), "")
        by_name[owner].append(file[len(owner) + 1 :] if owner else file)
    root = _Held("", tuple(by_name.pop("")))
    return root, [_Held(name, tuple(found)) for name, found in sorted(by_name.items())]


def _belongs(place: Path, one: _Held, run: _Held) -> bool:
    return one.plain_copy and _same_history(_history(place, one), _history(place, run))


def _without_copies(place: Path, sure: Sequence[_Held]) -> list[_Held]:
    whole = [one for one in sure if not one.plain_copy]
    return whole + [one for one in sure if one.plain_copy and not any(_belongs(place, one, run) for run in whole)]


def _like(sure: Sequence[_Held], held: Sequence[_Held]) -> list[_Held]:
    """Return the folders that are no tracker's or log's of a run that is sure, for it has such records itself."""
    kinds = frozenset[str]().union(*(one.kinds for one in sure))
    return [one for one in held if not one.sure and not one.part and one.kinds & kinds]


def _by_record(held: Sequence[_Held]) -> list[_Held]:
    """Return the folders that are runs by their records alone: several with records of one kind."""
    alone = [one for one in held if not one.part]
    for kind in RECORDS:
        # A resumed W&B run has a folder for each start, and one name.
        having = {_run_name(one): one for one in alone if kind in one.kinds}
        if having:
            return list(having.values())
    return []


def _run_name(one: _Held) -> str:
    match = WANDB_RUN.search(one.name)
    return one.name if match is None else match[1]


def _history(place: Path, one: _Held) -> dict[int, float]:
    """Return the loss by step as the trainer state of a folder tells it; empty when there is none."""
    if one.state is None:
        return {}
    try:
        with File(place / one.name / one.state) as file:
            found = load(file).value
    except ForensicsError:
        return {}
    entries = found.get("log_history") if isinstance(found, dict) else None
    return dict(_losses(entries)) if isinstance(entries, list) else {}


def _losses(entries: Sequence[object]) -> Iterator[tuple[int, float]]:
    for entry in entries:
        if isinstance(entry, dict):
            step, loss = entry.get("step"), entry.get("loss")
            if isinstance(step, int) and isinstance(loss, (int, float)):
                yield step, float(loss)


def _same_history(one: dict[int, float], other: dict[int, float]) -> bool:
    common = one.keys() & other.keys()
    return bool(common) and all(one[step] == other[step] or one[step] != one[step] for step in common)


def _last_number(path: str) -> int:
    numbers = re.findall(r"\d{1,12}", path)
    return int(numbers[-1]) if numbers else 0
