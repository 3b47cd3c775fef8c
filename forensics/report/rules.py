"""The index of rules, as a table or as JSON."""

import json
from collections.abc import Sequence

from tabulate import tabulate

from forensics.plugin import Rule


def render(rules: Sequence[Rule], form: str) -> str:
    """Return one row a rule: code, name, what it explains, title."""
    if form == "json":
        return json.dumps([_entry(rule) for rule in rules], indent=1)
    rows = [[rule.code, rule.name, _kind(rule), rule.title] for rule in rules]
    return tabulate(rows, headers=["code", "name", "kind", "in one sentence"], maxcolwidths=[None, None, None, 70])


def _kind(rule: Rule) -> str:
    return "mechanism" if rule.mechanism else "benign" if rule.benign else "cause"


def _entry(rule: Rule) -> dict[str, object]:
    return {
        "code": rule.code,
        "name": rule.name,
        "kind": _kind(rule),
        "title": rule.title,
        "explains": list(rule.explains),
        "helps": list(rule.helps),
        "references": list(rule.references),
        "since": rule.since,
    }
