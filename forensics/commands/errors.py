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

SHORTLY = 0.005
"""Seconds until a signal that came during an import is looked at again."""
IMPORTER = "<frozen importlib._bootstrap>"
"""Where the frames of an import say that they come from (importlib, Python 3.10 to 3.14)."""


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
    """Let Ctrl-C, SIGTERM and SIGHUP unwind the work, so that what was unpacked is deleted; an ignored one stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in names}
    taken = {number: handler for number, handler in before.items() if handler not in {signal.SIG_IGN, None}}
    for number in taken:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    # An import that is unwound leaves half a module behind, and numpy makes an ImportError of it, which any reader may
    # tolerate: asked again as soon as the import is done.
    if _is_importing(frame):
        threading.Timer(SHORTLY, signal.raise_signal, (number,)).start()
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        raise Stopped(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTER:
            return True
        frame = frame.f_back
    return False


def is_folder_gone() -> bool:
    """Tell whether the current folder was deleted."""
    try:
        os.getcwd()  # noqa: PTH109  (only whether there is one)
    except OSError:
        return True
    return False
