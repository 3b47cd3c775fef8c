"""Signals and exit codes in the words of shells, launchers, schedulers and crash handlers.

Sources: bash 5.2 and zsh 5.9 (jobs), dash, GNU time and timeout, torch 2.13 elastic and multiprocessing.spawn,
DeepSpeed 0.19 `launch.py`, accelerate `CalledProcessError`, srun 23.11, OpenMPI 4 and MPICH (`hydra`), Docker,
Kubernetes, systemd, LSF, HTCondor, UCX and glog crash handlers, CPython's faulthandler, PyCharm.
"""

from forensics.deferred.patterns import expression
from forensics.signatures.codes import number_of

_FOREIGN_SEGFAULTS = (
    *("Speicherzugriffsfehler", "Erreur de segmentation", "Violación de segmento", "Falha de segmentação"),
    *("Errore di segmentazione", "Ошибка сегментирования", "段错误", "세그멘테이션 오류"),
)
_FOREIGN_KILLS = (
    "Getötet",
    "Processus arrêté",
    "Terminado (killed)",
    "Ucciso",
    "Убито",
    "已杀死",
    "강제 종료됨",
    "強制終了",
)
"""What glibc (`strsignal`) calls them in other languages, as bash prints it."""
_WORDS: tuple[tuple[bytes, int], ...] = (
    (rb"[Ss]egmentation fault", 11),
    (rb"[Bb]us error", 7),
    (rb"[Ii]llegal (?:hardware )?instruction", 4),
    (rb"[Ff]loating[- ]point exception", 8),
    (rb"[Bb]ad system call", 31),
    (rb"[Tt]race/(?:BPT|breakpoint) trap", 5),
    (rb"[Aa]bort(?:ed)?", 6),
    (rb"[Tt]erminated", 15),
    (rb"[Hh]angup", 1),
    (rb"User defined signal 1", 10),
    (rb"User defined signal 2", 12),
    (rb"CPU time limit exceeded", 24),
    (rb"[Ff]ile size limit exceeded", 25),
    (rb"Alarm clock", 14),
    (rb"\d\s+Quit", 3),
    (rb"(?:\d\s+|\] )Interrupt", 2),
    *((word.encode(), 11) for word in _FOREIGN_SEGFAULTS),
    *((rb"\d\s+" + word.encode(), 9) for word in _FOREIGN_KILLS),
)
_ENDS = (
    rb"(?::? \d{1,2})?(?: *\(core dumped(?: by \w+)?\))?"
    rb"(?= *$|,| {2,}\S| +(?:\(\w+\) )?\S*(?:python|torchrun|srun|bash|sh|accelerate|deepspeed|mpirun)\b)"
)
SAID = tuple((expression(words + _ENDS), number) for words, number in _WORDS)
"""What shells call a process that a signal ended (`strsignal`), at the end of its line or before the command."""
FATAL = expression(
    rb"Fatal Python error: (Segmentation fault|Aborted|Bus error|Illegal instruction|Floating[- ]point exception)"
)
_FATAL = {b"Segmentation fault": 11, b"Aborted": 6, b"Bus error": 7, b"Illegal instruction": 4}

STATE = expression(
    rb"(?i)\b(?:state|status|phase|reason)[\"']?\s*[:=]\s*[\"']?(?:terminated|aborted)\b|\bReboot=\d ExitCode=0:0"
)
"""What `kubectl describe` calls every container that came to its end, and Slurm's code of a job that still runs."""
CALM = expression(rb"(?i)\bgraceful(?:ly)?\b")
"""A service of the program (a raylet, a server) that was told to end because the program had."""

_NUMBER = rb"(0x[0-9A-Fa-f]{8}\b|-?\d{1,10}(?![xX\d]))"
CODES = tuple(
    expression(pattern)
    for pattern in (
        rb"exits with return code = " + _NUMBER,
        rb"exitcode *: *" + _NUMBER,
        rb"[Ee]xit[ _]?[Cc]ode[\"']?[ :=]+" + _NUMBER,
        rb"EXIT CODE: *" + _NUMBER,
        rb"[Ee]xited with (?:a )?(?:non-zero )?(?:exit )?(?:code|status)(?: of)?[ :=]*" + _NUMBER,
        rb"returned non-zero exit status " + _NUMBER,
        rb"\bexit status " + _NUMBER,
        rb"^ *Exit_status ?= ?" + _NUMBER,
        rb"^exit_status {1,12}" + _NUMBER,
        rb"(?:return|returned|exit|exited with) (?:code|status)[ :=]+" + _NUMBER,
        rb"terminated with exit code " + _NUMBER,
        rb"Command exited with non-zero status " + _NUMBER,
        rb"Process finished with exit code " + _NUMBER,
        rb"^make(?:\[\d{1,3}\])?: \*\*\* .{1,200}\bError " + _NUMBER,
    )
)
"""Where launchers write the code of a process."""
BY_SIGNAL = tuple(
    expression(pattern)
    for pattern in (
        rb"died with <Signals\.(SIG[A-Z0-9]+): \d+>",
        (
            rb"(?:exited|terminated|killed|interrupted|died|stopped|ended|failed|aborted) (?:on|by|with|from"
            rb"|due to) (?:signal:? ?(\d{1,2})|(?:signal:? ?)?(SIG[A-Z0-9]+))"
        ),
        rb"KILLED BY SIGNAL: (\d{1,2})",
        rb"terminated on line \d{1,6} by signal (\d{1,2})",
        rb"\bcalled with signal (\d{1,2})\b",
        rb"\b(SIG(?:TERM|INT|HUP|QUIT|XCPU)) (?:was )?(?:received|caught)\b",
        rb"EXIT STRING: [A-Z].{1,60} \(signal (\d{1,2})\)",
        rb"Exited by LSF signal (\d{1,2})",
        rb"Exited with signal termination: (\d{1,2})",
        rb"Abnormal termination \(signal (\d{1,2})\)",
        rb"\bReceived (\d{1,2}) death signal",
        rb"\bForwarding signal (\d{1,2}) to job",
        rb"^signal \((\d{1,2})(?:\.\d)?\): [A-Z]",
        rb"Signal (\d{1,2}) \(SIG[A-Z0-9]+\) received by PID",
        rb"[Pp]rocess \d+ got signal: (\d{1,3})",
        rb"Caught signal (\d{1,2}) \(",
        rb"Signal: [A-Z][\w /]+ \((\d{1,2})\)",
        rb"\*\*\* (SIG[A-Z]+)(?: \(@0x[0-9a-f]{1,16}\))?(?:,| received by)",
        rb"\*\*\* (SIG[A-Z]+) \(@0x",
        rb"received signal (SIG[A-Z]+)\b",
        rb"status=(\d{1,2})/[A-Z]+",
        rb"terminated with signal (SIG[A-Z0-9]+)",
        rb"^\[signal (SIG[A-Z]+): ",
        (
            rb"\b(?:[Cc]aught|[Rr]eceived|[Rr]eceiving|[Gg]ot|[Tt]rapped) (?:an? |the )?(?:termination |interrupt )?"
            rb"(?:signal:? )?(?:Signals\.)?(SIG(?:TERM|INT|HUP|QUIT|XCPU))\b"
        ),
    )
)
"""Where launchers and crash handlers name the signal."""
ANCHORS = (
    "xits with return code = ", "xitcode", "xit code", "xit Code", "xit_code", "xitCode", "XIT CODE", "xited with ",
    "xit status", "Exit_status", "xit_status", "xited on signal", "xited with signal", "Exited with", "Exit code",
    "Exit Code", "EXIT CODE:",
    "signal (", "KILLED BY SIGNAL", "EXIT STRING: ", "Exited by LSF signal",
    "SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGKILL", "SIGTERM", "SIGINT", "SIGHUP",
    "Signal ", "Signal: ", "Signals.SIG", "Segmentation fault", "Bus error", "Illegal instruction", "Aborted",
    "Floating point exception", "Floating-point exception", "Bad system call", "Terminated", "Hangup", "CPU time limit",
    "Caught signal ", "Command terminated by signal", "Command exited with", "process ", "killed by signal",
    "terminated by signal", "Fatal Python error: ", "User defined signal", "status=", "return code", "got signal",
    "exit code", "segmentation fault", "bus error", "illegal hardware instruction", "abort ",
    "terminated with", "died with", "File size limit", "Trace/", "make: *** ", "make[",
    "Interrupt ", "] Interrupt", "death signal", "Forwarding signal ", "called with signal", "by signal ",
    "Abnormal termination ",
    "Quit ", *_FOREIGN_SEGFAULTS, *_FOREIGN_KILLS,
)  # fmt: skip
"""Phrases of which each stands in a line that `code_in` reads."""


def code_in(line: bytes) -> tuple[int, int, int] | None:
    """Return the code that a line tells of (-n for signal n), and where its words begin and end; None without one.

    >>> code_in(b"bash: line 1: 4242 Segmentation fault      (core dumped) python train.py")[0]
    -11
    >>> code_in(b"  exitcode  : 1 (pid: 4714)")[0], code_in(b"Process exited with exit code 137")[0]
    (1, 137)
    """
    if STATE.search(line) or CALM.search(line):
        return None
    fatal = FATAL.search(line)
    if fatal:
        return -_FATAL.get(fatal[1], 8), fatal.start(), fatal.end()
    for pattern in BY_SIGNAL:
        found = pattern.search(line)
        if found:
            told = next(group for group in found.groups() if group)
            number = int(told) if told.isdigit() else number_of(told.decode())
            return (-number, found.start(), found.end()) if number else None
    for pattern in CODES:
        found = pattern.search(line)
        if found:
            return int(found[1], 16 if found[1].startswith(b"0x") else 10), found.start(), found.end()
    for pattern, number in SAID:
        found = pattern.search(line)
        if found:
            return -number, found.start(), found.end()
    return None
