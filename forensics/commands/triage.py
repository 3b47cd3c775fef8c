"""`medforensics triage ROOT`: every run under a root."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forensics.commands.errors import EXIT_FINDINGS, EXIT_FINE, EXIT_INTERNAL, EXIT_NOTHING_READABLE
from forensics.commands.output import Output
from forensics.commands.shared import (
    FAIL_ON,
    RUN_PATH,
    cluster_option,
    guarded,
    hides_identities,
    no_redact_option,
    output_option,
    quiet_option,
    redactor_of,
)

if TYPE_CHECKING:
    from forensics.fleet.row import Row


@click.command()
@click.argument("root", type=RUN_PATH)
@click.option("-f", "--format", "form", type=click.Choice(("table", "csv", "json", "markdown")), default="table")
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
@click.option("--fail-on", type=click.Choice(FAIL_ON), default="error", help="Exit with 1 from this severity on.")
@no_redact_option
@quiet_option
@guarded
def triage(  # noqa: PLR0913, PLR0917  (the options of the command)
    root: Path,
    form: str,
    output: Output,
    jobs: int,
    cluster: str | None,
    weights: str,
    time_limit: float,
    resume: Path | None,
    fail_on: str,
    no_redact: bool,
    quiet: bool,
) -> int:
    """Judge every run under ROOT, in parallel, and group those that died of the same.

    A run is a folder with a trainer state, checkpoints, event files or a log; its own checkpoints are no runs.
    A run that cannot be analysed is told as such and stops no other.

    \b
    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 usage,
    3 no run there, 4 the analysis of some run failed.

    \b
    Example:
        medforensics triage /data/experiments
        medforensics triage runs --format csv -o runs.csv --resume ~/triage.jsonl
    """
    from forensics.fleet.resume import state_file
    from forensics.fleet.run import Options
    from forensics.fleet.run import triage as judged
    from forensics.progress import reporter
    from forensics.report import triage as page

    options = Options(max(jobs, 0), cluster, weights, time_limit)  # type: ignore[arg-type]  # a click choice
    with state_file(resume, root) as state, reporter(quiet=quiet) as progress:
        found = judged(root, options, state=state, progress=progress)
    redactor = redactor_of(identities=hides_identities(form, output, no_redact=no_redact))
    redactor.learn([str(root)])
    rows = page.masked(found, redactor)
    output.write(f"{page.summary(rows)}\n" if quiet and form == "table" else page.render(rows, form))
    return _exit_code(rows, fail_on)


def _exit_code(rows: Sequence["Row"], fail_on: str) -> int:
    from forensics.model import SEVERITIES

    if any(row.internal_errors or row.verdict == "failed" for row in rows):
        return EXIT_INTERNAL
    if all(row.verdict == "unreadable" for row in rows):
        return EXIT_NOTHING_READABLE
    known = [SEVERITIES.index(row.severity) for row in rows if row.severity in SEVERITIES]
    reached = fail_on != "never" and any(height <= FAIL_ON.index(fail_on) for height in known)
    return EXIT_FINDINGS if reached else EXIT_FINE
