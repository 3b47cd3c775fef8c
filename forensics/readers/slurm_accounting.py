"""What Slurm kept of a job: `sacct` (as it is, with `-p` or `-P`, or `--json`), `scontrol show job` (`-o`), `seff`.

Sources: Slurm 23.11 `src/sacct/print.c`, `src/plugins/data_parser`, `src/api/job_info.c` (slurm_sprint_job_info),
`contribs/seff/seff`; the job states of slurm.schedmd.com/job_state_codes.html. Fields that count: State, ExitCode
(a:b, code and signal), Reason, JobID. Of several jobs the last one counts: it is the last attempt.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from forensics.deferred.patterns import expression
from forensics.formats.lenient_json import parse
from forensics.model import UNKNOWN_STEP, Artifact, Events, Fact
from forensics.names import Kind
from forensics.plugin import reader
from forensics.storage.file import File

MOST_BYTES = 16 << 20
_SACCT = expression(rb"\A(?:[^\n]*\n)?[^\n|]{0,80}\|?(?:[\w%]{1,40}\|){0,100}JobID(?:Raw)?\|[^\n]*\bState\b")
_ALIGNED = expression(rb"(?:\A|\n) *JobID(?:Raw)? (?=[^\n]*\bState\b)[^\n]*\n *-{3,} -{3,}")
_SCONTROL = expression(rb"(?:\A|\n)JobId=\d(?:[^\n]*\n(?:[^\n]*\n){0,12}?\s{0,40}|[^\n]{0,4000}? )JobState=")
_SEFF = expression(rb"(?:\A|\n)(?:# )?Job ID: {1,20}\d[^\n]*\n(?:[^\n]*\n){0,6}?(?:# )?State: {1,20}[A-Z_]+")
_JSON = expression(
    rb'"(?:exit_code|derived_exit_code)"\s*:.{0,4000}"state"\s*:|"state"\s*:.{0,4000}"exit_code"\s*:', re.DOTALL
)
STATES = {
    "TIMEOUT": Kind.TIME_LIMIT,
    "DEADLINE": Kind.TIME_LIMIT,
    "PREEMPTED": Kind.PREEMPTED,
    "NODE_FAIL": Kind.NODE_FAILURE,
    "BOOT_FAIL": Kind.NODE_FAILURE,
    "OUT_OF_MEMORY": Kind.OOM_KILL_RECORD,
    "CANCELLED": Kind.CANCELLED,
}
"""What a state of a job means; FAILED and COMPLETED are told by their exit code."""
UNENDED = ("RUNNING", "PENDING", "REQUEUE", "RESIZING", "SUSPENDED", "CONFIGURING", "STOPPED", "SIGNALING")
"""States of a job that has not ended (COMPLETING is on its way to)."""


def looks_like_accounting(head: bytes) -> bool:
    """Tell whether a file is one of the five forms."""
    slurm = b'"jobs"' in head and b"slurm" in head.lower()
    return any(p.search(head) for p in (_SACCT, _ALIGNED, _SCONTROL, _SEFF)) or (
        slurm and _JSON.search(head) is not None
    )


@reader(
    "slurm-accounting",
    sniff=looks_like_accounting,
    tested="Slurm's source; captures of BSC-ES/autosubmit 382, troycomi/reportseff 41, qiita-spots/qiita 3521",
)
def slurm_accounting(artifact: Artifact) -> Iterator[Fact]:
    """`sacct`, `scontrol show job`, `seff`: how Slurm says that the last job ended."""
    with File(artifact.location) as file:
        data = file.head(MOST_BYTES)
    jobs = [*_from_json(data)] if data.lstrip().startswith(b"{") else [*_from_text(data.decode("utf-8", "replace"))]
    if jobs and not jobs[-1][2].startswith(UNENDED):
        line, job, state, code = jobs[-1]
        yield _event(artifact, line, job, state, code)


def _from_text(text: str) -> Iterator[tuple[int, str, str, float]]:
    heads: list[str] = []
    job, job_line = "", 0
    for number, line in enumerate(_lines(text), 1):
        cells = [cell.strip() for cell in line.split("|")]
        if "State" in cells and any(cell.startswith("JobID") for cell in cells):
            heads = cells
        elif heads and len(cells) >= len(heads) - 1:
            row = dict(zip(heads, cells, strict=False))
            name = row.get("JobID") or row.get("JobIDRaw") or ""
            if name and "." not in name:
                yield number, name, row.get("State", ""), _code(row.get("ExitCode", ""))
        elif found := re.search(r"\bJobId=(\d+)|^Job ID: {1,20}(\d+)", line):
            job, job_line = found[1] or found[2], number
        if job and (found := re.search(r"\bJobState=(\w+)|^State: {1,20}([A-Z_]+)(?: \(exit code (\d+)\))?", line)):
            code = re.search(r"\bExitCode=(\d+:\d+)", text[text.find(job) :])
            yield number or job_line, job, found[1] or found[2], _code(code[1] if code else found[3] or "")


def _lines(text: str) -> Iterator[str]:
    """Yield lines; the columns that `sacct` prints without `-p` are told apart by bars, as with it."""
    spans: list[tuple[int, int]] = []
    lines = text.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch(r" *-{3,}(?: +-{3,}){1,60} *", below):
            spans = [dashes.span() for dashes in re.finditer(r"-+", below)]
        if spans:
            yield "|".join(line[begin:end] for begin, end in spans)
        else:
            yield line.removeprefix("# ")


def _from_json(data: bytes) -> Iterator[tuple[int, str, str, float]]:
    tree = parse(data).value
    jobs = tree.get("jobs") if isinstance(tree, Mapping) else None
    for number, job in enumerate(jobs if isinstance(jobs, list) else [], 1):
        if isinstance(job, Mapping):
            yield number, str(job.get("job_id", "?")), _state(job), _json_code(job)


def _state(job: Mapping[str, Any]) -> str:
    state = job.get("state", job.get("job_state"))
    state = state.get("current") if isinstance(state, Mapping) else state
    return str(state[0]) if isinstance(state, list) and state else str(state)


def _json_code(job: Mapping[str, Any]) -> float:
    code = job.get("exit_code")
    if not isinstance(code, Mapping):
        return float(code) if isinstance(code, int) else float("nan")
    signal = code.get("signal", {})
    number = signal.get("id", signal.get("signal_id")) if isinstance(signal, Mapping) else None
    number = number.get("number") if isinstance(number, Mapping) else number
    value = code.get("return_code")
    value = value.get("number") if isinstance(value, Mapping) else value
    if isinstance(number, int) and number:
        return -float(number)
    return float(value) if isinstance(value, int) else float("nan")


def _code(text: str) -> float:
    """Return -n for signal n, else the exit code.

    >>> _code("0:9"), _code("1:0")
    (-9.0, 1.0)
    """
    found = re.match(r"(\d+)(?::(\d+))?", text)
    if found is None:
        return float("nan")
    return -float(found[2]) if found[2] and int(found[2]) else float(found[1])


def _event(artifact: Artifact, line: int, job: str, state: str, code: float) -> Events:
    word = state.split(maxsplit=1)[0] if state.split() else state
    if word.endswith("+"):
        word = next((known for known in (*STATES, "COMPLETED") if known.startswith(word[:-1])), word)
    kind = STATES.get(word, Kind.SIGNAL)
    value = code if kind == Kind.SIGNAL else float("nan")
    if word == "COMPLETED":
        value = 0.0
    elif kind == Kind.SIGNAL and not (np.isfinite(code) and code):
        value = 1.0
    told = f"Slurm says of job {job}: {state}"
    return Events(
        kind=kind,
        steps=np.array([UNKNOWN_STEP], dtype=np.int64),
        values=np.array([value]),
        records=np.array([line], dtype=np.int64),
        path=artifact.path,
        place="line {}",
        text=told,
        texts=(told,),
    )
