"""`medforensics plan RUN`: the ladder from small to full."""

from pathlib import Path

import click

from forensics.commands.errors import EXIT_FINE
from forensics.commands.output import Output
from forensics.commands.shared import RUN_PATH, guarded, hides_identities, no_redact_option, output_option, redactor_of


@click.command()
@click.argument("run_dir", type=RUN_PATH)
@click.option("-f", "--format", "form", type=click.Choice(("table", "json")), default="table")
@output_option
@no_redact_option
@guarded
def plan(run_dir: Path, form: str, output: Output, no_redact: bool) -> int:
    """Print a ladder of short runs from RUN_DIR's own settings: one process in float32 first, the whole run last.

    Each rung is ten recorded steps with a launch line, what it changes and what to expect; `medforensics compare`
    holds it against the rung before. What fails on a rung was brought in by what that rung adds.

    \b
    Example:
        medforensics plan runs/llama-lora-17
    """
    from forensics.fleet.alone import apart_of
    from forensics.investigate import read
    from forensics.plan import ladder
    from forensics.report import masked_run
    from forensics.report import plan as page

    run = read(run_dir, apart=apart_of)
    redactor = redactor_of(run, identities=hides_identities(form, output, no_redact=no_redact))
    output.write(page.render(ladder(masked_run(run, redactor)), form))
    return EXIT_FINE
