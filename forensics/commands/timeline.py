"""`medforensics timeline RUN`: every metric over steps, as a table, a plot, or a file for other tools."""

import sys
from pathlib import Path

import click

from forensics.commands.errors import EXIT_FINE
from forensics.commands.output import Output, write_whole
from forensics.commands.shared import (
    PLACE,
    guarded,
    hides_identities,
    no_redact_option,
    output_option,
    redactor_of,
    tell_traffic,
)
from forensics.errors import UsageError
from forensics.storage.locations import Place

FORMATS = ("table", "csv", "json", "parquet", "tensorboard")

BINARY = {"parquet": "a file", "tensorboard": "a folder"}
"""What is no text, and what -o names for it."""


@click.command()
@click.argument("run_dir", type=PLACE)
@click.option("-m", "--metric", "metrics", multiple=True, help="Only these metrics; may be given several times.")
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="table")
@click.option("--plot", is_flag=True, help="Draw the metrics with characters.")
@click.option("--samples", is_flag=True, help="Every sample as it was read, not the merged series.")
@output_option
@no_redact_option
@guarded
def timeline(  # noqa: PLR0913, PLR0917  (the options of the command)
    run_dir: Place, metrics: tuple[str, ...], form: str, plot: bool, samples: bool, output: Output, no_redact: bool
) -> int:
    """Print every metric of RUN_DIR over optimizer steps.

    Where several files tell of one step the most exact one counts; --samples gives what each of them says, with
    its rank and the attempt it belongs to. Parquet needs pyarrow and -o. The format tensorboard writes an event file
    into the folder DIR of -o DIR, steps and wall times kept, so that any run, of a console log alone too, opens in
    TensorBoard; it needs medforensics[tensorboard].

    \b
    Example:
        medforensics timeline runs/llama-lora-17 --metric loss --metric grad_norm
        medforensics timeline runs/llama-lora-17 --metric loss --plot
        medforensics timeline runs/llama-lora-17 --samples --format parquet -o samples.parquet
        medforensics timeline train.log --format tensorboard -o boards/llama-lora-17
    """
    from forensics.fleet.alone import apart_of
    from forensics.investigate import read
    from forensics.report import timeline as page

    if plot and (samples or form != "table"):
        raise UsageError("--plot draws the merged series; it goes with neither --samples nor --format")
    if samples and form == "table":
        raise UsageError("--samples are many; give --format csv, json or parquet with it")
    if samples and form == "tensorboard":
        raise UsageError("tensorboard shows one value a step: the merged series, without --samples")
    target = _target(run_dir, output, form) if form in BINARY else None
    run = read(run_dir, apart=apart_of)
    tell_traffic(run)
    redactor = redactor_of(run, identities=hides_identities(form, output, no_redact=no_redact))
    if plot:
        import shutil

        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        width = shutil.get_terminal_size((80, 24)).columns
        unicode = encoding.lower().startswith("utf")
        output.write(page.plotted(run, metrics, width=max(40, min(width, 120)), unicode=unicode, redactor=redactor))
    elif target is not None and form == "tensorboard":
        _write_board(target, *page.event_file(run, metrics, redactor=redactor))
    elif target is not None:
        write_whole(target, page.parquet(run, metrics, samples=samples, redactor=redactor))
    else:
        output.write(page.render(run, metrics, form, samples=samples, redactor=redactor))
    return EXIT_FINE


def _target(run_dir: Place, output: Output, form: str) -> Path:
    if output.path is None:
        raise UsageError(f"{form} is no text; name {BINARY[form]} with -o")
    if isinstance(run_dir, Path) and run_dir.is_dir() and output.path.resolve().is_relative_to(run_dir.resolve()):
        raise UsageError("nothing is written into the run directory; name a place outside with -o")
    return output.path


def _write_board(folder: Path, name: str, data: bytes) -> None:
    """Write an event file into a folder of its own: TensorBoard joins all files of a folder into one run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*tfevents*")):
            raise UsageError(f"{folder} holds an event file already, which TensorBoard would mix with this one")
    except OSError as error:
        raise UsageError(f"{folder} cannot be made a folder: {error.strerror}") from error
    write_whole(folder / name, data)
