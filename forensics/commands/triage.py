"""`medforensics triage ROOT`: every run under a root."""

import os
import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forensics.commands.errors import EXIT_FINDINGS, EXIT_FINE, EXIT_INTERNAL, EXIT_NOTHING_READABLE
from forensics.commands.output import Output
from forensics.commands.shared import (
    FAIL_ON,
    PLACE,
    cluster_option,
    guarded,
    hides_identities,
    no_redact_option,
    output_option,
    quiet_option,
    redactor_of,
)
from forensics.errors import UsageError
from forensics.storage.locations import Place

if TYPE_CHECKING:
    from forensics.fleet.row import Row

WIDE = 120
"""Columns of the table where no terminal says how many it has."""
UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Since(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A time, as a stretch before now or as a date: seconds since 1970."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        stretch = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
        if stretch is not None:
            return time.time() - int(stretch[1]) * UNITS[stretch[2]]
        try:
            return datetime.fromisoformat(text).astimezone().timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{text!r} is no time; write 7d, 12h, 30m or 2026-11-28", param, ctx)


@click.command()
@click.argument("root", type=PLACE)
@click.option(
    "-f", "--format", "form", type=click.Choice(("table", "csv", "json", "markdown", "html")), default="table"
)
@output_option
@click.option("-j", "--jobs", default=0, metavar="N", help="Processes; one a core when not given.")
@cluster_option
@click.option(
    "--weights",
    type=click.Choice(("auto", "full", "quick", "off")),
    default="quick",
    show_default=True,
    help="How deep to look into checkpoints.",
)
@click.option("--time-limit", default=60.0, show_default=True, metavar="SECONDS", help="What one run may take.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.jsonl",
    help="Keep what is done here, and go on from it; only runs that changed are read again.",
)
@click.option("--since", type=Since(), help="Only runs that wrote since then: 7d, 12h, 30m, or a date (2026-11-28).")
@click.option("--failed", is_flag=True, help="Leave out the runs that nothing is wrong with.")
@click.option(
    "--pages",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="With --format html -o FILE: a page of each run that something is wrong with, linked from it.",
)
@click.option("--fail-on", type=click.Choice(FAIL_ON), default="error", help="Exit with 1 from this severity on.")
@no_redact_option
@quiet_option
@guarded
def triage(  # noqa: PLR0913, PLR0917  (the options of the command)
    root: Place,
    form: str,
    output: Output,
    jobs: int,
    cluster: str | None,
    weights: str,
    time_limit: float,
    resume: Path | None,
    since: float | None,
    failed: bool,
    pages: Path | None,
    fail_on: str,
    no_redact: bool,
    quiet: bool,
) -> int:
    """Judge every run under ROOT (a folder, or the URL of one), in parallel; group those that died of the same.

    A run is a folder with a trainer state, checkpoints, event files or a log; its own checkpoints are no runs.
    A run that cannot be analysed is told as such and stops no other.

    \b
    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 usage,
    3 no run there, 4 the analysis of some run failed.

    \b
    Example:
        medforensics triage /data/experiments
        medforensics triage runs --failed --since 7d
        medforensics triage runs --format csv -o runs.csv --resume ~/triage.jsonl
        medforensics triage runs --format html -o fleet.html --pages pages
        medforensics triage s3://bucket/runs --cluster tcp://scheduler:8786
    """
    from forensics.fleet.group import QUIET
    from forensics.fleet.resume import state_file
    from forensics.fleet.run import Options
    from forensics.fleet.run import triage as judged
    from forensics.progress import reporter
    from forensics.report import fleet
    from forensics.report import triage as page

    if pages is not None and (form != "html" or output.path is None):
        raise UsageError("--pages belongs to --format html with -o FILE, which links to them")
    options = Options(max(jobs, 0), cluster, weights, time_limit, since)  # type: ignore[arg-type]  # a click choice
    with state_file(resume, root) as state, reporter(quiet=quiet) as progress:
        found = judged(root, options, state=state, progress=progress)
    if failed:
        found = tuple(row for row in found if row.verdict not in QUIET)
    hidden = hides_identities(form, output, no_redact=no_redact)
    redactor = redactor_of(identities=hidden)
    redactor.learn([str(root)])
    rows = page.masked(found, redactor)
    if form == "html":
        links = {}
        if pages is not None and output.path is not None:
            shown = [(row, masked.path) for row, masked in zip(found, rows, strict=True)]
            links = _pages(root, shown, pages, output.path, redacted=hidden)
        output.write(fleet.render(rows, pages=links))
    elif quiet and form == "table":
        output.write(f"{page.summary(rows)}\n")
    else:
        output.write(page.render(rows, form, width=_width(output)))
    return _exit_code(rows, fail_on)


def _width(output: Output) -> int:
    import shutil

    return shutil.get_terminal_size((80, 24)).columns if output.isatty() else WIDE


def _pages(
    root: Place, rows: "Sequence[tuple[Row, str]]", folder: Path, page: Path, *, redacted: bool
) -> dict[str, str]:
    """Write a page for each run that something is wrong with; return their places by the path that is shown.

    `rows` are rows as judged, each with its path as shown; `page` is where the links will stand.
    """
    from urllib.parse import quote

    from forensics.commands.output import write_whole
    from forensics.errors import ForensicsError
    from forensics.investigate import investigate
    from forensics.report import html, masked_by
    from forensics.report.excerpts import excerpts, masked_excerpts

    if isinstance(root, Path) and folder.resolve().is_relative_to(root.resolve()):
        raise UsageError("nothing is written among the runs; name a folder outside with --pages")
    folder.mkdir(parents=True, exist_ok=True)
    links: dict[str, str] = {}
    for row, shown in rows:
        if row.verdict not in {"broken", "suspicious"}:
            continue
        try:
            report = investigate(root if row.path == "." else root / row.path)
        except ForensicsError:
            continue
        redactor = redactor_of(report.run, identities=redacted)
        lines = masked_excerpts(tuple(excerpts(report)), redactor)
        path = folder / f"{len(links) + 1:04}.html"
        write_whole(path, html.render(masked_by(report, redactor), masked=redacted, excerpts=lines).encode())
        links[shown] = quote(os.path.relpath(path, page.resolve().parent))
    return links


def _exit_code(rows: Sequence["Row"], fail_on: str) -> int:
    from forensics.model import SEVERITIES

    if not rows:
        return EXIT_FINE
    if any(row.internal_errors or row.verdict == "failed" for row in rows):
        return EXIT_INTERNAL
    if all(row.verdict == "unreadable" for row in rows):
        return EXIT_NOTHING_READABLE
    known = [SEVERITIES.index(row.severity) for row in rows if row.severity in SEVERITIES]
    reached = fail_on != "never" and any(height <= FAIL_ON.index(fail_on) for height in known)
    return EXIT_FINDINGS if reached else EXIT_FINE
