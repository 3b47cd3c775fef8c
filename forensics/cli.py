"""The command line: parse, call one function, print, exit. The only place that prints or exits.

Nothing heavy is imported here: `--help` must answer at once.
"""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, ParamSpec

import click

import forensics
from forensics.errors import ForensicsError, NothingReadableError, UsageError

if TYPE_CHECKING:
    from forensics.model import Report
    from forensics.report.tensors import Choice

Given = ParamSpec("Given")

EXIT_FINE = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_NOTHING_READABLE = 3
EXIT_INTERNAL = 4
FAIL_ON = ("error", "warning", "notice", "never")

RUN_PATH = click.Path(path_type=Path)


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
    from forensics.report._safe import clean

    click.echo(f"medforensics: {clean(message, 2000)}", err=True)
    return code


output_option = click.option(
    "-o",
    "--output",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    help="Write the report to a file.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Only the verdict and the headline; no progress.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(forensics.__version__, prog_name="medforensics")
def main() -> None:
    """Find out why a fine-tuning run died, from what it left behind.

    Reads logs, event files, trainer states, configurations and checkpoints. Never writes into the run directory,
    never runs code out of a checkpoint, never touches the network.
    """


@main.command()
@click.argument("run_dir", type=RUN_PATH)
@click.option("-f", "--format", "form", type=click.Choice(("terminal", "markdown", "json")), default="terminal")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@output_option
@click.option(
    "--weights",
    type=click.Choice(("auto", "full", "quick", "off")),
    default="auto",
    help="How deep to look into checkpoints.",
)
@click.option("--fail-on", type=click.Choice(FAIL_ON), default="error", help="Exit with 1 from this severity on.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever was found.")
@click.option("--strict", is_flag=True, help="Exit with 1 when something was not examined.")
@click.option("-v", "--verbose", is_flag=True, help="Show everything, also what was passed over.")
@quiet_option
@guarded
def analyze(  # noqa: PLR0913, PLR0917  (the options of the command)
    run_dir: Path,
    form: str,
    as_json: bool,
    output: IO[str],
    weights: str,
    fail_on: str,
    exit_zero: bool,
    strict: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    r"""Read RUN_DIR and say what happened, from which step, and because of what.

    \b
    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 usage,
    3 nothing readable there, 4 internal error (a partial report is still written).

    \b
    Example:
        medforensics analyze runs/llama-lora-17
        medforensics analyze runs/llama-lora-17 --format markdown -o report.md
    """
    from forensics.investigate import investigate
    from forensics.progress import reporter

    with reporter(quiet=quiet) as progress:
        report = investigate(run_dir, weights=weights, progress=progress)  # type: ignore[arg-type]  # a click choice
    output.write(_rendered(report, "json" if as_json else form, output, verbose=verbose, quiet=quiet))
    if report.failures:
        return EXIT_INTERNAL
    return EXIT_FINE if exit_zero else _exit_code(report, fail_on, strict=strict)


def _rendered(report: "Report", form: str, output: IO[str], *, verbose: bool, quiet: bool) -> str:
    if form == "terminal":
        from forensics.report import terminal

        if quiet:
            return terminal.brief(report)
        return terminal.render(report, width=_width(output), color=_color(output), verbose=verbose)
    from forensics.report import renderer

    text = renderer(form)(report)
    return text if text.endswith("\n") else text + "\n"


def _exit_code(report: "Report", fail_on: str, *, strict: bool) -> int:
    from forensics.model import SEVERITIES

    worst = report.worst()
    reached = worst is not None and fail_on != "never" and SEVERITIES.index(worst) <= FAIL_ON.index(fail_on)
    unexamined = strict and any(not skip.what.startswith("detector ") for skip in report.run.skips)
    return EXIT_FINDINGS if reached or unexamined else EXIT_FINE


def _color(output: IO[str]) -> bool:
    # https://no-color.org: any non-empty NO_COLOR switches colour off; FORCE_COLOR switches it on in pipes.
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or output.isatty()


def _width(output: IO[str]) -> int:
    import shutil

    return min(shutil.get_terminal_size((80, 24)).columns, 120) if output.isatty() else 80


@main.command()
@click.argument("run_dir", type=RUN_PATH)
@click.option("-m", "--metric", "metrics", multiple=True, help="Only these metrics; may be given several times.")
@click.option("-f", "--format", "form", type=click.Choice(("table", "csv", "json")), default="table")
@output_option
@guarded
def timeline(run_dir: Path, metrics: tuple[str, ...], form: str, output: IO[str]) -> int:
    r"""Print every metric of RUN_DIR over optimizer steps.

    \b
    Example:
        medforensics timeline runs/llama-lora-17 --metric loss --metric grad_norm
        medforensics timeline runs/llama-lora-17 --format csv -o timeline.csv
    """
    from forensics.investigate import read
    from forensics.report import timeline as page

    output.write(page.render(read(run_dir), metrics, form))
    return EXIT_FINE


@main.command("env")
@click.argument("run_dir", type=RUN_PATH)
@click.option("-f", "--format", "form", type=click.Choice(("table", "json")), default="table")
@output_option
@guarded
def environment(run_dir: Path, form: str, output: IO[str]) -> int:
    r"""Print what the run in RUN_DIR ran on and with: versions, hardware, settings.

    \b
    Example:
        medforensics env runs/llama-lora-17
    """
    from forensics.investigate import read
    from forensics.report import environment as page

    output.write(page.render(read(run_dir), form))
    return EXIT_FINE


def tensor_options(command: Callable[Given, None]) -> Callable[Given, None]:
    """Add the options that choose and format the rows of a tensor table."""
    only = ("nan", "inf", "zero", "unchanged", "changed", "dead-rows")
    for option in (
        click.option("--only", help=f"Only tensors with one of these, by comma: {', '.join(only)}."),
        click.option("--select", multiple=True, metavar="GLOB", help="Only tensors whose name matches."),
        click.option("--top", default=20, show_default=True, help="How many rows a checkpoint; 0 for all."),
        click.option("-f", "--format", "form", type=click.Choice(("table", "csv", "json")), default="table"),
    ):
        command = option(command)
    return command


@main.command()
@click.argument("checkpoints", type=RUN_PATH, nargs=-1, required=True)
@tensor_options
@output_option
@quiet_option
@guarded
def scan(  # noqa: PLR0913, PLR0917  (the options of the command)
    checkpoints: tuple[Path, ...],
    only: str | None,
    select: tuple[str, ...],
    top: int,
    form: str,
    output: IO[str],
    quiet: bool,
) -> int:
    r"""Look into every tensor of CHECKPOINTS: NaN, Inf, zeros, range, norms; the worst first.

    Exits with 1 when a tensor holds NaN or Inf, or a file is damaged.

    \b
    Example:
        medforensics scan out/checkpoint-500
        medforensics scan model.safetensors --only nan,zero --top 0
    """
    from forensics import inspection
    from forensics.progress import reporter
    from forensics.report import tensors

    choice = _choice(only, select, top)
    with reporter(quiet=quiet) as progress:
        scanned = [inspection.scan(path, progress=progress) for path in checkpoints]
    found = [checkpoint for part, _ in scanned for checkpoint in part]
    output.write(tensors.render(found, [skip for _, left in scanned for skip in left], choice, form))
    return EXIT_FINDINGS if any(c.status in {"poisoned", "damaged"} for c in found) else EXIT_FINE


@main.command()
@click.argument("checkpoints", type=RUN_PATH, nargs=-1, required=True)
@tensor_options
@output_option
@quiet_option
@guarded
def diff(  # noqa: PLR0913, PLR0917  (the options of the command)
    checkpoints: tuple[Path, ...],
    only: str | None,
    select: tuple[str, ...],
    top: int,
    form: str,
    output: IO[str],
    quiet: bool,
) -> int:
    r"""Compare checkpoints A B [C ...], each with the one before: what moved, how far, what stood still.

    \b
    Example:
        medforensics diff out/checkpoint-500 out/checkpoint-1000
        medforensics diff base.safetensors tuned.safetensors --only unchanged
    """
    from forensics import inspection
    from forensics.progress import reporter
    from forensics.report import tensors

    choice = _choice(only, select, top)
    with reporter(quiet=quiet) as progress:
        compared, skips = inspection.compare(checkpoints, progress=progress)
    output.write(tensors.render(compared[1:], skips, choice, form))
    return EXIT_FINE


def _choice(only: str | None, select: tuple[str, ...], top: int) -> "Choice":
    from forensics.report.tensors import ONLY, Choice

    wanted = tuple(word.strip() for word in only.split(",")) if only else ()
    unknown = [word for word in wanted if word not in ONLY]
    if unknown:
        raise UsageError(f"--only {unknown[0]} is not known; it takes {', '.join(ONLY)}")
    return Choice(select, wanted, top)


@main.command()
@click.argument("name")
@guarded
def explain(name: str) -> int:
    r"""Explain a rule by its code or name: what happens, how to tell, what to do.

    \b
    Example:
        medforensics explain DIST001
        medforensics explain nan-loss-logged-as-zero
    """
    from forensics import catalog
    from forensics.report import explain as page

    click.echo(page.render(catalog.find_rule(name)))
    return EXIT_FINE


@main.command()
@click.option("-f", "--format", "form", type=click.Choice(("table", "json")), default="table")
@guarded
def rules(form: str) -> int:
    r"""List every cause and mechanism that can be told apart.

    \b
    Example:
        medforensics rules
    """
    from forensics import catalog
    from forensics.report import rules as page

    click.echo(page.render(catalog.rules(), form))
    return EXIT_FINE


@main.command()
@guarded
def formats() -> int:
    r"""List every format that can be read.

    \b
    Example:
        medforensics formats
    """
    from forensics import catalog
    from forensics.report import formats as page

    click.echo(page.render(catalog.readers()))
    return EXIT_FINE
