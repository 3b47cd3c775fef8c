"""`medforensics bundle RUN`: an archive to attach to an issue."""

from pathlib import Path

import click

from forensics.commands.errors import EXIT_FINE, EXIT_INTERNAL
from forensics.commands.output import check_writable, write_whole
from forensics.commands.shared import PLACE, guarded, no_redact_option, quiet_option, redactor_of, tell_traffic
from forensics.errors import UsageError
from forensics.storage.locations import Place


@click.command()
@click.argument("run_dir", type=PLACE)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="evidence.zip", show_default=True
)
@click.option("--weights", type=click.Choice(("auto", "full", "quick", "off")), default="auto")
@no_redact_option
@quiet_option
@guarded
def bundle(run_dir: Place, output: Path, weights: str, no_redact: bool, quiet: bool) -> int:
    """Write the report of RUN_DIR in all formats, excerpts of its logs and its tables into one archive.

    Users, hosts, paths and ids are masked, secrets always; weights never enter it. The same run gives the same
    bytes. The archive stays under 25 MB, what GitHub takes.

    \b
    Example:
        medforensics bundle runs/llama-lora-17 -o evidence.zip
    """
    from forensics.fleet.alone import apart_of
    from forensics.investigate import investigate
    from forensics.progress import reporter
    from forensics.report import bundle as archive
    from forensics.report.excerpts import excerpts

    if isinstance(run_dir, Path) and run_dir.is_dir() and output.resolve().is_relative_to(run_dir.resolve()):
        raise UsageError("nothing is written into the run directory; name a place outside with -o")
    check_writable(output)
    with reporter(quiet=quiet) as progress:
        report = investigate(run_dir, weights=weights, progress=progress, apart=apart_of)  # type: ignore[arg-type]  # a click choice
    if not quiet:
        tell_traffic(report.run)
    redactor = redactor_of(report.run, identities=not no_redact)
    data = archive.render(report, tuple(excerpts(report)), redactor)
    write_whole(output, data)
    if not quiet:
        click.echo(f"{output}: {len(data):,} bytes. Look into it before you attach it: what is attached is public.")
    return EXIT_INTERNAL if report.failures else EXIT_FINE
