"""What an account states in words: told as reported; what is denied, asked, wished, quoted or over is not."""

import json
from pathlib import Path

import pytest

from forensics.errors import NothingReadableError
from forensics.investigate import investigate
from forensics.model import Report
from forensics.report.json import tree
from forensics.signatures.reported import stated_in
from forensics.signatures.spoken_meanings import ALONE, DENIED, MEANS

STATED = (
    ("After some 300 iterations my loss turns to NaN.", "loss-nan", (240, 360), "step"),
    ("I train on two boards and the loss became nan during the fourth epoch.", "loss-nan", (3, 4), "epoch"),
    ("My gradient norm is NaN at step 812.", "grad-norm-nan", (812, 812), "step"),
    ("I am getting nan from the first iteration on.", "loss-nan", (0, 1), "step"),
    ("In my run the loss drops to 0.0 after 15 steps.", "loss-to-zero", (15, 18), "step"),
    ("The validation loss increases from epoch 3, I do not know why.", "eval-gap", (3, 3), "epoch"),
    ("When I resume from a checkpoint, my loss jumps to 8.", "resume-jump", (None, None), "step"),
    ("We see that the loss stays constant.", "loss-constant", (None, None), "step"),
    ("My loss does not go down, whatever the rate.", "loss-plateau", (None, None), "step"),
    ("The model doesn't learn anything in my case.", "loss-plateau", (None, None), "step"),
    ("I see that the loss suddenly spikes around step 4000.", "loss-spike", (4000, 4000), "step"),
    ("With my data the loss diverges within 2k steps.", "loss-divergence", (0, 2000), "step"),
    ("I noticed that the gradient norm explodes.", "grad-norm-explosion", (None, None), "step"),
    ("All my gradients are zero.", "grad-norm-zero", (None, None), "step"),
    ("The reward collapses after about 100 updates in our run.", "reward-collapse", (80, 120), "step"),
    ("KL divergence keeps increasing and we see no progress.", "kl-explosion", (None, None), "step"),
    ("My training hangs at step 1200.", "run-hung", (1200, 1200), "step"),
    ("I find that the lora_B weights are still zero.", "weights-zero", (None, None), "step"),
    ("My adapter weights do not change.", "weights-unchanged", (None, None), "step"),
    ("In my log the learning rate is always 0.", "lr-zero", (None, None), "step"),
    ("My training gets slower and slower.", "throughput-drop", (None, None), "step"),
    ("My loss does not decrease any more once it reaches 3.3.", "loss-plateau", (None, None), "step"),
    ("In my run the loss no longer decreases.", "loss-plateau", (None, None), "step"),
    ("Why is my loss NaN?", "loss-nan", (None, None), "step"),
    ("I get it between 100-200 iterations: the loss is nan.", "loss-nan", (100, 200), "step"),
    ("I see that the loss keeps fluctuating and oscillates.", "loss-erratic", (None, None), "step"),
    ("Our initial loss is 40, which is much higher than in the paper.", "loss-above-uniform", (None, None), "step"),
    ("My loss is suspiciously low.", "suspiciously-low-loss", (None, None), "step"),
    ("The validation loss is NaN in my case.", "eval-nan", (None, None), "step"),
    ("My logits are NaN after the second epoch.", "metric-nan", (1, 2), "epoch"),
    ("With my data the entropy collapses within 50 steps.", "diversity-collapse", (0, 50), "step"),
    ("The loss scale drops to 0 in my run.", "loss-scale-collapse", (None, None), "step"),
    ("I checked: some weights are NaN.", "weights-nan", (None, None), "step"),
    ("My training always stops at epoch 12.", "run-cut-off", (12, 12), "epoch"),
    ("My training process is killed after 3 hours.", "crash-killed", (None, None), "step"),
    ("I get CUDA out of memory at step 900.", "crash-oom", (900, 900), "step"),
    ("My training job dies with a segmentation fault.", "crash-signal", (None, None), "step"),
    ("I run into an NCCL timeout after 2 epochs.", "crash-nccl", (2, 3), "epoch"),
    ("My training crashes at step 40.", "crash-exception", (40, 40), "step"),
    ("我训练到第25轮时卡住了", "run-hung", (24, 25), "epoch"),
    ("请问为什么loss在10个step后突然降至0", "loss-to-zero", (10, 12), "step"),
    ("我的损失一直不下降", "loss-plateau", (None, None), "step"),
    ("大佬 训练8w步左右loss变为nan", "loss-nan", (64_000, 96_000), "step"),
    ("У меня loss становится NaN после 200 шагов", "loss-nan", (200, 240), "step"),  # noqa: RUF001
    ("ich sehe, dass der Verlust nicht sinkt", "loss-plateau", (None, None), "step"),
    ("Why doesn't my loss converge?", "loss-plateau", (None, None), "step"),
    ("I trained with lr=1e-4, batch=16, and my loss fails to decrease.", "loss-plateau", (None, None), "step"),
    ("My loss turned nan after a few hundred steps, did anybody meet this?", "loss-nan", (200, 1000), "step"),
    ("The loss looks odd. It stopped decreasing in my run.", "loss-plateau", (None, None), "step"),
    ("My PPO run shows decreasing rewards.", "reward-collapse", (None, None), "step"),
    ("I train with PPO, why does my strategy suddenly collapse in it?", "reward-collapse", (None, None), "step"),
    ("The loss of my larger model does not change.", "loss-plateau", (None, None), "step"),
    ("Why do I train my dataset with a loss of NaN?", "loss-nan", (None, None), "step"),
    ("When I resume from the last checkpoint the loss is much higher.", "resume-jump", (None, None), "step"),
)
SILENT = (
    "My number of GPUs is 2, and other parameters are unchanged.",
    "我只改了学习率,其他参数没有变化。",
    "My loss never became NaN.",
    "I wonder whether the loss becomes NaN with fp16.",
    "Does the loss become NaN?",
    "If the loss becomes NaN, lower the rate.",
    "The loss may explode with a rate of 1.",
    "I would stop when training hangs.",
    "We want a callback that saves before training diverges.",
    "My loss no longer becomes NaN.",
    "Is my model overfitting.",
    "With the first release my loss used to become NaN after 500 steps.",
    "I solved it: the loss was nan as the labels were wrong.",
    'I read "the loss becomes NaN" in the log of a friend.',
    "According to the documentation the loss becomes NaN with T5, so I did not try.",
    "In other papers the loss diverges without warm-up, and I wonder why.",
    "Your loss becomes NaN if a label lies outside.",
    "My model converged and the loss dropped to 0.02.",
    "I export the model and it is stuck in my queue.",
    "I set dropout = 0 and my loss is fine.",
    "My loss is fine with 0 workers.",
    "I use early stopping, which works.",
    "I stopped the training at epoch 4.",
    "I am stuck on the installation of the trainer.",
    "请问怎么设置可以避免loss变为nan",
    "我的loss会不会变为nan",
    "请问您在训练时有遇见过loss为nan的情况吗，这是否与学习率有关",  # noqa: RUF001
    "我的loss没有变成nan",
    "loss 0.0 + grad_norm nan => numeric failure, I think",
)
PAGES = (
    "# Troubleshooting\n\nWe list what may be wrong.\n\nThe loss is NaN after a few steps.\n",
    "# Changelog\n\n## 1.2.0\n- My fix: the loss is NaN after 500 steps\n",
    "# Stable training\n\n## Abstract\nWe show that the loss diverges at step 1000.\n\n## References\n",
    "User: my loss turns to NaN after 20 steps\nAssistant: lower the rate\nUser: thanks\n",
    "# Fix NaN loss\n\n## Motivation\nMy loss is NaN with packing.\n\n## Changes\n- fix it\n",
    "# Release 2.4.0\n\nWe fixed much. The gradient norm was zero under ZeRO-3.\n",
    "# Sync\n\nAnn: my training is stuck\nBob: which GPU\nAnn: the first\nBob: restart it\n",
    "# Debugging NaN losses: what I learned\n\nI look at the rate. My loss was NaN for a week.\n",
    "# Editor\n\nMy program crashes with a segmentation fault when I open a file.\n",
    "# Loss\n\nIt is the mean over tokens. The loss is NaN for an empty row. Your run stops there.\n",
)


def judged(folder: Path, text: str, name: str = "issue.md") -> Report:
    (folder / name).write_text(text)
    return investigate(folder)


def silent(folder: Path, text: str) -> bool:
    """Tell whether nothing is found, or nothing is readable."""
    try:
        return all(finding.severity == "notice" for finding in judged(folder, text).findings)
    except NothingReadableError:
        return True


@pytest.mark.parametrize(("sentence", "symptom", "bracket", "axis"), STATED)
def test_a_statement_is_a_warning_that_says_it_was_reported(
    tmp_path: Path, sentence: str, symptom: str, bracket: tuple[int | None, int | None], axis: str
) -> None:
    report = judged(tmp_path, f"# A question\n\nHello! {sentence} Any help?\n")
    found = next(f for f in report.findings if f.symptom == symptom)

    assert (found.severity, found.step_range, found.axis) == ("warning", bracket, axis)
    assert found.statement.startswith("reported, not seen in numbers: ")
    assert found.source.place == "line 3"
    assert report.verdict == "suspicious"
    assert not any(cause.holds for cause in report.hypotheses)


def test_each_symptom_that_can_be_stated_has_a_sentence() -> None:
    told = {symptom for table in (MEANS, DENIED) for row in table.values() for symptom in row.values()}
    alone = {symptom for symptom, _, _ in ALONE.values()}

    assert told | alone | {"resume-jump"} == {symptom for _, symptom, _, _ in STATED}


@pytest.mark.parametrize("sentence", SILENT)
def test_what_states_nothing_is_no_finding(tmp_path: Path, sentence: str) -> None:
    text = f"# About this\n\nI use it every day. {sentence}\n\n```\nstep 1 | loss 2.0\nstep 2 | loss 1.9\n```\n"

    assert stated_in(sentence) == []
    assert [f for f in judged(tmp_path, text).findings if f.severity != "notice"] == []


@pytest.mark.parametrize("text", PAGES)
def test_pages_lists_of_changes_papers_and_dialogues_are_no_accounts(tmp_path: Path, text: str) -> None:
    assert silent(tmp_path, text)


def test_numbers_that_show_it_are_told_in_its_place(tmp_path: Path) -> None:
    log = "".join(f"step {n} | loss {'nan' if n > 20 else 2.4 - n / 100}\n" for n in range(1, 41))
    report = judged(tmp_path, f"# It breaks\n\nMy loss is nan after 500 steps.\n\n```\n{log}```\n")
    found = [f for f in report.findings if f.symptom == "loss-nan"]

    assert len(found) == 1
    assert "reported" not in found[0].statement


def test_a_title_counts_as_a_sentence_but_not_that_of_a_change_or_a_wish(tmp_path: Path) -> None:
    stated = judged(tmp_path, "# Training freezes\n\nOn executing train.py it freezes at the last step.\n")

    assert [f.symptom for f in stated.findings] == ["run-hung"]
    assert silent(tmp_path, "# Add advice for training that hangs\n\nI wrote it down.\n")


def test_the_title_of_an_issue_in_json_is_read(tmp_path: Path) -> None:
    issue = {"title": "Loss becomes NaN at step 40", "user": {"login": "ada"}, "body": "I use the script as it is."}
    (tmp_path / "issue.json").write_text(json.dumps(issue))
    report = investigate(tmp_path)

    assert [(f.symptom, f.step_range) for f in report.findings] == [("loss-nan", (40, 40))]


def test_a_text_without_any_mark_is_read_where_somebody_tells_of_his_training(tmp_path: Path) -> None:
    report = judged(tmp_path, "Hi all,\nI train a small model and my loss is NaN after 20 steps.\n", "mail.txt")

    assert [f.symptom for f in report.findings] == ["loss-nan"]
    assert tree(report)["findings"][0]["severity"] == "warning"


def test_of_several_sentences_the_one_that_says_when_counts(tmp_path: Path) -> None:
    report = judged(tmp_path, "# Loss is NaN\n\nI ran it twice. Each time my loss is nan after 50 steps.\n")

    assert [f.step_range for f in report.findings if f.symptom == "loss-nan"] == [(50, 60)]


def test_what_is_quoted_or_fenced_is_not_the_authors(tmp_path: Path) -> None:
    quoted = "> my loss turns to NaN after 5 steps"

    assert silent(tmp_path, f"# Hello\n\nI have a question.\n\n{quoted}\n\n```\nmy loss turns to NaN\n```\n")


def test_sentences_of_one_line_are_all_told(tmp_path: Path) -> None:
    found = judged(
        tmp_path, "# NaN\n\nI see that my gradients are NaN after 150 steps. My reward drops as well.\n"
    ).findings
    assert {(finding.symptom, finding.step_range) for finding in found} >= {
        ("grad-norm-nan", (150, 180)),
        ("reward-collapse", (None, None)),
    }


def test_what_a_program_printed_is_nobodys_account(tmp_path: Path) -> None:
    """A log that shows what its model writes holds sentences of the data, and a person of whom they speak."""
    said = "[sample] My loss becomes NaN after 50 steps, what can I do.\n"
    log = "".join(f"{{'loss': {2.0 * 0.97**step:.4f}, 'epoch': {step / 30:.3f}}}\n{said}" for step in range(30))
    assert silent(tmp_path, log)


def test_an_end_that_is_told_without_a_time_lies_at_the_last_step_on_file(tmp_path: Path) -> None:
    log = "".join(f"step {n} | loss {2.4 - n / 100}\n" for n in range(1, 41))
    report = judged(tmp_path, f"# Help\n\nMy training hangs, nothing is printed any more.\n\n```\n{log}```\n")

    assert [f.step_range for f in report.findings if f.symptom == "run-hung"] == [(None, 40)]


def test_a_norm_that_is_no_number_beside_losses_that_are_is_a_notice(tmp_path: Path) -> None:
    """f-t30 of the record: a program that does not compute its norms prints N/A, and its author takes it for a NaN."""
    log = "".join(f"step {n} | loss {2.4 - n / 100}\n" for n in range(1, 41))
    report = judged(tmp_path, f"# Help\n\nWhy is my gradient norm NaN?\n\n```\n{log}```\n")

    assert [f.severity for f in report.findings if f.symptom == "grad-norm-nan"] == ["notice"]
