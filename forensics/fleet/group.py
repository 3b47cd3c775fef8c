"""Rows that tell the same story, together: one cause is one group, whatever else differs."""

from collections import defaultdict
from collections.abc import Sequence

from forensics.deferred.records import dataclass
from forensics.fleet.row import Row

ORDER = ("broken", "suspicious", "failed", "unreadable", "unknown", "healthy")
QUIET = frozenset({"healthy", "unknown"})
"""Verdicts of runs that are counted rather than listed: nothing was found wrong with them."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs with one cause, or with one symptom of unknown cause; `title` says which.

    `label` is a letter to name the group by, "" for runs that nothing is wrong with. `verdict` is the worst of its
    runs, `fingerprint` that of the first of them (see `forensics.fleet.fingerprint`).
    """

    label: str
    verdict: str
    title: str
    rows: tuple[Row, ...]

    @property
    def fingerprint(self) -> str:
        return self.rows[0].fingerprint

    @property
    def steps_after(self) -> int:
        return sum(row.steps_after or 0 for row in self.rows)

    @property
    def seconds_after(self) -> float:
        return sum(row.seconds_after or 0.0 for row in self.rows)


def groups_of(rows: Sequence[Row]) -> tuple[Group, ...]:
    """Group rows: the worst verdict first, then the larger group, rows by path."""
    by_story: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_story[_story(row)].append(row)
    stories = sorted(by_story.items(), key=lambda item: (_worst(item[1]), -len(item[1]), item[0]))
    groups = []
    for number, ((_, title), found) in enumerate(stories):
        verdict = ORDER[_worst(found)]
        label = "" if verdict in QUIET else _letters(number)
        ordered = sorted(found, key=lambda r: (ORDER.index(r.verdict), r.path))
        groups.append(Group(label, verdict, title, tuple(ordered)))
    return tuple(groups)


def _story(row: Row) -> tuple[str, str]:
    """Return the kind of a story and its title."""
    if row.symptom is None:
        return row.verdict, row.verdict
    if row.cause in {None, "unknown"}:
        return "symptom", f"{row.symptom}, cause unknown"
    return "cause", str(row.cause)


def _worst(rows: Sequence[Row]) -> int:
    return min(ORDER.index(row.verdict) for row in rows)


def _letters(number: int) -> str:
    """Return A, B, ... Z, AA, AB, ...

    >>> _letters(0), _letters(25), _letters(26), _letters(701), _letters(702)
    ('A', 'Z', 'AA', 'ZZ', 'AAA')
    """
    label = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        label = chr(ord("A") + rest) + label
    return label
