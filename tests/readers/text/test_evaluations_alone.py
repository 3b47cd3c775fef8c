"""Lines that tell how good a model is, without a loss and a counter, have the step of what stands above."""

from pathlib import Path

import pytest

from forensics import analyze, read

PRINTED = {
    "val acc: {q:.3f}": "eval_acc",
    "val_acc={q:.3f} val_f1=0.410": "eval_acc",
    "Validation Accuracy: {q:.3f}": "eval_accuracy",
    "mean_dice : {q:.4f}": "mean_dice",
    "  * mIoU {q:.3f}": "miou",
    "[INFO] test accuracy = {q:.3f} (best 0.990)": "test accuracy",
}


def log(folder: Path, line: str, values: list[float]) -> Path:
    text = "".join(
        f"Epoch {epoch}: train loss {2 - 0.1 * epoch:.3f}\n{line.format(q=value)}\n"
        for epoch, value in enumerate(values, start=1)
    )
    (folder / "train.log").write_text(text)
    return folder


@pytest.mark.parametrize("line", PRINTED)
def test_they_are_read_under_the_epoch_above(line: str, tmp_path: Path) -> None:
    values = [0.5 + 0.02 * i for i in range(12)]
    timeline = read(log(tmp_path, line, values)).timeline
    name = next(name for name in timeline.series if name.lower() == PRINTED[line].lower())

    assert timeline[name].values.tolist() == pytest.approx(values)
    assert timeline[name].steps.tolist() == timeline["loss"].steps.tolist() == list(range(1, 13))
    assert timeline["loss"].values.tolist() == pytest.approx([2 - 0.1 * epoch for epoch in range(1, 13)])


def test_what_they_tell_is_judged(tmp_path: Path) -> None:
    report = analyze(log(tmp_path, "val_dice: {q:.4f}", [0.0001] * 12))

    assert report.verdict == "suspicious"
    assert "eval_dice" in report.headline


@pytest.mark.parametrize(
    "text",
    [
        "Collecting accelerate==1.2.0\nSuccessfully installed accuracy-1.0.3\n" * 3,
        "The accuracy of 3 of 5 clocks is given below.\nAccording to 2 sources, dice have 6 sides.\n",
        "Top dice games of 2024\n1. Farkle\n2. Yahtzee\n",
    ],
)
def test_a_text_that_only_has_the_words_is_no_log(text: str, tmp_path: Path) -> None:
    (tmp_path / "notes.log").write_text(text)
    (tmp_path / "train.log").write_text("step 1 loss 2.5\nstep 2 loss 2.4\n")

    assert set(read(tmp_path).timeline.series) == {"loss"}
