"""`medforensics compare GOOD BAD`: two runs side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from forensics.commands.errors import EXIT_FINE
from forensics.commands.output import Output
from forensics.commands.shared import (
    RUN_PATH,
    guarded,
    hides_identities,
    no_redact_option,
    output_option,
    quiet_option,
    redactor_of,
)

if TYPE_CHECKING:
    from forensics.comparison import WeightsCompared
    from forensics.model import Run


@click.command()
@click.argument("good", type=RUN_PATH)
@click.argument("bad", type=RUN_PATH)
@click.option("-f", "--format", "form", type=click.Choice(("table", "markdown", "html", "json")), default="table")
@click.option("--weights", is_flag=True, help="Compare checkpoints of the same step too.")
@output_option
@no_redact_option
@quiet_option
@guarded
def compare(  # noqa: PLR0913, PLR0917  (the options of the command)
    good: Path, bad: Path, form: str, weights: bool, output: Output, no_redact: bool, quiet: bool
) -> int:
    """Say what differs between GOOD and BAD, and which of it can matter for what went wrong in BAD.

    BAD is judged again with each of GOOD's values in its place; what the cause loses by it is the weight of the
    difference. Exits with 0 whatever differs.

    \b
    Example:
        medforensics compare runs/with-deepspeed-0.11.1 runs/with-deepspeed-0.12.5
        medforensics compare runs/a runs/b --weights --format markdown -o difference.md
        medforensics compare runs/a runs/b --format html -o difference.html
    """
    from forensics import catalog
    from forensics.comparison import Side
    from forensics.comparison import compare as compared
    from forensics.fleet.alone import apart_of
    from forensics.investigate import investigate
    from forensics.progress import reporter
    from forensics.report import comparison as page
    from forensics.report import comparison_page

    depth: Literal["auto", "off"] = "auto" if weights else "off"
    with reporter(quiet=quiet) as progress:
        sides = [
            Side(str(path), investigate(path, weights=depth, progress=progress, apart=apart_of)) for path in (good, bad)
        ]
    looked = _weights([side.report.run for side in sides]) if weights else None
    found = compared(sides[0], sides[1], catalog.rules(), weights=looked)
    identities = hides_identities(form, output, no_redact=no_redact)
    redactor = redactor_of(*(side.report.run for side in sides), identities=identities)
    shown = page.masked(found, redactor)
    output.write(comparison_page.render(shown) if form == "html" else page.render(shown, form))
    return EXIT_FINE


def _weights(runs: Sequence["Run"]) -> "WeightsCompared | None":
    from forensics.comparison import compare_weights
    from forensics.comparison.weights import common_step
    from forensics.weights import inspection

    pair = common_step(runs[0], runs[1])
    if pair is None:
        return None
    one, other = pair
    scanned, _ = inspection.compare([runs[0].root / one.path, runs[1].root / other.path])
    named = [replace(c, path=path.path, step=path.step) for c, path in zip(scanned, pair, strict=True)]
    return compare_weights(named[0], named[1]) if named[1].table is not None else None
