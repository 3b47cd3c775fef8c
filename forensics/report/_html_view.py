"""What the HTML page says, as plain texts for its template; every text is clean, the template escapes it."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from forensics.deferred.patterns import expression
from forensics.diagnosis import judgement
from forensics.diagnosis.brevity import brief
from forensics.model import Evidence, Finding, Fix, Hypothesis, Report, Run, Source
from forensics.report import _first as first
from forensics.report import _view as view
from forensics.report._advice import fix_lines, resume_line
from forensics.report._onset import aftermath, curves, onset_on
from forensics.report._record_map import record_maps
from forensics.report._safe import clean
from forensics.report._svg import caption, drawing
from forensics.report._whole import filled
from forensics.report.excerpts import Excerpt

View: TypeAlias = dict[str, Any]
LINE = 110
"""Characters of a line of the first screen at 1280 pixels."""
NOTHING: View = {"rows": (), "remedy": None, "drawing": "", "caption": ""}
"""A first screen that could not be made."""
MOST_FINDINGS = 200
MOST_CHECKPOINTS = 500
MOST_LINES = 20_000
_LINE = expression(r"line ([0-9]{1,12})")
_NUMBERED = expression(r" {0,8}([0-9]{1,12})  (.*)", re.DOTALL)


def page(report: Report, excerpts: Sequence[Excerpt]) -> View:
    """Return the texts of the page by section."""
    shown = view.shown_hypotheses(report)
    finding = judgement.onset(report)
    files = _Files(excerpts)
    failures = list(report.failures)

    def part(section: str, made: Callable[[], object], empty: object = ()) -> object:
        return filled(made, empty, section, failures)

    return {
        "verdict": report.verdict,
        "headline": clean(report.headline, 2000),
        "run": clean(str(report.run.root)),
        "frameworks": [clean(name, 40) for name in report.run.frameworks],
        "first": part("first", lambda: _first(report), NOTHING),
        "basis": part("basis", lambda: [{"word": row.word, "said": row.said} for row in first.basis(report)]),
        "change_title": _change_title(shown),
        "onset": "" if finding is None else f"{view.step_text(finding)}{view.fine_text(report.run, finding)}",
        "aftermath": part("aftermath", lambda: [clean(sentence, 1000) for sentence in aftermath(report)]),
        "causes": part("causes", lambda: [_cause(rank, h, report, files) for rank, h in enumerate(shown, 1)]),
        "excluded": part("excluded", lambda: [_excluded(h) for h in view.ruled_out(report)]),
        "findings": part("findings", lambda: [_finding(f, files) for f in report.findings[:MOST_FINDINGS]]),
        "more_findings": max(0, len(report.findings) - MOST_FINDINGS),
        "records": part("records", lambda: record_maps(report.run)),
        "checkpoints": part("checkpoints", lambda: _checkpoints(report)),
        "resume": part("resume", lambda: _resume(report), None),
        "environment": part("environment", lambda: _environment(report)),
        "skips": part("skips", lambda: _skips(report)),
        "files": files.shown,
        "failures": [clean(failure) for failure in failures],
    }


def _environment(report: Report) -> list[View]:
    return [
        {"name": clean(name, 100), "value": clean(value, 200), "where": clean(where, 200)}
        for name, value, where in view.environment_rows(report.run)
    ]


def _skips(report: Report) -> list[View]:
    return [
        {"reason": clean(group.reason), "what": view.some(group.what, 12)}
        for group in view.skip_groups(report.run.skips)
    ]


def _first(report: Report) -> View:
    """Return the first screen: a line for each thing that must be known, what to copy, and the curve."""
    remedy, finding = first.remedy(report), judgement.onset(report)
    curve = next(curves(report), None)
    onset = None if curve is None else onset_on(curve.axis, finding)
    return {
        "rows": [{"word": row.word, "said": brief(row.said, LINE)} for row in first.rows(report)],
        "remedy": None
        if remedy is None
        else {
            "word": remedy.word,
            "said": brief(remedy.said, LINE),
            "lines": [{"text": line.text, "where": line.where} for line in remedy.lines],
        },
        "drawing": "" if curve is None else drawing(curve, onset),
        "caption": "" if curve is None else caption(curve, onset),
    }


def _change_title(shown: Sequence[Hypothesis]) -> str:
    return "What to change" if not shown or shown[0].fixes else view.experiments_title(shown[0])


class _Files:
    """The excerpts as numbered files with anchored lines."""

    def __init__(self, excerpts: Sequence[Excerpt]) -> None:
        self.shown: list[View] = []
        self._anchors: dict[tuple[str, int], str] = {}
        for number, excerpt in enumerate(e for e in excerpts if e.text):
            lines = list(self._lines(number, excerpt))
            self.shown.append({"path": clean(excerpt.path), "left": clean(excerpt.left), "lines": lines})

    def _lines(self, number: int, excerpt: Excerpt) -> Iterator[View]:
        for line in excerpt.text.split("\n")[:MOST_LINES]:
            match = _NUMBERED.fullmatch(line)
            anchor = ""
            if match is not None:
                anchor = f"f{number}-{match[1]}"
                self._anchors[excerpt.path, int(match[1])] = anchor
            yield {
                "anchor": anchor,
                "number": "" if match is None else match[1],
                "text": clean(line.strip() if match is None else match[2], 2000),
            }

    def source(self, source: Source | None) -> View | None:
        """Return the words of a source, and the anchor of its line when the page shows it."""
        if source is None:
            return None
        line = _LINE.fullmatch(source.place)
        anchor = self._anchors.get((source.path, int(line[1])), "") if line else ""
        return {"text": clean(str(source)), "anchor": anchor}


def _cause(rank: int, h: Hypothesis, report: Report, files: _Files) -> View:
    return {
        "rank": rank,
        "cause": h.cause,
        "code": h.code,
        "title": h.title,
        "verdict": h.verdict,
        "standing": "" if h.code == "UNKNOWN" else view.score_text(h),
        "experiments_title": view.experiments_title(h),
        "chain": list(reversed(h.chain)) if len(h.chain) > 1 else [],
        "proven": [{"link": link, **_evidence(e, files)} for link, e in view.proven(report, h)],
        "evidence": [_evidence(e, files) for e in view.argued(h)],
        "decides": view.open_text(h) if h.would_decide else "",
        "missing": list(h.missing),
        "fixes": [_fix(fix, report.run) for fix in h.fixes],
        "experiments": [
            {
                "action": clean(e.action, 1000),
                "expect": clean(e.expect, 1000),
                "lines": list(map(clean, e.code.splitlines())),
            }
            for e in h.experiments
        ],
        "references": [url for url in h.references if url.startswith("https://")],
    }


def _evidence(e: Evidence, files: _Files) -> View:
    return {
        "points": view.mark(e),
        "against": e.points < 0 or e.state is False,
        "statement": clean(e.statement, 1000),
        "source": files.source(e.source),
    }


def _fix(fix: Fix, run: Run) -> View:
    return {
        "action": clean(fix.action, 1000),
        "lines": [{"text": line.text, "where": line.where} for line in fix_lines(fix, run)],
        "reference": fix.reference if fix.reference.startswith("https://") else "",
    }


def _excluded(h: Hypothesis) -> View:
    against = h.contradiction
    return {"cause": h.cause, "code": h.code, "statement": "" if against is None else clean(against.statement, 600)}


def _finding(f: Finding, files: _Files) -> View:
    return {
        "severity": f.severity,
        "symptom": f.symptom,
        "step": view.step_text(f),
        "statement": clean(f.statement, 1000),
        "source": files.source(f.source),
    }


def _checkpoints(report: Report) -> list[View]:
    return [
        {
            "path": clean(c.path),
            "step": "" if c.step is None else f"{c.step:,}",
            "status": c.status,
            "said": view.checkpoint_line(c),
        }
        for c in report.run.checkpoints[:MOST_CHECKPOINTS]
    ]


def _resume(report: Report) -> View | None:
    good, bad = report.run.last_good_checkpoint, report.run.first_bad_checkpoint
    if report.verdict == "healthy" or not report.run.checkpoints:
        return None
    line = resume_line(report)
    return {
        "good": "" if good is None else f"{clean(good.path)}, {first.resume_text(good)}",
        "bad": "" if bad is None else clean(bad.path),
        "line": "" if line is None else line.text,
        "best": first.best_text(report),
    }
