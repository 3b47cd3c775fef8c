"""The product: findings, the hypotheses that compete to explain them, and the verdict."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from forensics.deferred.records import dataclass
from forensics.model.facts import Axis, Scalar, Source
from forensics.model.run import Run

Severity: TypeAlias = Literal["error", "warning", "notice"]
Verdict: TypeAlias = Literal["established", "likely", "possible", "unlikely", "ruled out"]
RunVerdict: TypeAlias = Literal["broken", "suspicious", "healthy", "unknown"]
StepRange: TypeAlias = tuple[int | None, int | None]

EvidenceKind: TypeAlias = Literal["necessary", "specific", "supporting", "against"]

DECISIVE = 10
SPECIFIC = 3
"""Points from which a piece of evidence is specific: seldom seen under other causes, or words that name the fault."""
LIKELY, LIKELY_IN_PLACE, LIKELY_LINK = 7, 6, 4
"""Points from which a cause is likely; where all its necessary conditions are known to hold; and a link of a chain.

Of 50 causes that were likely from 4 points on, in runs never seen before, 28 were right; from 7 on, with one specific
sign and all conditions known, 14 of 15. Links of a chain and benign explanations stay at 4: the curves that show the
symptom tell them, and a link bounds what stands behind it.
"""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "notice")
VERDICTS: tuple[Verdict, ...] = ("established", "likely", "possible", "unlikely", "ruled out")


@dataclass(frozen=True, slots=True)
class Finding:
    """A symptom, located.

    `step` is the first step at which it surely holds. `step_range` is the honest bracket: the last step known to
    be fine and the first known to be bad; equal ends mean that the step is exact. `until` is the last step at
    which it held, None when it never ended. All are places on `axis`: no optimizer steps where that is another one.
    """

    symptom: str
    severity: Severity
    statement: str
    source: Source
    step: int | None = None
    step_range: StepRange = (None, None)
    until: int | None = None
    axis: Axis = "step"

    @property
    def onset(self) -> int | None:
        """The first step at which the symptom surely holds."""
        bad = self.step_range[1]
        return self.step if bad is None else bad

    @property
    def earliest(self) -> int | None:
        """The first step at which the symptom may hold: the one after the last that is known to be fine."""
        fine, onset = self.step_range[0], self.onset
        return onset if fine is None or onset is None else min(fine + 1, onset)


@dataclass(frozen=True, slots=True)
class Coincidence:
    """Something else that happened at the onset. `step` is the optimizer step after which it happened."""

    kind: str
    step: int
    statement: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What was spent after the onset: optimizer steps of all `total` that were logged, and wall time.

    Where no steps are known, `axis` says what is counted instead. `seconds` leaves out the time between two attempts;
    None when no source wrote the time.
    """

    steps: int
    total: int
    seconds: float | None = None
    axis: Axis = "step"


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that the run recorded: whether it holds, said as a sentence with the value observed.

    Functions that observe return None when the run does not tell. `key` names the observation, so that it counts
    once however many branches of a rule look at it. `most` is what it can be worth: a sentence less than a line of
    a log.
    """

    holds: bool
    statement: str
    source: Source | None = None
    key: str = ""
    most: int = 10


@dataclass(frozen=True, slots=True)
class Evidence:
    """One argument about a hypothesis, of one of four kinds (docs/design/0004-evidence.md).

    A necessary condition has no points but a `state`: true, or false as a source of the run states it. All else has
    points, and the kind follows from them, so that the two cannot disagree: `SPECIFIC` and more is specific, less is
    supporting, below zero is against. Below -2 needs `measured`: where it was measured that the cause never shows so.
    Two pieces with the same `key` are the same observation seen twice and count once; without a key the statement is
    the key.
    """

    points: int
    statement: str
    source: Source | None = None
    key: str = ""
    measured: str = ""
    state: bool | None = None

    @property
    def identity(self) -> str:
        return self.key or self.statement

    @property
    def kind(self) -> EvidenceKind:
        if self.state is not None:
            return "necessary"
        if self.points >= SPECIFIC:
            return "specific"
        return "against" if self.points < 0 else "supporting"


@dataclass(frozen=True, slots=True)
class Fix:
    """What to change, as a sentence, and as the setting or package that changes when there is one."""

    action: str
    change: Mapping[str, Scalar] | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A run that would tell this cause from the others; `cost` orders them, cheapest first.

    `code` is what to copy for it, "" where words say it all.
    """

    action: str
    expect: str
    cost: int = 1
    code: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """What a rule is asked to explain: a symptom, or a mechanism that another rule established.

    `name` is the symptom or mechanism, `finding` the symptom at the end of the chain, and `chain` the mechanisms
    between, nearest to the symptom last. `at_most` is what a cause behind them can be: a chain is no surer than its
    links.
    """

    name: str
    finding: Finding
    chain: tuple[str, ...] = ()
    at_most: Verdict = "established"

    @property
    def step(self) -> int | None:
        return self.finding.step


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A possible cause, with everything that speaks for and against it.

    `cases` is how often it was the cause in public reports (see `Rule.cases`); it orders what nothing else does.
    `conditions` counts its necessary conditions; `would_decide` names those of which no source of the run states
    whether they hold. `at_most` is what the chain that leads to it allows.
    """

    cause: str
    code: str
    title: str
    explains: tuple[str, ...]
    chain: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    missing: tuple[str, ...] = ()
    would_decide: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    references: tuple[str, ...] = ()
    mechanism: bool = False
    benign: bool = False
    cases: int = 0
    at_most: Verdict = "established"
    conditions: int = 0

    @property
    def score(self) -> int:
        return sum(e.points for e in self.evidence)

    @property
    def verdict(self) -> Verdict:
        """Return the verdict of conditions and points.

        A necessary condition that is false rules out, and nothing else does; one that is unknown leaves at most
        "possible", and so does a chain of mechanisms that is no surer (`at_most`). One specific piece of evidence is
        needed to be likely (from LIKELY points, LIKELY_IN_PLACE where all conditions are known), one of DECISIVE with
        a total of DECISIVE to be established.
        """
        return max(self._own_verdict(), self.at_most, key=VERDICTS.index)

    def _own_verdict(self) -> Verdict:
        if self.contradiction is not None:
            return "ruled out"
        if self.score < 1:
            return "unlikely"
        if self.would_decide or self.score < self._likely_from or not self._specific:
            return "possible"
        decided = self.score >= DECISIVE and any(e.points >= DECISIVE for e in self.evidence)
        return "established" if decided else "likely"

    @property
    def _likely_from(self) -> int:
        if self.mechanism or self.benign:
            return LIKELY_LINK
        return LIKELY_IN_PLACE if self.conditions else LIKELY

    @property
    def _specific(self) -> bool:
        return self.mechanism or self.benign or any(e.kind == "specific" for e in self.evidence)

    @property
    def contradiction(self) -> Evidence | None:
        """Return the necessary condition that is false."""
        return next((e for e in self.evidence if e.state is False), None)

    @property
    def holds(self) -> bool:
        return self.verdict in {"established", "likely"}


@dataclass(frozen=True, slots=True)
class Checked:
    """What was judged, and what was not: pairs of (what, reason). `checks` counts the symptoms that were looked for."""

    judged: tuple[str, ...] = ()
    not_judged: tuple[tuple[str, str], ...] = ()
    checks: int = 0


@dataclass(frozen=True, slots=True)
class Best:
    """The checkpoint that did best in evaluation, its value of `metric`, and the noise of one evaluation.

    `noise` is a standard deviation, None where too few evaluations tell it. `best_step` and `best_value` are the best
    evaluation of all, saved or not.
    """

    path: str
    step: int
    metric: str
    value: float
    noise: float | None
    best_step: int
    best_value: float


@dataclass(frozen=True, slots=True)
class Training:
    """One of several trainings of a log: its number from 1, what became of it, and where its first entry stands."""

    number: int
    verdict: RunVerdict
    headline: str
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One run, judged.

    `findings` are the symptoms, most severe first; `hypotheses` the causes in rank order, the best first;
    `mechanisms` the links between them that were argued. `failures` are errors of ours: the report is partial.
    `coincidences` is what else happened where the gravest finding begins, `cost` what was spent after it.
    `checked` is what there was to judge by, `best` the checkpoint that did best in evaluation. Of a log that holds
    several `trainings` it is the report of one of them, the worst: `training` is its number, from 1.
    """

    run: Run
    verdict: RunVerdict
    headline: str
    findings: tuple[Finding, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    mechanisms: tuple[Hypothesis, ...] = ()
    failures: tuple[str, ...] = field(default=())
    coincidences: tuple[Coincidence, ...] = ()
    cost: Cost | None = None
    checked: Checked = field(default_factory=Checked)
    best: Best | None = None
    training: int | None = None
    trainings: tuple[Training, ...] = ()

    def worst(self) -> Severity | None:
        present = {finding.severity for finding in self.findings}
        return next((s for s in SEVERITIES if s in present), None)

    def __str__(self) -> str:
        """Return the first screen: what, when, cause, what to keep, what to change, and the curve."""
        # The package hands out its public names; a model knows nothing of pages.
        from forensics import first_screen

        return first_screen(self)

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count} {severity}{'s' if count > 1 else ''}"
            for severity in SEVERITIES
            if (count := sum(finding.severity == severity for finding in self.findings))
        )
        first = next((h for h in self.hypotheses if h.verdict != "ruled out"), None)
        cause = "" if first is None else f", {first.verdict}: {first.cause}"
        return f"<Report {self.verdict}: {counts or 'no findings'}{cause}, {self.run.root}>"
