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

from forensics.documents._markdown import split
from forensics.model import Artifact, Skip
from forensics.plugin import Piece, document
from forensics.storage.file import File

_SIGNS = re.compile(
    r"^[ \t>]{0,16}(?:```|~~~)|<details>|^#{1,4} (?:System [Ii]nfo|Reproduction|Reminder|Describe the bug"
    r"|To [Rr]eproduce|Expected behaviou?r|Your current environment|Bug description|Environment)\b"
    r"|^\{(?:[^\n]{0,2000}|\s*$(?:\n[^\n]{0,200}){0,60}?\n)\s{0,80}\"zero_optimization\"\s*:",
    re.MULTILINE,
)
_MARKS = (b"```", b"~~~", b"<details>", b"# ", b'"zero_optimization"')
_CODE = re.compile(r"^(?:import \w|from [\w.]+ import |def \w+\(|#!|\{|\[|<!DOCTYPE|<html)", re.IGNORECASE)


def _sniff(head: bytes) -> bool:
    if b"\0" in head or not any(mark in head for mark in _MARKS):
        return False
    text = head.decode("utf-8", "replace")
    card = text.startswith("---\n") and re.search(r"^(?:library_name|license|tags|base_model):", text, re.MULTILINE)
    return not card and not _CODE.match(text.lstrip("\ufeff \r\n\t")) and _SIGNS.search(text) is not None


@document(
    "pasted-text",
    match=(
        r"(?i)(?:^|/)(?!readme|changelog|license|contributing|security|requirements)[^/]*\.(?:md|markdown|txt|text|log)$",
    ),
    sniff=_sniff,
)
def pasted_text(artifact: Artifact) -> Iterator[Piece | Skip]:
    """Text with fenced blocks, as pasted into an issue: each configuration, command and log in it is read as itself.

    A log that merely prints fenced text (the answers of a model) loses nothing: what is no configuration or command
    stays in it.
    """
    with File(artifact.location) as file:
        text = file.read(0, file.size).decode("utf-8", "replace")
    yield from split(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"))
