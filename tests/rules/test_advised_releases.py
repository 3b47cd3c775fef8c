"""A cure by another release is free of the other causes of its symptom: upgrades and downgrades, data and rules."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from forensics import catalog
from forensics.model import Fix
from forensics.plugin import Rule
from forensics.rules import dist001_ds_zero12_comm_corruption as races
from forensics.rules import num020_attention_impl_nan as cudnn
from forensics.rules import opt012_hf_grad_accum_loss_scaling as accumulation
from forensics.rules._issue_files import load
from forensics.rules._known_issues import ranges_of
from forensics.rules._versions import Affected, parse
from rules.rule_judging import ask
from rules.test_branches_reached import ROWS, WRITTEN

ISSUES = {issue["name"]: issue for _, issue in load()}
WRITTEN_RANGES = {
    "ds-zero12-comm-corruption": (races.RACES,),
    "hf-grad-accum-loss-scaling": (Affected("transformers", accumulation.AFFECTED, "release note", "release note"),),
    "attention-impl-nan": (
        Affected("torch", cudnn.CUDNN_FIRST, "release note", "release note"),
        Affected("torch", cudnn.CUDNN_AGAIN, "thread", "thread"),
    ),
}
"""Ranges of the rules that are written in Python."""
RANGES = {**WRITTEN_RANGES, **{name: ranges_of(issue) for name, issue in ISSUES.items() if "affected" in issue}}
REPORTED = {"ds-overlap-before-the-bucket"}
"""Ranges without a known beginning that hold a release which users found good for another cause."""
ELSEWHERE = {("ds-zero2-gradient-regression", "ds-all-reduce-fetch-stride"): "stage 2, and stage 3"}
RULES = {rule.name: rule for rule in catalog.rules()}
STEP = 10**6
"""Stands for the release just below a bound that is left out ("<0.17.6" advises 0.17.5 and its like)."""


def fixes_of(rule: Rule) -> dict[str, Fix]:
    """Return what a rule advises, by its words: of an entry as written, of a rule on each of its rows."""
    if rule.name in ISSUES:
        tables = ISSUES[rule.name].get("fix", ())
        return {t["action"]: Fix(t["action"], t.get("change"), t.get("reference", "")) for t in tables}
    return {fix.action: fix for name, facts in rows() if name == rule.name for fix in ask(rule, facts).fixes}


def rows() -> Iterator[tuple[str, Any]]:
    return ((name, facts) for name, _, facts, _ in ROWS)


def advised() -> Iterator[Any]:
    """Yield (rule, fix, package, release) for every release that a fix asks for, from its lowest on."""
    for rule in (*WRITTEN, *(RULES[name] for name in ISSUES)):
        for fix in fixes_of(rule).values():
            for package, asked in (fix.change or {}).items():
                release = lowest(str(asked))
                if release is not None and any(r.package == package for one in RANGES.values() for r in one):
                    yield pytest.param(rule, fix, package, release, id=f"{rule.name}-{package}-{asked}")


def lowest(asked: str) -> str | None:
    """Return the release that somebody who follows the advice gets first; None for what is no release.

    >>> lowest(">=0.19.4"), lowest("0.11.1"), lowest("<0.17.6"), lowest("auto")
    ('0.19.4', '0.11.1', '0.17.5.1000000', None)
    """
    match = re.fullmatch(r"(>=|==|<)?(\d+(?:\.\d+)*)", asked)
    if match is None:
        return None
    if match[1] != "<":
        return match[2]
    *head, last = (int(part) for part in match[2].split("."))
    return ".".join(map(str, [*head, last - 1, STEP]))


@pytest.mark.parametrize(("rule", "fix", "package", "release"), [*advised()])
def test_an_advised_release_lies_outside_the_ranges_of_what_explains_the_same(
    rule: Rule, fix: Fix, package: str, release: str
) -> None:
    """Unless the end of that range is not known, or the advice itself names the other cause by its code.

    Nobody looked for the first bad release of many a range, so that it says nothing of an older one.
    """
    assert parse(release) is not None
    older = not str((fix.change or {})[package]).startswith(">=")
    inside = [
        name
        for name, ranges in RANGES.items()
        if set(RULES[name].explains) & set(rule.explains) and RULES[name].code not in fix.action
        if (rule.name, name) not in ELSEWHERE
        for one in ranges
        if one.package == package and one.fixed != "unknown" and SpecifierSet(one.versions).contains(release)
        if not older or one.first != "unknown" or name in REPORTED
    ]

    assert inside == []


def test_rules_in_python_and_downgrades_are_among_them() -> None:
    """The founding case's two releases are judged, the later and the earlier one."""
    found = [case.id for case in advised()]

    assert "ds-zero12-comm-corruption-deepspeed-0.11.1" in found
    assert [name for name in found if name and "<" in name] != []
    assert sum(case.values[0].name not in ISSUES for case in advised()) >= 4
