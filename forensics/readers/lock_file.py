"""Lock files: `uv.lock`, `poetry.lock`, `pdm.lock`, `pylock.toml`, `Pipfile.lock`, `pixi.lock`, `conda-lock.yml`.

What was meant to be installed.

version = 1
requires-python = ">=3.10"

[[package]]
name = "torch"
version = "2.5.1"
source = { registry = "https://pypi.org/simple" }
"""

import re
from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.errors import LimitError, MalformedError
from forensics.formats.lenient_json import parse
from forensics.formats.toml_ini import parse_toml
from forensics.model import Artifact, Fact, Setting, Skip, Standing
from forensics.plugin import reader
from forensics.readers._environment import package
from forensics.readers._known_names import PACKAGES
from forensics.readers._yaml import load_yaml, yaml_damage
from forensics.storage.file import File

_TOML = r"(?i)(^|/)(uv\.lock|poetry\.lock|pdm\.lock|pylock[^/]*\.toml)$"
_PIPFILE = r"(?i)(^|/)Pipfile\.lock$"
_YAML = r"(?i)(^|/)(?:pixi\.lock|conda-lock\.ya?ml)$"
_CONDA = expression(r"/([\w.\-]{1,80})-(\d[\w.!]{0,40})-[\w.]{1,80}\.(?:conda|tar\.bz2)$")
"""A package of conda by its file: `pytorch-2.5.1-py311_cuda12.conda`; pixi names no other way."""


@reader("lock-file", match=(_TOML, _PIPFILE, _YAML))
def lock_file(artifact: Artifact) -> Iterator[Fact]:
    """Lock files of uv, Poetry, PDM, Pipenv, PEP 751, pixi and conda-lock: packages that were meant to be installed."""
    if re.search(_YAML, artifact.path):
        yield from _read_yaml(artifact)
        return
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


def _read_yaml(artifact: Artifact) -> Iterator[Setting | Skip]:
    document, found = load_yaml(artifact)
    yield from yaml_damage(artifact, document)
    key = next((key for key in ("packages", "package") if key in (found or {})), "packages")
    entries = (found or {}).get(key)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue
        file = _CONDA.search(str(entry.get("conda", entry.get("url", ""))))
        name, version = (PACKAGES.get(file[1], file[1]), file[2]) if file else ("", "")
        name, version = str(entry.get("name") or name), str(entry.get("version") or version)
        if name and version:
            yield from package(name, version, artifact.at(f"{key}[{{}}]", index), Standing.INTENDED)


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
