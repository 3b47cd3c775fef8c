"""`medforensics analyze RUN`: the report in every format."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forensics.commands.errors import EXIT_FINDINGS, EXIT_FINE, EXIT_INTERNAL, is_folder_gone
from forensics.commands.output import Output
from forensics.commands.shared import (
    FAIL_ON,
    PLACE,
    RUN_PATH,
    guarded,
    hides_identities,
    no_redact_option,
    output_option,
    quiet_option,
    redactor_of,
    tell_traffic,
    to_file,
)
from forensics.errors import UsageError
from forensics.storage.locations import Place

if TYPE_CHECKING:
    from forensics.model import Report

FORMATS = ("terminal", "markdown", "html", "json", "sarif")
TEMPLATES = (
    "transformers",
    "deepspeed",
    "accelerate",
    "trl",
    "peft",
    "llamafactory",
    "axolotl",
    "unsloth",
    "ms-swift",
    "verl",
    "medicalgpt",
    "lightning",
)
"""The keys of `report._templates.TEMPLATES`, here so that --help need not import it (a test holds them equal)."""


@click.command()
@click.argument("run_dir", type=PLACE)
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="terminal")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@output_option
@click.option(
    "--weights",
    type=click.Choice(("auto", "full", "quick", "off")),
    default="auto",
    help="How deep to look into checkpoints.",
)
@click.option("--fail-on", type=click.Choice(FAIL_ON), help="Exit with 1 from this severity on; error by default.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever was found.")
@click.option("--strict", is_flag=True, help="Exit with 1 when something was not examined.")
@click.option(
    "--select", multiple=True, metavar="CODE", help="Only these rules or symptoms; several times or by comma."
)
@click.option("--ignore", multiple=True, metavar="CODE", help="Not these rules or symptoms.")
@click.option("--config", type=RUN_PATH, help="A medforensics.toml to take instead of the one found.")
@click.option("--template", type=click.Choice(TEMPLATES), help="Markdown under the headings of a project's bug form.")
@click.option("--max-chars", type=click.IntRange(min=2_000), help="Markdown: at most so many characters.")
@no_redact_option
@click.option("-v", "--verbose", is_flag=True, help="Show everything, also what was passed over.")
@quiet_option
@guarded
def analyze(  # noqa: PLR0913, PLR0917  (the options of the command)
    run_dir: Place,
    form: str,
    as_json: bool,
    output: Output,
    weights: str,
    fail_on: str | None,
    exit_zero: bool,
    strict: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    config: Path | None,
    template: str | None,
    max_chars: int | None,
    no_redact: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Read RUN_DIR and say what happened, from which step, and because of what.

    What is passed on (markdown, html, sarif, and every file written with -o) is masked: users, hosts, paths,
    addresses, ids. Secrets are masked everywhere.

    \b
    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 usage, or the output cannot be written,
    3 nothing readable there, 4 internal error (a partial report is still written).

    \b
    Example:
        medforensics analyze runs/llama-lora-17
        medforensics analyze runs/llama-lora-17 --format markdown -o report.md
        medforensics analyze runs/llama-lora-17 --format html -o report.html
    """
    from forensics import catalog
    from forensics.commands import settings as configuration
    from forensics.diagnosis.selection import Selection, filtered
    from forensics.fleet.alone import apart_of
    from forensics.investigate import investigate
    from forensics.progress import reporter

    form = "json" if as_json else form
    if form != "markdown" and (template or max_chars):
        raise UsageError("--template and --max-chars belong to --format markdown")
    settings = configuration.load(run_dir, None if is_folder_gone() else Path.cwd(), config)
    asked = Selection(_split(select), _split(ignore))
    catalog.require_known((*asked.select, *asked.ignore))
    selection = Selection(asked.select or settings.selection.select, asked.ignore or settings.selection.ignore)
    with reporter(quiet=quiet) as progress:
        report = investigate(run_dir, weights=weights, progress=progress, apart=apart_of)  # type: ignore[arg-type]  # a click choice
    if not quiet:
        tell_traffic(report.run)
    report = filtered(report, selection)
    identities = hides_identities(form, output, no_redact=no_redact)
    if form == "terminal":
        output.write(_terminal(report, output, identities=identities, verbose=verbose, quiet=quiet))
    else:
        output.write(_rendered(report, form, template, max_chars, identities=identities))
    if report.failures:
        return EXIT_INTERNAL
    return EXIT_FINE if exit_zero else _exit_code(report, fail_on or settings.fail_on or "error", strict=strict)


def _split(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for name in names for part in name.split(",") if part.strip())


def _terminal(report: "Report", output: Output, *, identities: bool, verbose: bool, quiet: bool) -> str:
    redactor, unicode = redactor_of(report.run, identities=identities), _unicode(output)
    if quiet:
        from forensics.report import brief

        return brief.render(report, redactor, unicode=unicode)
    from forensics.report import masked_by, terminal

    shown = masked_by(report, redactor)
    return terminal.render(shown, width=_width(output), color=_color(output), verbose=verbose, unicode=unicode)


def _rendered(report: "Report", form: str, template: str | None, max_chars: int | None, *, identities: bool) -> str:
    from forensics.report import html, markdown, masked_by, renderer

    redactor = redactor_of(report.run, identities=identities)
    if form == "html":
        from forensics.report.excerpts import excerpts, masked_excerpts

        found = masked_excerpts(tuple(excerpts(report)), redactor)
        return html.render(masked_by(report, redactor), masked=identities, excerpts=found)
    shown = masked_by(report, redactor)
    if form == "markdown":
        return markdown.render(shown, max_chars=max_chars or markdown.MAX_CHARS, template=template, masked=identities)
    text = renderer(form)(shown)
    return text if text.endswith("\n") else text + "\n"


def _exit_code(report: "Report", fail_on: str, *, strict: bool) -> int:
    from forensics.model import SEVERITIES

    worst = report.worst()
    reached = worst is not None and fail_on != "never" and SEVERITIES.index(worst) <= FAIL_ON.index(fail_on)
    unexamined = strict and any(not skip.what.startswith("detector ") for skip in report.run.skips)
    return EXIT_FINDINGS if reached or unexamined else EXIT_FINE


def _unicode(output: Output) -> bool:
    if to_file(output):
        return True
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").replace("_", "") in {"utf8", "utf16", "utf32", "utf8sig", "gb18030"}


def _color(output: Output) -> bool:
    # https://no-color.org: any non-empty NO_COLOR switches colour off; FORCE_COLOR switches it on in pipes.
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or to_file(output):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or output.isatty()


def _width(output: Output) -> int:
    import shutil

    if to_file(output) or not output.isatty():
        return 80
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 120))
