"""What the commands share: exit codes, options, and errors as one line on stderr."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, ParamSpec

import click

from forensics.errors import ForensicsError, NothingReadableError, UsageError
from forensics.storage.locations import Place, is_url, place_of

if TYPE_CHECKING:
    from forensics.model import Run
    from forensics.redaction import Redactor

Given = ParamSpec("Given")

EXIT_FINE = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_NOTHING_READABLE = 3
EXIT_INTERNAL = 4
FAIL_ON = ("error", "warning", "notice", "never")


class OneLineError(click.ClickException):
    """A usage error found while arguments are parsed, told like every other: in one line, exit code 2."""

    exit_code = EXIT_USAGE

    def show(self, file: IO[str] | None = None) -> None:
        del file
        _fail(self.message, self.exit_code)


class LocalPath(click.Path):
    """A path of this machine; a URL is refused in words, not looked for as a folder."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if isinstance(value, str) and is_url(value):
            name = ctx.info_name if ctx is not None else "this command"
            raise OneLineError(f"{name} reads files of this machine; only scan and diff take URLs")
        return Path(os.fsdecode(super().convert(str(value), param, ctx)))


class AnyPlace(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A path of this machine or a URL."""

    name = "path or URL"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        del param, ctx
        return place_of(value) if isinstance(value, str) else Path(str(value))


RUN_PATH = LocalPath(path_type=Path, readable=False)
PLACE = AnyPlace()


def guarded(command: Callable[Given, int]) -> Callable[Given, None]:
    """Turn the return value into the exit code, and every error into one line on stderr."""

    @functools.wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except NothingReadableError as error:
            code = _fail(str(error), EXIT_NOTHING_READABLE)
        except UsageError as error:
            code = _fail(str(error), EXIT_USAGE)
        except ForensicsError as error:
            code = _fail(str(error), EXIT_NOTHING_READABLE)
        except BrokenPipeError:
            # The reader of our output went away (`| head`); nothing is wrong and nothing is left to say.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = EXIT_FINE
        except (KeyboardInterrupt, click.Abort):
            code = _fail("interrupted", 130)
        except click.ClickException:
            raise
        except Exception as error:  # noqa: BLE001  (no traceback ever reaches a user)
            code = _fail(f"internal error: {type(error).__name__}: {error}; please report it", EXIT_INTERNAL)
        sys.exit(code)

    return run


def _fail(message: str, code: int) -> int:
    from forensics.report import without_secrets
    from forensics.report._safe import clean

    click.echo(f"medforensics: {clean(without_secrets(message), 2000)}", err=True)
    return code


output_option = click.option(
    "-o",
    "--output",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    help="Write the report to a file.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Only the verdict and the headline; no progress.")
cluster_option = click.option(
    "--cluster", metavar="tcp://HOST:PORT", help="Work on a dask scheduler that sees the same files."
)
no_redact_option = click.option(
    "--no-redact",
    is_flag=True,
    help="Keep users, hosts, paths and ids in what is passed on; secrets are masked all the same.",
)


def to_file(output: IO[str]) -> bool:
    """Tell whether the output was given a name with -o."""
    # A named file keeps the name it was given; standard output has the number 1, a mark, or no name at all.
    name = getattr(output, "name", None)
    return isinstance(name, str) and name not in {"<stdout>", "-"}


def hides_identities(form: str, output: IO[str], *, no_redact: bool) -> bool:
    """Tell whether users, hosts, paths and ids are masked: the one rule of all commands (docs/redaction.md).

    They are in a format that is made to be passed on, and in every file; not on the screen or in a pipe.
    """
    from forensics.report import PASTED

    return not no_redact and (form in PASTED or to_file(output))


def redactor_of(*runs: "Run", identities: bool) -> "Redactor":
    """Return a redactor that has learnt from the runs and, where it masks identities, from this machine."""
    from forensics.redaction.identities import machine_names, redactor_for

    return redactor_for(*runs, identities=identities, names=machine_names() if identities else {})
