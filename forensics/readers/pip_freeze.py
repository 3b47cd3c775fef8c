"""Installed packages as pip tells them: `pip freeze`, `pip list`, `pip list --format json`; requirements files.

    accelerate==1.10.1
    deepspeed==0.12.5
    torch @ file:///croot/pytorch_1700000000000/work
    transformers @ git+https://github.com/huggingface/transformers.git@5d0bf59b4d

    Package            Version     Editable project location
    ------------------ ----------- -------------------------
    transformers       4.57.1

A file with a range or a bare name is a wish, not a capture: then everything in it is only intended.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.lenient_json import parse
from forensics.model import Artifact, Fact, Setting, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, Line, package, read_head, sniffed, split_lines, too_long

_NAME = r"[A-Za-z0-9][\w.\-]{0,80}"
_PINNED = expression(rf"^({_NAME})(?:\[[\w.,\- ]{{0,100}}\])?\s?===?\s?(\d[\w.!+\-]{{0,80}})\s*(?P<rest>.*)$")
_WISH = expression(rf"^{_NAME}(?:\[[\w.,\- ]{{0,100}}\])?\s*(?:(?:[<>~!]=?|==\s*[\d.]+\*).{{0,200}}|(?:[;#].*)?)$")
_HEADER = expression(r"^Package\s{1,200}Version\b")
_COLUMNS = expression(rf"^({_NAME})\s{{1,200}}(\d[\w.!+\-]{{0,80}})(?:\s.*)?$")
_PINNED_LINE = expression(rf"^{_NAME}==\d[\w.!+\-]{{0,80}}\s*$", re.MULTILINE)
_LIST_HEADER = expression(r"^Package\s{1,200}Version\b.*\n-{3,}\s{1,8}-{3,}", re.MULTILINE)
_JSON_LIST = expression(rb'^\s*\[\s*\{\s*"name":\s*"[^"]{1,80}",\s*"version":')
_REQUIREMENTS = expression(r"(?i)(requirements|constraints)[^/]{0,100}\.(txt|in)$")
_ALWAYS_WISHES = expression(r"(?i)constraints[^/]{0,100}\.txt$|\.in$")
_SHOWN = expression(rf"^Name: ({_NAME})\n(?:Version: )(\d[\w.!+\-]{{0,80}})$", re.MULTILINE)
_SATISFIED = expression(
    rf"^Requirement already satisfied: ({_NAME})\S{{0,200}} in \S.{{0,400}}? \((\d[\w.!+\-]{{0,80}})\)$"
)
_INSTALLER = expression(r"^Successfully installed (\S.{0,60000})$")

_PIP_SAYS = (b"Successfully installed", b"Requirement already satisfied", b"\nVersion: ")


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    version: str
    number: int


def _sniff(head: bytes) -> bool:
    if _JSON_LIST.match(head):
        return b'"channel"' not in head
    if b"==" not in head and b"Package" not in head and not any(mark in head for mark in _PIP_SAYS):
        return False
    text = sniffed(head)
    pinned = _PINNED_LINE.search(text) or _LIST_HEADER.search(text)
    if pinned is not None or _SHOWN.search(text):
        return True
    return any(_INSTALLER.match(line) or _SATISFIED.match(line) for line in text.split("\n"))


@reader("pip-freeze", match=(_REQUIREMENTS.pattern,), sniff=_sniff)
def pip_freeze(artifact: Artifact) -> Iterator[Fact]:
    """`pip freeze`, `pip list`, pip's own log and requirements files, alone or among other text: packages."""
    yield from too_long(artifact, "pip's lists")
    data = read_head(artifact)
    if _JSON_LIST.match(data):
        yield from _read_json(artifact, data)
        return
    lines = list(split_lines(data, artifact.limits.text_line_bytes))
    wishes = _is_wish(artifact.path, lines)
    standing = Standing.INTENDED if wishes else Standing.CONFIGURED
    for found in (*_pinned(lines), *_listed(lines), *_installed(lines), *_shown(lines)):
        yield from package(found.name, found.version, artifact.at(LINE, found.number), standing)


def _is_wish(path: str, lines: Sequence[Line]) -> bool:
    if _REQUIREMENTS.search(path) is None:
        return False
    if _ALWAYS_WISHES.search(path):
        return True
    # pip-compile and Poetry export write hashes; a freeze never does.
    return any(_WISH.match(line.text) or "--hash=" in line.text for line in lines if line.text.strip())


def _pinned(lines: Sequence[Line]) -> Iterator[_Found]:
    for line in lines:
        match = _PINNED.match(line.text)
        if match and (not match["rest"] or match["rest"][0] in "#;\\"):
            yield _Found(match[1], match[2], line.number)


def _listed(lines: Sequence[Line]) -> Iterator[_Found]:
    """Yield the rows of `pip list` tables: below the header and its dashes, up to a line of another form."""
    inside = False
    for line in lines:
        if _HEADER.match(line.text):
            inside = True
        elif inside and not line.text.startswith("---"):
            row = _COLUMNS.match(line.text)
            inside = row is not None
            if row is not None:
                yield _Found(row[1], row[2], line.number)


def _installed(lines: Sequence[Line]) -> Iterator[_Found]:
    """Yield what `pip install` says that it installed: name and version are joined by the last hyphen."""
    for line in lines:
        match = _INSTALLER.match(line.text)
        for word in match[1].split() if match else ():
            name, _, version = word.rpartition("-")
            if name and version[:1].isdigit():
                yield _Found(name, version, line.number)
        if satisfied := _SATISFIED.match(line.text):
            yield _Found(satisfied[1], satisfied[2], line.number)


def _shown(lines: Sequence[Line]) -> Iterator[_Found]:
    """Yield what `pip show` tells: a name, and the version on the next line."""
    for line, after in pairwise(lines):
        if line.text.startswith("Name: ") and (match := _SHOWN.match(f"{line.text}\n{after.text}")):
            yield _Found(match[1], match[2], line.number)


def _read_json(artifact: Artifact, data: bytes) -> Iterator[Setting]:
    rows = parse(data, artifact.limits).value
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        name, version = (row.get("name"), row.get("version")) if isinstance(row, dict) else (None, None)
        if isinstance(name, str) and isinstance(version, str):
            yield from package(name, version, artifact.at("[{}]", index), Standing.CONFIGURED)
