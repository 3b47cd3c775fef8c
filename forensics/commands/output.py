"""Where a command writes: standard output, or a file that is whole or untouched.

A file is written beside its place, brought to the disk, and renamed: a full disk, a signal or a loss of power leaves
what stood there before. What can be known beforehand (a missing folder, no permission) is told before any work.
"""

import contextlib
import os
import stat
import sys
from pathlib import Path

import click

from forensics.errors import UsageError

STANDARD = "-"


class Output:
    """What `-o` names. `name` is None for standard output."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @property
    def name(self) -> str | None:
        return None if self.path is None else str(self.path)

    def isatty(self) -> bool:
        return self.path is None and sys.stdout is not None and sys.stdout.isatty()

    def write(self, text: str) -> None:
        """Write the whole of what there is to say. Raises `UsageError` when it cannot be written."""
        if self.path is not None:
            write_whole(self.path, text.encode("utf-8", "backslashreplace"))
            return
        if sys.stdout is None:
            raise UsageError("standard output is closed; name a file with -o")
        try:
            sys.stdout.flush()
            # Whatever the locale says, what the report holds beyond ASCII was asked for (see `analyze`).
            sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            # What is still buffered goes nowhere: the interpreter would try again at its end, and exit with 120.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise UsageError(f"standard output cannot be written: {error.strerror}") from error


class OutputPath(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A file to write, or `-`."""

    name = "file"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Output:
        del param, ctx
        if isinstance(value, Output):
            return value
        if value == STANDARD:
            return Output(None)
        return Output(Path(str(value)))


def check_writable(path: Path) -> None:
    """Raise `UsageError` when it is known already that `path` cannot be written."""
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"{path} cannot be written: it is a folder")
    if not folder.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {folder}")
    if not os.access(path if _is_special(path) else folder, os.W_OK):
        raise UsageError(f"{path} cannot be written: no permission")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that there is all of it or what was there before. Raises `UsageError` when it cannot be."""
    try:
        if _is_special(path):  # a pipe or a device, which has no content to keep
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _replace(path: Path, data: bytes) -> None:
    import tempfile

    descriptor, made = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    try:
        with open(descriptor, "wb") as out:  # noqa: PTH123  (a descriptor)
            out.write(data)
            out.flush()
            os.fchmod(descriptor, _mode(path))
            os.fsync(descriptor)
        os.replace(made, path)  # noqa: PTH105  (texts)
    except BaseException:  # a signal too
        with contextlib.suppress(OSError):
            os.unlink(made)  # noqa: PTH108  (a text)
        raise
    with contextlib.suppress(OSError):  # not every file system lets a folder be synchronised
        _synchronise(path.parent)


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int:
    """Return the permissions of the file that is replaced, or those that a new one gets."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()
