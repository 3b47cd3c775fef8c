"""Every run under a root: found, analysed in parallel, one row each, grouped by what went wrong."""

from forensics.fleet.find import Found, find_runs
from forensics.fleet.group import ORDER, Group, groups_of
from forensics.fleet.resume import StateFile, state_file
from forensics.fleet.row import VERSIONS, Row, Verdict, row_from, row_to
from forensics.fleet.run import Options, triage
from forensics.fleet.work import Task, analysed

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
