"""The words that a file of `known_issues/` may use; anything else is refused when it is loaded, with what is near.

A misspelt kind of event would never be seen, and the page would say that no such line is in the log.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from forensics.errors import MalformedError
from forensics.names import ALIASES, Kind
from forensics.rules._versions import ENDS, KNOWN_BY, STARTS
from forensics.signatures import BY_NAME

Table = Mapping[str, Any]

EVENTS: frozenset[str] = frozenset(
    {*BY_NAME, *(value for name, value in vars(Kind).items() if name.isupper() and isinstance(value, str))}
)
"""Every kind of event that a reader may find: the constants of `forensics.names.Kind` and the signatures of deaths."""
METRICS: frozenset[str] = frozenset({*ALIASES.values(), "kl", "reward", "entropy", "perplexity", "eval_perplexity"})
"""Metrics that have one name whatever a trainer calls them, and those of preference and policy training."""
SHORT = 16
"""A list of so many words is printed whole."""
FORMS = ("is", "set", "above", "below", "matches")
"""What a table may ask of a setting: one of a list, that it is set, bounds, a regular expression."""
_SUBJECTS = {
    "setting": {*FORMS},
    "observation": set[str](),
    "event": {"says"},
    "hardware": {"what"},
    "package": {"within"},
    "problem": set[str](),
    "metric": set[str](),
}
_COUNTS = {"yes", "no", "because", "measured", "sign", "necessary", "unless", "that", "example"}
_PATTERNS = ("matches", "says", "hardware", "problem")
_ENTRY = {
    "code", "name", "title", "explains", "date", "confidence", "checked", "mechanism", "tell", "sources", "affected",
    "evidence", "fix", "experiment",
}  # fmt: skip
_OPTIONAL = {"cases", "benign", "since", "is_mechanism", "echo", "hint"}
_MAY_LACK = {"affected", "evidence", "fix", "experiment"}
_AFFECTED = {
    "package", "versions", "first", "fixed", "brought", "mended", "bad", "good", "yes", "no", "because", "necessary",
}  # fmt: skip
_MOST, _LEAST = 10, -10
"""The points that one piece of evidence may have (docs/design/0004-evidence.md)."""


def check(entry: Table, file: str, observations: Collection[str]) -> None:
    """Raise `MalformedError` with the file, the word and what is near, for the first that is not known."""
    for fault in _faults(entry, observations):
        raise MalformedError(f"{file}: {fault}")


def _faults(entry: Table, observations: Collection[str]) -> Iterator[str]:
    yield from (f"lacks {key!r}" for key in sorted(_ENTRY - _MAY_LACK - set(entry)))
    yield from (_unknown("key", key, _ENTRY | _OPTIONAL) for key in sorted(set(entry) - _ENTRY - _OPTIONAL))
    if not isinstance(entry.get("date", date.min), date):
        yield f"date {entry['date']!r} is no date (write 2026-11-30, without quotes)"
    for table in entry.get("affected", ()):
        yield from _faults_of_range(table)
    yield from _faults_of_releases(entry.get("affected", ()))
    for table in entry.get("evidence", ()):
        for one in (table, *table.get("unless", ())):
            yield from _faults_of(one, observations)


def _faults_of_range(table: Table) -> Iterator[str]:
    """Yield what is wrong with an `[[affected]]`: its keys, its specifier, how its ends are known."""
    yield from (_unknown("key of [[affected]]", key, _AFFECTED) for key in sorted(set(table) - _AFFECTED))
    missing = sorted({"package", "versions"} - set(table))
    if missing:
        yield f"an [[affected]] lacks {missing[0]!r}"
        return
    try:
        operators = {clause.operator for clause in SpecifierSet(str(table["versions"]))}
    except InvalidSpecifier:
        yield f"versions {table['versions']!r} is no range of releases; did you mean '=={table['versions']}'?"
        return
    for key, ends in (("first", STARTS), ("fixed", ENDS)):
        if operators.intersection(ends) and key not in table:
            yield f"the [[affected]] {table['versions']!r} lacks {key!r}: how that end is known ({', '.join(KNOWN_BY)})"
        elif key in table and table[key] not in KNOWN_BY:
            yield _unknown(f"way to know the end {key!r}", table[key], KNOWN_BY)


def _faults_of_releases(tables: Collection[Table]) -> Iterator[str]:
    """Yield the releases that upstream names as `bad` and no range holds, and those named as `good` that one holds."""
    ranges = [(table.get("package"), table.get("versions", "")) for table in tables]
    for table in tables:
        for word in ("bad", "good"):
            for release in table.get(word, ()):
                held = any(
                    package == table.get("package") and SpecifierSet(versions).contains(release, prereleases=True)
                    for package, versions in ranges
                )
                if held is not (word == "bad"):
                    yield f"{release} is named as {word} but lies {'in' if held else 'outside of'} the range"


def _faults_of(table: Table, observations: Collection[str]) -> Iterator[str]:
    subjects = [key for key in _SUBJECTS if key in table]
    if len(subjects) != 1:
        yield f"an [[evidence]] looks at one of {', '.join(_SUBJECTS)}, not at {' and '.join(subjects) or 'nothing'}"
        return
    subject = subjects[0]
    allowed = {subject, *_SUBJECTS[subject], *_COUNTS}
    yield from (_unknown(f"key beside {subject!r}", key, allowed) for key in sorted(set(table) - allowed))
    for side in ("yes", "no"):
        if not _LEAST <= table.get(side, 0) <= _MOST:
            yield f"{side} = {table[side]} is out of bounds ({_LEAST} to {_MOST})"
    words = {"event": EVENTS, "observation": observations, "metric": METRICS}
    if subject in words and table[subject] not in words[subject]:
        yield _unknown(subject, table[subject], words[subject])
    pattern = next((key for key in _PATTERNS if key in table), None)
    if pattern is not None:
        yield from _faults_of_example(pattern, str(table[pattern]), table.get("example"))
    if subject == "setting" and not set(FORMS) & set(table):
        yield f"setting {table['setting']!r} must be asked for one of {', '.join(FORMS)}"


def _faults_of_example(key: str, pattern: str, example: str | None) -> Iterator[str]:
    """Yield what is wrong with a text that a pattern is to fit; the tests of an entry are made of it."""
    if example is None:
        yield f"{key} {pattern!r} lacks an 'example' that it fits"
    elif re.search(pattern, example, 0 if key == "says" else re.IGNORECASE) is None:
        yield f"{key} {pattern!r} does not fit its example {example!r}"


def _unknown(what: str, word: object, known: Collection[str]) -> str:
    near = difflib.get_close_matches(str(word), sorted(known), 3)
    few = f"there are {', '.join(sorted(known))}" if len(known) <= SHORT else ""
    hint = (
        f"did you mean {', '.join(near)}?" if near else few or "`medforensics rules --vocabulary` lists what there is"
    )
    return f"{word!r} is no {what}; {hint}"
