"""What an author says of his set-up, of what he compared and of what his run died of argues for causes, weakly."""

from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Evidence, Report
from forensics.rules._seen import Seen, weigh
from forensics.signatures.described import SWITCHES
from forensics.signatures.reported import events_in
from forensics.signatures.spoken_ends import ENDS, ends_in
from forensics.signatures.tried import described_in, trials_in

NAN = "# Loss is NaN\n\nMy loss turns to NaN after 20 steps."
CAUSES = (
    (f"{NAN} I train in half precision.", "fp16-overflow"),
    ("# 训练时 loss 变成 nan\n\n我使用fp16模式,请问为什么loss会变成nan", "fp16-overflow"),
    (f"{NAN} Mixed precision is switched on.", "fp16-overflow"),
    ("# NaN loss on a 1650 Super", "fp16-hardware"),
    (f"{NAN} We use a Tesla V100.", "fp16-hardware"),
    (f"{NAN} It fails with bf16, whereas fp32 runs normally.", "model-code-unstable"),
    (
        "# Loss is NaN with version 1.4.0\n\nI trained well with 1.3.2, but 1.4.0 gives NaN losses.",
        "framework-regression",
    ),
    ("# 更新之后 loss 变成 nan\n\n请问为什么loss会变成nan", "framework-regression"),
    ("# Loss NaN starting with mlx-lm 0.21.7\n\nI see a training loss of NaN.", "framework-regression"),
    ("# Loss is NaN on an A40 but not on an A100\n\nMy loss is NaN there.", "environment-stack-regression"),
    (f"{NAN} On CPU my training works.", "environment-stack-regression"),
    (f"{NAN} It began when I switched the attention from sdpa to ring attention, so it fails.", "custom-kernel"),
    ("# Flash attention leads to a much higher loss compared to sdpa\n\nMy loss is much higher.", "custom-kernel"),
    (f"{NAN} It is NaN with 4 GPUs, and a single GPU works.", "pcie-p2p-corruption"),
    ("# Strange losses after upgrade from 1.21.5 to 1.22\n\nMy loss is NaN there.", "framework-regression"),
    ("# My training hangs\n\nI train on 4 V100 GPUs, and my training hangs in epoch 2.", "collective-timeout"),
    ("# OOM happens in backward\n\nMy training exits with an out of memory error.", "out-of-memory"),
    ("# My GPU memory is full after 300 steps\n\nThe GPU memory keeps growing.", "out-of-memory"),
    ("# 训练时内存不足\n\n请问为什么会内存不足", "host-memory-exhausted"),
    ("# The data loader's worker died unexpectedly\n\nI get this in my training.", "data-loader-failure"),
    ("# Bus error in training\n\nI get a bus error after an epoch of my training.", "shared-memory-full"),
    ("# Training: no space left, the disk is full\n\nMy training stops.", "disk-full"),
)


def judged(folder: Path, text: str) -> Report:
    (folder / "issue.md").write_text(f"{text}\n")
    return investigate(folder)


@pytest.mark.parametrize(("text", "cause"), CAUSES)
def test_what_is_said_makes_a_cause_possible_and_never_more(tmp_path: Path, text: str, cause: str) -> None:
    report = judged(tmp_path, text)

    assert report.hypotheses[0].cause == cause
    assert report.hypotheses[0].verdict == "possible"
    assert all(h.verdict not in {"likely", "established"} for h in report.hypotheses)


SILENT = (
    "# FP16 and the learning rate\n\nI train in fp16 on a V100, does the learning rate need to be changed?",
    "# How much memory do I need\n\nI have 4 RTX 3090 cards for my training. Is that enough GPU memory?",
    "# Version 2.0.1\n\nI train with version 2.0.1, and it works as well as 1.9.3.",
    "# Feature: watch the RAM\n\nI want a warning before the RAM is full in training.",
    "# Do I need a bigger disk\n\nIf the disk is full, does my training stop?",
)


@pytest.mark.parametrize("text", SILENT)
def test_a_question_of_a_set_up_is_no_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "issue.md").write_text(f"{text}\n")
    (tmp_path / "train.log").write_text("".join(f"step {n} loss {2 - n / 100:.4f}\n" for n in range(1, 60)))
    report = investigate(tmp_path)

    assert [f.symptom for f in report.findings if f.severity != "notice"] == []


DESCRIBED: tuple[tuple[str, set[tuple[str, str]]], ...] = (
    ("I use fp16 on 8*4090.", {("fp16", "true"), ("several ranks", "true"), ("gpu", "RTX 4090")}),
    ("The loss is NaN without AMP as well.", {("mixed_precision", "not 16-mixed")}),
    ("It works with fp16.", set()),
    ("You should use bf16.", set()),
    ("Should I use an A100?", set()),
    ("Only the CPU fails.", set()),
    ("After 2080 steps and 4090 samples it fails.", set()),
)


@pytest.mark.parametrize(("sentence", "expected"), DESCRIBED)
def test_a_sentence_describes_a_set_up(sentence: str, expected: set[tuple[str, str]]) -> None:
    assert {(m.name, m.value) for m in described_in(sentence)} == expected


COMPARED: tuple[tuple[str, list[tuple[str, bool]]], ...] = (
    ("NaN on a V100 but not on an A100", [("V100", False), ("A100", True)]),
    ("fp16 is worse than bf16", [("true", False), ("true", True)]),
    ("I changed it from sdpa to flash attention and it hangs", [("sdpa", True), ("flash_attention_2", False)]),
    ("It fails since torch 2.5.1", [("2.5.1", False), ("before 2.5.1", True)]),
    ("In the previous version it works", [("before an update", True), ("after an update", False)]),
    ("I use version 1.2.3 and it fails", []),
)


@pytest.mark.parametrize(("sentence", "expected"), COMPARED)
def test_one_thing_was_changed_and_it_went_another_way(sentence: str, expected: list[tuple[str, bool]]) -> None:
    assert sorted((t.value, t.works) for t in trials_in(sentence)) == sorted(expected)


def test_two_values_of_a_setting_say_nothing(tmp_path: Path) -> None:
    report = judged(tmp_path, f"{NAN} I use a V100. I use an A100 there. I use bf16. I use fp16 there. I use amp.")

    assert report.run.environment.best("gpu", "hardware") is None
    assert report.run.environment.best("mixed_precision") is None
    assert report.run.environment.value("bf16") is True


def test_a_configuration_outranks_a_sentence_and_is_not_contradicted_by_it(tmp_path: Path) -> None:
    report = judged(
        tmp_path, f"{NAN} I train in half precision.\n\n```yaml\nfp16: false\nbf16: true\nlearning_rate: 1.0e-4\n```"
    )

    assert report.run.environment.value("fp16") is False
    assert report.run.environment.conflicts("fp16") == ()


@pytest.mark.parametrize("row", ENDS, ids=lambda row: f"{row[0]} {row[1]}")
def test_each_end_has_words_that_others_do_not_take(row: tuple[str, str, str]) -> None:
    said = {
        ("shared-memory-full", "crash-exception"): "the shared memory is too small",
        ("data-loader-worker", "crash-exception"): "a worker exited unexpectedly",
        ("host-memory", "crash-memory"): "my RAM is full",
        ("host-memory", ""): "the CPU memory keeps growing",
        ("out-of-memory", "crash-oom"): "the VRAM is exhausted",
        ("out-of-memory", ""): "the VRAM keeps growing",
        ("disk-full", "crash-disk"): "no space left",
        ("illegal-memory-access", "crash-device"): "an illegal memory access",
        ("device-assert", "crash-device"): "a device-side assert",
        ("driver-mismatch", "crash-launcher"): "my driver is too old",
        ("shape-mismatch", "crash-exception"): "the shapes do not match",
        ("device-mismatch", "crash-exception"): "tensors on two devices",
    }
    assert [(told.event, told.symptom) for told in ends_in(said[row[:2]])] == [row[:2]]


def test_an_end_that_is_denied_or_feared_is_none() -> None:
    assert events_in("There is no illegal memory access in my run.") == frozenset()
    assert events_in("The RAM may be full in my run, is it?") == frozenset()
    assert events_in("My RAM is full.") == {"host-memory"}


def test_words_weigh_less_than_lines() -> None:
    assert [*weigh(Seen(True, "said", None, "key", 4), 10)] == [Evidence(4, "said", None, "key")]
    assert [*weigh(Seen(True, "said", None, "key", 4), 3)] == [Evidence(3, "said", None, "key")]


def test_each_switch_is_found_by_its_words() -> None:
    assert {name for _, name, _ in SWITCHES} >= {"bf16", "fp16", "fp32", "attn_implementation", "several ranks"}


DIED = "# Training dies\n\nMy training crashes {when}.\n\n```\nTraceback (most recent call last):\n{rest}```\n"
REST = '  File "train.py", line 9, in <module>\n    f()\nRuntimeError: odd\n'


@pytest.mark.parametrize(
    ("when", "expected"),
    [("at step 812", (812, 812)), ("now and then", (None, None)), ("at step 5. My training is killed at step 9", None)],
)
def test_the_time_of_an_end_that_its_author_tells_dates_a_pasted_traceback(
    tmp_path: Path, when: str, expected: tuple[int | None, int | None] | None
) -> None:
    report = judged(tmp_path, DIED.format(when=when, rest=REST))
    found = next(f for f in report.findings if f.symptom == "crash-exception")

    assert "reported" not in found.statement
    assert found.step_range == (expected or (5, 5))
