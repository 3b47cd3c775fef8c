"""What a program says of its own training, and the titles of accounts: told from what libraries always warn of."""

import re
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.readers._events.complaints import complains, title

FAULTS = (
    "2026-11-30 06:13:47,408 WARNING no checkpoint found at ckpt/step_210.pt, starting from initial weights",
    "WARNING: parameter checksum differs between ranks: [2.41408, 2.82881]",
    "WARNING: non-finite loss, skipping batch 61",
    "[rank0] WARN: optimizer state missing for 12 parameters",
    "ERROR - EMA weights are all zero",
    "2025-09-28 20:44:51,812 - WARNING - [__main__] - No trainable parameters found! Model won't learn.",
    "train.py:88 - WARNING - gradients of layer 7 vanished: norm is 0",
    "CRITICAL teacher logits contain nan",
    "Warning: labels out of range in batch 17",
    "loaded pytorch_model.bin with strict=False: 41 missing keys, 39 unexpected keys",
)
USUAL = (
    "[WARNING|modeling_utils.py:3412] Some weights of Bert were not initialized from the model checkpoint",
    "WARNING:tensorflow:eval_on_tpu ignored because use_tpu is False.",
    "UserWarning: Detected call of `lr_scheduler.step()` before `optimizer.step()`. WARNING: gradients missing",
    "2023-01-01 - WARNING - transformers.trainer - checkpoint not found",
    "[2024-01-01 10:00:00] [WARNING] [runner.py:210:fetch_hostfile] Unable to find hostfile, weights",
    "WARNING: save_checkpoint is deprecated, the state was not updated",
    "src.data - WARNING - Metadata file not found at processed/statistics.json",
    "WARNING - utils - Could not find answer: 'May 20, 2018,[update]' vs. 'May 20, 2018'",
    "INFO no checkpoint found, starting from initial weights",
    "WARNING: if the loss is nan, lower the learning rate",
    "loaded with strict=False: 0 missing keys, 0 unexpected keys",
    "loaded with strict=False: 41 missing keys, 0 unexpected keys",
    "MYWARNING gradients missing",
)


@pytest.mark.parametrize("line", FAULTS)
def test_a_program_complains(line: str) -> None:
    assert complains(line.encode())


@pytest.mark.parametrize("line", USUAL)
def test_what_is_usual_is_no_complaint(line: str) -> None:
    assert not complains(line.encode())


@pytest.mark.parametrize("line", FAULTS + USUAL)
@pytest.mark.parametrize("digit", "123456789")
def test_digits_other_than_zero_are_alike(line: str, digit: str) -> None:
    """What is remembered of a line holds for lines with other numbers."""
    assert complains(re.sub("[1-9]", digit, line).encode()) == (line in FAULTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# NCCL timeout error\nI run into\n", True),
        ("## grad_norm: nan", True),
        ("# loss does not decrease", True),
        ("# My training run\nit failed", False),
        ("I got nan\n# nan", False),
        ("#SBATCH --time=1 --error=log", False),
        ("# information about the infrastructure", False),
    ],
)
def test_titles(text: str, *, told: bool) -> None:
    assert (title(text.encode()) is not None) is told


LINES = [f"iter {i}: loss {2.0 * 0.97**i:.4f}, time 50.00ms\n" for i in range(1, 41)]


def verdict(folder: Path, name: str, text: str) -> tuple[str, str]:
    (folder / name).write_text(text)
    report = investigate(folder)
    return report.verdict, report.headline


def test_a_run_that_complains_is_not_called_healthy(tmp_path: Path) -> None:
    text = "".join([*LINES[:20], "WARNING: EMA weights are all zero\n", *LINES[20:]])

    assert verdict(tmp_path, "train.log", text) == (
        "unknown",
        "Nothing was found wrong, but its own log says \u201cWARNING: EMA weights are all zero\u201d.",
    )


def test_a_checkpoint_that_is_absent_at_the_start_is_usual(tmp_path: Path) -> None:
    said = "WARNING: no checkpoint found, training from scratch\n"

    assert verdict(tmp_path, "train.log", "".join([said, *LINES]))[0] == "healthy"
    assert verdict(tmp_path, "train.log", "".join([*LINES[:20], said, *LINES[20:]]))[0] == "unknown"


def test_the_title_of_an_account_is_believed(tmp_path: Path) -> None:
    told, headline = verdict(tmp_path, "issue.md", "".join(["# NCCL timeout error\n```\n", *LINES, "```\n"]))

    assert told == "unknown"
    assert "NCCL timeout error" in headline


@pytest.mark.parametrize(
    ("heading", "symptoms"),
    [
        ("# avr_loss = nan when training a LoRA", {"loss-nan"}),
        ("# grad_norm: nan", set()),  # no norm is in the log, which may be another's
        ("# My loss is 2.0, no nonsense error", set()),
    ],
)
def test_a_title_names_the_symptom_that_the_lines_below_it_do_not_show(
    tmp_path: Path, heading: str, symptoms: set[str]
) -> None:
    (tmp_path / "issue.md").write_text("".join([heading, "\n```\n", *LINES, "```\n"]))
    report = investigate(tmp_path)

    assert {f.symptom for f in report.findings if f.severity != "notice"} == symptoms
    assert report.verdict == ("suspicious" if symptoms else "unknown")


@pytest.mark.parametrize(
    "title",
    [
        "[Bug] After 2.5 epochs on my own data, the loss is nan, and never comes back.",
        "loss: nan! What now?",
        "Training: nan in the loss",
    ],
)
def test_a_title_that_names_a_fault_is_told_as_reported(title: str, tmp_path: Path) -> None:
    (tmp_path / "issue.md").write_text(f"# {title}\n```\nstep 1 loss 2.5\nstep 2 loss 2.4\n```\n")
    (found,) = [f for f in investigate(tmp_path).findings if f.symptom == "loss-nan"]

    assert found.statement.startswith("reported, not seen in numbers: ")
    assert found.severity == "warning"


def test_a_title_about_a_norm_beside_finite_ones_leaves_the_run_open(tmp_path: Path) -> None:
    lines = [f"step {i} loss {2.0 * 0.97**i:.4f} grad_norm {1 + i % 3:.2f}\n" for i in range(1, 31)]
    (tmp_path / "issue.md").write_text("".join(["# grad_norm: nan\n```\n", *lines, "```\n"]))
    report = investigate(tmp_path)

    assert report.verdict == "unknown"
    assert [f.severity for f in report.findings if f.symptom == "grad-norm-nan"] == ["notice"]
