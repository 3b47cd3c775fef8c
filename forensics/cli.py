"""The command line: parse, call one function, print, exit. The only place that prints or exits.

Nothing heavy is imported here: `--help` must answer at once.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec

import click

import forensics
from forensics.commands.analyze import analyze
from forensics.commands.bundle import bundle
from forensics.commands.compare import compare
from forensics.commands.errors import EXIT_FINDINGS, EXIT_FINE, EXIT_INTERNAL
from forensics.commands.mcp import mcp
from forensics.commands.output import Output
from forensics.commands.plan import plan
from forensics.commands.recorder import recorder
from forensics.commands.shared import (
    PLACE,
    cluster_option,
    guarded,
    hides_identities,
    no_redact_option,
    output_option,
    quiet_option,
    redactor_of,
    tell_traffic,
)
from forensics.commands.skill import skill
from forensics.commands.timeline import timeline
from forensics.commands.triage import triage
from forensics.errors import UsageError
from forensics.storage.locations import Place, RemotePath

if TYPE_CHECKING:
    from forensics.model import Checkpoint
    from forensics.report.tensors import By, Choice

Given = ParamSpec("Given")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(forensics.__version__, prog_name="medforensics")
def main() -> None:
    """Find out why a fine-tuning run died, from what it left behind.

    Reads logs, event files, trainer states, configurations and checkpoints. Never writes into the run directory,
    never runs code out of a checkpoint, never touches the network unless you name a URL.
    """


main.add_command(analyze)
main.add_command(bundle)
main.add_command(compare)
main.add_command(plan)
main.add_command(recorder)
main.add_command(mcp)
main.add_command(skill)
main.add_command(timeline)
main.add_command(triage)


@main.command("env")
@click.argument("run_dir", type=PLACE)
@click.option("-f", "--format", "form", type=click.Choice(("table", "json")), default="table")
@output_option
@no_redact_option
@guarded
def environment(run_dir: Place, form: str, output: Output, no_redact: bool) -> int:
    """Print what the run in RUN_DIR ran on and with: versions, hardware, settings.

    \b
    Example:
        medforensics env runs/llama-lora-17
    """
    from forensics.fleet.alone import apart_of
    from forensics.investigate import read
    from forensics.report import environment as page
    from forensics.report import masked_run

    run = read(run_dir, apart=apart_of)
    tell_traffic(run)
    redactor = redactor_of(run, identities=hides_identities(form, output, no_redact=no_redact))
    output.write(page.render(masked_run(run, redactor), form))
    return EXIT_FINE


def tensor_options(command: Callable[Given, None]) -> Callable[Given, None]:
    """Add the options that choose and format the rows of a tensor table."""
    only = ("nan", "inf", "zero", "unchanged", "changed", "dead-rows")
    for option in (
        click.option("--only", help=f"Only tensors with one of these, by comma: {', '.join(only)}."),
        click.option("--select", multiple=True, metavar="GLOB", help="Only tensors whose name matches."),
        click.option("--top", default=20, show_default=True, help="How many rows a checkpoint; 0 for all."),
        click.option(
            "--by",
            type=click.Choice(("tensor", "layer", "kind")),
            default="tensor",
            show_default=True,
            help="Put the rows of the table together by layer, or by kind: one tensor of all layers.",
        ),
        click.option("-f", "--format", "form", type=click.Choice(("table", "csv", "json")), default="table"),
    ):
        command = option(command)
    return command


@main.command()
@click.argument("checkpoints", type=PLACE, nargs=-1, required=True)
@tensor_options
@click.option(
    "--verify-with-torch", is_flag=True, help="Count again with torch, for files that you trust (needs torch)."
)
@cluster_option
@output_option
@no_redact_option
@quiet_option
@guarded
def scan(  # noqa: PLR0913, PLR0917  (the options of the command)
    checkpoints: tuple[Place, ...],
    only: str | None,
    select: tuple[str, ...],
    top: int,
    by: "By",
    form: str,
    verify_with_torch: bool,
    cluster: str | None,
    output: Output,
    no_redact: bool,
    quiet: bool,
) -> int:
    """Look into every tensor of CHECKPOINTS: NaN, Inf, zeros, range, norms; the worst first.

    A checkpoint is a folder, a weight file, or a URL of either (s3://, gs://, hf://, https://), read by ranges.
    Exits with 1 when a tensor holds NaN or Inf, when something could not be read, is damaged, empty or missing, or when
    a pickle asks for code.

    \b
    Example:
        medforensics scan out/checkpoint-500
        medforensics scan model.safetensors --only nan,zero --top 0
        medforensics scan s3://bucket/out/checkpoint-500
    """
    from forensics.cluster import perhaps_connected
    from forensics.progress import reporter
    from forensics.report import masked_checkpoints, tensors
    from forensics.weights import inspection

    choice = _choice(only, select, top, by)
    if verify_with_torch:
        if any(isinstance(path, RemotePath) for path in checkpoints):
            raise UsageError("--verify-with-torch reads files of this machine; download the checkpoint first")
        inspection.verify(())  # Without torch it says so before anything is scanned.
    with perhaps_connected(cluster) as workers, reporter(quiet=quiet) as progress:
        scanned = [inspection.scan(path, progress=progress, cluster=workers) for path in checkpoints]
    found = [checkpoint for part, _ in scanned for checkpoint in part]
    redactor = redactor_of(identities=hides_identities(form, output, no_redact=no_redact))
    shown, skips = masked_checkpoints(found, [skip for _, left in scanned for skip in left], redactor)
    output.write(tensors.render(shown, skips, choice, form) + _footer(found, form))
    if verify_with_torch and not _agrees_with_torch(found):
        return EXIT_FINDINGS
    if any(skip.internal for skip in skips):
        return EXIT_INTERNAL
    return EXIT_FINE if all(checkpoint.status == "clean" for checkpoint in found) else EXIT_FINDINGS


def _footer(found: "Sequence[Checkpoint]", form: str) -> str:
    """Return the last line of a table: what would have been faster, where it is worth telling."""
    from forensics.weights import inspection

    told = inspection.hint(found) if form == "table" else ""
    return f"\n{told}\n" if told else ""


def _agrees_with_torch(checkpoints: "Sequence[Checkpoint]") -> bool:
    from forensics.report import without_secrets
    from forensics.report._safe import clean
    from forensics.weights import inspection

    agrees = True
    for checkpoint, seen in inspection.verify(checkpoints):
        agrees = agrees and not seen.differing
        told = f"{checkpoint.path}: torch counted {seen.checked:,} tensors, {len(seen.differing):,} differ"
        left = f", {len(seen.unchecked):,} could not be asked for" if seen.unchecked else ""
        for line in (told + left, *seen.differing[:20], *seen.unchecked[:5]):
            click.echo(clean(without_secrets(line), 500), err=True)
    return agrees


@main.command()
@click.argument("checkpoints", type=PLACE, nargs=-1, required=True)
@tensor_options
@cluster_option
@output_option
@no_redact_option
@quiet_option
@guarded
def diff(  # noqa: PLR0913, PLR0917  (the options of the command)
    checkpoints: tuple[Place, ...],
    only: str | None,
    select: tuple[str, ...],
    top: int,
    by: "By",
    form: str,
    cluster: str | None,
    output: Output,
    no_redact: bool,
    quiet: bool,
) -> int:
    """Compare checkpoints A B [C ...], each with the one before: what moved, how far, what stood still.

    Each is a folder, a weight file, or a URL of either.

    \b
    Example:
        medforensics diff out/checkpoint-500 out/checkpoint-1000
        medforensics diff base.safetensors tuned.safetensors --only unchanged
    """
    from forensics.cluster import perhaps_connected
    from forensics.progress import reporter
    from forensics.report import masked_checkpoints, tensors
    from forensics.weights import inspection

    choice = _choice(only, select, top, by)
    with perhaps_connected(cluster) as workers, reporter(quiet=quiet) as progress:
        found, left = inspection.compare(checkpoints, progress=progress, cluster=workers)
    redactor = redactor_of(identities=hides_identities(form, output, no_redact=no_redact))
    compared, skips = masked_checkpoints(found, left, redactor)
    output.write(tensors.render(compared[1:], skips, choice, form, base=compared[0]) + _footer(found, form))
    return EXIT_FINE


def _choice(only: str | None, select: tuple[str, ...], top: int, by: "By") -> "Choice":
    from forensics.report.tensors import ONLY, Choice

    wanted = tuple(word.strip() for word in only.split(",")) if only else ()
    unknown = [word for word in wanted if word not in ONLY]
    if unknown:
        raise UsageError(f"--only {unknown[0]} is not known; it takes {', '.join(ONLY)}")
    return Choice(select, wanted, top, by)


@main.command()
@click.argument("name", nargs=-1, required=True)
@guarded
def explain(name: tuple[str, ...]) -> int:
    """Explain a rule (by code or name) or a symptom; any other words list what speaks of them.

    \b
    Example:
        medforensics explain DIST001
        medforensics explain loss-to-zero
        medforensics explain nan
    """
    from forensics import catalog
    from forensics.report import explain as page

    word = " ".join(name)
    found = catalog.find(word)
    if not found.exact:
        click.echo(page.several(word, found.rules, found.symptoms))
    elif found.rules:
        click.echo(page.render(found.rules[0]))
    else:
        wanted = found.symptoms[0]
        detector = next((d for d in catalog.detectors() if d.name == wanted), None)
        click.echo(page.symptom(wanted, detector, catalog.rules()))
    return EXIT_FINE


@main.command()
@click.option("-f", "--format", "form", type=click.Choice(("table", "json")), default="table")
@click.option(
    "--table", is_flag=True, help="Print what is covered: for each symptom the rules that can stand behind it."
)
@click.option("--vocabulary", is_flag=True, help="Print the words that a rule may look at, for who writes one.")
@guarded
def rules(form: str, table: bool, vocabulary: bool) -> int:
    """List every cause and mechanism that can be told apart.

    \b
    Example:
        medforensics rules
        medforensics rules --table
        medforensics rules --vocabulary
    """
    from forensics import catalog
    from forensics.report import rules as page
    from forensics.report import vocabulary as words

    if vocabulary:
        click.echo(words.render(catalog.vocabulary()))
        return EXIT_FINE

    symptoms = [detector.name for detector in catalog.detectors()]
    click.echo(page.coverage(catalog.rules(), symptoms) if table else page.render(catalog.rules(), form))
    return EXIT_FINE


@main.command()
@guarded
def formats() -> int:
    """List every format that can be read.

    \b
    Example:
        medforensics formats
    """
    from forensics import catalog
    from forensics.report import formats as page

    click.echo(page.render([*catalog.readers(), *catalog.documents()]))
    return EXIT_FINE
