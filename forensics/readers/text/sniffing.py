"""Whether a file is a log at all, told from its first bytes."""

import re
from collections import Counter

from forensics.deferred.patterns import expression
from forensics.formats.text import UTF16_MARKS, decoded, looks_binary
from forensics.names import ERRORS, FOREIGN_LOSS, Kind, is_loss
from forensics.readers._events.scan import of_lines
from forensics.readers.text.periodic import FEWEST
from forensics.readers.text.scan import scan_text
from forensics.readers.text.series import series_of
from forensics.signatures import BY_NAME

_SIGNS_OF_LOG = expression(
    rb"""\{(?:['"]|\xe2\x80[\x98\x9c])[^{}\r\n]{0,400}(?:['"]|\xe2\x80[\x98\x9c])"""
    rb"""(?:loss|epoch|train_runtime|eval_loss|grad_norm)(?:['"]|\xe2\x80[\x99\x9d]): """
    rb"""|\{['"]loss['"]: """
    rb"|\d%\|[^\r\n]{0,200}\d/\d+ \["
    rb"|\[20\d\d-\d\d-\d\d [\d:,]+\] \[[A-Z]+\] \["
    rb"|elapsed time per iteration|\*\*\*\*\* Running |Traceback \(most recent call last\)|==\(\(====\)\)=="
    rb"|NCCL (?:INFO|WARN|version)|slurmstepd: |srun: |CUDA out of memory"
    rb"|(?:\A|[\r\n])[^\r\n]{0,120}(?:\b[Ss]teps?|[Ii]ter(?:ation)?|[Ii]ter\(train\))[ :=#\[]*\d+"
    rb"[^\r\n]{0,120}(?:[Ll]oss|norm)"
    rb"|(?:\A|[\r\n])[|> \t]*(?:Step|Epoch)[|\t ][^\r\n]{0,200}(?:Training|Validation|Train|Eval) [Ll]oss"
    rb"|(?:\A|[\r\n])[^\r\n]{0,60}\b[Ee]poch *[:=#\[( ] *\d+[^\r\n]{0,120}[Ll]oss(?:\w{0,20}) ?[:=]{1,2} ?[-\dni]"
    rb"|\|?(?:it/s|s/it), [\w/]+="
    rb"|(?:\A|[\r\n])\[?20\d\d[-/]\d\d[-/]\d\d[ T]\d\d:\d\d"
    rb"|(?:\A|[\r\n])(?:INFO|WARNING|ERROR)[: ]"
    rb"|Warning: |Killed|NVRM: Xid|invoked oom-killer|Fatal Python error: |Segmentation fault|can't open file '"
)
_SIGNS_OF_CAPTURE = expression(
    rb"Collecting environment information|Is debug build: |^PyTorch version: "
    rb"|^- `(?:transformers|Accelerate|llamafactory)` version: |DeepSpeed C\+\+/CUDA extension op report"
    rb"|^# packages in environment at |^@EXPLICIT|^# platform: |^\| NVIDIA-SMI |^Package +Version",
    re.MULTILINE,
)
_LOSS = expression(
    rf"loss|perplexity|ppl|(?<![a-z])(?:nll|xent|cost|b?ce|bp[bc]|l[12]|learn|{ERRORS})(?![a-z])|[损損]失|{FOREIGN_LOSS}",
    re.IGNORECASE,
)
_PLANNED = expression(
    r"(?:\A|\n)[ \t]{0,8}[\[(] ?(\d{1,9})/(\d{1,9}) ?[\])] [^\r\n]{0,80}[A-Za-z][:= ]{1,3}\d{0,9}\.\d"
)
"""A line that begins with a count of how many, and has a number with fractions behind a word."""
_TABLE = expression(rb"\s*[\w/.\"-][\w /.\"-]*(?:([,;\t])[\w /.\"-]*)+\r?\n[^,;\t\n]*\1")
"""A header of cells and a row: other readers take it."""
_STRUCTURED = expression(rb"\s*(?:[{<]|\[(?! ?[A-Za-z])(?![^\[\]{}\"\r\n]{1,80}\][ \t]*[^\s,;\]])|\Z)")
"""JSON, a document, nothing at all; a line that begins with something in brackets is none of these."""
_DEATHS = frozenset({Kind.SIGNAL, Kind.KILLED, Kind.TRACEBACK})
_PINNED = expression(rb"^[A-Za-z0-9][\w.\-\[\]]* ?(?:==|@ |>=|<=|~=)", re.MULTILINE)
_SOURCE_CODE = expression(rb"^(?:import \w|from [\w.]+ import |def \w+\(|class \w+[(:])", re.MULTILINE)


def looks_like_log(head: bytes) -> bool:
    """Tell whether text is what a program printed while it trained, and no environment capture or source code."""
    if head.startswith(UTF16_MARKS):
        head = decoded(head).encode()
    if not head or looks_binary(head):
        return False
    lines = head.count(b"\n") + 1
    if len(_PINNED.findall(head)) > 0.6 * lines or len(_SOURCE_CODE.findall(head)) > 2:
        return False
    if _SIGNS_OF_LOG.search(head) is None and not _has_a_curve(head) and not _tells_a_death(head):
        return False
    # A capture that was echoed into the middle of a log does not make it one.
    return _SIGNS_OF_CAPTURE.search(head) is None or b"'epoch'" in head or b"%|" in head


def _tells_a_death(head: bytes) -> bool:
    """Tell whether a line says how a process ended: such a log may hold nothing else."""
    if _STRUCTURED.match(head):
        return False
    return any(rows.kind in _DEATHS or (rows.kind in BY_NAME and BY_NAME[rows.kind].ending) for rows in of_lines(head))


def _has_a_curve(head: bytes) -> bool:
    """Tell whether lines of text, in no format of their own, hold a loss several times."""
    if _STRUCTURED.match(head) or _TABLE.match(head):
        return False
    text = head.decode("utf-8", "replace")
    planned = len(_PLANNED.findall(text)) >= FEWEST
    if not planned and not _LOSS.search(text):
        return False
    dicts, rows = series_of(scan_text(head).lines, Counter())
    if planned and rows:
        return True
    return bool(dicts) or any(len(table) > 1 and any(is_loss(name) for name in table.names) for table in rows)
