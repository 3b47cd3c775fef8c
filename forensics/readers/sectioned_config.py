"""A training configuration in TOML or INI: torchtitan, kohya, Megatron's and one's own.

[optimizer]
lr = 3e-4
[training]
steps = 1000
mixed_precision_param = "bfloat16"
"""

import re
from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.errors import LimitError, MalformedError
from forensics.formats.plain_scalar import plain
from forensics.formats.toml_ini import parse_ini, parse_toml
from forensics.model import Artifact, Fact, Skip, Standing
from forensics.plugin import reader
from forensics.readers._arguments import looks_flat, looks_nested, told
from forensics.storage.file import File

_SECTION = expression(rb"^\s{0,8}\[{1,2}[\w.\-\" ]{1,80}\]{1,2}[ \t]*(?:#.*)?$", re.MULTILINE)
_FOREIGN = expression(
    rb"^\s{0,8}\[(?:project|build-system|tool\.|package|metadata|flake8|tox|Unit|Service)", re.MULTILINE
)


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
    try:
        return parse_toml(text)
    except MalformedError:
        pass
    try:
        sections = parse_ini(text)
    except MalformedError:
        return None
    return {name: {key: plain(value) for key, value in held.items()} for name, held in sections.items()}


def _lifted(found: Mapping[str, object]) -> Mapping[str, object]:
    """Return the configuration without the names of kohya's sections, which say nothing of what is in them."""
    names = [name for name in found if name.endswith("_arguments")]
    inner = [found[name] for name in names]
    rest = {name: value for name, value in found.items() if name not in names}
    for held in inner:
        rest.update(held if isinstance(held, Mapping) else {})
    return rest
