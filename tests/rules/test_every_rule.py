"""Laws that hold for each rule, however it is written."""

import re

import pytest

from forensics import catalog
from forensics.model import Run
from forensics.plugin import Rule
from rules.rule_judging import Judge

FAMILIES = ("NUM", "OPT", "DATA", "TOK", "ADP", "CKPT", "DIST", "ENV", "LOG", "RL")
RULES = catalog.rules()
ASKED = [pytest.param(rule, name, id=f"{rule.code}-{name}") for rule in RULES for name in rule.explains]


def test_codes_and_names_are_unique() -> None:
    """No two rules share a code or a name."""
    codes = [rule.code for rule in RULES]
    names = [rule.name for rule in RULES]

    assert len(set(codes)) == len(codes)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_has_a_whole_page(rule: Rule) -> None:
    """Every rule has a code of a family, a title on one line, four parts in order, and a reference."""
    headings = re.findall(r"^## (.*)$", rule.doc, re.MULTILINE)

    assert re.fullmatch(rf"({'|'.join(FAMILIES)})\d{{3}}", rule.code)
    assert 20 <= len(rule.title) <= 140
    assert headings == ["What happens", "How to tell", "What to do", "Sources"]
    assert rule.references
    assert all(url.startswith("https://") for url in rule.references)
    assert rule.explains


@pytest.mark.parametrize(("rule", "name"), ASKED)
def test_nothing_recorded_says_nothing(judge: Judge, nothing_recorded: Run, rule: Rule, name: str) -> None:
    """A run of which nothing is known gives no evidence for or against any cause."""
    assert judge(rule, nothing_recorded, name, name=name).evidence == ()
    assert judge(rule, nothing_recorded, name, step=5, name=name).score <= 0 or rule.mechanism


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_experiments_come_cheapest_first(judge: Judge, nothing_recorded: Run, rule: Rule) -> None:
    """The experiments of a rule are ordered by cost."""
    costs = [trial.cost for trial in judge(rule, nothing_recorded, rule.explains[0]).experiments]

    assert costs == sorted(costs)


def test_every_mechanism_that_is_asked_for_exists() -> None:
    """A name that is explained is a symptom, or a mechanism that some rule establishes."""
    mechanisms = {rule.name for rule in RULES if rule.mechanism}
    causes = {rule.name for rule in RULES if not rule.mechanism}
    explained = {name for rule in RULES for name in rule.explains}

    assert not explained & causes
    assert {"nan-gradient-applied", "nan-loss-logged-as-zero", "all-labels-ignored"} <= explained & mechanisms
