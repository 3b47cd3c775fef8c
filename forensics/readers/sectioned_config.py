"""A training configuration in TOML or INI: torchtitan, kohya, Megatron's and one's own.

[optimizer]
lr = 3e-4
[training]
steps = 1000
mixed_precision_param = "bfloat16"
"""

import re
import sys
from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.errors import LimitError
from forensics.formats.plain_scalar import plain
from forensics.model import Artifact, Fact, Skip, Standing
from forensics.plugin import reader
from forensics.readers._arguments import looks_flat, looks_nested, told
from forensics.storage.file import File

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SECTION = expression(rb"^\s{0,8}\[{1,2}[\w.\-\" ]{1,80}\]{1,2}[ \t]*(?:#.*)?$", re.MULTILINE)
_FOREIGN = expression(
    rb"^\s{0,8}\[(?:project|build-system|tool\.|package|metadata|flake8|tox|Unit|Service)", re.MULTILINE
)
MOST_BRACKETS = 100
"""Nested brackets in one line; the TOML parser of the standard library recurses on them."""


def _sniff(head: bytes) -> bool:
    if head.lstrip()[:1] == b"{" or _SECTION.search(head) is None or _FOREIGN.search(head):
        return False
    return looks_flat(head) or looks_nested(head)


@reader("sectioned-config", sniff=_sniff)
def sectioned_config(artifact: Artifact) -> Iterator[Fact]:
    """Training configuration in TOML or INI (torchtitan, kohya), under its own names and those of TrainingArguments."""
    if not artifact.path.lower().endswith((".toml", ".ini", ".cfg", ".conf")):
        return
    with File(artifact.location) as file:
        if file.size > artifact.limits.yaml_bytes:
            raise LimitError(f"{artifact.path} has {file.size:,} bytes")
        text = file.read(0, file.size).decode("utf-8", "replace")
    found = _parsed(text)
    if found is None:
        yield Skip(artifact.path, "is neither TOML nor INI")
        return
    yield from told(artifact, _lifted(found), Standing.CONFIGURED)


def _parsed(text: str) -> Mapping[str, object] | None:
    if max((line.count("[") + line.count("{") for line in text.split("\n")), default=0) <= MOST_BRACKETS:
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError):
            pass
    import configparser

    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return {name: {key: plain(value or "") for key, value in parser[name].items()} for name in parser.sections()}


def _lifted(found: Mapping[str, object]) -> Mapping[str, object]:
    """Return the configuration without the names of kohya's sections, which say nothing of what is in them."""
    names = [name for name in found if name.endswith("_arguments")]
    inner = [found[name] for name in names]
    rest = {name: value for name, value in found.items() if name not in names}
    for held in inner:
        rest.update(held if isinstance(held, Mapping) else {})
    return rest
