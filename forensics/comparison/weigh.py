"""How much each difference matters: BAD is judged again with GOOD's value in its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from forensics.comparison.difference import RELEVANCES, Difference
from forensics.deferred.records import dataclass
from forensics.diagnosis.judgement import leading_cause, leading_finding
from forensics.diagnosis.reason import reason
from forensics.model import Environment, Events, Finding, Group, Hypothesis, Report, Run
from forensics.plugin import Rule

UNKNOWN = "unknown"
WEIGHED = 200
"""So many differences are judged again, one by one, those that a rule looks at first; the rest is only told."""
GROUPS: Mapping[str, Group] = {
    "package": "package",
    "setting": "setting",
    "hardware": "hardware",
    "variable": "variable",
}


@dataclass(frozen=True, slots=True)
class Concern:
    """Why a rule looks at something: its code and the reason in words."""

    code: str
    why: str


def leading(report: Report) -> tuple[Finding | None, Hypothesis | None]:
    """Return the gravest finding of a report and the cause that explains it best, when one is tenable."""
    finding = leading_finding(report.findings)
    return finding, None if finding is None else leading_cause(report.hypotheses)


def weigh(found: Sequence[Difference], good: Run, bad: Report, rules: Sequence[Rule]) -> tuple[Difference, ...]:
    """Return the differences, the most relevant first."""
    finding, cause = leading(bad)
    if finding is None:
        return tuple(sorted(found, key=_order))
    concerns = _concerns(bad, rules)
    asked = [_with_concern(d, concerns.get(d.name)) for d in found]
    asked.sort(key=_order)
    if cause is None:
        return tuple(asked)
    of_symptom = [f for f in bad.findings if f.severity != "notice"]
    weighed = [
        _weighed(d, cause, reason(with_value(bad.run, good, d), of_symptom, rules).causes)
        if d.recorded_twice and i < WEIGHED
        else d
        for i, d in enumerate(asked)
    ]
    return tuple(sorted(weighed, key=_order))


def _order(difference: Difference) -> tuple[int, bool, int, str, str]:
    return (
        RELEVANCES.index(difference.relevance),
        not difference.recorded_twice,
        -difference.points,
        difference.group,
        difference.name,
    )


def _with_concern(difference: Difference, concern: Concern | None) -> Difference:
    if concern is None:
        return difference
    return replace(difference, relevance="concerned", code=concern.code, why=concern.why)


def _concerns(bad: Report, rules: Sequence[Rule]) -> dict[str, Concern]:
    """Return what the rules that may explain BAD look at, by name; the better the hypothesis, the earlier."""
    by_name = {rule.name: rule for rule in rules}
    concerns: dict[str, Concern] = {}
    tenable = [h for h in bad.hypotheses if h.verdict not in {"unlikely", "ruled out"}]
    for hypothesis in (*tenable, *(m for m in bad.mechanisms if m.holds)):
        for name, why in _looks(hypothesis, by_name.get(hypothesis.cause)):
            concerns.setdefault(name, Concern(hypothesis.code, why))
    return concerns


def _looks(hypothesis: Hypothesis, rule: Rule | None) -> Iterator[tuple[str, str]]:
    for fix in hypothesis.fixes:
        for name in fix.change or ():
            yield name, f"a fix for {hypothesis.cause} changes it"
    for name in rule.helps if rule is not None else ():
        yield name.rpartition(" ")[2], f"the rule for {hypothesis.cause} looks at it"


def _weighed(difference: Difference, cause: Hypothesis, causes: Sequence[Hypothesis]) -> Difference:
    """Compare the cause as BAD is with the causes as they would be with GOOD's value."""
    other = next((h for h in causes if h.cause == cause.cause), None)
    instead = f"with {difference.good} instead of {difference.bad}"
    if other is None:
        why = f"{instead}, nothing leads to {cause.cause} any more"
        return replace(difference, relevance="decides", points=cause.score, why=why, code=cause.code)
    lost = cause.score - other.score
    why = f"{instead}, {cause.cause} has {other.score:+d} points, not {cause.score:+d}"
    if other.verdict == "ruled out" or (cause.holds and not other.holds):
        why = f"{why}, and is {other.verdict}"
        return replace(difference, relevance="decides", points=lost, why=why, code=cause.code)
    if lost > 0:
        return replace(difference, relevance="counts", points=lost, why=why, code=cause.code)
    return difference


def with_value(bad: Run, good: Run, difference: Difference) -> Run:
    """Return BAD as if it had had GOOD's value of one thing, all its witnesses included."""
    if difference.group == "event":
        return _with_events(bad, good, difference.name)
    group = GROUPS[difference.group]
    entries = dict(bad.environment.entries)
    entries[(group, difference.name)] = good.environment.witnesses(difference.name, group)
    return replace(bad, environment=Environment(entries))


def _with_events(bad: Run, good: Run, kind: str) -> Run:
    kept: list[Events] = [events for events in bad.timeline.events if events.kind != kind]
    timeline = replace(bad.timeline, events=(*kept, *good.timeline.events_of(kind)))
    return replace(bad, timeline=timeline)
