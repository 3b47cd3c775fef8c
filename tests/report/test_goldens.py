"""What every output says of the founding case and of a healthy run, as accepted; texts for people lie beside them."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.redaction.identities import redactor_for
from forensics.report import html, masked_by, sarif, tensors, timeline
from forensics.report import json as data
from forensics.report.excerpts import excerpts, masked_excerpts
from runs import FOUNDING, HEALTHY, Case

GOLDEN = Path(__file__).parent / "golden"
CONVERGING = next(case for case in HEALTHY if case.name == "converging")
FEW = ("*norm*", "*embed*")
"""Tensors that stand for all: what has no room here is one row like them."""
OURS = re.compile(r"<(script|style)>.*?</\1>", re.DOTALL)


@cache
def shown(run: Path) -> Mapping[str, str]:
    """Return what is passed on of a run by the ending of its file."""
    report = investigate(run, weights="full")
    redactor = redactor_for(report.run, identities=True, names={})
    found = masked_excerpts(tuple(excerpts(report)), redactor)
    masked = masked_by(report, redactor)
    return {
        "html": without_assets(html.render(masked, masked=True, excerpts=found)),
        "json": data.render(masked) + "\n",
        "sarif": sarif.render(masked).rstrip("\n") + "\n",
        "timeline.csv": timeline.render(report.run, ("loss", "eval_loss"), "csv", redactor=redactor),
        "tensors.csv": tensors.render(masked.run.checkpoints, (), tensors.Choice(FEW, top=0), "csv"),
    }


def without_assets(page: str) -> str:
    """Return the page without its scripts, styles and their hashes, which are files of their own."""
    bare = OURS.sub(r"<\1></\1>", page)
    return re.sub(r"&#39;sha256-[^&]*&#39;|'sha256-[^']*'", "HASH", bare).rstrip("\n") + "\n"


@pytest.mark.parametrize("form", ["html", "json", "sarif", "timeline.csv", "tensors.csv"])
@pytest.mark.parametrize("case", [FOUNDING, CONVERGING], ids=str)
def test_the_output_reads_as_accepted(case: Case, form: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{case.name}.{form}", shown(case.run)[form])


@pytest.mark.parametrize("case", [FOUNDING, CONVERGING], ids=str)
def test_programs_can_read_what_is_accepted(case: Case) -> None:
    """The files are whole: JSON without bare NaN, tables whose rows are as long as their head."""
    for form in ("json", "sarif"):
        json.loads((GOLDEN / f"{case.name}.{form}").read_text(), parse_constant=pytest.fail)
    for form in ("timeline.csv", "tensors.csv"):
        rows = list(csv.reader(io.StringIO((GOLDEN / f"{case.name}.{form}").read_text())))

        assert {len(row) for row in rows} == {len(rows[0])}
