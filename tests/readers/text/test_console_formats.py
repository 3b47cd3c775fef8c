"""Whole console outputs: entries, steps and values of each format, and texts that are none."""

from pathlib import Path

import numpy as np
import pytest

from forensics import read
from forensics.model import Samples
from forensics.readers.text.pasted import read_lines
from forensics.readers.text.sniffing import looks_like_log
from readers.text.log_reading import read_log
from readers.text.other_texts import TEXTS


def test_a_counter_of_the_epoch_is_made_global() -> None:
    """With a total, without one, and with an epoch that a heading names."""
    total = "".join(f"Epoch [{e}/3], Step [{s}/40], Loss: {e + s / 100}\n" for e in (1, 2, 3) for s in range(0, 40, 5))
    bare = "".join(f"epoch {e} iter {s}: loss {e + s / 100}\n" for e in (0, 1, 2) for s in range(0, 40, 5))
    below = "".join(f"Epoch {e}\n" + "".join(f"  batch {s}/40 loss {e + s}\n" for s in (10, 40)) for e in (1, 2))

    assert read_log(total).samples("loss").steps.tolist() == [40 * e + s for e in range(3) for s in range(0, 40, 5)]
    assert read_log(bare).samples("loss").steps.tolist() == [40 * e + s for e in range(3) for s in range(0, 40, 5)]
    assert read_log(below).samples("loss").steps.tolist() == [10, 40, 50, 80]


def test_a_printed_frame_has_the_numbers_of_its_rows_before_them() -> None:
    frame = "    step  train_loss       lr\n" + "".join(
        f"{i:<3d}  {10 * i + 10:3d}      {1.4 - i / 20:.4f}  0.00002\n" for i in range(12)
    )
    found = read_log(frame).samples("train_loss")

    assert found.steps.tolist() == [*range(10, 130, 10)]
    assert found.values[:2].tolist() == [1.4, 1.35]


def test_of_two_counters_the_updates_of_the_optimizer_count() -> None:
    """Four passes make one update here, whichever is told first."""
    lines = "".join(f"it {4 * s} (update {s}): loss={3 - s / 100}\n" for s in range(100, 140))
    turned = "".join(f"update {s} it {4 * s} loss={3 - s / 100}\n" for s in range(100, 140))

    assert read_log(lines).samples("loss").steps.tolist() == [*range(100, 140)]
    assert read_log(turned).samples("loss").steps.tolist() == [*range(100, 140)]


def test_a_global_counter_is_left_alone() -> None:
    """A bar or a step that goes on through the epochs is no counter of the epoch."""
    lines = "".join(f"epoch {s // 40} step {s}: loss {s}.5\n" for s in range(0, 120, 5))
    bars = "".join(f"\rE {1 + s // 40}: {s}%|#| {s}/120 [00:01<00:01, 1.0it/s, loss={s}.5]" for s in range(10, 120, 5))

    assert read_log(lines).samples("loss").steps.tolist() == list(range(0, 120, 5))
    assert read_log(bars).samples("loss").steps.tolist() == list(range(10, 120, 5))


def test_a_name_behind_its_number_is_not_that_of_the_next(tmp_path: Path) -> None:
    """Darknet parts numbers, each with its name behind it, by commas."""
    lines = (
        f" {s}: {53 - s}.5, {54 - s}.25 avg loss, 0.020000 rate, 1.13 seconds, {64 * s} images\n"
        for s in range(3, 40, 3)
    )
    (tmp_path / "train.log").write_text("".join(lines))
    losses = {name: series.values.tolist() for name, series in read(tmp_path).timeline.series.items() if "loss" in name}

    assert losses == {"loss": [54 - s + 0.25 for s in range(3, 40, 3)]}


def test_headings_give_their_step_to_the_lines_below() -> None:
    """Every line of a block takes it; a heading that comes seldom numbers nothing."""
    blocks = "".join(
        f"[step={s}/100,epoch=0]\n    train/CrossEntropyLoss={9 - s / 10}\n    optim/grad_norm=1.5\n"
        for s in range(1, 9)
    )
    seldom = "checkpoint of step 5\n" + "".join(f"loss: {n}.25\n" for n in (3, 1, 2, 5))

    assert read_log(blocks).samples("optim/grad_norm").steps.tolist() == list(range(1, 9))
    assert set(read_log(seldom).samples("loss").steps.tolist()) == {-1}


def test_evaluation_is_told_from_training() -> None:
    """By the words before the numbers; its batches are no steps of training."""
    text = "".join(
        f"Epoch: [{e}][{s}/40] Loss {e + s}.5 ({s}.0)\n" for e in (0, 1) for s in (0, 20)
    ) + "Test: [0/9] Loss 7.5 (7.5)\nTest: [8/9] Loss 7.25 (7.4)\n"  # fmt: skip
    told = read_log(text)

    assert told.samples("loss").steps.tolist() == [0, 20, 40, 60]
    assert told.samples("eval_loss").values.tolist() == [7.5, 7.25]
    assert set(told.samples("eval_loss").steps.tolist()) == {-1}


def test_what_is_beside_a_loss_and_not_taken_is_told() -> None:
    """The commonest of the lines is shown, digits and paths left out."""
    (skip,) = read_log("the loss is 5 in /a/b.py\nthe loss is 6 in /a/b.py\n").skips()

    assert (
        skip.reason == "2 lines with a loss or norm beside a number were not taken for metrics, "
        "most of them like: the loss is N in ..."
    )


@pytest.mark.parametrize(
    "text",
    [
        "5 packets transmitted, 5 received, 0% packet loss, time 4006ms\n" * 3,
        "Namespace(loss_weight=1.0, lr=0.1, epochs=3, batch_size=8, loss=0.5)\n",
        "Downloading package-loss-1.2.tar.gz step 1 of 3\n",
        "The loss of 2.3 at epoch 3 was high.\nLater it fell.\n",
        "tests/x/test_loss.py::test_step[1-2.5] PASSED [ 10%]\ntests/test_loss.py::test_step[2-3.5] PASSED [ 20%]\n",
        "loss 8987\n",
        "step 9520\nloss 8987\nepoch 28218\n",
    ],
)
def test_other_texts_hold_no_metrics(text: str) -> None:
    """Sentences, vocabularies, arguments, tools."""
    assert read_log(text).names() == set()


def test_text_that_is_no_file_is_read_as_one() -> None:
    """The path and the first line name the source."""
    (loss,) = [
        fact
        for fact in read_lines("x\r\nstep 1 loss 2.5\r\nstep 2 loss 2.25", "issue.md", 10)
        if isinstance(fact, Samples)
    ]

    assert (loss.path, loss.records.tolist(), loss.steps.tolist()) == ("issue.md", [11, 12], [1, 2])
    assert np.array_equal(loss.values, [2.5, 2.25])


def test_a_file_with_a_curve_in_words_of_its_own_is_a_log() -> None:
    """Not for a table with commas, which another reader takes, and not for JSON."""
    lines = b"".join(b"Finish training epoch %d. mean loss of it: 0.%d\n" % (n, 90 - n) for n in range(5))

    assert looks_like_log(lines)
    assert not looks_like_log(b"epoch,loss\n1,0.5\n2,0.4\n")
    assert not looks_like_log(b'{"epoch":1,"loss":2}')


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_are_no_training_logs_hold_no_metrics(name: str) -> None:
    """Tools, servers, people, documentation, statistics: not one series."""
    assert read_log(TEXTS[name]).names() == set()


def test_there_are_eighty_such_texts() -> None:
    """The share of false series is told of them."""
    assert len(TEXTS) >= 80


def test_a_loss_printed_twice_counts_once() -> None:
    """A line of its own and one of another format that repeats it, step by step; not two steps with one value."""
    twice = "".join(f"step {n} loss: {5 - n / 7:.4f}\nepoch 1 iter: {n} loss {5 - n / 7:.4f}\n" for n in range(1, 9))
    flat = "".join(f"iter {n} step {n // 2}: loss 10.8259{' (step)' * (n % 2)}\n" for n in range(76, 84))

    assert read_log(twice).samples("loss").steps.tolist() == list(range(1, 9))
    assert read_log(flat).samples("loss").steps.tolist() == [38, 39, 40, 41]


def test_two_losses_of_one_line_keep_their_names() -> None:
    """The one whose name is `loss` is the loss, also where it no longer changes."""
    text = "".join(f"step {n} loss: 7.5, lm_loss: {5 - n / 7:.4f}\n" for n in range(1, 9))
    told = read_log(text)

    assert set(told.samples("loss").values.tolist()) == {7.5}
    assert told.samples("lm_loss").values.tolist() == pytest.approx([5 - n / 7 for n in range(1, 9)], abs=1e-4)


def test_a_counter_below_its_entries_numbers_them() -> None:
    """Where each entry is followed by one; the first of a log with headings above has one before it."""
    below = "".join(f"loss: {9 - n}.25\npid: 5\ntraining_iteration: {n}\n" for n in range(1, 9))
    above = "".join(f"training_iteration: {n}\npid: 5\nloss: {9 - n}.25\n" for n in range(1, 9))

    assert read_log(below).points("loss") == read_log(above).points("loss") == [(n, 9.25 - n) for n in range(1, 9)]


def test_a_heading_that_falls_again_and_again_numbers_nothing() -> None:
    """Steps of what a model wrote between its losses are no steps of training."""
    steps = (200, 102, 133, 4, 193, 172, 3, 90)
    told = read_log("".join(f"Step {step}\nloss is 0.0{n}5 and kl is 0.1{n}\n" for n, step in enumerate(steps)))

    assert set(told.samples("loss").steps.tolist()) == {-1}


def test_a_mean_over_an_epoch_is_no_entry_of_the_curve() -> None:
    """Beside a loss that is told step by step it has a name of its own."""
    text = "".join(
        f"Step {100 * e + s} | Loss: {9 - e}.{s}\n"
        + (f"Epoch {e} completed | Average loss: {9 - e}.55\n" if s == 90 else "")
        for e in (0, 1, 2)
        for s in range(10, 100, 10)
    )
    told = read_log(text)

    assert told.samples("epoch_loss").values.tolist() == [9.55, 8.55, 7.55]
    assert (told.samples("loss").steps > 0).all()
    assert read_log("".join(f"Epoch {e} completed | Average loss: {e}.5\n" for e in (3, 2))).names() == {"loss"}


def test_lines_that_go_with_an_entry_have_its_step() -> None:
    """One by one and close behind it; what comes seldom has none."""
    text = "".join(
        f"epoch:0 || iter:{s} || Loss:{s}.5\n->> first conf loss:{s}.25\n" + f"value loss: 7.{s}5\n" * (s % 30 == 0)
        for s in range(10, 100, 10)
    )
    told = read_log(text)

    assert told.samples("first conf loss").steps.tolist() == list(range(10, 100, 10))
    assert set(told.samples("value loss").steps.tolist()) == {-1}
