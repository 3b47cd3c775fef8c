"""Hypotheses compete: from each symptom outwards along the chains that rules establish."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import field, replace

from forensics.analysis.last_error import KEY, guessed
from forensics.analysis.tried import BROAD, cures
from forensics.deferred.records import dataclass
from forensics.diagnosis.judgement import ENDS
from forensics.diagnosis.undecided import cannot_decide, deciding, told_as_excluded
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
    Verdict,
)
from forensics.plugin import Rule

UNKNOWN = "unknown"
CONVINCING = 2
"""Fewer points than this are no better an answer than `unknown`."""
NAMED = 4
"""Points from which a possible cause with a sign of its own says more than the mechanism before it."""


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
            hypothesis = self.argue(rule, explained)
            if hypothesis is not None and _says_something(hypothesis):
                self.argued[rule.name].append((explained.finding, hypothesis))
            if rule.mechanism and _may_stand_behind(hypothesis, explained.finding):
                at_most = _bound(hypothesis)
                self.explain(Explained(rule.name, explained.finding, (rule.name, *explained.chain), at_most))

    def argue(self, rule: Rule, explained: Explained) -> Hypothesis | None:
        if not all(self.run.has(need) for need in rule.needs):
            return None
        try:
            return argued(rule, self.run, explained)
        except Exception as error:  # noqa: BLE001  (one bad rule must not cost the report; it is told as a failure)
            self.failures.append(f"rule {rule.code} failed: {type(error).__name__}: {error}")
            return None


def _may_stand_behind(mechanism: Hypothesis | None, finding: Finding) -> bool:
    """Tell whether causes are sought behind a mechanism: behind an exception only where something speaks for it.

    An exception says what it was about. `You requested GPUs: [0]` was told as an overflow of fp16, which the run used.
    """
    return finding.symptom != "crash-exception" or (mechanism is not None and _has_sign(mechanism))


def argued(rule: Rule, run: Run, explained: Explained) -> Hypothesis:
    """Return what one rule says: its necessary conditions as far as the run states them, and what it weighs."""
    conditions = [(condition.that, condition.look(run, explained)) for condition in rule.requires]
    weighed: dict[str, Evidence] = {}
    fixes: list[Fix] = []
    experiments: list[Experiment] = []
    for said in rule.reason(run, explained):
        if isinstance(said, Evidence):
            known = weighed.get(said.identity)
            if known is None or abs(said.points) > abs(known.points):
                weighed[said.identity] = said
        elif isinstance(said, Fix):
            fixes.append(said)
        else:
            experiments.append(said)
    if explained.finding.symptom.startswith("crash-") and not any(e.points > 0 for e in weighed.values()):
        guess = guessed(run, rule.name)
        weighed |= {} if guess is None else {KEY: guess}
    held = [key for key, e in weighed.items() if e.points > 0] + [
        seen.key for _, seen in conditions if seen and seen.holds
    ]
    cure = cures(run, held)
    if cure is not None and cure.key in BROAD and (not conditions or any(seen is None for _, seen in conditions)):
        cure = replace(cure, points=1)  # of a cause that may not apply here it says little
    if cure is not None and (cure.identity not in weighed or weighed[cure.identity].points < cure.points):
        weighed[cure.identity] = cure
    # A condition that holds and is weighed as well is told once, with its points.
    needed = {
        seen.key or that: Evidence(0, seen.statement, seen.source, seen.key, state=seen.holds)
        for that, seen in conditions
        if seen is not None and not (seen.holds and seen.key in weighed)
    }
    return Hypothesis(
        cause=rule.name,
        code=rule.code,
        title=rule.title,
        explains=(explained.finding.symptom,),
        chain=(rule.name, *explained.chain, explained.finding.symptom),
        evidence=tuple(sorted([*weighed.values(), *needed.values()], key=lambda e: (e.state is not False, -e.points))),
        missing=tuple(name for name in rule.helps if not run.has(name)),
        would_decide=tuple(that for that, seen in conditions if seen is None),
        fixes=tuple({fix.action: fix for fix in fixes}.values()),
        experiments=tuple(sorted(experiments, key=lambda e: e.cost)),
        references=rule.references,
        mechanism=rule.mechanism,
        benign=rule.benign and not _bad_end(explained.finding),
        cases=rule.cases,
        at_most=explained.at_most,
        conditions=len(conditions),
    )


def _bad_end(finding: Finding) -> bool:
    """Tell whether a finding stays what it is, whoever meant well.

    An end that counts for an error (docs/endings.md) does, and so does a loss that its detector weighed and found too
    low: that the data are known by heart is then the fault.
    """
    too_low = finding.severity == "warning" and finding.symptom == "suspiciously-low-loss"
    return too_low or (finding.severity == "error" and finding.symptom.startswith(ENDS))


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
    causes = sorted(_without_guesses([h for h in merged if not h.mechanism]), key=rank)
    mechanisms = sorted((h for h in merged if h.mechanism), key=rank)
    judged = _calm(findings, causes)
    causes = _ordered(judged, _told_by_others(causes, {rule.name for rule in rules if rule.echo}))
    alone = {rule.name for rule in rules if rule.stands_alone}
    causes = _with_unknown(search, judged, causes, mechanisms, alone)
    return Reasoned(judged, tuple(causes), tuple(mechanisms), tuple(dict.fromkeys(search.failures)))


def _without_guesses(causes: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Leave out a cause that only the build of the last error speaks for, where anything else points to a cause."""

    def told(guess: Hypothesis) -> bool:
        return any(
            h.score >= CONVINCING
            and h.verdict not in {"unlikely", "ruled out"}
            and not (h.benign or _guessed(h))
            and _pointed_to(h)
            and not set(h.explains).isdisjoint(guess.explains)
            for h in causes
        )

    return [h for h in causes if not _guessed(h) or not told(h)]


def _guessed(hypothesis: Hypothesis) -> bool:
    return any(e.key == KEY for e in hypothesis.evidence)


def _bound(mechanism: Hypothesis | None) -> Verdict:
    """Return what a cause behind a mechanism can be at most.

    Measured on 941 labelled runs: with a gate in place of this bound, true causes of runs that never logged what
    would show the mechanism were not argued at all (7 of 141 that were not named).
    """
    if mechanism is None:
        return "possible"
    if mechanism.verdict == "ruled out":
        return "unlikely"
    return mechanism.at_most if mechanism.holds else max(mechanism.at_most, "possible", key=VERDICTS.index)


def _says_something(hypothesis: Hypothesis) -> bool:
    """Tell whether a rule weighed anything or is ruled out: conditions that merely hold are no argument."""
    return hypothesis.contradiction is not None or any(e.state is None for e in hypothesis.evidence)


def rank(hypothesis: Hypothesis) -> tuple[int, int, int, bool, int, int, str]:
    """Return the sort key: verdict, a benign explanation that holds, points, a specific sign, reach, cases, code.

    Reach is how many of the symptoms the cause explains. Where a run says equally much for two causes that explain
    equally much, the one that was reported more often comes first; the points of either stay what they are.
    """
    calm = hypothesis.benign and hypothesis.holds
    return (
        VERDICTS.index(hypothesis.verdict),
        not calm,
        -hypothesis.score,
        not _has_sign(hypothesis),
        -len(hypothesis.explains),
        -hypothesis.cases,
        hypothesis.code,
    )


def _pointed_to(hypothesis: Hypothesis) -> bool:
    """Tell whether anything on file points to a cause: a sign of its own, or conditions that are known to be met.

    A cause whose conditions nobody recorded, with no more than what many causes share, is one of those that are open:
    it stands behind `unknown`, and heads no report. Of 105 unseen runs ten had such a cause first; two of them were
    true, and have signs now.
    """
    open_ = hypothesis.would_decide and hypothesis.verdict == "possible" and not hypothesis.benign
    return not open_ or _has_sign(hypothesis)


def _has_sign(hypothesis: Hypothesis) -> bool:
    return any(e.kind == "specific" for e in hypothesis.evidence)


def _told_by_others(causes: Sequence[Hypothesis], echoes: set[str]) -> list[Hypothesis]:
    """Bound a cause that tells where to look (another rank, an earlier step) beside one that tells what was there."""

    def told(echo: Hypothesis) -> bool:
        return any(
            h.holds and h.cause not in echoes and not h.benign and not set(h.explains).isdisjoint(echo.explains)
            for h in causes
        )

    return [
        replace(h, at_most=max(h.at_most, "possible", key=VERDICTS.index)) if h.cause in echoes and told(h) else h
        for h in causes
    ]


def _ordered(findings: Sequence[Finding], causes: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Bound and order the causes by what was found.

    A cause that explains nothing of the gravest level steps behind those that do. Where nothing is worse than a
    notice, no cause but a benign one is more than possible: healthy runs with a strong cause fell from 34 to 8 of 941
    runs by that.
    """
    gravest = min((SEVERITIES.index(f.severity) for f in findings), default=0)
    wanted = {f.symptom for f in findings if SEVERITIES.index(f.severity) == gravest}
    calm = gravest == SEVERITIES.index("notice")
    bounded = [
        replace(h, at_most=max(h.at_most, "possible", key=VERDICTS.index)) if calm and not h.benign else h
        for h in causes
    ]

    def key(hypothesis: Hypothesis) -> tuple[object, ...]:
        tenable = hypothesis.verdict not in {"unlikely", "ruled out"}
        explains = not wanted.isdisjoint(hypothesis.explains)
        return not tenable, tenable and not explains, tenable and not _pointed_to(hypothesis), *rank(hypothesis)

    return sorted(bounded, key=key)


def _strongest(argued: Sequence[tuple[Finding, Hypothesis]], order: dict[int, int]) -> Hypothesis:
    def key(pair: tuple[Finding, Hypothesis]) -> tuple[int, int, int, int]:
        finding, h = pair
        return VERDICTS.index(h.verdict), -h.score, order[id(finding)], -len(h.chain)

    best = min(argued, key=key)[1]
    tenable = [(f, h) for f, h in argued if h.verdict not in {"unlikely", "ruled out"}] or argued
    # The chain that is shown ends at the gravest symptom; of those the surest, then the longest.
    gravest = min(order[id(f)] for f, _ in tenable)
    ends = [h for f, h in tenable if order[id(f)] == gravest]
    chain = min(ends, key=lambda h: (VERDICTS.index(h.verdict), -len(h.chain))).chain
    explains = dict.fromkeys(f.symptom for f, _ in sorted(tenable, key=lambda pair: order[id(pair[0])]))
    return replace(best, chain=chain, explains=tuple(explains))


def _calm(findings: Sequence[Finding], causes: Sequence[Hypothesis]) -> tuple[Finding, ...]:
    """Lower a finding to a notice when the best explanation of it is one under which nothing is wrong."""
    judged = []
    for finding in findings:
        best = next((h for h in causes if finding.symptom in h.explains and h.holds), None)
        calm = best is not None and best.benign and not _bad_end(finding)
        judged.append(replace(finding, severity="notice") if calm else finding)
    return tuple(sorted(judged, key=lambda f: SEVERITIES.index(f.severity)))


def _with_unknown(
    search: _Search,
    findings: Sequence[Finding],
    causes: list[Hypothesis],
    mechanisms: Sequence[Hypothesis],
    alone: set[str],
) -> list[Hypothesis]:
    grave = [f for f in findings if f.severity != "notice"]
    if not grave or any(h.holds and not h.benign for h in causes):
        return causes
    telling = [h for h in mechanisms if h.cause in alone and h.holds and grave[0].symptom in h.explains]
    if telling:
        # What stops the gradient is known as a link; a cause with a sign of its own says more.
        named = [h for h in causes if h.verdict == "possible" and not h.benign and h.score >= NAMED and _has_sign(h)]
        return [*named, *telling, *(h for h in causes if h not in named)]
    answer = _unknown(search, grave, causes, mechanisms)
    better = [
        h for h in causes if not h.benign and h.verdict == "possible" and h.score >= CONVINCING and _pointed_to(h)
    ]
    return [*better, answer, *(h for h in causes if h not in better)]


def _unknown(
    search: _Search, grave: Sequence[Finding], causes: Sequence[Hypothesis], mechanisms: Sequence[Hypothesis]
) -> Hypothesis:
    finding = grave[0]
    known = [h for h in mechanisms if h.holds and finding.symptom in h.explains]
    chain = max((h.chain for h in known), key=len, default=(finding.symptom,))
    excluded = [h for h in causes if h.verdict == "ruled out"]
    remaining = _still_open(search, finding, causes, mechanisms)
    known_of = [h for h in remaining if _heard_of(search, h.cause)]
    evidence = [*cannot_decide(remaining, known_of), *map(told_as_excluded, excluded)]
    experiments = {e.action: e for h in known_of[:3] for e in h.experiments[:1]}
    return Hypothesis(
        cause=UNKNOWN,
        code="UNKNOWN",
        title="No known cause fits what the run left behind",
        explains=tuple(dict.fromkeys(f.symptom for f in grave)),
        chain=(UNKNOWN, *chain),
        evidence=tuple(evidence) or (Evidence(0, "nothing that was read points to a cause that is known here"),),
        missing=tuple(deciding(known_of))[:8],
        experiments=tuple(sorted(experiments.values(), key=lambda e: e.cost)),
    )


def _still_open(
    search: _Search, finding: Finding, causes: Sequence[Hypothesis], mechanisms: Sequence[Hypothesis]
) -> list[Hypothesis]:
    """Return every cause that could stand behind a symptom and that nothing speaks against, the best first.

    A cause of which the run recorded nothing is among them: it was not argued, and it is not excluded either. Not so
    behind an exception, which says itself what it was about: there only a cause that something speaks for is open.
    """
    judged = {h.cause: h for h in (*causes, *mechanisms)}
    least = 1 if finding.symptom == "crash-exception" else 0
    reach = {finding.symptom}
    for _ in range(len(search.rules)):
        links = (rule for rule in search.rules if rule.mechanism and not reach.isdisjoint(rule.explains))
        grown = reach | {rule.name for rule in links if rule.name not in judged or judged[rule.name].score >= 0}
        if grown == reach:
            break
        reach = grown
    found = []
    for rule in search.rules:
        name = next((name for name in rule.explains if name in reach), None)
        if name is not None and not rule.mechanism and not rule.benign:
            hypothesis = judged.get(rule.name) or search.argue(rule, Explained(name, finding))
            if hypothesis is not None and hypothesis.score >= least and hypothesis.verdict != "ruled out":
                found.append(hypothesis)
    return sorted(found, key=rank)


UBIQUITOUS = frozenset({"torch", "transformers", "python", "numpy", "cuda"})
"""Packages that may be in use without leaving a trace."""


def _heard_of(search: _Search, cause: str) -> bool:
    """Tell whether a cause is about something that the run shows a trace of: no advice on packages it never had.

    A rule that looks at optional packages (DeepSpeed, PEFT, flash-attn) is about one of them; a recorded version, a
    framework that was recognised, or a setting of its own is a trace.
    """
    rule = next((rule for rule in search.rules if rule.name == cause), None)
    packages = {name.removeprefix("package ") for name in (() if rule is None else rule.helps) if "package " in name}
    if not packages or packages & UBIQUITOUS:
        return True
    run = search.run
    return any(
        run.environment.best(name, "package") is not None
        or name in run.frameworks
        or any(name in setting for (_, setting), found in run.environment.entries.items() if found)
        or (name == "deepspeed" and run.has("zero_optimization.stage"))
        for name in packages
    )
