"""Everything that is known to go wrong is tested, has its sources, and stands on a page."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from forensics import catalog
from forensics.plugin import Rule
from runs import ROOT

LEAST = 205
"""Rules that there must be at least: causes, benign explanations and mechanisms, as `rules --table` counts them."""


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_enough_and_each_says_something_else() -> None:
    titles = [rule.title for rule in catalog.rules()]

    assert len(set(titles)) == len(titles) >= LEAST


@pytest.mark.parametrize("rule", catalog.rules(), ids=lambda rule: rule.name)
def test_sources_are_links(rule: Rule) -> None:
    assert all(url.startswith("https://") for url in rule.references)
    assert len(set(rule.references)) == len(rule.references)


def test_every_rule_is_named_by_a_test() -> None:
    names = {rule.name for rule in catalog.rules()}

    assert [name for name, tests in generator()._tests_of(names).items() if not tests] == []


def test_the_page_is_made_from_what_is_there() -> None:
    """docs/coverage.md is what `python docs/generate.py` writes now."""
    page: Path = ROOT / "docs" / "coverage.md"

    assert generator()._coverage() == page.read_text()
