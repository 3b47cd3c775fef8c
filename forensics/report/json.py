"""JSON, as docs/report.schema.json says: RFC 8259, nonfinite numbers as text.

Format 1: the first.
"""

import json
import math
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, TypeAlias

import numpy as np

import forensics
from forensics.diagnosis.reliability import SET, reliability_of
from forensics.model import (
    Attempt,
    Axis,
    Best,
    Checkpoint,
    Coincidence,
    Cost,
    Environment,
    Evidence,
    Experiment,
    Finding,
    Hypothesis,
    Report,
    Run,
    Scalar,
    Segment,
    Series,
    Setting,
    Source,
)
from forensics.report._safe import clean

FORMAT = 1
Json: TypeAlias = dict[str, Any]


def render(report: Report) -> str:
    """Return the report as one JSON object."""
    return json.dumps(tree(report), indent=1, ensure_ascii=False, allow_nan=False)


def tree(report: Report) -> Json:
    """Return the report as plain data, every number finite and every text clean."""
    run = report.run
    return {
        "format": FORMAT,
        "tool": {"name": "medforensics", "version": forensics.__version__},
        "run": _run(run),
        "verdict": report.verdict,
        "headline": clean(report.headline, 2000),
        "findings": [_finding(f) for f in report.findings],
        "coincidences": [_coincidence(c) for c in report.coincidences],
        "cost": _cost(report.cost),
        "understood": [_understood(s) for _, s in sorted(run.timeline.series.items()) if len(s)],
        "checked": {
            "checks": report.checked.checks,
            "judged": list(report.checked.judged),
            "not_judged": [{"what": what, "reason": reason} for what, reason in report.checked.not_judged],
        },
        "hypotheses": [_hypothesis(rank, h) for rank, h in enumerate(report.hypotheses, 1)],
        "mechanisms": [_hypothesis(rank, h) for rank, h in enumerate(report.mechanisms, 1)],
        "checkpoints": [_checkpoint(c) for c in run.checkpoints],
        "last_good_checkpoint": _place(run.last_good_checkpoint),
        "first_bad_checkpoint": _place(run.first_bad_checkpoint),
        "best_checkpoint": _best(report.best),
        "training": report.training,
        "trainings": [
            {"number": t.number, "verdict": t.verdict, "headline": clean(t.headline, 400), "source": _source(t.source)}
            for t in report.trainings
        ],
        "environment": _environment(run.environment),
        "skips": [{"what": clean(s.what), "reason": clean(s.reason)} for s in run.skips],
        "failures": [clean(f) for f in report.failures],
    }


def number(value: float) -> float | str:
    """Return a number that JSON can hold: nonfinite ones as "nan", "inf", "-inf"."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def _scalar(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return clean(value)
    return number(value) if isinstance(value, float) else value


def _source(source: Source | None) -> Json | None:
    if source is None:
        return None
    return {"path": clean(source.path), "place": clean(source.place), "record": source.record}


def _run(run: Run) -> Json:
    started, ended = _times(run)
    return {
        "path": clean(str(run.root)),
        "frameworks": list(run.frameworks),
        "steps": {"first": run.timeline.first_step, "last": run.timeline.last_step, "planned": run.planned_steps},
        "segments": [_stretch(run.timeline.axis, s) for s in run.timeline.segments],
        "attempts": [_attempt(attempt) for attempt in run.attempts],
        "excerpt": run.timeline.excerpt,
        "world_size": _integer(run.environment.number("world_size")),
        "started": started,
        "ended": ended,
    }


def _attempt(attempt: Attempt) -> Json:
    ending = attempt.ending
    told = {
        "kind": ending.kind,
        "statement": clean(ending.statement, 400),
        "source": _source(ending.source),
        "symptom": ending.symptom or None,
        "name": ending.name or None,
        "step": ending.step,
        "after_finish": ending.after_finish,
    }
    return {"first": attempt.first, "last": attempt.last, "ending": told}


def _integer(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else int(value)


def _times(run: Run) -> tuple[str | None, str | None]:
    known = [s.wall_times[np.isfinite(s.wall_times)] for s in run.timeline.series.values()]
    times = np.concatenate(known) if known else np.array([])
    if not len(times):
        return None, None
    return _moment(float(times.min())), _moment(float(times.max()))


def _moment(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return None


def _finding(finding: Finding) -> Json:
    return {
        "symptom": finding.symptom,
        "severity": finding.severity,
        **_located(finding),
        "statement": clean(finding.statement, 1000),
        "source": _source(finding.source),
    }


def _located(finding: Finding) -> Json:
    """Return where a finding lies: in steps, or on its axis as entries where no step is known."""
    places = {"step": finding.step, "step_range": list(finding.step_range), "until": finding.until}
    if finding.axis == "step":
        return places
    nowhere: Json = {"step": None, "step_range": [None, None], "until": None, "axis": finding.axis}
    return nowhere | {"entry": finding.step, "entry_range": list(finding.step_range), "entry_until": finding.until}


def _understood(series: Series) -> Json:
    """Return what was taken for a series: from where, how much, and what it is counted in."""
    first, last = int(series.steps[0]), int(series.steps[-1])
    stepped = series.axis == "step"
    places: Json = {"first_step": first, "last_step": last} if stepped else {"first_step": None, "last_step": None}
    if not stepped:
        places |= {"first_entry": first, "last_entry": last}
    told = {"series": clean(series.name), "entries": len(series), **places, "axis": series.axis}
    return told | {"source": _source(series.source_at(0))}


def _stretch(axis: Axis, segment: Segment) -> Json:
    if axis == "step":
        return {"first": segment.first, "last": segment.last}
    return {"first": None, "last": None, "axis": axis, "first_entry": segment.first, "last_entry": segment.last}


def _coincidence(coincidence: Coincidence) -> Json:
    return {"kind": coincidence.kind, "step": coincidence.step, "statement": clean(coincidence.statement)}


def _cost(cost: Cost | None) -> Json | None:
    if cost is None:
        return None
    if cost.axis == "step":
        return {"steps": cost.steps, "total": cost.total, "seconds": cost.seconds}
    counted: Json = {"axis": cost.axis, "entries": cost.steps, "total_entries": cost.total}
    return {"steps": None, "total": None, "seconds": cost.seconds} | counted


def _hypothesis(rank: int, h: Hypothesis) -> Json:
    measured = reliability_of(h)
    return {
        "cause": h.cause,
        "code": h.code,
        "title": h.title,
        "rank": rank,
        "verdict": h.verdict,
        "score": h.score,
        "benign": h.benign,
        "explains": list(h.explains),
        "chain": list(h.chain),
        "evidence": [_evidence(e) for e in h.evidence],
        "reliability": None if measured is None else {"right": measured.right, "of": measured.of, "set": SET},
        "would_decide": [clean(that, 1000) for that in h.would_decide],
        "missing": list(h.missing),
        "fixes": [
            {
                "action": clean(f.action, 1000),
                "change": None if f.change is None else {k: _scalar(v) for k, v in f.change.items()},
                "reference": f.reference or None,
            }
            for f in h.fixes
        ],
        "experiments": [_experiment(e) for e in h.experiments],
        "references": list(h.references),
    }


def _experiment(e: Experiment) -> Json:
    told = {"action": clean(e.action, 1000), "expect": clean(e.expect, 1000)}
    return {**told, "code": "\n".join(clean(line, 1000) for line in e.code.splitlines())} if e.code else told


def _evidence(e: Evidence) -> Json:
    told = {"kind": e.kind, "points": e.points, "statement": clean(e.statement, 1000), "source": _source(e.source)}
    return told if e.state is None else {**told, "holds": e.state}


def _checkpoint(checkpoint: Checkpoint) -> Json:
    table = checkpoint.table
    tensors = None
    if table is not None:
        tensors = {
            "total": len(table),
            "unread": int(np.count_nonzero(table.unread)),
            "nan": int(np.count_nonzero(table.nan > 0)),
            "inf": int(np.count_nonzero(table.infinite > 0)),
            "zero": int(np.count_nonzero(table.all_zero)),
            "unchanged": int(np.count_nonzero(table.unchanged)),
            "frozen": int(np.count_nonzero(table.frozen)),
        }
    return {
        "path": clean(checkpoint.path),
        "step": checkpoint.step,
        "kind": checkpoint.kind,
        "status": checkpoint.status,
        "depth": checkpoint.depth,
        "detection_limit": checkpoint.detection_limit,
        "world_size": checkpoint.world_size,
        "tensors": tensors,
        "problems": [clean(p.statement) for p in checkpoint.problems],
        "lacks": list(checkpoint.lacks),
    }


def _place(checkpoint: Checkpoint | None) -> Json | None:
    return None if checkpoint is None else {"path": clean(checkpoint.path), "step": checkpoint.step}


def _best(best: Best | None) -> Json | None:
    if best is None:
        return None
    return {
        "path": clean(best.path),
        "step": best.step,
        "metric": clean(best.metric, 120),
        "value": number(best.value),
        "noise": best.noise,
        "best_step": best.best_step,
        "best_value": number(best.best_value),
    }


def _environment(environment: Environment) -> Json:
    packages = {
        clean(s.name): {
            "version": _scalar(s.value),
            "standing": s.standing.name.lower(),
            "sources": [_source(w.source) for w in environment.witnesses(s.name, "package")][:5],
            "conflicts": _conflicts(environment.conflicts(s.name, "package")),
        }
        for s in environment.of("package")
    }
    return {
        "packages": packages,
        "hardware": _values(environment.of("hardware")),
        "settings": _values(environment.of("setting")),
        "variables": _values(environment.of("variable")),
    }


def _values(settings: Iterable[Setting]) -> Json:
    return {clean(s.name): _scalar(s.value) for s in settings}


def _conflicts(settings: Iterable[Setting]) -> list[Json]:
    return [{"version": _scalar(s.value), "source": _source(s.source)} for s in settings][:5]
