"""Post-mortem of a dead language-model fine-tuning run.

    import forensics
    report = forensics.analyze("runs/llama-lora-17")
    print(report)                                        # the first screen
    print(report.hypotheses[0].cause)                    # ds-zero12-comm-corruption
    print(forensics.render(report, "markdown"))          # the report to attach to an issue

`read` gives the run without a judgement, and `read(path).frame()` a pandas DataFrame of every sample; `compare`,
`triage`, `scan` and `diff` are the commands of the same names. All of them raise a `forensics.errors.ForensicsError`
for what cannot be read, `UsageError` among them for what cannot be asked. Everything else may change between releases.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # what type checkers take for true, without the import of typing: the program starts here
if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Literal, TypeAlias

    from forensics.comparison import Comparison
    from forensics.fleet.row import Row
    from forensics.model import Checkpoint, Report, Run, Skip
    from forensics.storage.locations import Place

    Named: TypeAlias = str | PathLike[str]
    """A path of this machine; `analyze`, `read`, `scan` and `diff` take a URL as well."""
    Depth: TypeAlias = Literal["auto", "full", "quick", "off"]
    """How deep to look into checkpoints: a sample of each tensor where they are large, all bytes, a sample, or not."""
    Form: TypeAlias = Literal["terminal", "markdown", "html", "json", "sarif"]

__version__ = "0.2.0"
__all__ = ["__version__", "analyze", "compare", "diff", "read", "render", "scan", "triage"]


def analyze(path: Named, *, weights: Depth = "auto", select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Report:
    """Read a run directory (or one file) and judge it.

    `select` keeps only these rules (codes, beginnings of codes, names) or symptoms, `ignore` leaves them out; the
    verdict is given on what remains. In a notebook the report shows itself as a page.
    """
    from forensics import catalog
    from forensics.diagnosis.selection import Selection, filtered
    from forensics.fleet.alone import apart_of
    from forensics.investigate import investigate

    if "IPython" in sys.modules:
        from forensics.report import notebook

        notebook.register()
    selection = Selection(tuple(select), tuple(ignore))
    catalog.require_known((*selection.select, *selection.ignore))
    return filtered(investigate(_place(path), weights=weights, apart=apart_of), selection)


def read(path: Named) -> Run:
    """Read a run directory (or one file) without judging it; the weights are not scanned."""
    from forensics.fleet.alone import apart_of
    from forensics.investigate import read as read_path

    return read_path(_place(path), apart=apart_of)


def _place(path: Named) -> Place:
    from pathlib import Path

    from forensics.storage.locations import place_of

    return place_of(path) if isinstance(path, str) else Path(path)


def compare(good: Named, bad: Named) -> Comparison:
    """Return what differs between two runs, the difference that weighs most for what went wrong in `bad` first."""
    from pathlib import Path

    from forensics import catalog
    from forensics.comparison import Side
    from forensics.comparison import compare as compared
    from forensics.fleet.alone import apart_of
    from forensics.investigate import investigate

    sides = [Side(str(path), investigate(Path(path), weights="off", apart=apart_of)) for path in (good, bad)]
    return compared(sides[0], sides[1], catalog.rules())


def triage(
    root: Named, *, weights: Depth = "quick", workers: int = 0, cluster: str | None = None, seconds: float = 60.0
) -> tuple[Row, ...]:
    """Return one row for every run under `root`, by path, judged in `workers` processes (0: one a core).

    `cluster` is the address of a dask scheduler that sees the same files; `seconds` is what one run may take.
    """
    from pathlib import Path

    from forensics.fleet.run import Options
    from forensics.fleet.run import triage as judged

    return judged(Path(root), Options(workers, cluster, weights, seconds))


def scan(checkpoint: Named) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Look into every tensor of the checkpoints at a path or URL; return them, and what was left out."""
    from forensics.storage.locations import place_of
    from forensics.weights import inspection

    return inspection.scan(place_of(str(checkpoint)))


def diff(*checkpoints: Named) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Compare two checkpoints or more, each with the one before; return them, and what was left out."""
    from forensics.storage.locations import place_of
    from forensics.weights import inspection

    return inspection.compare([place_of(str(checkpoint)) for checkpoint in checkpoints])


def first_screen(report: Report) -> str:
    """Return what a report says first, in 23 lines of 80 columns at most: `print(report)` shows it."""
    from forensics.report import screen, without_secrets

    return screen.render(without_secrets(report)).rstrip("\n")


def render(report: Report, form: Form = "terminal", *, identities: bool | None = None) -> str:
    """Return the report in one of the formats of `medforensics analyze`.

    Secrets are always masked; `identities` masks users, hosts, paths and ids too, which is done when not told
    otherwise in the formats that are passed on (markdown, html, sarif).
    """
    from forensics.errors import UsageError
    from forensics.redaction.identities import machine_names, redactor_for
    from forensics.report import FORMATS, PASTED, masked_by, renderer

    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}; there are {', '.join(FORMATS)}")
    hidden = form in PASTED if identities is None else identities
    redactor = redactor_for(report.run, identities=hidden, names=machine_names() if hidden else {})
    return renderer(form)(masked_by(report, redactor))
