"""Lock files: `uv.lock`, `poetry.lock`, `pdm.lock`, `pylock.toml`, `Pipfile.lock`. What was meant to be installed.

version = 1
requires-python = ">=3.10"

[[package]]
name = "torch"
version = "2.5.1"
source = { registry = "https://pypi.org/simple" }
"""

import re
from collections.abc import Iterator, Mapping

from forensics.errors import LimitError, MalformedError
from forensics.formats.lenient_json import parse
from forensics.formats.toml_ini import parse_toml
from forensics.model import Artifact, Fact, Setting, Skip, Standing
from forensics.plugin import reader
from forensics.readers._environment import package
from forensics.storage.file import File

_TOML = r"(?i)(^|/)(uv\.lock|poetry\.lock|pdm\.lock|pylock[^/]*\.toml)$"
_PIPFILE = r"(?i)(^|/)Pipfile\.lock$"


@reader("lock-file", match=(_TOML, _PIPFILE))
def lock_file(artifact: Artifact) -> Iterator[Fact]:
    """Lock files of uv, Poetry, PDM, Pipenv and PEP 751: packages that were meant to be installed."""
    with File(artifact.location) as file:
        if file.size > artifact.limits.small_file_bytes:
            raise LimitError(f"{artifact.path} has {file.size:,} bytes")
        data = file.read(0, file.size)
    if re.search(_PIPFILE, artifact.path):
        yield from _read_pipfile(artifact, data)
        return
    for index, entry in enumerate(_packages(artifact.path, data)):
        name, version = entry.get("name"), entry.get("version")
        if isinstance(name, str) and isinstance(version, str):
            yield from package(name, version, artifact.at("package[{}]", index), Standing.INTENDED)


def _packages(path: str, data: bytes) -> Iterator[Mapping[str, object]]:
    try:
        document = parse_toml(data.decode("utf-8", "replace"))
    except MalformedError as error:
        raise type(error)(f"{path} {error}") from None
    found = document.get("package", document.get("packages"))
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, Mapping):
            yield entry


def _read_pipfile(artifact: Artifact, data: bytes) -> Iterator[Setting | Skip]:
    document = parse(data, artifact.limits)
    root = document.value if isinstance(document.value, dict) else {}
    if document.broken_at is not None:
        yield Skip(artifact.path, f"breaks off at byte {document.broken_at:,}")
    for section in ("default", "develop"):
        held = root.get(section)
        for name, entry in held.items() if isinstance(held, dict) else ():
            version = entry.get("version") if isinstance(entry, dict) else None
            if isinstance(version, str) and version.startswith("=="):
                yield from package(name, version[2:], artifact.at(section), Standing.INTENDED)
