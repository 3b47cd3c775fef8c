"""Everything that is known to go wrong is known to a rule, and that rule to a test."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from forensics import catalog
from runs import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ISSUES: list[dict[str, Any]] = tomllib.loads((ROOT / "docs" / "known_issues.toml").read_text())["issue"]
NAMES = {rule.name for rule in catalog.rules()}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_known_issues_are_listed_once() -> None:
    titles = [issue["title"] for issue in ISSUES]

    assert len(set(titles)) == len(titles) >= 100


@pytest.mark.parametrize("issue", ISSUES, ids=lambda issue: issue["title"])
def test_an_issue_names_rules_that_exist_and_where_it_was_reported(issue: dict[str, Any]) -> None:
    assert issue["rules"]
    assert set(issue["rules"]) <= NAMES
    assert all(url.startswith("https://") for url in issue["sources"])
    assert "besides_test" not in issue or (ROOT / issue["besides_test"]).exists()


def test_every_rule_of_an_issue_is_named_by_a_test() -> None:
    tests = generator()._tests_of(NAMES)

    assert [name for issue in ISSUES for name in issue["rules"] if not tests[name]] == []


def test_the_page_is_made_from_what_is_there() -> None:
    """docs/coverage.md is what `python docs/generate.py` writes now."""
    page: Path = ROOT / "docs" / "coverage.md"

    assert generator()._coverage() == page.read_text()
