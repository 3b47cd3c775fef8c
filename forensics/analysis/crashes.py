"""Exceptions of the script itself."""

from forensics.analysis.endings import Death, groups_of
from forensics.model import Run
from forensics.names import Kind


def own_exceptions(run: Run) -> tuple[Death, ...]:
    """Return the exceptions that no more exact name is known for, and that the run did not survive."""
    groups = [group for group in groups_of(run.timeline) if group.fate == "final"]
    return tuple(d for g in groups for d in g.deaths if d.name == Kind.TRACEBACK and d.ending == "crashed")
