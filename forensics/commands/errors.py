"""How a command ends: exit codes, and one line on stderr for everything that goes wrong."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

import click

from forensics.errors import ForensicsError, UsageError

EXIT_FINE = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_NOTHING_READABLE = 3
EXIT_INTERNAL = 4


class Stopped(BaseException):
    """A signal asked this process to end. No `Exception`, so that nothing that tolerates faults catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What shells give a process that a signal ended."""
        return 128 + self.number


class OneLineError(click.ClickException):
    """A usage error found while arguments are parsed, told like every other: in one line, exit code 2."""

    exit_code = EXIT_USAGE

    def show(self, file: IO[str] | None = None) -> None:
        del file
        fail(self.message, self.exit_code)


def fail(message: str, code: int) -> int:
    from forensics.report import without_secrets
    from forensics.report._safe import clean

    if sys.stderr is not None:
        click.echo(f"medforensics: {clean(without_secrets(message), 2000)}", err=True)
    return code


def ended_by(stopped: BaseException) -> int:
    """Say in one line that a signal ended the work; return the exit code that shells give for it."""
    if isinstance(stopped, Stopped):
        return fail(f"stopped by {signal.Signals(stopped.number).name}", stopped.exit_code)
    return fail("interrupted", 130)


def failed_by(error: Exception) -> int:
    """Say in one line what went wrong; return the exit code."""
    if isinstance(error, UsageError):
        return fail(str(error), EXIT_USAGE)
    if isinstance(error, ForensicsError):
        return fail(str(error), EXIT_NOTHING_READABLE)
    if isinstance(error, FileNotFoundError) and is_folder_gone():
        return fail("the current folder was deleted; go to another one", EXIT_USAGE)
    return fail(f"internal error: {type(error).__name__}: {error}; please report it", EXIT_INTERNAL)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind like Ctrl-C, so that what was unpacked is deleted; ignored ones stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    names = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    taken = [number for number in names if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def is_folder_gone() -> bool:
    """Tell whether the current folder was deleted."""
    try:
        os.getcwd()  # noqa: PTH109  (only whether there is one)
    except OSError:
        return True
    return False
