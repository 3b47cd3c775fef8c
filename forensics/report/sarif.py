"""SARIF 2.1.0, for code scanning in CI: a result for each symptom, the cause in its message.

OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0". Locations are relative to the run, as
GitHub drops results with absolute ones.
"""

import json
from typing import Any, TypeAlias
from urllib.parse import quote

import forensics
from forensics.deferred.patterns import expression
from forensics.diagnosis.judgement import leading_cause
from forensics.model import Evidence, Finding, Hypothesis, Report, Severity, Source
from forensics.report import _view as view
from forensics.report._safe import clean

Json: TypeAlias = dict[str, Any]
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "notice": "note"}
_LINE = expression(r"line ([0-9]{1,9})")


def render(report: Report) -> str:
    """Return the report as one SARIF log with one run."""
    top = leading_cause(report.hypotheses)
    findings = report.findings
    run = {
        "tool": {"driver": _driver(report, top)},
        "invocations": [{"executionSuccessful": not report.failures, "toolExecutionNotifications": _notes(report)}],
        "results": [_result(f, top) for f in findings],
        "properties": {"verdict": report.verdict, "headline": clean(report.headline, 2000)},
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, allow_nan=False) + "\n"


def _driver(report: Report, top: Hypothesis | None) -> Json:
    symptoms = dict.fromkeys(f.symptom for f in report.findings)
    rules: list[Json] = [
        {"id": name, "name": name, "shortDescription": {"text": name.replace("-", " ")}} for name in symptoms
    ]
    if top is not None:
        cause: Json = {"id": top.code, "name": top.cause, "shortDescription": {"text": f"{top.title}."}}
        if top.references:
            cause["helpUri"] = top.references[0]
        rules.append(cause)
    return {"name": "medforensics", "version": forensics.__version__, "rules": rules}


def _result(finding: Finding, top: Hypothesis | None) -> Json:
    explained = top is not None and (finding.symptom in top.explains or finding.symptom in top.chain)
    said = f"{clean(finding.statement, 1000)}."
    result: Json = {"ruleId": finding.symptom, "level": LEVELS[finding.severity]}
    if explained and top is not None:
        said += f" {top.verdict.capitalize()} cause: {top.title} ({top.code})."
        result["relatedLocations"] = [
            {**_location(e.source), "id": number, "message": {"text": _argument(e)}}
            for number, e in enumerate(top.evidence)
            if e.source is not None
        ]
    result["message"] = {"text": said}
    result["locations"] = [_location(finding.source)]
    result["properties"] = _located(finding)
    return result


def _located(finding: Finding) -> Json:
    places = {"step": finding.step, "stepRange": list(finding.step_range), "until": finding.until}
    if finding.axis == "step":
        return places
    nowhere: Json = {"step": None, "stepRange": [None, None], "until": None, "axis": finding.axis}
    return nowhere | {"entry": finding.step, "entryRange": list(finding.step_range), "entryUntil": finding.until}


def _argument(evidence: Evidence) -> str:
    return f"{view.mark(evidence)} {clean(evidence.statement, 1000)}"


def _location(source: Source) -> Json:
    physical: Json = {"artifactLocation": {"uri": quote(clean(source.path, 1000)) or "."}}
    line = _LINE.fullmatch(source.place)
    if line is not None and int(line[1]) > 0:
        physical["region"] = {"startLine": int(line[1])}
    location: Json = {"physicalLocation": physical}
    if source.place:
        location["logicalLocations"] = [{"name": clean(source.place, 400)}]
    return location


def _notes(report: Report) -> list[Json]:
    """Return what was not examined, so that a clean result is not taken for a complete one."""
    skipped = [
        {"level": "note", "message": {"text": f"not examined: {view.some(group.what)}: {clean(group.reason)}"}}
        for group in view.skip_groups(report.run.skips)
    ]
    failed = [{"level": "error", "message": {"text": clean(failure)}} for failure in report.failures]
    return [*failed, *skipped]
