"""Everything that is declared, loaded once: readers, documents, detectors, rules; how names of them are understood."""

import re
from collections.abc import Collection, Iterable
from functools import cache

import forensics.detectors
import forensics.documents
import forensics.readers
import forensics.rules
from forensics.deferred.records import dataclass
from forensics.errors import UsageError
from forensics.plugin import Detector, Document, Reader, Rule, collect
from forensics.signatures import SIGNATURES


@cache
def readers() -> tuple[Reader, ...]:
    return collect(forensics.readers, Reader)


@cache
def documents() -> tuple[Document, ...]:
    return collect(forensics.documents, Document)


@cache
def detectors() -> tuple[Detector, ...]:
    return collect(forensics.detectors, Detector)


def rules(explaining: Collection[str] | None = None) -> tuple[Rule, ...]:
    """Every rule by code, or those that explain one of these symptoms, also by way of a mechanism.

    What explains none of them is not loaded: a healthy run needs no rule at all.
    """
    return _every_rule() if explaining is None else _reaching(frozenset(explaining))


@cache
def _every_rule() -> tuple[Rule, ...]:
    from forensics.rules._issue_files import issues

    return _by_code((*collect(forensics.rules, Rule), *issues()))


@cache
def _reaching(symptoms: frozenset[str]) -> tuple[Rule, ...]:
    """Follow mechanisms from the symptoms they make to what makes them, until nothing is added."""
    if not symptoms:
        return ()
    from forensics.rules._issue_files import issues

    written = collect(forensics.rules, Rule)
    names = symptoms
    while True:
        found = [rule for rule in (*written, *issues(names)) if not names.isdisjoint(rule.explains)]
        links = {rule.name for rule in found if rule.mechanism}
        if links <= names:
            return _by_code(found)
        names |= links


def _by_code(found: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(found, key=lambda rule: rule.code))


@cache
def symptoms() -> tuple[str, ...]:
    """Every symptom by name: what a detector finds, and what the words of a death or an end stand for."""
    return tuple(sorted({detector.name for detector in detectors()} | {each.symptom for each in SIGNATURES}))


def vocabulary() -> dict[str, tuple[str, ...]]:
    """Return the words that a rule or a file of `known_issues/` may use, by what they stand for."""
    from forensics.rules import _known_issues, _vocabulary

    return {
        "Symptoms (`explains`)": symptoms(),
        "Mechanisms (`explains`)": tuple(rule.name for rule in rules() if rule.mechanism),
        "Events (`event`)": tuple(_vocabulary.EVENTS),
        "Observations (`observation`)": tuple(_known_issues.OBSERVATIONS),
        "What is asked of a setting (`setting`)": _vocabulary.FORMS,
        "Metrics (`metric`)": tuple(_vocabulary.METRICS),
    }


@dataclass(frozen=True, slots=True)
class Found:
    """What a name or word stands for: rules by code, symptoms by name; `exact` when it is the name of one."""

    rules: tuple[Rule, ...] = ()
    symptoms: tuple[str, ...] = ()
    exact: bool = False


def find(word: str) -> Found:
    """Return the rule or symptom of this name (in any case), else all whose name or sentence holds the words.

    Raises `UsageError` when nothing does, with the names that come nearest.
    """
    wanted = word.strip().lower()
    for rule in rules():
        if wanted in {rule.code.lower(), rule.name}:
            return Found(rules=(rule,), exact=True)
    if wanted in symptoms():
        return Found(symptoms=(wanted,), exact=True)
    parts = re.findall(r"[a-z0-9]+", wanted)
    speaking = tuple(rule for rule in rules() if parts and _speaks(f"{rule.code} {rule.name} {rule.title}", parts))
    shown = tuple(name for name in symptoms() if parts and _speaks(name, parts))
    if not speaking and not shown:
        raise UsageError(f"there is no rule, symptom or word {word!r}{_nearest(word)}")
    return Found(speaking, shown)


def find_rule(name: str) -> Rule:
    """Return the rule with this code or name, in any case; raises `UsageError` when there is none."""
    wanted = name.strip().lower()
    for rule in rules():
        if wanted in {rule.code.lower(), rule.name}:
            return rule
    raise UsageError(f"there is no rule {name!r}{_nearest(name)}")


def require_known(names: Iterable[str]) -> None:
    """Raise `UsageError` for the first name that is no rule, no beginning of a rule's code and no symptom."""
    names = tuple(names)
    if not names:
        return
    known = {"UNKNOWN", *symptoms()}
    for rule in rules():
        known.update((rule.code, rule.name))
    for name in names:
        begins = name[:1].isupper() and any(rule.code.startswith(name) for rule in rules())
        if name not in known and not begins:
            raise UsageError(f"{name!r} is neither a rule nor a symptom{_nearest(name)}")


def _speaks(text: str, parts: list[str]) -> bool:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return all(any(word.startswith(part) for word in words) for part in parts)


def _nearest(name: str) -> str:
    import difflib

    wanted = name.strip()
    names = [*(rule.name for rule in rules()), *symptoms()]
    near = difflib.get_close_matches(wanted.lower(), names, 3)
    near += [rule.code for rule in rules() if wanted[:3] and rule.code.startswith(wanted[:3].upper())][:4]
    return f"; did you mean {', '.join(near)}?" if near else "; `medforensics rules` lists them"
