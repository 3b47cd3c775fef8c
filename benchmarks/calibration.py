"""How often each word of a report is true, with Wilson intervals and clusters, for one or several sets of runs.

A headline claim is the first cause that is not benign and at least possible, of a run with an error or a warning. It
is right when the label accepts it; every claim on a healthy run is wrong; where the label names none it is not counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

WORDS = ("established", "likely", "possible")
VERDICTS = ("broken", "suspicious", "healthy", "unknown", "unread")


@dataclass(frozen=True, slots=True)
class Claim:
    """One run, one report: which set, which cluster (repository and cause), what was said, what of it was right."""

    group: str
    cluster: str
    healthy: bool
    verdict: str
    word: str | None
    strong: int
    errors: int
    warnings: int
    right: Mapping[str, bool | None]


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927, JASA 22, 209-212); (0, 1) where nothing was counted."""
    if not of:
        return 0.0, 1.0
    share = right / of
    centre = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def shown(marks: Sequence[bool]) -> str:
    """Return `right/of share [interval]`."""
    if not marks:
        return "-"
    low, high = wilson(sum(marks), len(marks))
    return f"{sum(marks)}/{len(marks)} = {sum(marks) / len(marks):.2f} [{low:.2f}, {high:.2f}]"


def tables(claims: Sequence[Claim]) -> str:
    """Return the table of words, the table of verdicts, and coverage with false alarms, a column a group."""
    groups = list(dict.fromkeys(claim.group for claim in claims))
    parts = [[c for c in claims if c.group == group] for group in groups]
    words = [[word, *(_word(part, word) for part in parts)] for word in WORDS]
    verdicts = [[f"{verdict} is true", *(_verdict(part, verdict) for part in parts)] for verdict in VERDICTS]
    rest = [[name, *(shown(_marks(part, name)) for part in parts)] for name in ("symptom", "onset", "first", "three")]
    names = {
        "symptom": "symptom named",
        "onset": "onset exact or bracketed",
        "first": "true cause first",
        "three": "true cause in three",
    }
    rest = [[names[str(row[0])], *row[1:]] for row in rest]
    rest.append(["healthy runs: a strong cause", *(shown([c.strong > 0 for c in part if c.healthy]) for part in parts)])
    rest.append(["healthy runs: an error", *(shown([c.errors > 0 for c in part if c.healthy]) for part in parts)])
    rest.append(["healthy runs: a warning", *(shown([c.warnings > 0 for c in part if c.healthy]) for part in parts)])
    rest.append(["runs (healthy ones)", *(f"{len(part)} ({sum(c.healthy for c in part)})" for part in parts)])
    made = [tabulate(rows, headers=["", *groups]) for rows in (words, verdicts, rest)]
    return "\n\n".join(made)


def _word(part: Sequence[Claim], word: str) -> str:
    said = [c for c in part if c.word == word and c.right.get("cause") is not None]
    clusters = len({c.cluster for c in said})
    few = ", too few" if len(said) < 15 else ""
    return f"{shown([bool(c.right['cause']) for c in said])}{f' in {clusters} clusters{few}' if said else ''}"


def _verdict(part: Sequence[Claim], verdict: str) -> str:
    said = [c for c in part if c.verdict == verdict]
    if verdict in {"unknown", "unread"}:
        return f"{len(said)} runs"
    return shown([c.healthy if verdict == "healthy" else not c.healthy for c in said])


def _marks(part: Sequence[Claim], name: str) -> list[bool]:
    return [bool(mark) for c in part if (mark := c.right.get(name)) is not None]
