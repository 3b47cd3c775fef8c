"""The first screen of every fixture: short, whole, and in no contradiction with the rest of its report."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from rich.cells import cell_len

import forensics
from forensics.diagnosis import judgement
from forensics.diagnosis.headline import MOST
from forensics.investigate import investigate
from forensics.model import Evidence, Fix, Hypothesis, Report
from forensics.report import _first as first
from forensics.report import html, markdown, screen, terminal
from forensics.report._advice import PACKAGES, fix_lines, resume_line
from forensics.testing import make_run
from runs import BROKEN, FOUNDING, HEALTHY, RUNS, Case

EVERY = [*BROKEN, *HEALTHY]


@cache
def judged(path: Path) -> Report:
    return investigate(path, weights="full")


def said(case: Case) -> dict[str, str]:
    return {row.word: row.said for row in (*first.rows(judged(case.run)), *first.basis(judged(case.run)))}


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_it_fits_a_terminal(case: Case, unicode: bool) -> None:
    lines = screen.render(judged(case.run), unicode=unicode).splitlines()

    assert len(lines) <= screen.ROWS
    assert [line for line in lines if cell_len(line) > 80] == []


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_the_headline_is_short(case: Case) -> None:
    assert len(judged(case.run).headline) <= MOST


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_it_says_what_and_because_of_what(case: Case) -> None:
    text = screen.render(judged(case.run))

    assert re.search(r"^what ", text, re.MULTILINE)
    assert re.search(r"^cause ", text, re.MULTILINE)
    assert re.search(r"^(change|try|next) ", text, re.MULTILINE) or not first.remedy(judged(case.run))


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_a_curve_that_was_read_is_drawn(case: Case) -> None:
    report = judged(case.run)
    loss = report.run.timeline.get("loss")
    if loss is None or len(loss) < 2:
        pytest.skip("no curve was read")

    assert "\u251c" in screen.render(report) or "\u2524" in screen.render(report)


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_every_report_says_what_was_read_and_judged(case: Case) -> None:
    """In the terminal, in Markdown and on the page, of healthy runs too; what was not judged has its reason."""
    report = judged(case.run)
    told = said(case)
    for text in (terminal.render(report), markdown.render(report), html.render(report)):
        assert "checked" in text
        assert " checks of " in text
    for what, reason in report.checked.not_judged:
        assert what.removeprefix(first.SHAPE) in told["checked"]
        assert reason in told["checked"]


def test_print_shows_it() -> None:
    report = forensics.analyze(FOUNDING.run)

    assert str(report) == screen.render(report).rstrip("\n")
    assert forensics.render(report, "terminal").startswith(str(report))


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_no_resume_flag_fails(case: Case) -> None:
    """What is offered to a resume holds weights and, for the Trainer, its state."""
    line = resume_line(judged(case.run))
    good = judged(case.run).run.last_good_checkpoint
    if line is None or good is None:
        return
    folder = case.run / good.path

    assert good.status == "clean"
    if line.text.startswith("--resume"):
        assert (folder / "trainer_state.json").is_file()
        assert list(folder.rglob("*.safetensors")) + list(folder.rglob("*.bin"))


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_fine_and_bad_are_two_steps(case: Case) -> None:
    """A step that was fine lies before the one that is bad, in every finding and in what is shown of them."""
    for finding in judged(case.run).findings:
        fine, bad = finding.step_range
        assert fine is None or bad is None or fine <= bad
    for good, shown in re.findall(r"step ([0-9,]+)[^(]*\(step ([0-9,]+) was fine\)", said(case).get("when", "")):
        assert int(shown.replace(",", "")) < int(good.replace(",", ""))


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_a_fine_step_was_read(case: Case) -> None:
    """Something was logged or saved at the step that is called fine."""
    report = judged(case.run)
    began = judgement.onset(report)
    if began is None or "was fine" not in said(case)["when"] or began.axis != "step":
        return
    fine = began.step_range[0]
    read = {int(step) for series in report.run.timeline.series.values() for step in series.steps}

    assert fine in read | {c.step for c in report.run.checkpoints} | {0}


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_nothing_is_wrong_stands_beside_no_fault(case: Case) -> None:
    report = judged(case.run)
    wrong = [f for f in report.findings if f.severity != "notice"]
    strong = [h for h in report.hypotheses if h.holds and not h.benign]

    if "othing is wrong" in report.headline or "no fault" in said(case)["checked"].lower():
        assert (wrong, strong) == ([], [])
    assert ("no fault" in said(case)["checked"]) <= (report.findings == ())


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_a_clean_checkpoint_has_no_problem(case: Case) -> None:
    run = judged(case.run).run
    for checkpoint in run.checkpoints:
        if checkpoint.status == "clean":
            assert checkpoint.table is not None
            assert not checkpoint.table.poisoned.any()
            assert [p for p in checkpoint.problems if p.kind in {"damaged", "incomplete"}] == []
    assert run.last_good_checkpoint is None or run.last_good_checkpoint.status == "clean"


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_headline_and_first_screen_name_one_cause(case: Case) -> None:
    headline, cause = judged(case.run).headline, said(case)["cause"]

    assert ("unknown" in headline) == cause.startswith("unknown")
    assert ("fit equally well" in headline) == ("fit equally well" in cause)
    assert ("Possible cause" in headline) == cause.startswith("possible")
    assert ("Likely cause" in headline) == cause.startswith("likely")


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_no_fix_repeats_what_the_run_did(case: Case) -> None:
    """No line to copy sets a setting to the value that it had."""
    report = judged(case.run)
    for hypothesis in report.hypotheses:
        for fix in hypothesis.fixes:
            for line in fix_lines(fix, report.run):
                name, sign, value = line.text.partition("=")
                known = report.run.environment.best(name) if sign and line.where == "training arguments" else None
                assert known is None or str(known.value) != value.strip("'\"")


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_the_first_advice_is_about_packages_of_the_run(case: Case) -> None:
    """The first thing to do names no package that the run shows no trace of."""
    report = judged(case.run)
    remedy = first.remedy(report)
    if remedy is None:
        return
    text = " ".join([remedy.said, *(line.text for line in remedy.lines)]).lower()
    run = report.run
    traces = {name for name in PACKAGES if run.environment.best(name, "package") is not None} | set(run.frameworks)
    named = {name for name in PACKAGES if re.search(rf"\b{name}\b", text)} - {"torch", "transformers", "numpy"}

    assert named <= traces


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_steps_that_ran_are_no_more_than_all(case: Case) -> None:
    match = re.search(r"; ([0-9,]+) of ([0-9,]+) \w+ ran from there on", said(case).get("when", ""))
    if match is not None:
        after, total = (int(number.replace(",", "")) for number in match.groups())
        assert 0 < after < total


def test_a_healthy_report_tells_no_cause_that_is_merely_possible() -> None:
    """A notice (a rate that stands) needs no explanation that nothing confirms; what is sure stays."""
    report = judged(HEALTHY[0].run)
    for points, word in ((3, "possible"), (12, "established")):
        signs = (Evidence(points, "the loss falls"),)
        hypothesis = Hypothesis("fp16-scaler-skip", "NUM018", "The scaler skipped", ("lr-constant",), (), signs)
        page = terminal.render(replace(report, hypotheses=(hypothesis,)))

        assert hypothesis.verdict == word
        assert ("fp16-scaler-skip" in page) == (word == "established")
    assert report.verdict == "healthy"


def test_a_release_is_installed_and_a_setting_is_written() -> None:
    """A package that no list knows is one that is asked for by a range."""
    fix = Fix("", {"mlx": ">=0.24.1", "deepspeed": "0.11.1", "max_grad_norm": 0.5, "optim": "adamw_torch"})

    assert [line.text for line in fix_lines(fix, make_run(loss=[1.0]))] == [
        "pip install 'mlx>=0.24.1' deepspeed==0.11.1",
        "max_grad_norm=0.5",
        "optim='adamw_torch'",
    ]


def test_all_fixtures_are_walked() -> None:
    assert len(EVERY) == len(list(RUNS.glob("*/*/truth.json")))


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (
            "the loss is NaN from step 3 (it was 2.5 before); so is the evaluation",
            ["the loss is NaN from step 3 (it was 2.5 before); so is the evaluation"],
        ),
        (
            "reported, not seen in numbers: “after more than ten epochs of it the loss turned into NaN and stayed.”",
            [
                "reported, not seen in numbers: “after more than ten epochs of it the",
                "loss turned into NaN and stayed.”",
            ],
        ),
        (f"a word without a blank: {'x' * 150}", ["a word without a blank..."]),
        ("訓練を" + "続" * 55, ["訓練を" + "続" * 32, "続" * 23]),
        ("訓練を" + "続" * 90, ["訓練を" + "続" * 32, "続" * 26 + "..."]),
    ],
)
def test_what_happened_is_told_whole_in_two_lines_at_most(statement: str, shown: list[str]) -> None:
    report = judged(FOUNDING.run)
    gravest, *others = report.findings
    told = replace(report, findings=(replace(gravest, statement=statement), *others))
    _, *lines = screen.render(told).splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("when"))

    assert [line[screen.INDENT :] for line in lines[:end]] == shown
