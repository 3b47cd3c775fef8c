"""What an author tried is read as an experiment, and argues for what it parts from the rest."""

from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Hypothesis, Report
from forensics.signatures.tried import trials_in

TOLD = (
    (
        "NaN with deepspeed==0.13.5 but ok with deepspeed==0.10.2",
        [("deepspeed", "0.13.5", 0), ("deepspeed", "0.10.2", 1)],
    ),
    ("After I upgraded transformers to 4.50.0, the loss is NaN.", [("transformers", "4.50.0", 0)]),
    ("Downgrading to transformers 4.49.0 solves it.", [("transformers", "4.49.0", 1)]),
    (
        "My loss is NaN with torch 2.4.1. After switching to version 2.6.0 it is normal.",
        [("torch", "2.4.1", 0), ("torch", "2.6.0", 1)],
    ),
    ("It hangs with torch 2.5.0 as well as with torch 2.6.0.", [("torch", "2.5.0", 0), ("torch", "2.6.0", 0)]),
    (
        "With ZeRO-0 the norm increases abnormally, ZeRO-1/2 give normal norms.",
        [("zero_optimization.stage", "0", 0), ("zero_optimization.stage", "1", 1), ("zero_optimization.stage", "2", 1)],
    ),
    ("I disabled flash attention and the loss is stable.", [("attn_implementation", "not flash_attention_2", 1)]),
    ("Setting overlap_comm to false fixes it, it was fixed at once.", [("zero_optimization.overlap_comm", "false", 1)]),
    (
        "It hangs with more than one GPU, a single GPU works.",
        [("several ranks", "true", 0), ("several ranks", "false", 1)],
    ),
    ("单卡训练正常", [("several ranks", "false", 1)]),
    ("Downgrading to deepspeed 0.12.3 does not work.", [("deepspeed", "0.12.3", 0)]),
)
SILENT = (
    "Does it work with deepspeed 0.10.2?",
    "You should try torch 2.5.1, it works.",
    "I use torch 2.5.1 and transformers 4.46.1.",
    "Maybe it works with torch 2.5.1.",
    "I trained on train and dev datasets of release 0.61.6, and it works.",
    "My loss is 2.30 with torch.",
    "It works with torch 2.5.1 here and fails with torch 2.5.1 there.",
)


@pytest.mark.parametrize(("sentence", "expected"), TOLD)
def test_a_sentence_tells_what_was_tried_and_how_it_went(sentence: str, expected: list[tuple[str, str, int]]) -> None:
    assert [(trial.name, trial.value, int(trial.works)) for trial in trials_in(sentence)] == expected


@pytest.mark.parametrize("sentence", SILENT)
def test_what_is_asked_advised_supposed_or_merely_installed_was_not_tried(sentence: str) -> None:
    assert trials_in(sentence) == []


def judged(folder: Path, text: str) -> Report:
    (folder / "issue.md").write_text(text)
    return investigate(folder)


def cause(report: Report, name: str) -> Hypothesis | None:
    return next((h for h in report.hypotheses if h.cause == name), None)


STATED = "# Loss is NaN\n\nMy loss is NaN after 20 steps. "


def test_a_release_that_works_beside_one_that_fails_is_a_change_between_them(tmp_path: Path) -> None:
    report = judged(tmp_path, f"{STATED}With trl 0.9.6 it works, with trl 0.11.0 it fails.\n")
    found = cause(report, "framework-regression")

    assert found is report.hypotheses[0]
    assert found is not None
    assert found.verdict == "possible"
    assert "a change between trl 0.9.6 and 0.11.0" in found.evidence[0].statement
    assert str(found.evidence[0].source) == "issue.md:line 3"
    assert report.run.environment.version("trl") == "0.11.0"


def test_a_cure_alone_fails_with_the_release_on_file(tmp_path: Path) -> None:
    fence = "```\ntorch==2.5.1\ntransformers==4.46.1\ntrl==0.11.0\n```\n"
    report = judged(tmp_path, f"{STATED}Downgrading to trl 0.9.6 solves it for me.\n\n{fence}")

    assert cause(report, "framework-regression") is not None


def test_without_a_release_that_works_nothing_is_said_of_a_change(tmp_path: Path) -> None:
    report = judged(tmp_path, f"{STATED}It fails with trl 0.9.6 and with trl 0.11.0.\n")

    assert cause(report, "framework-regression") is None


def test_a_range_that_parts_what_was_tried_speaks_for_its_cause_and_another_against_it(tmp_path: Path) -> None:
    """DeepSpeed 0.17.6 changed the gradients of ZeRO-2 (`ds-zero2-gradient-regression`)."""
    told = (
        "# Gradient norm is 0\n\nI see that my gradient norm is 0 with ZeRO-2."
        " It {} with deepspeed {}, and {} with deepspeed {}.\n"
    )

    def points(folder: str, *words: str) -> list[int]:
        place = tmp_path / folder
        place.mkdir()
        found = cause(judged(place, told.format(*words)), "ds-zero2-gradient-regression")
        return [e.points for e in (found.evidence if found else ()) if e.key == "trial of deepspeed"]

    assert points("for", "fails", "0.17.6", "works", "0.16.9") == [3]
    assert points("against", "fails", "0.16.9", "works", "0.16.7") == [-2]


def test_what_an_author_changed_with_success_speaks_for_the_causes_that_need_it(tmp_path: Path) -> None:
    report = judged(
        tmp_path, "# Gradient norm explodes with ZeRO-0\n\nMy norm explodes with ZeRO-0. ZeRO-2 works fine.\n"
    )
    found = cause(report, "ds-zero0-bf16-gradient-bug")

    assert found is report.hypotheses[0]
    assert found is not None
    assert any(e.points == 3 and "changed that" in e.statement for e in found.evidence)


def test_a_configuration_outranks_what_a_sentence_says(tmp_path: Path) -> None:
    fence = '```json\n{"zero_optimization": {"stage": 3}, "bf16": {"enabled": true}}\n```\n'
    report = judged(tmp_path, f"{STATED}It fails with ZeRO-2.\n\n{fence}")

    assert report.run.environment.value("zero_optimization.stage") == 3
