"""The terminal report: what comes first, how wide it is, what a terminal gets that cannot show everything."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from rich.cells import cell_len

from forensics.investigate import investigate
from forensics.model import Report
from forensics.redaction import Redactor
from forensics.report import brief, masked, terminal
from runs import BROKEN, FOUNDING, HEALTHY, Case

GOLDEN = Path(__file__).parent / "golden"
CONVERGING = next(case for case in HEALTHY if case.name == "converging")


@cache
def judged(path: Path) -> Report:
    return investigate(path, weights="full")


def shown(case: Case, **options: bool) -> str:
    report = replace(judged(case.run), run=replace(judged(case.run).run, root=Path("run")))
    return terminal.render(masked(report, identities=False), **options)


@pytest.mark.parametrize("case", [FOUNDING, CONVERGING], ids=str)
def test_the_terminal_report_reads_as_accepted(case: Case, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{case.name}.txt", shown(case))


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("verbose", [True, False])
@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_no_line_is_wider_than_eighty_columns(case: Case, verbose: bool, unicode: bool) -> None:
    lines = shown(case, verbose=verbose, unicode=unicode).splitlines()

    assert [line for line in lines if cell_len(line) > 80] == []


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_a_terminal_without_unicode_gets_ascii(case: Case) -> None:
    text = shown(case, unicode=False, verbose=True)

    assert text.isascii()
    assert "NaN, Inf" in text or "x" in text


def test_colour_only_where_it_is_asked_for() -> None:
    assert "\x1b[" not in shown(FOUNDING)
    assert "\x1b[1;31mBROKEN" in shown(FOUNDING, color=True)


def test_the_sections_stand_in_the_order_in_which_they_are_needed() -> None:
    text = shown(FOUNDING)
    heads = ["BROKEN", "what ", "when      step 18", "cause ", "last good checkpoint-12", "change ", "loss, ",
             "read ", "checked ", "Why", "What to change", "To be sure", "Checkpoints\n",
             "--resume_from_checkpoint run/checkpoint-12", "What the run shows", "Environment",
             "Not examined"]  # fmt: skip
    places = [text.find(head) for head in heads]

    assert -1 not in places
    assert places == sorted(places)


def test_fixes_are_lines_to_copy() -> None:
    text = shown(FOUNDING)

    assert "   pip install deepspeed==0.11.1\n" in text
    assert '   {"zero_optimization": {"overlap_comm": false}}   # ds_zero2.json\n' in text


def test_verbose_names_all_that_brevity_counts() -> None:
    brief, full = shown(FOUNDING), shown(FOUNDING, verbose=True)
    excluded = [h.cause for h in judged(FOUNDING.run).hypotheses if h.verdict == "ruled out"]

    assert f"Ruled out: {len(excluded)} other causes" in brief
    assert [cause for cause in excluded if cause not in " ".join(full.split())] == []


def test_a_healthy_run_is_told_in_a_few_lines() -> None:
    text = shown(CONVERGING)

    assert text.startswith("HEALTHY  run\nwhat      Nothing is wrong")
    assert "What to change" not in text
    assert "--resume" not in text


def test_the_brief_report_is_verdict_and_headline() -> None:
    lines = brief.render(judged(FOUNDING.run), Redactor(identities=False)).splitlines()

    assert lines[0] == "broken"
    assert len(lines) == 2
