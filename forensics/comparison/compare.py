"""Two reports to one comparison."""

from collections.abc import Sequence

from forensics.analysis.places import place
from forensics.comparison.difference import Comparison, Difference, Divergence, Side, WeightsCompared
from forensics.comparison.find import differences
from forensics.comparison.metrics import divergences
from forensics.comparison.records import compare_records
from forensics.comparison.weigh import leading, weigh
from forensics.model import Finding, Hypothesis, Report
from forensics.plugin import Rule

NAMED = 3
"""Differences that the headline names."""


def compare(good: Side, bad: Side, rules: Sequence[Rule], *, weights: WeightsCompared | None = None) -> Comparison:
    """Return what differs between two runs, by what `rules` make of it for the symptom seen in BAD."""
    finding, cause = leading(bad.report)
    ranked = weigh(list(differences(good.report.run, bad.report.run)), good.report.run, bad.report, rules)
    parted = tuple(divergences(good.report.run, bad.report.run))
    return Comparison(
        good=good,
        bad=bad,
        headline=_headline(good.report, finding, cause, ranked, parted),
        symptom=None if finding is None else finding.symptom,
        cause=cause,
        differences=ranked,
        divergences=parted,
        weights=weights,
        records=compare_records(good.report.run, bad.report.run),
    )


def _headline(
    good: Report,
    finding: Finding | None,
    cause: Hypothesis | None,
    ranked: Sequence[Difference],
    parted: Sequence[Divergence],
) -> str:
    if finding is None:
        return _nothing_wrong(parted)
    symptom = finding.symptom
    shared = any(f.symptom == symptom and f.severity != "notice" for f in good.findings)
    if shared:
        return f"Both runs show {symptom}, so GOOD is no witness for what causes it."
    telling = [d for d in ranked if d.relevance == "decides"]
    if telling and cause is not None:
        matters = "is the difference that matters" if len(telling) == 1 else "are the differences that matter"
        return f"{_named(telling)} {matters} for {symptom} ({cause.code} {cause.cause})."
    likely = [d for d in ranked if d.relevance == "counts"][:1]
    if likely and cause is not None:
        return (
            f"{_named(likely)} makes {cause.cause} ({cause.code}) more likely to be the cause of {symptom},"
            " but does not decide it."
        )
    return f"None of the {len(ranked)} differences is known to matter for {symptom}."


def _nothing_wrong(parted: Sequence[Divergence]) -> str:
    first = next((d for d in parted if d.parts_from is not None), None)
    if first is None:
        return "Nothing is wrong with BAD that could be compared."
    where = place(first.axis, first.parts_from or 0)
    if first.factor is not None:
        return f"Nothing is wrong with BAD; its {first.metric} is {first.factor:.3g} times GOOD's from {where} on."
    return f"Nothing is wrong with BAD; its {first.metric} parts from GOOD's at {where}."


def _named(found: Sequence[Difference]) -> str:
    named = [f"{d.name} {d.good} -> {d.bad}" for d in found[:NAMED]]
    if len(found) > NAMED:
        named.append(f"{len(found) - NAMED} more")
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
