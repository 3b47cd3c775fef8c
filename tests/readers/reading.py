"""Reading a made file through one reader, for the tests of readers."""

from pathlib import Path

from forensics.errors import ForensicsError
from forensics.limits import DEFAULT, Limits
from forensics.model import Artifact, Fact, Samples, Setting, Skip
from forensics.plugin import Reader


def artifact_of(root: Path, path: str, content: str | bytes, limits: Limits = DEFAULT) -> Artifact:
    """Write `content` to root/path and return it as discovered."""
    location = root / path
    location.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    location.write_bytes(data)
    return Artifact(root, path, len(data), 0.0, limits)


def facts_of(reader: Reader, root: Path, path: str, content: str | bytes) -> list[Fact]:
    return list(reader.read(artifact_of(root, path, content)))


def settings_of(facts: list[Fact]) -> list[tuple[str, str, object, str, str]]:
    """Return settings as (group, name, value, place, standing), in order."""
    return [(f.group, f.name, f.value, f.source.place, f.standing.name) for f in facts if isinstance(f, Setting)]


def samples_of(facts: list[Fact]) -> dict[str, Samples]:
    return {fact.name: fact for fact in facts if isinstance(fact, Samples)}


def skips_of(facts: list[Fact]) -> list[tuple[str, str]]:
    return [(fact.what, fact.reason) for fact in facts if isinstance(fact, Skip)]


def survives(reader: Reader, root: Path, path: str, content: bytes) -> bool:
    """Read the file and tell whether it ended in facts; a typed error is the only other way allowed."""
    try:
        facts_of(reader, root, path, content)
    except ForensicsError:
        return False
    return True
