"""Every pair of a symptom and a cause that can stand behind it: that cause's own sign makes it at least possible."""

from collections.abc import Iterator
from typing import Any

import pytest

from forensics import catalog
from forensics.model import Hypothesis
from forensics.plugin import Rule
from forensics.rules._issue_files import load
from rules.issue_runs import run_of, together, version_for
from rules.rule_judging import argue, ask
from rules.test_branches_reached import ROWS, WRITTEN

TENABLE = ("established", "likely", "possible")
ISSUES = {issue["name"]: issue for _, issue in load()}
BY_NAME = {rule.name: rule for rule in catalog.rules()}
NOT_ARGUED = [
    ("all-labels-ignored", "loss-zero-transient"),
    ("weights-not-loaded", "resume-jump"),
    ("weights-not-loaded", "loss-to-zero"),
    ("rl-kl-overflow", "loss-term-nan"),
    ("truncated-write", "crash-exception"),
    ("model-code-unstable", "loss-plateau"),
    ("model-code-unstable", "grad-norm-explosion"),
    ("ds-zero12-comm-corruption", "grad-norm-nan-isolated"),
]
"""Pairs of unseen runs whose true cause was not argued at all, as the rule did not explain the symptom found."""


def written() -> Iterator[Any]:
    for rule in WRITTEN:
        yield from (pytest.param(rule, name, id=f"{rule.name} <- {name}") for name in rule.explains)


def entries() -> Iterator[Any]:
    for issue in ISSUES.values():
        yield from (pytest.param(issue, name, id=f"{issue['name']} <- {name}") for name in issue["explains"])


def of_written(rule: Rule, name: str) -> list[Hypothesis]:
    """Return what a rule says of each run of its rows when it is asked for `name`."""
    return [ask(rule, {**facts, "name": name}) for cause, _, facts, _ in ROWS if cause == rule.name]


@pytest.mark.parametrize(("rule", "name"), [*written()])
def test_a_run_of_its_own_makes_a_written_cause_possible(rule: Rule, name: str) -> None:
    assert any(said.verdict in TENABLE for said in of_written(rule, name))


@pytest.mark.parametrize(("issue", "name"), [*entries()])
def test_its_own_sign_makes_an_entry_possible(issue: dict[str, Any], name: str) -> None:
    """Its conditions and one sign of its own: nothing else is on file."""
    tables = issue["evidence"]
    own = [t for t in tables if not t.get("sign") and t.get("yes", 0) > 0]
    release = next(iter(issue.get("affected", ())), None)
    start = {} if release is None else {"packages": {release["package"]: version_for(release["versions"], fits=True)}}
    start = together([t for t in tables if t.get("necessary")], start)
    verdicts = set()
    for facts in (start, *(together([sign], start) for sign in own)):
        run, step = run_of(facts), int(facts.get("onset", 5))
        verdicts.add(argue(BY_NAME[issue["name"]], run, name, step=step, name=name).verdict)

    assert verdicts & set(TENABLE)


@pytest.mark.parametrize(("cause", "symptom"), NOT_ARGUED)
def test_what_was_not_argued_is_linked_now(cause: str, symptom: str) -> None:
    assert symptom in BY_NAME[cause].explains
