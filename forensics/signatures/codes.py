"""Signals and exit codes: by number, by name, in the words of shells and launchers."""

import math
import signal as posix

from forensics.deferred.records import dataclass
from forensics.signatures.signature import Role

SHELL_BASE = 128
"""A shell tells of a process that signal n ended with 128 + n, Python's `subprocess` with -n."""
PBS_BASE = 256
"""PBS tells of a job that signal n ended with 256 + n (Exit_status, PBS Professional guide)."""
WINDOWS = {0xC0000005: 11, 0xC000001D: 4, 0xC0000094: 8, 0xC00000FD: 11, 0xC000013A: 2, 0xC0000409: 6, 0xC0000374: 6}
"""NTSTATUS codes (ntstatus.h) as the signals that mean the same: access violation, illegal instruction, division by
zero, stack overflow, Ctrl-C, fail fast, heap corruption."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What a signal means for the process that it ended; `told` follows "a process"."""

    number: int
    name: str
    symptom: str
    ending: str
    role: Role
    told: str


_NATIVE, _KILLED, _USER = "crash-signal", "crash-killed", "crash-exception"

SIGNALS = {
    found.number: found
    for found in (
        Signal(11, "SIGSEGV", _NATIVE, "crashed", Role.ROOT, "died of a segmentation fault"),
        Signal(7, "SIGBUS", _NATIVE, "crashed", Role.ROOT, "died of a bus error"),
        Signal(4, "SIGILL", _NATIVE, "crashed", Role.ROOT, "died of an illegal instruction"),
        Signal(8, "SIGFPE", _NATIVE, "crashed", Role.ROOT, "died of an arithmetic exception"),
        Signal(31, "SIGSYS", _NATIVE, "crashed", Role.ROOT, "died of a forbidden system call"),
        Signal(5, "SIGTRAP", _NATIVE, "crashed", Role.ABORT, "died of a trap"),
        Signal(6, "SIGABRT", _NATIVE, "crashed", Role.ABORT, "aborted"),
        Signal(9, "SIGKILL", _KILLED, "killed", Role.KILL, "was killed"),
        Signal(25, "SIGXFSZ", "crash-disk", "crashed", Role.ROOT, "outgrew the largest file it may write"),
        Signal(24, "SIGXCPU", _KILLED, "time-limit", Role.ROOT, "used up its CPU time"),
        Signal(1, "SIGHUP", _KILLED, "killed", Role.KILL, "lost its terminal (the session ended)"),
        Signal(10, "SIGUSR1", _KILLED, "killed", Role.KILL, "was ended by a signal that it does not handle"),
        Signal(12, "SIGUSR2", _KILLED, "killed", Role.KILL, "was ended by a signal that it does not handle"),
        Signal(14, "SIGALRM", _KILLED, "killed", Role.KILL, "was ended by its own alarm"),
        Signal(13, "SIGPIPE", _KILLED, "killed", Role.OUTCOME, "wrote to a pipe that nobody read"),
        Signal(3, "SIGQUIT", _USER, "stopped-by-user", Role.ROOT, "was stopped from the keyboard"),
        Signal(2, "SIGINT", _USER, "stopped-by-user", Role.ROOT, "was interrupted by its user"),
        Signal(15, "SIGTERM", _KILLED, "killed", Role.OUTCOME, "was asked to end"),
    )
}
"""What each signal says of its process (Linux numbers, signal(7))."""

_OTHER = Signal(0, "", _KILLED, "killed", Role.KILL, "was ended by a signal")


def number_of(name: str) -> int | None:
    """Return the number of a signal by its name, with or without SIG; None for what is no signal."""
    name = name.upper().removeprefix("SIG")
    found = next((s.number for s in SIGNALS.values() if s.name == f"SIG{name}"), None)
    if found is None and name.isalnum():
        known = getattr(posix, f"SIG{name}", None)
        return int(known) if isinstance(known, posix.Signals) else None
    return found


def signal_of(code: float) -> Signal | None:
    """Return the signal that an exit code tells of, None for a code that the process chose itself.

    >>> signal_of(-9).name, signal_of(139).name, signal_of(1)
    ('SIGKILL', 'SIGSEGV', None)
    """
    if not math.isfinite(code):  # a signal whose number is not told
        return _OTHER
    whole = int(code)
    number = WINDOWS.get(whole & 0xFFFFFFFF, 0) if abs(whole) > 1 << 16 else 0
    number = number or (-whole if whole < 0 else whole - (PBS_BASE if whole > PBS_BASE else SHELL_BASE))
    if not 0 < number <= 64:
        return None
    return SIGNALS.get(number, _OTHER)


def code_told(code: float) -> str:
    """Return what is said of an exit code.

    >>> code_told(-11), code_told(3)
    ('a process died of a segmentation fault (signal 11, SIGSEGV)', 'a process ended with exit code 3')
    """
    found = signal_of(code)
    if found is None:
        return f"a process ended with exit code {code:.0f}"
    number = found.number or (abs(int(code)) % SHELL_BASE if math.isfinite(code) else 0)
    named = f" (signal {number}{', ' if found.name else ''}{found.name})" if number else ""
    return f"a process {found.told}{named}"
