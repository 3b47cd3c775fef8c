"""Versions as evidence. A version that nobody recorded, or that cannot be parsed, is never "affected"."""

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from forensics.model import Run, Setting


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
    return SpecifierSet(affected).contains(version, prereleases=True)
