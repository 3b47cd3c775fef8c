"""What the commands share: exit codes, options, and errors as one line on stderr."""

import functools
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from forensics.commands.errors import EXIT_FINE, OneLineError, Stopped, ended_by, fail, failed_by, stoppable
from forensics.commands.output import Output, OutputPath, check_writable
from forensics.storage.locations import Place, is_url, place_of

if TYPE_CHECKING:
    from forensics.model import Run
    from forensics.redaction import Redactor

Given = ParamSpec("Given")

TAKE_URLS = ("analyze", "triage", "timeline", "env", "bundle", "scan", "diff")
FAIL_ON = ("error", "warning", "notice", "never")


class LocalPath(click.Path):
    """A path of this machine; a URL is refused in words, not looked for as a folder."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if isinstance(value, str) and is_url(value):
            name = ctx.info_name if ctx is not None else "this command"
            raise OneLineError(f"{name} reads files of this machine; {', '.join(TAKE_URLS)} take URLs")
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
            _check_output(kwargs)
            with stoppable():
                code = command(*args, **kwargs)
        except click.Abort:
            code = fail("interrupted", 130)
        except click.ClickException:
            raise
        except BrokenPipeError:
            # The reader of our output went away (`| head`); nothing is wrong and nothing is left to say.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = EXIT_FINE
        except (Stopped, KeyboardInterrupt) as stopped:
            code = ended_by(stopped)
        except Exception as error:  # noqa: BLE001  (no traceback ever reaches a user)
            code = failed_by(error)
        sys.exit(code)

    return run


def _check_output(given: Mapping[str, object]) -> None:
    """Tell before any work that the output cannot be written; an event file gets a folder of its own."""
    output = given.get("output")
    if isinstance(output, Output) and output.path is not None and given.get("form") != "tensorboard":
        check_writable(output.path)


output_option = click.option(
    "-o",
    "--output",
    type=OutputPath(),
    default="-",
    help="Write the report to a file, whole or not at all.",
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


def to_file(output: Output) -> bool:
    """Tell whether the output was given a name with -o."""
    return output.path is not None


def tell_traffic(run: "Run") -> None:
    """Say on standard error how much of a run at a URL was read; nothing of one on this machine."""
    from forensics.storage.locations import RemotePath

    if isinstance(run.root, RemotePath):
        from forensics.storage.remote_file import TRAFFIC

        total = sum(artifact.size for artifact in run.artifacts)
        click.echo(f"{TRAFFIC.bytes:,} bytes of {total:,} were read at {run.root}", err=True)


def hides_identities(form: str, output: Output, *, no_redact: bool) -> bool:
    """Tell whether users, hosts, paths and ids are masked: the one rule of all commands (docs/redaction.md).

    They are in a format that is made to be passed on, and in every file; not on the screen or in a pipe.
    """
    from forensics.report import PASTED

    return not no_redact and (form in PASTED or to_file(output))


def redactor_of(*runs: "Run", identities: bool) -> "Redactor":
    """Return a redactor that has learnt from the runs and, where it masks identities, from this machine."""
    from forensics.redaction.identities import machine_names, redactor_for

    return redactor_for(*runs, identities=identities, names=machine_names() if identities else {})
