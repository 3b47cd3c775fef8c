"""Rows that tell the same story, together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from forensics.fleet.row import Row

ORDER = ("broken", "suspicious", "failed", "unreadable", "unknown", "healthy")


@dataclass(frozen=True, slots=True)
class Group:
    """Runs with one fingerprint and verdict; `title` says what they share."""

    fingerprint: str
    verdict: str
    title: str
    rows: tuple[Row, ...]

    @property
    def steps_after(self) -> int:
        return sum(row.steps_after or 0 for row in self.rows)

    @property
    def seconds_after(self) -> float:
        return sum(row.seconds_after or 0.0 for row in self.rows)


def groups_of(rows: Sequence[Row]) -> tuple[Group, ...]:
    """Group rows by fingerprint: broken runs first, the larger group first, rows by path."""
    by_key: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_key[(row.verdict, row.fingerprint)].append(row)
    groups = [
        Group(fingerprint, verdict, _title(found[0]), tuple(sorted(found, key=lambda r: r.path)))
        for (verdict, fingerprint), found in by_key.items()
    ]
    return tuple(sorted(groups, key=lambda g: (ORDER.index(g.verdict), -len(g.rows), g.fingerprint)))


def _title(row: Row) -> str:
    if row.symptom is None:
        return row.verdict
    cause = row.cause or "unknown"
    doubt = "?" if row.cause_verdict == "possible" else ""
    return f"{row.symptom} <- {cause}{doubt}"
