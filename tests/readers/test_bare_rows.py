"""Rows that name little or nothing: a word and a number, lists, totals of terms, batches of a stream, pose errors."""

import json
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report


def judged(folder: Path, name: str, text: str) -> Report:
    (folder / name).write_text(text)
    return investigate(folder)


def values(report: Report, name: str) -> list[float]:
    series = report.run.timeline.get(name)
    return [] if series is None else series.values.tolist()


def test_a_step_a_word_and_a_number(tmp_path: Path) -> None:
    rows = "".join(
        f"{n} train {9.0 - n / 10:.6f}\n" + (f"{n} val {9.1 - n / 10:.4f}\n" * (n % 20 == 0)) for n in range(60)
    )
    report = judged(tmp_path, "log.txt", f"{rows}59 hella 0.2611\n")

    assert report.verdict == "healthy"
    assert values(report, "loss")[:2] == [9.0, 8.9]
    assert values(report, "eval_loss") == pytest.approx([9.1, 7.1, 5.1])
    assert values(report, "hella") == [0.2611]


def test_scores_that_are_named_by_their_part_alone_are_no_losses(tmp_path: Path) -> None:
    report = judged(tmp_path, "log.txt", "".join(f"{n} train {0.5 + n / 200:.3f}\n" for n in range(60)))

    assert not values(report, "loss")
    assert len(values(report, "train")) == 60


def test_words_and_numbers_of_something_else_have_no_reader(tmp_path: Path) -> None:
    (tmp_path / "counts.txt").write_text("".join(f"{n} apples {n / 3:.2f}\n" for n in range(30)))
    (tmp_path / "log.txt").write_text("".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41)))

    assert "apples" not in investigate(tmp_path).run.timeline.series


def test_rows_that_fastai_prints_as_lists(tmp_path: Path) -> None:
    rows = "".join(f"[{n}, {4 / (n + 1)!r}, {3 / (n + 1)!r}, 0.{n + 10}, '00:0{n % 10}']\n" for n in range(9))
    report = judged(tmp_path, "fit.log", f"Better model found at epoch 0 with valid_loss value: 3.0.\n{rows}")

    assert report.verdict == "healthy"
    assert values(report, "loss") == [4 / (n + 1) for n in range(9)]
    assert values(report, "eval_loss")[-1] == pytest.approx(3 / 9)


def test_losses_of_an_equation_are_their_sum(tmp_path: Path) -> None:
    head = "Step      Train loss              Test loss               Test metric\n"
    rows = "".join(
        f"{n * 1000:<10}[{9.5 / 4**n:.2e}, {0.5 / 4**n:.2e}]    [{8.0 / 4**n:.2e}, {1.0 / 4**n:.2e}]    []\n"
        for n in range(10)
    )
    report = judged(tmp_path, "pde.log", head + rows)

    assert report.verdict == "healthy"
    assert values(report, "loss")[:2] == pytest.approx([10.0, 2.51], rel=0.01)
    assert values(report, "test_loss")[0] == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("names", "read"),
    [(("total", "node", "edge"), True), (("total", "loss", "edge"), False), (("total", "edge"), False)],
)
def test_a_total_of_terms_is_the_loss(tmp_path: Path, names: tuple[str, ...], *, read: bool) -> None:
    lines = [{"step": 10 * n, "lr": 1e-4, **dict.fromkeys(names, 5.5 - n / 20)} for n in range(1, 50)]
    report = judged(tmp_path, "training_log.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))

    assert ("total" not in report.run.timeline.series) is read
    assert len(values(report, "loss")) == (49 if read or "loss" in names else 0)


def test_a_total_that_grows_is_a_count(tmp_path: Path) -> None:
    lines = [{"step": n, "total": 1.5 * n, "read": 1.0, "kept": 0.5, "accuracy": n / 99} for n in range(1, 50)]
    report = judged(tmp_path, "stream.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))

    assert not values(report, "loss")


def test_batches_of_a_stream_and_sizes_of_batches(tmp_path: Path) -> None:
    rows = "".join(f"{n},{3.0 - n / 100:.3f},\n" for n in range(1, 61))
    report = judged(tmp_path, "stream.csv", f"batch,logloss,note\n{rows}")

    assert (report.verdict, report.run.timeline.last_step) == ("healthy", 60)
    (tmp_path / "stream.csv").write_text("batch,lr,val_loss\n16,0.1,2.5\n32,0.2,2.6\n64,0.4,2.9\n")
    (tmp_path / "log.txt").write_text("".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41)))
    assert "eval_loss" not in investigate(tmp_path).run.timeline.series


def test_errors_of_a_pose_tell_that_a_run_went_well(tmp_path: Path) -> None:
    epoch = "[INFO] epoch {}\n[INFO] Evaluation\n"
    epoch += "Protocol #1 Error (MPJPE): {} mm\nProtocol #2 Error (P-MPJPE): {} mm\n---\n"
    text = "".join(epoch.format(n, 30 + 90 / (n + 1), 20 + 60 / (n + 1)) for n in range(12))
    report = judged(tmp_path, "output.log", text)

    assert report.verdict == "healthy"
    assert values(report, "Error (MPJPE)")[0] == 120.0


def test_held_out_data_are_an_evaluation(tmp_path: Path) -> None:
    text = "".join(
        f"[fit] epoch {n:3}/40  train={30 / n:.4f}  heldout={31 / n:.4f}  lr=1.5e-04\n" for n in range(1, 29)
    )
    report = judged(tmp_path, "fit.log", text)

    assert (len(values(report, "loss")), len(values(report, "eval_loss"))) == (28, 28)
    assert report.verdict == "healthy"


def test_triplets_that_rest_above_a_third_tell_nothing(tmp_path: Path) -> None:
    """A loss at its margin is that of a model which puts all at one place."""
    collapsed = "".join(
        f"it {30 * n:05} triplet {0.3 + 0.2 / n:.4f} active 1.00 d_ap {0.4 / n:.3f}\n" for n in range(1, 60)
    )
    parted = "".join(f"it {30 * n:05} triplet {0.5 / n:.4f} active 0.50 d_ap {0.4 / n:.3f}\n" for n in range(1, 60))

    assert judged(tmp_path, "reid.log", collapsed).verdict == "unknown"
    assert judged(tmp_path, "reid.log", parted).verdict == "healthy"


def test_a_table_whose_bar_is_drawn_with_lines(tmp_path: Path) -> None:
    def epoch(n: int) -> str:
        head = "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss angle_loss  Instances       Size\n"
        row = f"     {n}/60      2.83G      {9 / n:.3f}      {5 / n:.3f}      {3 / n:.3f}     {1 / n:.4f}"
        row += "         28       1024: "
        return head + row + "0% ╸─────────── 0/9 0.7s\r" + row + "100% ━━━━━━━━━━━━ 9/9 2.3it/s 4.1s\n\n"

    report = judged(tmp_path, "train.log", "".join(epoch(n) for n in range(1, 13)))

    assert values(report, "box_loss") == pytest.approx([9 / n for n in range(1, 13)], abs=1e-3)
    assert report.verdict == "healthy"
