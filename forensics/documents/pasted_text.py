r"""The text of an issue as it was written: prose, fenced configurations, environment, commands and logs.

### Reproduction
```
deepspeed --num_gpus 8 train.py --deepspeed zero2.json --bf16 True
```
```json
{"zero_optimization": {"stage": 2, "overlap_comm": true}}
```
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.documents._account import account_in
from forensics.documents._markdown import split
from forensics.model import Artifact, Skip
from forensics.plugin import Piece, document
from forensics.storage.file import File

_SIGNS = expression(
    r"^[ \t>]{0,16}(?:```|~~~(?!~*\^))|<details>|^#{1,4} (?:System [Ii]nfo|Reproduction|Reminder|Describe the bug"
    r"|To [Rr]eproduce|Expected behaviou?r|Your current environment|Bug description|Environment)\b"
    r"|\\[ \t]*\n[ \t]*--[A-Za-z]"
    r"|^\{(?:[^\n]{0,2000}|[ \t\r]{0,80}$(?:\n[^\n]{0,200}){0,60}?\n)\s{0,80}\"zero_optimization\"\s*:",
    re.MULTILINE,
)
_MARKS = (b"```", b"~~~", b"<details>", b"# ", b'"zero_optimization"', b"\\\n", b"\\\r\n")
_NAMES = (
    r"(?i)^(?!(?:.*/)?(?:docs?|documentation|wiki|examples?)/)(?:.*/)?"
    r"(?!readme|changelog|license|contributing|security|requirements)[^/]*\."
)
"""What describes a project (its pages, its documentation) is no account of a run."""
_CODE = expression(r"^(?:import \w|from [\w.]+ import |def \w+\(|#!|\{|\[|<!DOCTYPE|<html)", re.IGNORECASE)


_SPOKEN = (
    *(b" my ", b" My ", b"I ", b"I'm", b"I've", b" we ", b"We "),
    *(word.encode() for word in ("我", "请问", "你好", "您好", "大佬", "为什么", "怎么", "ますか", "мой", "Привет")),
)
SHORT = 1 << 15
"""Bytes of what somebody writes in words; a log of that size is recognised by its own signs as well."""


def _sniff(head: bytes) -> bool:
    marked, spoken = any(mark in head for mark in _MARKS), any(word in head for word in _SPOKEN)
    text = _text(head) if marked or (spoken and len(head) < SHORT) else None
    if text is None:
        return False
    return _SIGNS.search(text) is not None or (spoken and bool(account_in(text.split("\n")).told))


def _text(head: bytes) -> str | None:
    """Return the beginning of a text; None when it is no prose: bytes, a program, a model card."""
    if b"\0" in head:
        return None
    text = head.decode("utf-8", "replace").replace("\r\n", "\n")
    card = text.startswith("---\n") and re.search(r"^(?:library_name|license|tags|base_model):", text, re.MULTILINE)
    return None if card or _CODE.match(text.lstrip("\ufeff \r\n\t")) else text


def _is_prose(head: bytes) -> bool:
    return _text(head) is not None


@document("markdown", match=(rf"{_NAMES}(?:md|markdown)$",), sniff=_is_prose)
def markdown(artifact: Artifact) -> Iterator[Piece | Skip]:
    """Markdown beside a run or alone, but for what describes a project or a model: read like the text of an issue."""
    yield from pasted_text.split(artifact)


@document("pasted-text", match=(rf"{_NAMES}(?:txt|text|log)$",), sniff=_sniff)
def pasted_text(artifact: Artifact) -> Iterator[Piece | Skip]:
    """Text with fenced blocks, as pasted into an issue: each configuration, command and log in it is read as itself.

    A log that merely prints fenced text (the answers of a model) loses nothing: what is no configuration or command
    stays in it.
    """
    with File(artifact.location) as file:
        text = file.read(0, file.size).decode("utf-8", "replace")
    yield from split(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"))
