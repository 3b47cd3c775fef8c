"""Every run under a root: found, analysed in parallel, one row each, grouped by what went wrong."""

from forensics.triage.find import Found, find_runs
from forensics.triage.group import ORDER, Group, groups_of
from forensics.triage.resume import StateFile, state_file
from forensics.triage.row import VERSIONS, Row, Verdict, row_from, row_to
from forensics.triage.run import Options, triage
from forensics.triage.work import Task, analysed

__all__ = [
    "ORDER",
    "VERSIONS",
    "Found",
    "Group",
    "Options",
    "Row",
    "StateFile",
    "Task",
    "Verdict",
    "analysed",
    "find_runs",
    "groups_of",
    "row_from",
    "row_to",
    "state_file",
    "triage",
]
