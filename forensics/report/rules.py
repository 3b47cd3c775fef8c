"""The index of rules, as a table or as JSON, and which symptoms they cover."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from forensics.plugin import Rule


def render(rules: Sequence[Rule], form: str) -> str:
    """Return one row a rule: code, name, what it explains, title."""
    if form == "json":
        return json.dumps([_entry(rule) for rule in rules], indent=1)
    rows = [[rule.code, rule.name, _kind(rule), rule.title] for rule in rules]
    return tabulate(rows, headers=["code", "name", "kind", "in one sentence"], maxcolwidths=[None, None, None, 70])


def coverage(rules: Sequence[Rule], symptoms: Sequence[str]) -> str:
    """Return one row a symptom or mechanism, with the rules that can stand behind it, and how many there are."""
    names = [*symptoms, *(rule.name for rule in rules if rule.mechanism)]
    behind = {name: [rule.name for rule in rules if name in rule.explains] for name in names}
    table = tabulate(
        [[name, len(found), _wrapped(found)] for name, found in behind.items()],
        headers=["symptom or mechanism", "rules", "what can stand behind it"],
    )
    counts = Counter(map(_kind, rules))
    kinds = f"{counts['cause']} causes, {counts['mechanism']} mechanisms, {counts['benign']} benign explanations"
    bare = [name for name, found in behind.items() if not found]
    left = f"\nno rule explains {', '.join(bare)}: what they say is the answer, or leads to `unknown`" if bare else ""
    return f"{table}\n\n{kinds}; {len(symptoms)} symptoms{left}"


def _wrapped(names: Sequence[str]) -> str:
    """Return names in lines of some 90 characters, no name broken at its hyphens."""
    return "\n".join(textwrap.wrap(", ".join(names), 90, break_on_hyphens=False))


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
