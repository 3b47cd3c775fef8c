"""Deaths that belong together, and what became of the run after them."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Literal, TypeAlias

from forensics.analysis.endings.deaths import Death, deaths_of
from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Events, Timeline
from forensics.names import Kind
from forensics.signatures import Role

Fate: TypeAlias = Literal["final", "survived", "superseded"]

FEW_ENTRIES = 3
"""Lines with metrics that may still come when a process is dying: other ranks, and a standard output that is written in
blocks while errors are written at once (CPython buffers 8 KiB of it when it goes to a file)."""
CONCURRENT = expression(
    r"(?:rank|worker|node|proc|process|gpu|host|task|local|pod|replica|attempt_\d+/)[-_./]?$", re.IGNORECASE
)
CANCELLED = "cancelled"
"""srun cancels the whole step when one of its tasks dies (`--kill-on-bad-exit`, Slurm 23.11 `libsrun/launch.c`)."""
_CLOSED = expression(r"(?:closed|reset) by peer|Broken pipe", re.IGNORECASE)
_OF_AN_INTERRUPT = expression(
    r"(?i)connection|peer|broken ?pipe|eoferror|worker|nccl|gloo|store|socket|\bempty\b|exit|died|terminat|sigint"
    r"|cancel|timeout|stopiteration|resource_?tracker|shutdown|closed"
)
"""What processes say whose partner was interrupted, and what an interrupt finds being handled (`queue.Empty`)."""
_OF_A_SHELL = expression(r"(?:\bline \d+|\bsh|\bbash|\bzsh): .{0,200}(?:command )?not found\s*$")
"""What a shell says of a line of its script that names no program; it goes on with the next line."""
_DIGITS = expression(r"\d+")


@dataclass(frozen=True, slots=True)
class Group:
    """Deaths of one text between which the run did not go on, in the order of the text.

    `fate` tells whether the run ended with them; `after_finish` that training had come to its own end before.
    """

    deaths: tuple[Death, ...]
    fate: Fate
    after_finish: bool = False

    @property
    def root(self) -> Death:
        return root_of(self.deaths)

    @property
    def path(self) -> str:
        return self.deaths[0].path

    @property
    def step(self) -> int:
        """The last step known before the root, `UNKNOWN_STEP` where none is."""
        root = self.root
        return root.step if root.step >= 0 else root.before

    @property
    def after(self) -> int:
        return self.deaths[-1].after


def root_of(deaths: Sequence[Death]) -> Death:
    """Return the line that tells most of the root: the lowest role, of several the first one.

    The user's own interrupt goes before the exceptions that it makes in other ranks, but not before one of which it is
    no reason: then it ended what was left. A job step that is cancelled after a task of it died is an echo.
    """
    ranked = sorted(deaths, key=lambda death: death.role)
    lowest = [death for death in deaths if death.role == ranked[0].role]
    first = _peer_that_left(deaths, lowest) or lowest[0]
    stopped = next((death for death in lowest if death.ending == "stopped-by-user" and death.name != CANCELLED), None)
    if any(death.name == Kind.OOM_KILL_RECORD for death in lowest):
        stopped = None  # nobody stops a run at the moment at which the kernel does
    if stopped is not None and (before := [death for death in deaths if _died_before(death, stopped)]):
        return min(before, key=lambda death: death.role)
    if stopped is not None and (first is stopped or stopped.record <= first.record + 60):
        return stopped
    return first


def _peer_that_left(deaths: Sequence[Death], lowest: Sequence[Death]) -> Death | None:
    """Return the rank that aborted where all that the others tell is that their connection to it was closed.

    A rank whose collective timed out aborts as well; one whose peer went away ends in an exception.
    """
    if not all(death.role == Role.WAIT and _CLOSED.search(death.text) for death in lowest):
        return None
    left = {death.rank for death in lowest}
    return next((d for d in deaths if d.role == Role.ABORT and d.rank >= 0 and d.rank not in left), None)


def _died_before(death: Death, stopped: Death) -> bool:
    """Tell whether a process had died of its own before the user stopped the run."""
    if death.record >= stopped.record or death.caught:
        return False
    own = (
        death.ending == "crashed"
        and death.role is Role.ROOT
        and death.symptom != "crash-signal"
        and not _OF_AN_INTERRUPT.search(death.text)
    )
    return own or death.ending == "hung"


def groups_of(timeline: Timeline) -> tuple[Group, ...]:
    """Return the groups of deaths of all texts, in the natural order of their paths and lines.

    Some two hundred rules ask for them; of thousands of deaths they are made once.
    """
    return timeline.once("groups of deaths", lambda: tuple(_groups(timeline)))


def _groups(timeline: Timeline) -> list[Group]:
    finished = {events.path: events for events in timeline.events_of(Kind.TRAINING_FINISHED) if len(events)}
    found: list[Group] = []
    for _, deaths in groupby(deaths_of(timeline), key=lambda death: death.path):
        outlived: set[str] = set()
        for members in _together([*deaths]):
            fate, after_finish = _fate(members, timeline, finished)
            if fate == "survived":
                outlived |= _said(members)
            elif fate == "final" and members[-1].entries_after and outlived and _said(members) <= outlived:
                fate = "survived"  # what the run went on after before, it went on after again
            found.append(Group(tuple(members), fate, after_finish=after_finish))
    return _superseded(found, timeline)


def _said(deaths: Sequence[Death]) -> set[str]:
    """Return the texts of deaths without their numbers."""
    return {_DIGITS.sub("#", death.text) for death in deaths}


def _together(deaths: list[Death]) -> list[list[Death]]:
    """Split where the run went on between two deaths."""
    groups: list[list[Death]] = []
    for death in deaths:
        last = groups[-1][-1] if groups else None
        if last is None or _apart(last, death):
            groups.append([death])
        else:
            groups[-1].append(death)
    return [_but_of_a_shell(group) for group in groups]


def _but_of_a_shell(deaths: list[Death]) -> list[Death]:
    """Take a line of a script that named no program for a mere sign where a program died after it."""
    roots = [death for death in deaths if death.role is Role.ROOT]
    own = {id(death) for death in roots if "not found" in death.text and _OF_A_SHELL.search(death.text)}
    if len(own) == len(roots):
        return deaths
    return [replace(death, role=Role.SIGN) if id(death) in own else death for death in deaths]


def _apart(earlier: Death, later: Death) -> bool:
    if earlier.entries_after is None or later.entries_after is None:
        # Without an order the kinds are told apart by their steps.
        return earlier.step >= 0 and later.step >= 0 and earlier.step != later.step
    return earlier.entries_after - later.entries_after >= FEW_ENTRIES


def _fate(members: Sequence[Death], timeline: Timeline, finished: dict[str, Events]) -> tuple[Fate, bool]:
    last = members[-1]
    for path, events in finished.items():
        if last.caught and not timeline.samples and path == last.path:
            continue  # nothing was ever logged: a loop that tries again after each exception says so all the same
        if path != last.path or int(events.records[-1]) > last.record:
            return ("survived", False) if not _restarted_after(events, last) else _went_on(members, timeline)
    after_finish = any(path == last.path and _nothing_between(events, members[0]) for path, events in finished.items())
    if after_finish:
        return "final", True
    return _went_on(members, timeline)


def _restarted_after(events: Events, last: Death) -> bool:
    """Tell whether the end of training was logged in this text before a new attempt that then died."""
    return events.path == last.path and int(events.records[-1]) < last.record


def _nothing_between(events: Events, first: Death) -> bool:
    record = int(events.records[-1])
    if record > first.record:
        return False
    if events.order is None or first.entries_after is None:
        return True
    return int(events.order.entries_after[-1]) - first.entries_after < FEW_ENTRIES


def _went_on(members: Sequence[Death], timeline: Timeline) -> tuple[Fate, bool]:
    last = members[-1]
    only_signs = all(death.role == Role.SIGN or death.caught for death in members)
    if any(e.path == last.path and int(e.records[-1]) > last.record for e in timeline.events_of(Kind.TRAINING_STARTED)):
        return "superseded", False
    if last.entries_after is not None:
        if last.entries_after >= (1 if only_signs else FEW_ENTRIES):
            return "survived", False
        if last.before >= 0 and _beyond(last.before, timeline, but=last.path):
            return "superseded", False
        return "final", False
    step = max(death.step for death in members)
    return ("survived" if step >= 0 and _beyond(step, timeline) else "final"), False


def _beyond(step: int, timeline: Timeline, but: str = "") -> bool:
    """Tell whether steps were logged far beyond one; those of the text `but`, of which the order is known, tell none.

    The last that it printed may stand behind a death, out of a buffer: an evaluation before a checkpoint that failed.
    """
    end = timeline.last_step
    far = step + max(10, step // 20)
    if end is None or end <= far:
        return False
    others = [block for block in timeline.samples if block.path != but and len(block.steps)]
    return not but or any(block.steps.max() > far for block in others)


def _superseded(groups: list[Group], timeline: Timeline) -> list[Group]:
    """Mark what ended an older attempt where a later text of the same name tells of the next one."""
    texts = {block.path for block in timeline.samples} | {group.path for group in groups}
    families: dict[str, list[str]] = defaultdict(list)
    for path in texts:
        if _DIGITS.search(path) and not _concurrent(path):
            families[_DIGITS.sub("#", path)].append(path)
    latest = {path: max(family, key=_natural) for family in families.values() for path in family}
    return [
        Group(group.deaths, "superseded", after_finish=group.after_finish)
        if group.fate == "final" and latest.get(group.path, group.path) != group.path
        else group
        for group in groups
    ]


def _concurrent(path: str) -> bool:
    return any(CONCURRENT.search(path[: number.start()]) for number in _DIGITS.finditer(path))


def _natural(path: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(p), "") if p.isdigit() and len(p) < 19 else (-1, p) for p in re.split(r"(\d+)", path))


def unknown(step: int) -> int | None:
    return step if step != UNKNOWN_STEP else None
