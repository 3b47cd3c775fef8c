"""Hypotheses compete, chains form, nothing counts twice."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from forensics.diagnosis.reason import Reasoned, reason
from forensics.model import DECISIVE, Evidence, Explained, Finding, Fix, Run, Seen, Source
from forensics.plugin import Condition, Rule, rule
from forensics.testing import make_run

SYMPTOM = Finding("loss-to-zero", "error", "loss is 0.0", Source("log"), 40, (30, 40))
OTHER = Finding("grad-norm-nan", "error", "grad norm is NaN", Source("log"), 40, (30, 40))


def needs(holds: bool | None, that: str = "several processes train") -> Condition:
    """Return a necessary condition in one of its three states."""
    return Condition(that, lambda _run, _explained: None if holds is None else Seen(holds, f"{that}: {holds}"))


def made(name: str, explains: str | tuple[str, ...], *said: Evidence | Fix, **options: Any) -> Rule:
    """Return a rule that always says the same."""

    @rule(name.upper()[:6], name, explains=(explains,) if isinstance(explains, str) else explains, **options)
    def argue(run: Run, explained: Explained) -> Iterator[Evidence | Fix]:
        """A made rule."""
        yield from said

    return argue


def judged(*rules: Rule, findings: tuple[Finding, ...] = (SYMPTOM,)) -> Reasoned:
    return reason(make_run(loss=[1.0]), findings, rules)


LIKELY = Evidence(7, "seen")


@pytest.mark.parametrize(
    ("points", "holds", "order"),
    [
        (2, None, ["unknown", "guess"]),
        (3, None, ["guess", "unknown"]),
        (2, True, ["guess", "unknown"]),
        (2, False, ["unknown", "guess"]),
    ],
    ids=["nothing points to it", "a sign of its own", "its condition is met", "ruled out"],
)
def test_a_cause_is_named_for_a_sign_or_for_conditions_that_are_met(
    points: int, holds: bool | None, order: list[str]
) -> None:
    """What many causes share leaves those whose conditions nobody recorded open: behind `unknown`."""
    found = judged(made("guess", "loss-to-zero", Evidence(points, "seen"), requires=(needs(holds),)))

    assert [h.cause for h in found.causes] == order


def test_what_tells_where_to_look_is_only_possible_beside_what_was_there() -> None:
    """Alone the echo is an answer; a cause of the same symptom that holds takes its place, whatever its points."""
    echo = replace(made("echo", "loss-to-zero", Evidence(9, "another rank failed")), echo=True)
    other = replace(made("other", "loss-to-zero", Evidence(8, "one more echo")), echo=True)
    alone, beside = judged(echo, other), judged(echo, made("cause", "loss-to-zero", LIKELY))
    apart = judged(echo, made("cause", "grad-norm-nan", LIKELY), findings=(SYMPTOM, OTHER))

    assert [(h.cause, h.verdict) for h in alone.causes] == [("echo", "likely"), ("other", "likely")]
    assert [(h.cause, h.verdict) for h in beside.causes] == [("cause", "likely"), ("echo", "possible")]
    assert {h.cause: h.verdict for h in apart.causes} == {"echo": "likely", "cause": "likely"}


def test_what_is_pointed_to_stands_before_what_is_open_whatever_the_points() -> None:
    guess = made("guess", "loss-to-zero", Evidence(2, "seen"), requires=(needs(None),))
    found = judged(guess, made("met", "loss-to-zero", Evidence(1, "seen"), requires=(needs(True),)))

    assert [h.cause for h in found.causes] == ["unknown", "met", "guess"]


def test_a_cause_that_nothing_points_to_is_counted_among_the_open_ones() -> None:
    guess = made("guess", "loss-to-zero", Evidence(2, "seen"), requires=(needs(None),))
    answer = judged(guess, made("other", "loss-to-zero", Evidence(1, "seen"), requires=(needs(None),))).causes[0]

    assert answer.cause == "unknown"
    assert "2 open causes apart: guess, other" in answer.evidence[0].statement


def test_a_cause_is_reached_through_the_mechanisms_that_hold() -> None:
    """Symptom, two mechanisms, cause: the chain is told from the cause to the symptom."""
    found = judged(
        made("hidden", "loss-to-zero", LIKELY, mechanism=True),
        made("applied", "hidden", LIKELY, mechanism=True),
        made("race", "applied", LIKELY),
    )

    assert found.causes[0].chain == ("race", "applied", "hidden", "loss-to-zero")


@pytest.mark.parametrize(
    ("link", "verdict"),
    [
        ({"said": Evidence(4, "seen")}, "likely"),
        ({"said": Evidence(3, "weak")}, "possible"),
        ({}, "possible"),
        ({"said": LIKELY, "requires": (needs(None),)}, "possible"),
        ({"said": LIKELY, "requires": (needs(False),)}, "unlikely"),
    ],
    ids=["holds", "weak", "silent", "not known", "contradicted"],
)
def test_a_cause_is_no_surer_than_the_link_before_it(link: dict[str, Any], verdict: str) -> None:
    said = [link[name] for name in ("said",) if name in link]
    hidden = made("hidden", "loss-to-zero", *said, mechanism=True, requires=link.get("requires", ()))
    found = judged(hidden, made("race", "hidden", LIKELY))

    assert {h.cause: h.verdict for h in found.causes}["race"] == verdict


def test_a_circle_of_mechanisms_ends() -> None:
    found = judged(made("a", ("loss-to-zero", "b"), LIKELY, mechanism=True), made("b", "a", LIKELY, mechanism=True))

    assert {h.cause for h in found.mechanisms} == {"a", "b"}


def test_a_necessary_condition_that_is_false_rules_out() -> None:
    found = judged(made("race", "loss-to-zero", Evidence(9, "for"), requires=(needs(False, "one process"),)))

    assert [(h.cause, h.verdict) for h in found.causes] == [("unknown", "unlikely"), ("race", "ruled out")]
    assert "excluded: race (one process: False)" in [e.statement for e in found.causes[0].evidence]


def test_points_alone_never_rule_out() -> None:
    found = judged(made("race", "loss-to-zero", Evidence(-DECISIVE, "never seen", measured="941 runs")))

    assert found.causes[-1].verdict == "unlikely"


def test_an_unknown_condition_leaves_it_possible_and_is_told() -> None:
    found = judged(made("race", "loss-to-zero", Evidence(DECISIVE, "a line"), requires=(needs(None), needs(True, "x"))))

    assert (found.causes[0].verdict, found.causes[0].would_decide) == ("possible", ("several processes train",))
    assert [e.kind for e in found.causes[0].evidence] == ["specific", "necessary"]


@pytest.mark.parametrize(
    ("points", "conditions", "verdict"),
    [
        ((7,), (), "likely"),
        ((4, 2), (), "possible"),
        ((4, 2), (needs(True),), "likely"),
        ((3, 2), (needs(True),), "possible"),
        ((2, 2, 2, 1), (), "possible"),
        ((10,), (), "established"),
        ((10, -1), (), "likely"),
        ((9, 2), (), "likely"),
        ((1,), (), "possible"),
        ((-1,), (), "unlikely"),
    ],
)
def test_the_words_stand_on_a_scale(points: tuple[int, ...], conditions: tuple[Condition, ...], verdict: str) -> None:
    """Seven points, six with all conditions known, one specific sign; ten at once to be established."""
    said = [Evidence(p, f"seen {number}") for number, p in enumerate(points)]
    found = judged(made("race", "loss-to-zero", *said, requires=conditions))

    assert {h.cause: h.verdict for h in found.causes}["race"] == verdict


def test_a_condition_that_holds_and_is_weighed_is_told_once() -> None:
    seen = Condition("x", lambda _run, _explained: Seen(True, "stage is 2", key="stage"))
    found = judged(made("race", "loss-to-zero", Evidence(7, "stage is 2", key="stage"), requires=(seen,)))

    assert [(e.kind, e.points) for e in found.causes[0].evidence] == [("specific", 7)]


def test_conditions_that_merely_hold_are_no_argument() -> None:
    found = judged(made("race", "loss-to-zero", requires=(needs(True),)))

    assert [h.cause for h in found.causes] == ["unknown"]


def test_without_a_warning_no_cause_is_more_than_possible() -> None:
    notice = replace(SYMPTOM, severity="notice")
    found = judged(
        made("race", "loss-to-zero", LIKELY),
        made("memorised", "grad-norm-nan", LIKELY, benign=True),
        findings=(notice, replace(OTHER, severity="notice")),
    )

    assert {h.cause: h.verdict for h in found.causes} == {"race": "possible", "memorised": "likely"}


def test_a_cause_of_a_lesser_finding_steps_behind() -> None:
    """Whatever its points, what explains only a notice does not come before what explains the error."""
    found = judged(
        made("rate", "grad-norm-nan", Evidence(DECISIVE, "proof")),
        made("race", "loss-to-zero", Evidence(2, "weak")),
        findings=(SYMPTOM, replace(OTHER, severity="notice")),
    )

    assert [h.cause for h in found.causes if h.cause != "unknown"] == ["race", "rate"]


def test_the_same_observation_counts_once() -> None:
    found = judged(made("race", "loss-to-zero", Evidence(3, "a", key="k"), Evidence(2, "b", key="k")))
    race = next(h for h in found.causes if h.cause == "race")

    assert (race.score, len(race.evidence)) == (3, 1)


def test_points_for_two_findings_are_not_added() -> None:
    """A cause that explains two symptoms is no surer for it; it only explains more."""
    found = judged(made("race", ("loss-to-zero", "grad-norm-nan"), LIKELY), findings=(SYMPTOM, OTHER))

    assert (found.causes[0].score, found.causes[0].explains) == (7, ("loss-to-zero", "grad-norm-nan"))


def test_a_benign_explanation_lowers_the_finding() -> None:
    found = judged(made("memorised", "loss-to-zero", Evidence(DECISIVE, "all fits"), benign=True))

    assert [f.severity for f in found.findings] == ["notice"]
    assert found.causes[0].cause == "memorised"


def test_a_benign_explanation_that_loses_changes_nothing() -> None:
    found = judged(
        made("memorised", "loss-to-zero", Evidence(4, "seen"), benign=True),
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
