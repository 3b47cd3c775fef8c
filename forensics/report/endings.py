"""docs/endings.md: the endings, what each counts for and who tells of it, and every signature of a death."""

from collections.abc import Iterable, Sequence

from forensics.plugin import Rule
from forensics.signatures import SIGNALS, SIGNATURES, Signature
from forensics.signatures.structure import BUILDS, Build

KINDS = (
    (
        "finished",
        "none",
        "the trainer's closing line or summary, early stopping, the last planned step or epoch, exit code 0",
    ),
    ("stopped-by-user", "notice", "KeyboardInterrupt, SIGINT, scancel, TERM_OWNER"),
    (
        "crashed",
        "error, broken, exit 1",
        "an exception, a native signal, memory, a device, a disk, a start that failed",
    ),
    ("killed", "error, broken, exit 1", "SIGKILL, SIGHUP, SIGTERM alone; records of the kernel, of Slurm, OOMKilled"),
    ("node-lost", "error, broken, exit 1", "NODE FAILURE, NodeLost, NodeDiedError"),
    (
        "hung",
        "error, broken, exit 1",
        "a time-out, a watchdog, flight records or stacks that prove it, a log that ends in lines that only wait",
    ),
    ("preempted", "warning, suspicious, exit 0", "PREEMPTION, requeue, spot notices"),
    ("evicted", "warning, suspicious, exit 0", "the kubelet's reasons"),
    ("time-limit", "warning, suspicious, exit 0", "TIME LIMIT, walltime exceeded, DeadlineExceeded, SIGXCPU"),
    (
        "cut-off",
        "none; the headline says it. A warning where the last words are an error",
        "a log that ends before the steps or epochs that it plans itself, and no other sign",
    ),
    ("running", "none; the headline says it", "times of its own entries: the last one is as old as entries are apart"),
    ("unknown", "none", "nothing on file tells how it ended"),
)
"""Kind of ending, what it counts for, who tells of it. A crash after the training's own end is a warning."""


HEAD = """# Endings

Made by `python docs/generate.py` from `forensics/signatures/`; `tests/test_endings.py` reads every row back from a
line.

Each attempt of a run has one ending (`run.attempts[].ending` of the JSON report). Of the deaths that stand together in
a text the lowest role decides, of equal ones the first: a root goes before a kill, a kill before a rank that waited,
that before an abort, and all before what a launcher makes of it. What is followed by three and more lines with metrics
was survived: a notice.

Words that no row below knows are asked in general terms (`forensics/signatures/general.py`) where they are known to be
last words: the last line of a traceback, a line behind the last metrics that its writer calls an error, one of the last
six lines that says that a process, or what it runs on, came to an end. What suits nothing even then is quoted: the log
ends with words of an error (`run-cut-off`, a warning).
"""
BUILT = """## Exceptions in words that are not listed

Where neither a signature nor the words of a cause know an exception that ended a run, its build is asked
(`forensics/signatures/structure.py`): its class, whose code raised it and where, whether training had begun, the number
of the system, what its words are about. The first row that suits makes its cause possible and no more, and says nothing
where anything else points to a cause.
"""


def render(rules: Sequence[Rule]) -> str:
    """Return the page."""
    behind = {s.symptom: [rule.name for rule in rules if s.symptom in rule.explains] for s in SIGNATURES}
    parts = [
        HEAD,
        _table(("ending", "counts for", "told by"), KINDS),
        "## Signals\n\nBy number (`-9`, `137`), by name and in the words of shells and launchers.\n",
        _table(
            ("signal", "symptom", "ending", "role"),
            ((f"{s.number} {s.name}", s.symptom, s.ending, s.role.name.lower()) for s in SIGNALS.values()),
        ),
        "## Signatures\n",
        _table(("event", "symptom", "ending", "role", "what is said", "words"), map(_row, SIGNATURES)),
        BUILT,
        _table(("cause", "because", "raised by", "when"), dict.fromkeys(map(_built, BUILDS))),
        "## Causes behind the symptoms\n",
        _table(("symptom", "causes"), ((name, ", ".join(causes)) for name, causes in behind.items())),
    ]
    return "\n".join(parts)


def _row(signature: Signature) -> tuple[str, ...]:
    words = ", ".join(f"`{w.anchor.strip().replace('`', chr(39))}`" for w in signature.words[:6])
    more = f" and {len(signature.words) - 6} more" if len(signature.words) > 6 else ""
    return (
        signature.name,
        signature.symptom,
        signature.ending or "-",
        signature.role.name.lower(),
        signature.told,
        (words + more).replace("|", "\\|"),
    )


def _built(build: Build) -> tuple[str, ...]:
    when = {None: "at any time", True: "after the first step", False: "before the first step"}[build.begun]
    by = {"": "anybody", "own": "the run's own code", "library": "a library"}[build.by]
    return build.cause, build.because, by, when


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)
