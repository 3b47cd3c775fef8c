"""The bulleted text of `transformers env` and `accelerate env`, taken out of whatever surrounds it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forensics.model import Artifact, Setting, Standing
from forensics.readers._environment import LINE, Line, hardware, package, settings

_ITEM = re.compile(r"^[\s>]{0,8}[-*] ?`?(?P<name>[^:]{1,80}?)`?(?P<rest> [^:]{0,60})?:\s{0,8}(?P<value>.{0,1000})$")
_HEADER = re.compile(r"^[\s>]{0,8}[-*] `(?P<tool>\w+)` version:")
_VERSION_OF = re.compile(r"^`?(?P<name>[\w.\-]+)`?(?: library)? version(?: \((?:[\w?/]+)\))?$")
_BLANKS = 2
"""Blank lines within a block that a copy into an issue may add."""


@dataclass(frozen=True, slots=True)
class Item:
    """One `- name: value` of a block. `indented` items belong to the accelerate configuration before them."""

    number: int
    name: str
    value: str
    indented: bool


def find_items(lines: Sequence[Line], tool: str) -> Iterator[Item]:
    """Yield the items of every block that starts with the version of `tool`, up to the first line that is none."""
    inside, blanks = False, 0
    for line in lines:
        header = _HEADER.match(line.text)
        if header is not None:
            inside = header["tool"].lower() == tool
            blanks = 0
        if not inside:
            continue
        item = _ITEM.match(line.text)
        if item is not None:
            blanks = 0
            name = f"{item['name']}{item['rest'] or ''}".replace("`", "").strip()
            indented = line.text.lstrip(" >").startswith("\t") or line.text.startswith("    ")
            yield Item(line.number, name, item["value"].strip(), indented)
        elif line.text.strip().lower() in {"not found", "not found."}:
            continue
        else:
            blanks = blanks + 1 if not line.text.strip() else _BLANKS + 1
            inside = blanks <= _BLANKS


def read_items(artifact: Artifact, items: Iterator[Item]) -> Iterator[Setting]:
    """Turn the items that both tools print into packages, hardware and accelerate settings."""
    for item in items:
        source = artifact.at(LINE, item.number)
        if item.indented:
            named = {item.name: _plain(item.value)}
            for setting in settings(artifact, named, Standing.CONFIGURED, "accelerate"):
                yield Setting("setting", setting.name, setting.value, source, setting.standing)
            continue
        version = _VERSION_OF.match(item.name)
        if version is not None:
            name = {"pytorch": "torch", "tensorflow": "tensorflow"}.get(version["name"].lower(), version["name"])
            yield from package(name, item.value.split(" ")[0], source, Standing.CONFIGURED)
        elif item.name == "Platform":
            yield from hardware("platform", item.value, source)
        elif item.name == "GPU type":
            yield from hardware("gpu", item.value, source)


def _plain(value: str) -> object:
    from forensics.formats.safe_yaml import plain

    return plain(value)
