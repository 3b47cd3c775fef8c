"""What each rule must have: conditions that can fail, a specific sign, nothing against it that was not measured."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from forensics import catalog
from forensics.model import SPECIFIC, Hypothesis, Run
from forensics.plugin import Rule
from forensics.rules._issue_files import load
from forensics.rules._known_issues import ranges_of
from forensics.rules._versions import KNOWN_BY, Affected
from rules.rule_judging import Judge, ask, state_of
from rules.test_branches_reached import ROWS, WRITTEN

ISSUES = dict(load())
LEAST = -2
"""What is merely not seen, or usual elsewhere, costs this much at most."""
RESIDUAL = {
    "bad-data-sample": "the same data position fails again",
    "bf16-no-nan-guard": "source of the NaN",
    "lr-zero-config": "the configured learning rate is 0",
    "model-code-unstable": "one tensor or one operation",
    "optimizer-state-missing": "a counter began anew",
}
"""Causes that are left when nothing else is known, and what must be found before they are more than possible."""


ONLY: dict[tuple[str, int], set[bool]] = {
    ("bad-data-sample", 0): {False},
    ("model-code-unstable", 0): {False},
    ("log-artifact", 0): {False},
    ("fp16-bf16-pretrained-model", 1): {False},
}
"""Conditions that a positive find alone makes true: that it was not found does not make them false."""


@cache
def argued_by(rule: Rule) -> tuple[Hypothesis, ...]:
    """Return what a written rule says of each run of its rows."""
    return tuple(ask(rule, facts) for name, _, facts, _ in ROWS if name == rule.name)


@pytest.mark.parametrize("rule", WRITTEN, ids=lambda rule: rule.code)
def test_a_written_rule_has_a_specific_sign(rule: Rule) -> None:
    """Some row shows a sign that is seldom seen under other causes."""
    assert any(e.kind == "specific" for said in argued_by(rule) for e in said.evidence)


@pytest.mark.parametrize("file", ISSUES)
def test_an_entry_has_a_specific_sign(file: str) -> None:
    issue = ISSUES[file]

    assert max(t.get("yes", 0) for t in (*issue.get("evidence", ()), *issue.get("affected", ()))) >= SPECIFIC


@pytest.mark.parametrize("rule", WRITTEN, ids=lambda rule: rule.code)
def test_nothing_speaks_louder_against_a_rule_than_was_measured(rule: Rule) -> None:
    assert [e for said in argued_by(rule) for e in said.evidence if e.points < LEAST and not e.measured] == []


@pytest.mark.parametrize("file", ISSUES)
def test_nothing_speaks_louder_against_an_entry_than_was_measured(file: str) -> None:
    issue = ISSUES[file]
    tables = (*issue.get("evidence", ()), *issue.get("affected", ()))
    loud = [t for t in tables if min(t.get("yes", 0), t.get("no", 0)) < LEAST and not t.get("measured")]

    assert loud == []


def conditions() -> Iterator[Any]:
    for rule in WRITTEN:
        for number, condition in enumerate(rule.requires):
            yield pytest.param(rule, number, id=f"{rule.code}-{condition.that}")


@pytest.mark.parametrize(("rule", "number"), [*conditions()])
def test_a_condition_holds_in_one_row_and_fails_in_another(rule: Rule, number: int) -> None:
    """Each necessary condition can be true, and can be read to be false."""
    states = {state_of(rule.requires[number], rule, facts) for name, _, facts, _ in ROWS if name == rule.name}

    assert {True, False} <= states | ONLY.get((rule.name, number), set())


@pytest.mark.parametrize("rule", catalog.rules(), ids=lambda rule: rule.code)
def test_a_condition_that_nothing_tells_is_unknown(judge: Judge, nothing_recorded: Run, rule: Rule) -> None:
    """Of a run that recorded nothing every condition is open, and none is ruled out."""
    said = judge(rule, nothing_recorded, rule.explains[0])

    assert said.would_decide == tuple(condition.that for condition in rule.requires)
    assert said.contradiction is None


@pytest.mark.parametrize("name", RESIDUAL)
def test_a_residual_cause_needs_its_positive_find(name: str) -> None:
    """It requires what only it leaves behind, so that it is at most possible without."""
    rule = catalog.find_rule(name)

    assert [c.that for c in rule.requires if RESIDUAL[name] in c.that]


@pytest.mark.parametrize("rule", [rule for rule in WRITTEN if rule.name in RESIDUAL], ids=lambda rule: rule.code)
def test_no_row_makes_a_residual_cause_likely_without_its_find(rule: Rule) -> None:
    assert [said for said in argued_by(rule) if said.holds and said.would_decide] == []


@pytest.mark.parametrize("file", [file for file in ISSUES if "affected" in ISSUES[file]])
def test_the_ends_of_a_range_are_known_by_something(file: str) -> None:
    """A range says how its ends are known; one that is not complete neither rules out nor costs more than two."""
    issue = ISSUES[file]

    for affected, table in zip(ranges_of(issue), issue["affected"], strict=True):
        assert {affected.first, affected.fixed} <= set(KNOWN_BY)
        assert affected.complete or not table.get("necessary")
        assert affected.complete or table.get("no", 0) >= LEAST


@pytest.mark.parametrize(
    ("versions", "first", "fixed", "complete"),
    [
        ("<0.14.4", "unknown", "commit and tag", True),
        ("<0.14.4", "commit and tag", "thread", False),
        (">=2.6", "release note", "unknown", True),
        (">=2.6", "thread", "commit and tag", False),
        (">=0.11.2,<0.12.4", "commit and tag", "unknown", False),
        (">=0.11.2,<0.12.4", "commit and tag", "release note", True),
        ("==0.5.2", "thread", "commit and tag", False),
    ],
)
def test_a_range_is_complete_when_the_ends_it_has_are_known(
    versions: str, first: Any, fixed: Any, complete: bool
) -> None:
    assert Affected("p", versions, first, fixed).complete is complete


@pytest.mark.parametrize("file", ISSUES)
def test_a_line_that_was_not_seen_is_no_false_condition(file: str) -> None:
    """The wordings of a line are never complete: an event may be weighed, but not required."""
    needed = [t for t in ISSUES[file].get("evidence", ()) if t.get("necessary")]

    assert not any("event" in t for t in needed)
    assert all(re.search(r"\w", t.get("that", "x")) for t in needed)
