"""Versions as evidence. A version that nobody recorded, or that cannot be parsed, is never "affected"."""

import operator
from collections.abc import Sequence
from functools import cache
from typing import Literal, TypeAlias

from packaging.version import InvalidVersion, Version

from forensics.analysis.tried import Tried, of_package, packages
from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Run, Seen, Setting

By: TypeAlias = Literal["commit and tag", "release note", "thread", "unknown"]
KNOWN_BY: tuple[By, ...] = ("commit and tag", "release note", "thread", "unknown")
SURE: tuple[By, ...] = ("commit and tag", "release note")
STARTS, ENDS = (">=", ">", "==", "~="), ("<", "<=", "==", "~=")
_CLAUSE = expression(r"([<>=!~]+)\s*([^\s,]+)")
_COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
OUTSIDE = -2
"""The most that a version outside of a range may cost where the range is not complete."""


@dataclass(frozen=True, slots=True)
class Affected:
    """A range of releases with a fault, and how its ends are known: the first bad release, and the first good one.

    A range has the ends that its specifier names ("<0.14.4" has no first). It is complete where a commit and the tags
    that hold it, or the project's release notes, tell each of them; a release outside is free of the fault only then.

    >>> Affected("deepspeed", ">=0.11.2,<0.12.4", "commit and tag", "thread").complete
    False
    """

    package: str
    versions: str
    first: By = "unknown"
    fixed: By = "unknown"

    @property
    def complete(self) -> bool:
        operators = {how for how, _ in _clauses(self.versions)}
        starts, ends = operators.intersection(STARTS), operators.intersection(ENDS)
        return (not starts or self.first in SURE) and (not ends or self.fixed in SURE)

    def seen(self, run: Run) -> Seen | None:
        """Tell whether the recorded version lies in the range; None when no version was recorded."""
        lies, found = within(run, self.package, self.versions), witness(run, self.package)
        if lies is None or found is None:
            return None
        where = "lies in" if lies else "lies outside"
        said = f"{self.package} {found.value} {where} {self.versions}"
        return Seen(lies, said, found.source, f"version of {self.package}")

    def tried(self, run: Run) -> Seen | None:
        """Tell whether the range parts the releases that its author found to fail from those that work."""
        works, fails = of_package(run, self.package)
        if not works or not fails:
            return None
        inside = [_contains(self.versions, each) for one in fails if (each := parse(one.trial.value))]
        outside = [not _contains(self.versions, each) for one in works if (each := parse(one.trial.value))]
        if not inside or not outside:
            return None
        parts = all(inside) and all(outside)
        said = f"{_tried(works, fails)}: {self.versions} {'parts' if parts else 'does not part'} them"
        return Seen(parts, said, works[0].source, f"trial of {self.package}")


def _tried(works: Sequence[Tried], fails: Sequence[Tried]) -> str:
    good, bad = (", ".join(dict.fromkeys(one.trial.value for one in told)) for told in (works, fails))
    return f"its author says that {works[0].trial.name} {good} works and {bad} fails"


def another_release_works(run: Run) -> Seen | None:
    """Tell whether its author went to another release of a package, and training worked there."""
    for package in packages(run):
        works, fails = of_package(run, package)
        ends = f"{package} {works[-1].trial.value} and {fails[-1].trial.value}"
        return Seen(True, f"{_tried(works, fails)}: a change between {ends}", works[0].source, "trial of a release")
    return None


def parse(text: str | None) -> Version | None:
    """Return the public version, so that `2.5.0+cu124` and `2.1.0a0+29c30b1` compare as releases do.

    >>> str(parse("2.5.0+cu124")), parse("unknown"), str(parse("0.16.5+abc"))
    ('2.5.0', None, '0.16.5')
    """
    if text is None:
        return None
    try:
        return Version(Version(text.strip()).public)
    except InvalidVersion:
        return None


def version_of(run: Run, package: str) -> Version | None:
    return parse(run.environment.version(package))


def witness(run: Run, package: str) -> Setting | None:
    return run.environment.best(package, "package")


def within(run: Run, package: str, affected: str) -> bool | None:
    """Tell whether the recorded version lies in `affected` (PEP 440); None when the version is unknown."""
    version = version_of(run, package)
    if version is None:
        return None
    return _contains(affected, version)


@cache
def _clauses(affected: str) -> tuple[tuple[str, str], ...]:
    return tuple(_CLAUSE.findall(affected))


def _contains(affected: str, version: Version) -> bool:
    """Compare a final release with plain limits without `packaging.specifiers`, which takes 4 ms to import.

    Its order is that of versions there (PEP 440, "Inclusive ordered comparison", "Exclusive ordered comparison").
    """
    clauses = _clauses(affected)
    if str(version) == version.base_version and all(how in _COMPARED for how, _ in clauses):
        return all(_COMPARED[how](version, Version(limit)) for how, limit in clauses)
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(affected).contains(version, prereleases=True)
