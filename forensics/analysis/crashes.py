"""Exceptions of the script itself."""

from collections import defaultdict

from forensics.analysis.endings import Death, groups_of
from forensics.model import Run
from forensics.names import Kind
from forensics.signatures import BY_NAME


def own_exceptions(run: Run) -> tuple[Death, ...]:
    """Return the exceptions that no more exact name is known for, and that the run did not survive."""
    groups = [group for group in groups_of(run.timeline) if group.fate == "final"]
    return tuple(d for g in groups for d in g.deaths if d.name == Kind.TRACEBACK and d.ending == "crashed")


def of_an_earlier_attempt(run: Run, kind: str) -> Death | None:
    """Return the last death of a kind that only earlier attempts died of or that was survived, while this one died.

    None where the last attempt tells of it too, or came to no known end.
    """
    signature = BY_NAME.get(kind)
    if signature is None or not signature.ending or run.ending is None or not run.ending.name:
        return None
    if not any(len(events) for events in run.timeline.events_of(kind)):
        return None
    groups = groups_of(run.timeline)
    if any(death.name == kind for group in groups if group.fate == "final" for death in group.deaths):
        return None
    return next((d for g in reversed(groups) if g.fate != "final" for d in g.deaths if d.name == kind), None)


def last_deaths(run: Run, kind: str) -> tuple[Death, ...]:
    """Return the deaths of a kind that the run came to in the end."""
    return run.timeline.once("last deaths", lambda: _last_deaths(run)).get(kind, ())


def _last_deaths(run: Run) -> dict[str, tuple[Death, ...]]:
    named: dict[str, list[Death]] = defaultdict(list)
    for group in groups_of(run.timeline):
        for death in group.deaths if group.fate == "final" else ():
            named[death.name].append(death)
    return {name: tuple(deaths) for name, deaths in named.items()}


def outlived(run: Run) -> frozenset[tuple[str, int]]:
    """Return where the deaths stand that the run went on after; empty where it came to no known end.

    Each is the path of its text and its record there, as its event has them.
    """
    if run.ending is None or not run.ending.name:
        return frozenset()
    groups = (group for group in groups_of(run.timeline) if group.fate != "final")
    return frozenset((death.path, death.record) for group in groups for death in group.deaths)
