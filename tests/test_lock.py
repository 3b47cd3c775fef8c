"""The lock: every package of the README's two commands pinned, nothing of this machine in it, torch left open."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
LINES = [line for line in (ROOT / "lock.txt").read_text().splitlines() if line and not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LEFT_OPEN = re.compile(r"medforensics|torch|triton|nvidia-.*|cuda-.*")
"""torch takes whatever build the index has, and what only its CUDA builds need comes with it."""


def pins() -> dict[str, Requirement]:
    """Return what the lock says for this Python and platform."""
    found = (Requirement(line) for line in LINES)
    return {canonicalize_name(pin.name): pin for pin in found if pin.marker is None or pin.marker.evaluate()}


def declared() -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for, in the base and in every extra."""
    for text in (*PROJECT["dependencies"], *(t for extra in PROJECT["optional-dependencies"].values() for t in extra)):
        yield Requirement(text)


def wanted(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def closure() -> set[str]:
    """Return the names of all that is installed for what is declared."""
    seen: set[tuple[str, str]] = set()
    waiting = [(r, extra) for r in declared() if wanted(r) for extra in ("", *r.extras)]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen or name == "medforensics":
            continue
        seen.add((name, extra))
        try:
            further = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue
        waiting += [(r, e) for r in further if wanted(r, extra) for e in ("", *r.extras)]
    return {name for name, _ in seen}


@pytest.mark.parametrize("line", LINES)
def test_a_line_pins_one_release_and_nothing_of_this_machine(line: str) -> None:
    pin = Requirement(line)
    spec = next(iter(pin.specifier))

    assert pin.url is None
    assert len(pin.specifier) == 1
    assert spec.operator == "=="
    assert "+" not in spec.version
    assert not re.search(r"[/\\@]|^-", line)
    assert not LEFT_OPEN.fullmatch(canonicalize_name(pin.name))


def from_the_lock() -> bool:
    """Tell whether this environment was made from the lock; `.ci/newest` makes others on purpose."""
    direct = {canonicalize_name(r.name) for r in declared()} & set(pins())
    return all(next(iter(pins()[name].specifier)).version == version(name) for name in direct if _installed(name))


def test_everything_that_is_installed_is_pinned() -> None:
    """Whatever the two commands bring into this environment has a line in the lock."""
    if not from_the_lock():
        pytest.skip("this environment was not made from the lock")
    missing = {name for name in closure() - set(pins()) if not LEFT_OPEN.fullmatch(name) and _installed(name)}

    assert not missing


def test_pins_lie_in_the_ranges_for_users() -> None:
    for requirement in declared():
        name = canonicalize_name(requirement.name)
        if wanted(requirement) and not LEFT_OPEN.fullmatch(name):
            release = next(iter(pins()[name].specifier)).version
            assert requirement.specifier.contains(release), name


def test_ranges_for_users_stay_wide() -> None:
    """No requirement of the project itself is pinned or capped; that is the lock's."""
    assert all(spec.operator == ">=" for requirement in declared() for spec in requirement.specifier)


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
