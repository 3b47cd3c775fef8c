"""Everything that is declared, loaded once: readers, detectors, rules."""

from functools import cache

import forensics.detectors
import forensics.readers
import forensics.rules
from forensics.errors import UsageError
from forensics.plugin import Detector, Reader, Rule, collect


@cache
def readers() -> tuple[Reader, ...]:
    return collect(forensics.readers, Reader)


@cache
def detectors() -> tuple[Detector, ...]:
    return collect(forensics.detectors, Detector)


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule by code."""
    return tuple(sorted(collect(forensics.rules, Rule), key=lambda rule: rule.code))


def find_rule(name: str) -> Rule:
    """Return the rule with this code or name, in any case; raises `UsageError` when there is none."""
    wanted = name.strip().lower()
    for rule in rules():
        if wanted in {rule.code.lower(), rule.name}:
            return rule
    near = sorted(rule.code for rule in rules() if wanted[:3] and rule.code.lower().startswith(wanted[:3]))
    hint = f"; did you mean {', '.join(near)}?" if near else "; `medforensics rules` lists them"
    raise UsageError(f"there is no rule {name!r}{hint}")
