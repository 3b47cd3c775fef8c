"""Hypotheses compete: from each symptom outwards along the chains that rules establish."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from forensics.model import (
    SEVERITIES,
    VERDICTS,
    Evidence,
    Experiment,
    Explained,
    Finding,
    Fix,
    Hypothesis,
    Run,
)
from forensics.plugin import Rule

UNKNOWN = "unknown"
CONVINCING = 2
"""Fewer points than this are no better an answer than `unknown`."""


@dataclass(frozen=True, slots=True)
class Reasoned:
    """What the reasoning came to: findings (benign ones lowered to notices), causes by rank, mechanisms."""

    findings: tuple[Finding, ...]
    causes: tuple[Hypothesis, ...]
    mechanisms: tuple[Hypothesis, ...]
    failures: tuple[str, ...]


@dataclass(slots=True)
class _Search:
    run: Run
    rules: Sequence[Rule]
    argued: dict[str, list[tuple[Finding, Hypothesis]]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)

    def explain(self, explained: Explained) -> None:
        for rule in self.rules:
            if explained.name not in rule.explains or rule.name in explained.chain:
                continue
            hypothesis = self._argue(rule, explained)
            if hypothesis is None:
                continue
            self.argued[rule.name].append((explained.finding, hypothesis))
            if rule.mechanism and hypothesis.holds:
                self.explain(Explained(rule.name, explained.finding, (rule.name, *explained.chain)))

    def _argue(self, rule: Rule, explained: Explained) -> Hypothesis | None:
        if not all(self.run.has(need) for need in rule.needs):
            return None
        evidence: dict[str, Evidence] = {}
        fixes: list[Fix] = []
        experiments: list[Experiment] = []
        try:
            for said in rule.reason(self.run, explained):
                if isinstance(said, Evidence):
                    known = evidence.get(said.identity)
                    if known is None or abs(said.points) > abs(known.points):
                        evidence[said.identity] = said
                elif isinstance(said, Fix):
                    fixes.append(said)
                else:
                    experiments.append(said)
        except Exception as error:  # noqa: BLE001  (one bad rule must not cost the report; it is told as a failure)
            self.failures.append(f"rule {rule.code} failed: {type(error).__name__}: {error}")
            return None
        if not evidence:
            return None
        return Hypothesis(
            cause=rule.name,
            code=rule.code,
            title=rule.title,
            explains=(explained.finding.symptom,),
            chain=(rule.name, *explained.chain, explained.finding.symptom),
            evidence=tuple(sorted(evidence.values(), key=lambda e: -e.points)),
            missing=tuple(name for name in rule.helps if not self.run.has(name)),
            fixes=tuple({fix.action: fix for fix in fixes}.values()),
            experiments=tuple(sorted(experiments, key=lambda e: e.cost)),
            references=rule.references,
            mechanism=rule.mechanism,
            benign=rule.benign,
        )


def reason(run: Run, findings: Sequence[Finding], rules: Sequence[Rule]) -> Reasoned:
    """Let every rule argue about every finding, and rank what comes out.

    A cause that explains several findings is represented by its strongest argument: points given for one finding
    are never added to points given for another, so nothing counts twice.
    """
    search = _Search(run, rules)
    for finding in findings:
        search.explain(Explained(finding.symptom, finding))
    order = {id(finding): i for i, finding in enumerate(findings)}
    merged = [_strongest(argued, order) for argued in search.argued.values()]
    causes = sorted((h for h in merged if not h.mechanism), key=rank)
    mechanisms = sorted((h for h in merged if h.mechanism), key=rank)
    judged = _calm(findings, causes)
    alone = {rule.name for rule in rules if rule.stands_alone}
    causes = _with_unknown(judged, causes, mechanisms, alone)
    return Reasoned(judged, tuple(causes), tuple(mechanisms), tuple(dict.fromkeys(search.failures)))


def rank(hypothesis: Hypothesis) -> tuple[int, int, int, int, str]:
    """Return the sort key: verdict, then a benign explanation that holds, then points, reach, code."""
    calm = hypothesis.benign and hypothesis.holds
    return (
        VERDICTS.index(hypothesis.verdict),
        not calm,
        -hypothesis.score,
        -len(hypothesis.explains),
        hypothesis.code,
    )


def _strongest(argued: Sequence[tuple[Finding, Hypothesis]], order: dict[int, int]) -> Hypothesis:
    def key(pair: tuple[Finding, Hypothesis]) -> tuple[int, int, int, int]:
        finding, h = pair
        return VERDICTS.index(h.verdict), -h.score, order[id(finding)], -len(h.chain)

    best = min(argued, key=key)[1]
    tenable = [(f, h) for f, h in argued if h.verdict != "ruled out"] or argued
    # The chain that is shown ends at the gravest symptom, and is the longest of those that end there.
    gravest = min(order[id(f)] for f, _ in tenable)
    chain = max((h.chain for f, h in tenable if order[id(f)] == gravest), key=len)
    explains = dict.fromkeys(f.symptom for f, _ in sorted(tenable, key=lambda pair: order[id(pair[0])]))
    return replace(best, chain=chain, explains=tuple(explains))


def _calm(findings: Sequence[Finding], causes: Sequence[Hypothesis]) -> tuple[Finding, ...]:
    """Lower a finding to a notice when the best explanation of it is one under which nothing is wrong."""
    judged = []
    for finding in findings:
        best = next((h for h in causes if finding.symptom in h.explains and h.holds), None)
        calm = best is not None and best.benign
        judged.append(replace(finding, severity="notice") if calm else finding)
    return tuple(sorted(judged, key=lambda f: SEVERITIES.index(f.severity)))


def _with_unknown(
    findings: Sequence[Finding], causes: list[Hypothesis], mechanisms: Sequence[Hypothesis], alone: set[str]
) -> list[Hypothesis]:
    grave = [f for f in findings if f.severity != "notice"]
    if not grave or any(h.holds and not h.benign for h in causes):
        return causes
    telling = [h for h in mechanisms if h.cause in alone and h.holds and grave[0].symptom in h.explains]
    if telling:
        return [*telling, *causes]
    answer = _unknown(grave, causes, mechanisms)
    at = sum(1 for h in causes if not h.benign and h.verdict == "possible" and h.score >= CONVINCING)
    better = [h for h in causes if not h.benign][:at]
    return [*better, answer, *(h for h in causes if h not in better)]


def _unknown(grave: Sequence[Finding], causes: Sequence[Hypothesis], mechanisms: Sequence[Hypothesis]) -> Hypothesis:
    finding = grave[0]
    known = [h for h in mechanisms if h.holds and finding.symptom in h.explains]
    chain = max((h.chain for h in known), key=len, default=(finding.symptom,))
    excluded = [h for h in causes if h.verdict == "ruled out"]
    evidence = [Evidence(0, f"excluded: {h.cause} ({_against(h)})") for h in excluded]
    open_causes = [h for h in causes if h.verdict in {"possible", "unlikely"}]
    experiments = [e for h in open_causes[:3] for e in h.experiments[:1]]
    missing = dict.fromkeys(name for h in open_causes for name in h.missing)
    return Hypothesis(
        cause=UNKNOWN,
        code="UNKNOWN",
        title="No known cause fits what the run left behind",
        explains=tuple(dict.fromkeys(f.symptom for f in grave)),
        chain=(UNKNOWN, *chain),
        evidence=tuple(evidence) or (Evidence(0, "nothing that was read points to a cause that is known here"),),
        missing=tuple(missing)[:8],
        experiments=tuple(sorted(experiments, key=lambda e: e.cost)),
    )


def _against(hypothesis: Hypothesis) -> str:
    return min(hypothesis.evidence, key=lambda e: e.points).statement
