"""One run as one row."""

from collections.abc import Mapping
from dataclasses import asdict, field, fields
from typing import Any, Literal, TypeAlias

from forensics.deferred.records import dataclass
from forensics.diagnosis.judgement import leading_cause, leading_finding, onset
from forensics.fleet.curve import Points, small_curve
from forensics.fleet.fingerprint import fingerprint_of
from forensics.model import Axis, Report
from forensics.redaction.identities import redactor_for

Verdict: TypeAlias = Literal["broken", "suspicious", "healthy", "unknown", "unreadable", "failed"]
MOST_NAMES = 200
"""Names that a row keeps: a cluster's log may tell thousands of hosts, and a row must stay small."""
VERSIONS = ("transformers", "deepspeed", "torch", "accelerate", "peft", "trl")


@dataclass(frozen=True, slots=True)
class Row:
    """What triage says of one run.

    `path` is relative to the root. `verdict` is that of the report, "unreadable" when no reader understood
    anything, or "failed" when the analysis itself did not end (`note` says why). `onset` is the first step at
    which the gravest symptom surely holds, `fine` the last before it that is known to be fine; both are places on
    `axis` and no steps where it is another one. `cause` the first
    hypothesis that is tenable. `signature` tells whether the files have changed since. `names` are those of people,
    machines and jobs that the run gives away, with their kinds: to mask by, never to show. `ending` is the kind of
    ending of the last attempt. `parts` are files that turned out to be runs of their own: each has a row then, and
    this one is left out. `changed` is when a file of the run was last written, in seconds since 1970; `curve` the loss
    in a few points.
    """

    path: str
    verdict: Verdict
    severity: str | None = None
    symptom: str | None = None
    fine: int | None = None
    onset: int | None = None
    cause: str | None = None
    code: str | None = None
    cause_verdict: str | None = None
    last_good_checkpoint: str | None = None
    steps_after: int | None = None
    seconds_after: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    headline: str = ""
    note: str = ""
    internal_errors: int = 0
    signature: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    axis: Axis = "step"
    ending: str | None = None
    parts: tuple[str, ...] = ()
    changed: float = 0.0
    curve: Points = ()


def row_of(path: str, report: Report, signature: str) -> Row:
    """Return the row of a judged run."""
    grave, top, began = leading_finding(report.findings), leading_cause(report.hypotheses), onset(report)
    good, cost = report.run.last_good_checkpoint, report.cost
    versions = {name: report.run.environment.version(name) for name in VERSIONS}
    return Row(
        path=path,
        verdict=report.verdict,
        severity=report.worst(),
        symptom=None if grave is None else grave.symptom,
        fine=None if began is None else began.step_range[0],
        onset=None if began is None else began.onset,
        cause="unknown" if top is None and grave is not None else None if top is None else top.cause,
        code=None if top is None else top.code,
        cause_verdict=None if top is None else top.verdict,
        last_good_checkpoint=None if good is None else good.path,
        steps_after=None if cost is None or cost.axis != "step" else cost.steps,
        seconds_after=None if cost is None else cost.seconds,
        versions={name: version for name, version in versions.items() if version is not None},
        fingerprint=fingerprint_of(report),
        headline=report.headline,
        note="; ".join(report.failures),
        internal_errors=len(report.failures),
        signature=signature,
        axis="step" if began is None else began.axis,
        ending=None if report.run.ending is None else report.run.ending.kind,
        changed=max((artifact.modified for artifact in report.run.artifacts), default=0.0),
        curve=small_curve(report.run),
        names=dict(list(redactor_for(report.run, identities=True, names={}).learnt.items())[:MOST_NAMES]),
    )


def row_to(row: Row) -> dict[str, Any]:
    """Return a row as plain data."""
    return asdict(row)


def row_from(data: Mapping[str, Any]) -> Row:
    """Return the row that `row_to` wrote; raises `TypeError` when a path or a verdict is missing."""
    known = {f.name for f in fields(Row)}
    kept = {name: value for name, value in data.items() if name in known}
    kept["curve"] = tuple((int(step), value) for step, value in kept.get("curve", ()))
    return Row(**kept)
