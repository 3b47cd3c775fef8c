"""Which rank did not reach which collective: from time-out lines, flight recorder dumps and stacks."""

import re
from collections import defaultdict
from collections.abc import Iterator

from forensics.analysis.endings.groups import FEW_ENTRIES
from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Events, Source, Timeline
from forensics.names import Kind

_WORK = expression(r"SeqNum=(\d+), OpType=(\w+)(?:, NumelIn=(\d+))?")
_RANK = expression(r"\[Rank (\d+)\]|\brank[ :=]?(\d+)\b", re.IGNORECASE)
_DUMPED = expression(r"^(\S+) (\d+) of (.+?), sizes (.*?)(?: at (.+))?$")
_COLLECTIVE = expression(
    r"reduce|all_?gather|all_?to_?all|barrier|broadcast|\brecv|\bscatter|_wait\b|wait_tensor|\bp?nccl[A-Z]|c10d::|gloo::",
    re.IGNORECASE,
)
"""Innermost functions in which a process waits for the others."""
_FUNCTION = expression(r"(?:^|called from )(\S+) \(")
MOST_RANKS = 8


@dataclass(frozen=True, slots=True)
class Waiting:
    """A rank and the collective that it waited in: its number, operation, size or sizes, and where it was called."""

    rank: int
    number: int
    operation: str
    size: str
    group: str
    place: str
    source: Source


def waiting_in(timeline: Timeline) -> list[Waiting]:
    """Return what each rank waited in, from time-out lines and flight recorder dumps; one for each rank and group."""
    found: dict[tuple[int, str], Waiting] = {}
    for events in timeline.events_of(Kind.NCCL_TIMEOUT):
        for waiting in _from_lines(events):
            found.setdefault((waiting.rank, waiting.group), waiting)
    for events in timeline.events_of(Kind.COLLECTIVE_PENDING):
        for waiting in _from_dump(events):
            found[waiting.rank, waiting.group] = waiting
    return sorted(found.values(), key=lambda waiting: (waiting.group, waiting.number, waiting.rank))


def _from_lines(events: Events) -> Iterator[Waiting]:
    for index in range(len(events)):
        text = events.text_at(index)
        work, named = _WORK.search(text), _RANK.search(text)
        rank = int(events.ranks[index]) if events.ranks is not None else -1
        if rank < 0 and named:
            rank = int(named[1] or named[2])
        if work and rank >= 0:
            yield Waiting(rank, int(work[1]), work[2], work[3] or "", "", "", events.source_at(index))


def _from_dump(events: Events) -> Iterator[Waiting]:
    for index in range(len(events)):
        told = _DUMPED.match(events.text_at(index))
        rank = int(events.ranks[index]) if events.ranks is not None else -1
        if told:
            source = events.source_at(index)
            yield Waiting(rank, int(told[2]), told[1].upper().replace("_", ""), told[4], told[3], told[5] or "", source)


def hang_told(timeline: Timeline) -> str:
    """Return what the ranks waited for and which one did not come, as a clause; empty where nothing tells."""
    parts = [*_groups(waiting_in(timeline), _done(timeline)), *_stacks(timeline)]
    return "; ".join(parts)


def _done(timeline: Timeline) -> dict[int, int]:
    """Return the number of the last collective that each rank completed, by its own dump."""
    done: dict[int, int] = {}
    for events in timeline.events_of(Kind.COLLECTIVE_DONE):
        if events.rank is not None and len(events):
            done[events.rank] = int(max(events.values))
    return done


def _groups(waiting: list[Waiting], done: dict[int, int]) -> Iterator[str]:
    by_group: dict[str, list[Waiting]] = defaultdict(list)
    for each in waiting:
        by_group[each.group].append(each)
    for everybody in by_group.values():
        furthest = max(each.number for each in everybody)
        # Where a recorder does not say whether a rank was through, one that went further says that it was.
        members = [e for e in everybody if e.number == furthest or done.get(e.rank, -1) < e.number]
        numbers = sorted({each.number for each in members})
        first = [each for each in members if each.number == numbers[0]]
        operations = sorted({(each.operation, each.size) for each in first})
        if len(operations) > 1:
            said = " but ".join(
                f"{_ranks([e.rank for e in first if (e.operation, e.size) == one])} {one[0]} of {one[1] or '?'}"
                for one in operations
            )
            yield f"collective {numbers[0]} is not the same on all ranks: {said}"
            continue
        place = next((f" called at {each.place}" for each in first if each.place), "")
        yield f"{_ranks([each.rank for each in first])} waited in {first[0].operation} {numbers[0]}{place}"
        if len(numbers) > 1:
            ahead = [each.rank for each in members if each.number != numbers[0]]
            yield f"{_ranks(ahead)} had gone on to {numbers[-1]}"
        behind = [rank for rank, last in done.items() if last < numbers[0] - 1]
        known = {each.rank for each in members}
        behind += [rank for rank in done if rank not in known and rank not in behind]
        if behind:
            yield f"{_ranks(behind)} did not reach it (last completed: {max(done[rank] for rank in behind)})"
        elif missing := sorted(set(range(max(known) + 1)) - known):
            yield f"{_ranks(missing)} tells of no collective"


@dataclass(frozen=True, slots=True)
class Stood:
    """A process of which a stack was written after the last metrics, and where it stood."""

    place: str
    rank: int
    source: Source


def stood_in(timeline: Timeline) -> list[Stood]:
    """Return where each process stood; a dump behind which metrics go on tells of a slow step, not of a hang.

    A file of stacks may be read as a log as well: the reading that found more of them counts.
    """
    by_path: dict[str, Events] = {}
    for events in timeline.events_of(Kind.STACK):
        by_path[events.path] = max(by_path.get(events.path, events), events, key=len)
    return [
        Stood(events.text_at(index), -1 if events.ranks is None else int(events.ranks[index]), events.source_at(index))
        for events in by_path.values()
        for index in range(len(events))
        if events.order is None or int(events.order.entries_after[index]) < FEW_ENTRIES
    ]


def stands_still(timeline: Timeline) -> bool:
    """Tell whether dumps prove that ranks waited: two in a collective, or stacks of two of which one is in one."""
    stood = stood_in(timeline)
    waits = any(_COLLECTIVE.search(name) for each in stood for name in _FUNCTION.findall(each.place))
    return len({each.rank for each in waiting_in(timeline)}) > 1 or (len(stood) > 1 and waits)


def _stacks(timeline: Timeline) -> Iterator[str]:
    by_place: dict[str, list[int]] = defaultdict(list)
    for stood in stood_in(timeline):
        by_place[stood.place].append(stood.rank)
    for place, ranks in sorted(by_place.items(), key=lambda item: len(item[1]))[:4]:
        yield f"{_ranks(ranks)} stood in {place}"


def _ranks(ranks: list[int]) -> str:
    known = sorted(set(ranks) - {-1})
    if not known:
        return f"{len(ranks)} processes" if len(ranks) > 1 else "one process"
    more = f" and {len(known) - MOST_RANKS} more" if len(known) > MOST_RANKS else ""
    shown = ", ".join(map(str, known[:MOST_RANKS])) + more
    return f"rank{'s' if len(known) > 1 else ''} {shown}"
