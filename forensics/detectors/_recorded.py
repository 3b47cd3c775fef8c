"""Sentences about what the black boxes recorded."""

from collections.abc import Sequence

from forensics.analysis.recorded import Attempt, Break
from forensics.model import Recording


def ranks_in_words(ranks: Sequence[int]) -> str:
    """Return "rank 1" or "ranks 0, 1 and 5 more".

    >>> ranks_in_words([1]), ranks_in_words([0, 1]), ranks_in_words(list(range(8)))
    ('rank 1', 'ranks 0, 1', 'ranks 0, 1, 2, 3 and 4 more')
    """
    shown = ", ".join(str(rank) for rank in ranks[:4])
    more = f" and {len(ranks) - 4} more" if len(ranks) > 4 else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {shown}{more}"


def of_tensors(names: Sequence[str], recording: Recording) -> str:
    """Return how many of how many, and the first in backward order."""
    first = f"first in backward order {names[0]}" if len(names) > 1 else names[0]
    return f"{len(names)} of {len(recording.names)} tensors, {first}"


def who_recorded(attempt: Attempt) -> str:
    """Say that ranks are missing; empty when all left a record."""
    world, here = attempt.ranks[0].world, len(attempt.ranks)
    return "" if here == world else f"{here} of {world} ranks left a record"


def capsule_of(found: Break) -> str:
    """Name the file that keeps the batch of the break, of the rank where it began."""
    sides = found.local or found.reduced
    kept = next((r.capsule for r, _ in sides if r.capsule), "")
    return f"its batch is kept in {kept}" if kept else ""
