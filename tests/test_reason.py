"""Hypotheses compete, chains form, nothing counts twice."""

from collections.abc import Iterator
from typing import Any

from forensics.diagnosis.reason import Reasoned, reason
from forensics.model import DECISIVE, Evidence, Explained, Finding, Fix, Run, Source
from forensics.plugin import Rule, rule
from forensics.testing import make_run

SYMPTOM = Finding("loss-to-zero", "error", "loss is 0.0", Source("log"), 40, (30, 40))
OTHER = Finding("grad-norm-nan", "error", "grad norm is NaN", Source("log"), 40, (30, 40))


def made(name: str, explains: str | tuple[str, ...], *said: Evidence | Fix, **options: Any) -> Rule:
    """Return a rule that always says the same."""

    @rule(name.upper()[:6], name, explains=(explains,) if isinstance(explains, str) else explains, **options)
    def argue(run: Run, explained: Explained) -> Iterator[Evidence | Fix]:
        """A made rule."""
        yield from said

    return argue


def judged(*rules: Rule, findings: tuple[Finding, ...] = (SYMPTOM,)) -> Reasoned:
    return reason(make_run(loss=[1.0]), findings, rules)


LIKELY = Evidence(4, "seen")


def test_a_cause_is_reached_through_the_mechanisms_that_hold() -> None:
    """Symptom, two mechanisms, cause: the chain is told from the cause to the symptom."""
    found = judged(
        made("hidden", "loss-to-zero", LIKELY, mechanism=True),
        made("applied", "hidden", LIKELY, mechanism=True),
        made("race", "applied", LIKELY),
    )

    assert found.causes[0].chain == ("race", "applied", "hidden", "loss-to-zero")


def test_a_mechanism_that_does_not_hold_leads_nowhere() -> None:
    found = judged(made("hidden", "loss-to-zero", Evidence(3, "weak"), mechanism=True), made("race", "hidden", LIKELY))

    assert [h.cause for h in found.causes] == ["unknown"]


def test_a_circle_of_mechanisms_ends() -> None:
    found = judged(made("a", ("loss-to-zero", "b"), LIKELY, mechanism=True), made("b", "a", LIKELY, mechanism=True))

    assert {h.cause for h in found.mechanisms} == {"a", "b"}


def test_one_decisive_contradiction_rules_out() -> None:
    found = judged(made("race", "loss-to-zero", Evidence(9, "for"), Evidence(-DECISIVE, "one process")))

    assert [(h.cause, h.verdict) for h in found.causes] == [("unknown", "unlikely"), ("race", "ruled out")]
    assert "excluded: race (one process)" in [e.statement for e in found.causes[0].evidence]


def test_the_same_observation_counts_once() -> None:
    found = judged(made("race", "loss-to-zero", Evidence(3, "a", key="k"), Evidence(2, "b", key="k")))
    race = next(h for h in found.causes if h.cause == "race")

    assert (race.score, len(race.evidence)) == (3, 1)


def test_points_for_two_findings_are_not_added() -> None:
    """A cause that explains two symptoms is no surer for it; it only explains more."""
    found = judged(made("race", ("loss-to-zero", "grad-norm-nan"), LIKELY), findings=(SYMPTOM, OTHER))

    assert (found.causes[0].score, found.causes[0].explains) == (4, ("loss-to-zero", "grad-norm-nan"))


def test_a_benign_explanation_lowers_the_finding() -> None:
    found = judged(made("memorised", "loss-to-zero", Evidence(DECISIVE, "all fits"), benign=True))

    assert [f.severity for f in found.findings] == ["notice"]
    assert found.causes[0].cause == "memorised"


def test_a_benign_explanation_that_loses_changes_nothing() -> None:
    found = judged(
        made("memorised", "loss-to-zero", LIKELY, benign=True),
        made("race", "loss-to-zero", Evidence(DECISIVE, "proof")),
    )

    assert [f.severity for f in found.findings] == ["error"]
    assert found.causes[0].cause == "race"


def test_an_error_in_a_rule_costs_that_rule_only() -> None:
    def broken(run: Run, explained: Explained) -> Iterator[Evidence]:
        """A rule with an error."""
        yield from [LIKELY] * (1 // len(run.artifacts))

    found = judged(rule("BAD001", "bad", explains=("loss-to-zero",))(broken), made("race", "loss-to-zero", LIKELY))

    assert found.causes[0].cause == "race"
    assert found.failures == ("rule BAD001 failed: ZeroDivisionError: integer division or modulo by zero",)


def test_fixes_with_changes_are_told_once() -> None:
    fix = Fix("pin it", {"deepspeed": "0.11.1"})
    found = judged(made("race", "loss-to-zero", LIKELY, fix, fix))

    assert found.causes[0].fixes == (fix,)
