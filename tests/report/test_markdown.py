"""Markdown for an issue: never too long, the most important first, under the headings of a bug form."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report, Skip
from forensics.report import markdown, masked
from forensics.report._chart import mermaid
from forensics.report._templates import TEMPLATES
from runs import BROKEN, FOUNDING, HEALTHY, Case
from wide_tables import repeated

GOLDEN = Path(__file__).parent / "golden"
CONVERGING = next(case for case in HEALTHY if case.name == "converging")


@cache
def judged(path: Path) -> Report:
    return investigate(path, weights="full")


@pytest.mark.parametrize("case", [FOUNDING, CONVERGING], ids=str)
def test_the_masked_issue_reads_as_accepted(case: Case, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{case.name}.md", markdown.render(masked(judged(case.run), identities=True), masked=True))


def huge() -> Report:
    """The founding case with 10,000 tensors, 5,000 warnings and 2,000 files that were not read."""
    report = judged(FOUNDING.run)
    finding, checkpoint = report.findings[0], report.run.checkpoints[1]
    warnings = tuple(
        replace(finding, severity="warning", symptom="loss-spike", statement=f"spike {i} " + "x" * 300, step=i)
        for i in range(5_000)
    )
    table = checkpoint.table
    assert table is not None
    wide = replace(checkpoint, table=repeated(table, 10_000))
    skips = tuple(Skip(f"file-{i}.bin", f"reason {i} " + "y" * 200) for i in range(2_000))
    run = replace(report.run, checkpoints=(report.run.checkpoints[0], *(wide for _ in range(300))), skips=skips)
    return replace(report, findings=(*report.findings, *warnings), run=run)


@pytest.mark.parametrize("template", [None, *TEMPLATES])
@pytest.mark.parametrize("cap", [2_000, 5_000, 20_000, 60_000])
def test_a_huge_run_stays_under_the_cap(cap: int, template: str | None) -> None:
    text = markdown.render(huge(), max_chars=cap, template=template)

    assert len(text) <= cap
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```") % 2 == 0


@pytest.mark.parametrize("cap", [5_000, 60_000])
def test_a_huge_run_still_leads_with_verdict_cause_and_fix(cap: int) -> None:
    text = markdown.render(huge(), max_chars=cap)
    places = [text.find(part) for part in ("broken", 'overlap_comm": false', "ds-zero12-comm-corruption (DIST001)")]

    assert -1 not in places
    assert places == sorted(places)
    assert places[-1] < 5_000


def test_what_is_left_out_is_counted() -> None:
    text = markdown.render(huge())

    assert "and 4,98" in text
    assert "checkpoint-12" in text


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_has_the_headings_of_the_form_in_order(template: str) -> None:
    text = markdown.render(judged(FOUNDING.run), template=template)
    places = [text.find(f"### {heading}\n") for heading, _ in TEMPLATES[template]]

    assert -1 not in places
    assert places == sorted(places)
    assert "ds-zero12-comm-corruption" in text


def test_the_environment_has_the_labels_of_the_maintainers() -> None:
    text = markdown.render(judged(FOUNDING.run), template="transformers")

    assert "Environment, from the run" in text
    assert "- `transformers` version: `4.36.2`" in text
    assert "- DeepSpeed version: `0.12.5`" in text
    assert "- Using distributed or parallel set-up in script?: `yes, 2 processes`" in text


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_tables_and_blocks_are_whole(case: Case) -> None:
    """Every row of a table has as many cells as its head; every fence and every fold is closed."""
    text = markdown.render(judged(case.run))
    head = 0
    for line in text.splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
        assert not (head and cells) or head == cells, line
        head = cells
    assert text.count("```") % 2 == 0
    assert text.count("<details>") == text.count("</details>")


def test_the_chart_marks_the_onset_and_knows_plain_numbers_only() -> None:
    chart = mermaid(judged(FOUNDING.run))
    numbers = [n for line in chart.splitlines() if "[" in line for n in line.split("[")[1].rstrip("]").split(", ")]

    assert chart.startswith("```mermaid\n%%{init: ")
    assert "\nxychart-beta\n" in chart
    assert "onset at step 18" in chart
    assert [n for n in numbers if not n.replace(".", "").replace("-", "").isdigit()] == []
