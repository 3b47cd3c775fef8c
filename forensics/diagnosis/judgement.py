"""One judgement, told once: which cause leads, and where it began. Every output and command asks here."""

from collections.abc import Sequence
from dataclasses import replace

from forensics.model import Finding, Hypothesis, Report

UNKNOWN = "unknown"
ENDS = ("crash-", "run-")
"""Symptoms of how a run ended: what was wrong before that began earlier."""
CAUSELESS = frozenset({"unsafe-pickle"})
"""Symptoms that are no failure of the run: nothing caused them that a run could tell."""
TIE = 1
"""Points within which two causes are a tie: a point is worth 0.57 log-odds, so that their order says little."""
TENABLE = frozenset({"established", "likely", "possible"})


def leading_cause(hypotheses: Sequence[Hypothesis]) -> Hypothesis | None:
    """Return the first cause that is tenable and not benign; None where `unknown` ranks before it or there is none."""
    first = next((h for h in hypotheses if not h.benign and (h.verdict in TENABLE or h.cause == UNKNOWN)), None)
    return None if first is None or first.cause == UNKNOWN else first


def leading_finding(findings: Sequence[Finding]) -> Finding | None:
    """Return the gravest finding that is more than a notice: the one that the headline speaks of."""
    return next((f for f in findings if f.severity != "notice"), None)


def behind(finding: Finding, hypotheses: Sequence[Hypothesis]) -> tuple[Hypothesis, ...]:
    """Return the causes that the report tells for a finding: none, one, or several that fit equally well.

    Several are of one verdict and within `TIE` points of the first; an established cause stands alone. Where
    `unknown` or a cause that nothing speaks for comes first, there is none.
    """
    found = [h for h in hypotheses if not h.benign and finding.symptom in h.explains]
    if not found or found[0].cause == UNKNOWN or found[0].verdict not in TENABLE:
        return ()
    top = found[0]
    if top.verdict == "established":
        return (top,)
    return tuple(h for h in found if h.verdict == top.verdict and top.score - h.score <= TIE and h.cause != UNKNOWN)


def onset_of(findings: Sequence[Finding], hypotheses: Sequence[Hypothesis]) -> Finding | None:
    """Return the finding with which it began, its bracket tightened by all others of the same chain.

    Of the findings of the gravest level that has a place, those count that the headline speaks of, that the leading
    cause explains, or that stand on its chain; the earliest is the onset. A run that crashed or hung was broken from
    its first error on, whatever ended it. An earlier finding that has to do with nothing of this is told in its own
    line and moves no onset.
    """
    placed = [f for f in findings if f.severity != "notice" and f.onset is not None]
    if not placed:
        return None
    head, cause = placed[0], leading_cause(hypotheses)
    kin = {head.symptom, *(() if cause is None else (*cause.explains, *cause.chain))}
    ended = head.symptom.startswith(ENDS)
    level = [f for f in placed if f.severity == head.severity and f.axis == head.axis]
    chain = [f for f in level if ended or f.symptom in kin]
    first = min(chain, key=lambda f: f.onset or 0)
    bad = first.onset
    assert bad is not None
    fine = [f.step_range[0] for f in chain if f.step_range[0] is not None and f.step_range[0] < bad]
    return replace(first, step=bad, step_range=(max(fine, default=None), bad))


def onset(report: Report) -> Finding | None:
    """Return where a run began to go wrong (see `onset_of`)."""
    return onset_of(report.findings, report.hypotheses)
