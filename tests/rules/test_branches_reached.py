"""No piece of evidence of a rule written in Python goes without a row that brings it about."""

import ast
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from forensics import catalog
from forensics.model import Evidence
from forensics.plugin import Rule
from forensics.rules import _seen
from rules import (
    test_causes,
    test_causes_of_model_and_files,
    test_losses_without_data,
    test_mechanisms,
    test_more_causes,
    test_recorded_causes,
)
from rules.rule_judging import ask

ROWS = [
    *test_mechanisms.ROWS,
    *test_causes.ROWS,
    *test_causes_of_model_and_files.ROWS,
    *test_more_causes.ROWS,
    *test_recorded_causes.ROWS,
    *test_losses_without_data.ROWS,
]
WRITTEN = [rule for rule in catalog.rules() if not rule.reason.__module__.endswith("_known_issues")]
SIDES = {"weigh": ("yes", "no"), "weigh_yes": ("yes",), "weigh_no": ("no",)}
Site = tuple[int, str]


def module_of(rule: Rule) -> ModuleType:
    return sys.modules[rule.reason.__module__]


def sites(module: ModuleType) -> Iterator[Site]:
    """Yield every place of a module that can give points: its line, and for which outcome of the observation."""
    assert module.__file__ is not None
    for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if not isinstance(node, ast.Call):
            continue
        if name == "Evidence":
            yield node.lineno, "said"
        for index, side in enumerate(SIDES.get(name, ()), 1):
            points = node.args[index] if len(node.args) > index else None
            if points is not None and not (isinstance(points, ast.Constant) and points.value == 0):
                yield node.lineno, side


def recorder(name: str, reached: set[Site]) -> Callable[..., Any]:
    """Return a stand-in for a function of a rule that notes from which line it gave points, and for which outcome."""

    def note(seen: _seen.Seen | None, *args: Any, **kwargs: Any) -> Iterator[Evidence]:
        said = list(getattr(_seen, name)(seen, *args, **kwargs))
        if said and seen is not None:
            reached.add((sys._getframe(1).f_lineno, "yes" if seen.holds else "no"))
        return iter(said)

    def made(*args: Any, **kwargs: Any) -> Evidence:
        reached.add((sys._getframe(1).f_lineno, "said"))
        return Evidence(*args, **kwargs)

    return made if name == "Evidence" else note


@cache
def reached_in(rule: Rule) -> frozenset[Site]:
    """Return the places of a rule's module that its rows reach."""
    reached: set[Site] = set()
    module = module_of(rule)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("Evidence", *SIDES):
            if hasattr(module, name):
                patch.setattr(module, name, recorder(name, reached))
        for name, _, facts, _ in ROWS:
            if name == rule.name:
                ask(rule, facts)
    return frozenset(reached)


@pytest.mark.parametrize("rule", WRITTEN, ids=lambda rule: rule.code)
def test_every_piece_of_evidence_is_brought_about_by_a_row(rule: Rule) -> None:
    """For each place that gives points there is a row in which it does."""
    assert sorted(set(sites(module_of(rule))) - reached_in(rule)) == []


def test_a_place_that_no_row_reaches_is_found() -> None:
    """The walk over the source sees plain calls, both outcomes of `weigh`, and evidence that is made by hand."""
    assert WRITTEN
    assert all(set(sites(module_of(rule))) for rule in WRITTEN)
