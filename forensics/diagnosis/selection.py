"""Rules and symptoms that a user selects or ignores, and the report judged again without the rest."""

from dataclasses import replace

from forensics.deferred.records import dataclass
from forensics.diagnosis.headline import headline_of, verdict_of
from forensics.model import Report


@dataclass(frozen=True, slots=True)
class Selection:
    """`select` and `ignore` hold rule codes, beginnings of them (`DIST`), names of causes, or names of symptoms."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def filtered(report: Report, selection: Selection) -> Report:
    """Return the report without what is ignored, judged again; unchanged when nothing is selected or ignored."""
    if not selection.select and not selection.ignore:
        return report
    findings = tuple(f for f in report.findings if _kept("", f.symptom, selection))
    causes = tuple(h for h in report.hypotheses if h.code == "UNKNOWN" or _kept(h.code, h.cause, selection))
    causes = tuple(h for h in causes if set(h.explains) & {f.symptom for f in findings} or not h.explains)
    verdict = verdict_of(report.run, findings)
    headline = headline_of(report.run, verdict, findings, causes)
    return replace(report, findings=findings, hypotheses=causes, verdict=verdict, headline=headline)


def _kept(code: str, name: str, selection: Selection) -> bool:
    """Tell whether a rule (by code and name) or a symptom (no code) stays; `select` speaks of its own kind."""
    kind = tuple(wanted for wanted in selection.select if wanted[:1].isupper() == bool(code) or wanted == name)
    chosen = not kind or any(_means(wanted, code, name) for wanted in kind)
    return chosen and not any(_means(unwanted, code, name) for unwanted in selection.ignore)


def _means(wanted: str, code: str, name: str) -> bool:
    return wanted == name or (bool(code) and wanted[:1].isupper() and code.startswith(wanted))
