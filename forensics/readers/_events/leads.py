"""Whether a line says something of its own process, or quotes what another one said.

A death stands at the beginning of its line, behind nothing but what shells, launchers, loggers and bars write there.
Behind anything else (a prompt, a label, a sentence, a quotation mark) it is text that the run was trained on or talks
of.
"""

import re
from functools import lru_cache

from forensics.deferred.patterns import expression

ONE_DIGIT = bytes(ord("1") if chr(byte).isdigit() and byte < 0x80 else byte for byte in range(256))
"""Every digit as 1."""
LONGEST_LEAD = 400
LONGEST_SIGNED, AROUND = 120, 4096
FEWEST_SIGNED, SIGNED = 5, 0.8
"""Lines, and which share of those around, that begin alike where a collector signs them."""
_BAR = expression(rb"^.{0,600}(?:it/s|s/it|\?it|B/s|ex/s|examples/s)[^\[\]\r\n]{0,300}\]")
_RICH = expression(
    rb"^[^\xe2]{0,200}(?:\xe2[\x94\x95][\x80-\xbf] ?){1,200}[^\xe2]{0,200}?(?:it/s|s/it)"
    rb"(?: [A-Za-z][\w./-]{0,40}[:=] ?[-+.\deE%]{1,20}){0,8}(?: |$)"
)
"""A bar of rich (`rich.progress`), with metrics behind it."""
FRAMING = expression(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
"""What a tracker's binary log has between its texts."""
_QUOTING = expression(
    rb"\b(?:samples?|prompts?|references?|texts?|inputs?|outputs?|targets?|instructions?|questions?|answers?|responses?"
    rb"|completions?|contents?|labels?|generat\w+|predict\w+|decoded|examples?|users?|assistant|system|human|gpt|query"
    rb"|documents?|title|body|notes?|tips?|hints?|captions?|chosen|rejected|expected|q|a|quote|issue|forum"
    rb"|reply|chat)\b"
    rb" *[\"']?(?:\d{1,6} *)?[\]):>=|](?!:)",
    re.IGNORECASE,
)
_RAISED = expression(
    rb"(?<![\w.])(?:[A-Za-z_]\w{0,60}\.){0,6}[A-Z]\w{0,60}(?:Error|Exception|Failure): (?!.{0,400}(?:\"|`)$)"
)
_FAILED = expression(rb"(?:^|[\[\s|])(?:[EF]\d{3,8} |(?:ERROR|FATAL|CRITICAL|EXCEPTION)\b)")
"""A header in which the writer says that the line is an error of its own."""
_SAID = expression(rb"[A-Za-z(][\w ,./()'-]{1,200}: ?(?:[\w.]+: )?")
"""Words of the writer in front of the message that it passes on."""
_FOLDER = expression(rb"(?<![\w.@+/-])[\w.@+-]*(?:/[\w.@+-]+)*/\Z")
_LINE = "(?:line|Zeile|ligne|línea|linha|riga|строка|行|줄)".encode()
"""What bash in other languages calls the line of its script."""
_TOKEN = expression(
    rb"(?:"
    rb"\s+|\^[CZ\\]|\(\d{1,3}\)"
    # Whole prefixes: journald and syslog, CRI, docker compose, torchx, `gh run view --log`, GitLab, Determined.
    rb"|[\w.-]+ [\w./()-]+\[\d{1,9}\]:|std(?:err|out)(?: [FP])?(?= )|[\w.-]+[-_]\d{1,6} +\|(?= )"
    rb"|[\w.-]+(?:/[\w.-]+)*/\d{1,6}(?= )"
    rb"|[^\t\r\n]{1,60}\t[^\t\r\n]{1,60}\t(?=\d{4}-)|\d\d[EO]\+? |[0-9a-f]{6,64}(?= (?:\[[^\]]{1,40}\] )?\|\|)"
    rb"|\[[^\[\]\r\n]{0,160}\]:?|\[(?=\d{4}-\d\d-\d\d )"
    rb"|\((?:[\w:.-]+,? )?(?:pid|rank|ip|worker|actor|launcher|task|thread)[^()\r\n]{0,80}\)"
    rb"|\d{4}[-/.](?:\d\d|[A-Z][a-z]{2})[-/.]\d\d[T ]?"
    rb"|\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?Z?"
    rb"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
    rb"|[EWIFC]\d{4}\b|[EWIFDC](?= \d\d-\d\d | [\w./-]+\.cc:\d)"
    rb"|(?:CRITICAL|ERROR|FATAL|WARNING|WARN|INFO|DEBUG|SEVERE|Error|error|fatal|FAILED|failed)\b[:\]]?"
    # The name of a logger, before its level or between two dashes.
    rb"|[\w.-]+(?=(?: -)? \[?(?:CRITICAL|ERROR|WARNING|INFO|DEBUG)\b)|(?<=- )[\w.-]+(?= - )"
    rb"|(?<=\d\d[.,]\d\d\d )[\w.-]+(?= )"
    rb"|[\w./@+-]+\.(?:cc|cpp|cu|cuh|h|hpp|py|pyx|sh|rs|cc|so)(?::\d+|, line \d+|: line \d+)?[:\])]*"
    rb"|[\w./@<>+-]+(?:\[\d+\])?(?:::\w+)*:"
    rb"|(?:[A-Za-z_]\w*\.)+(?!\w)|\.*\w+(?:\.+\w+)+\b"
    rb"|(?:Normal|Warning) {2,}\S+ {2,}\S+(?: \([^()]{1,60}\))? {2,}\S+ {2,}"
    rb"|" + _LINE + rb" ?\d+ ?:?|tasks? [\d,-]+:|[Rr]ank[ _]?\d+\b:?|(?:UTC|GMT|[A-Z]{2,3}T)\b|[Pp]rocess \d+\b:?"
    rb"|(?:[\w-]+(?:\.[\w-]+)+|node\w*|host\w*|gpu\w*|worker\w*|kernel|python\d?|srun|slurmstepd|mpirun|orterun)\b:?"
    rb"|0x[0-9a-fA-F]+|\d+(?:\.\d+)?\b"
    rb"|NCCL watchdog thread terminated with exception:"
    rb"|User program failed with|what\(\):|Caused by:?|Unhandled exception:?|Uncaught exception:?|During task with name"
    rb"|[|>*=#+,;-]+|-+>|\xe2\x94\x82|\xe2\x9d\xb1|\xe2\x95\xb0\xe2\x94\x80>|\xe2\x9d\x8c|\xf0\x9f[\x80-\xbf]{2}"
    rb"|\(|\d+\)|:"
    rb")"
)


_FIELD = expression(
    rb"(?<![\w'])[\"']?(?:level=(?:error|fatal|critical)\b.{1,200}?\bmsg"
    rb"|ErrorMessage|StatusMessage|statusMessage|Status message|Exception raised|FailureReason"
    rb"|methodName|statusReason(?:\b.{1,200}\breason)?)(?:[\"']? ?[:=] ?[\"']?| [\"'])"
)
"""Fields in which clouds pass on why a job ended (SageMaker, AWS Batch, Azure ML, Google Cloud)."""


def _own(before: bytes) -> bytes:
    """Return what stands before words without a bar, the field of a cloud, and the framing bytes of a binary log."""
    bar = _BAR.match(before) or _RICH.match(before)
    rest = FRAMING.split(before[bar.end() :] if bar else before)[-1]
    field = None
    for field in _FIELD.finditer(rest):  # noqa: B007  (the last one counts)
        pass
    return rest if field is None else rest[field.end() :]


def leads(before: bytes) -> bool:
    """Tell whether a line may begin with this before it says that its own process died.

    >>> leads(b"[rank1]: "), leads(b"run.sh: line 2:  4926 "), leads(b"[sample] reference: "), leads(b"he said ")
    (True, True, False, False)
    """
    if not before:
        return True
    rest = _own(before)
    folder = _FOLDER.search(rest[-LONGEST_LEAD:])
    if folder is not None:
        # The words are the name of a program, and this is where it lies.
        rest = rest[: len(rest) - len(folder[0])]
    if len(rest) > LONGEST_LEAD or _QUOTING.search(rest):
        return False
    raised = _RAISED.search(rest)
    if raised is not None:
        # What an exception says after its name is its own message.
        rest = rest[: raised.start()]
    at = 0
    while at < len(rest):
        found = _TOKEN.match(rest, at)
        if found is None or found.end() == at:
            return _FAILED.search(rest[:at]) is not None and _SAID.fullmatch(rest, at) is not None
        at = found.end()
    return True


def quotes(before: bytes) -> bool:
    """Tell whether what stands before words makes them a quote: a label of a sample, an opened quotation mark."""
    return _quotes(before.translate(ONE_DIGIT))


@lru_cache(maxsize=1 << 12)
def _quotes(before: bytes) -> bool:
    """Judge an outline once: nothing here asks which digit stands somewhere, and many lines differ in no more."""
    rest = _own(before)
    return bool(_QUOTING.search(rest)) or rest.count(b'"') % 2 == 1 or rest.count(b"`") % 2 == 1


def signed(before: bytes, data: bytes, start: int) -> bool:
    """Tell whether most lines around begin as the one at `start` does, but for their numbers.

    What collects the lines of a program may sign them in any form; it signs all of them, and a quote stands alone.
    """
    same = alike(before) if before and not quotes(before) else None
    if same is None:
        return False
    near = data[max(0, start - AROUND) : start + AROUND].split(b"\n")[1:-1]
    lines = [line for line in near if line.strip()]
    hits = sum(same.match(line) is not None for line in lines)
    return hits >= FEWEST_SIGNED and hits >= SIGNED * len(lines)


def alike(lead: bytes) -> re.Pattern[bytes] | None:
    """Return an expression for what stands before the words of a line, with other numbers: times, ranks, processes."""
    if len(lead) > LONGEST_SIGNED:
        return None
    return re.compile(re.sub(rb"\d+", rb"\\d+", re.escape(lead)))
