"""Logs as people paste them: notebook tables, broken lines, curly quotes, loops that print their own words."""

import math

from forensics.model import UNKNOWN_STEP
from forensics.readers.text.sniffing import looks_like_log
from readers.text.log_reading import Told, read_log

NOTEBOOK = "Step\tTraining Loss\tValidation Loss\n20\tNo log\t1.700000\n40\t1.650000\t1.500000\n60\tnan\tnan\n"


def by_epoch(told: Told, name: str) -> list[tuple[float, float]]:
    """Return epochs and values of a metric without steps."""
    block = told.samples(name)
    assert set(block.steps.tolist()) == {UNKNOWN_STEP}
    assert block.epochs is not None
    return list(zip(block.epochs.tolist(), block.values.tolist(), strict=True))


def test_a_notebook_table_is_read_however_its_columns_are_parted() -> None:
    """Tabs, bars with a ruled line, and single blanks give the same entries."""
    bars = "| Step | Training Loss | Validation Loss |\n|---|---|---|\n" + "".join(
        "| " + line.replace("\t", " | ") + " |\n" for line in NOTEBOOK.splitlines()[1:]
    )
    for text in (NOTEBOOK, bars, NOTEBOOK.replace("\t", " "), NOTEBOOK.replace("\t", "    ")):
        told = read_log("Some words before.\n" + text + "and after\n99 1 2\n")

        assert looks_like_log(text.encode())
        assert [step for step, _ in told.points("loss")] == [40, 60]
        assert told.points("loss")[0] == (40, 1.65)
        assert math.isnan(told.points("loss")[1][1])
        assert told.points("eval_loss")[:2] == [(20, 1.7), (40, 1.5)]
        assert told.samples("loss").records.tolist()[0] in {4, 5}


def test_a_table_without_steps_counts_its_epochs() -> None:
    """The notebook shows epochs alone when it evaluates once an epoch."""
    told = read_log("Epoch\tTraining Loss\tAccuracy\n1\t0.9\t0.5\n2\t0.7\t0.6\n")

    assert by_epoch(told, "loss") == [(1.0, 0.9), (2.0, 0.7)]
    assert by_epoch(told, "Accuracy") == [(1.0, 0.5), (2.0, 0.6)]


def test_a_table_ends_where_its_rows_end() -> None:
    """A row behind other lines counts on; another header ends the table; a header without a counter is none."""
    text = "Step Training Loss\n1 2.5\n2 2.4\ntext\n2 2.3\nName Training Loss\n3 1.0\n"

    assert read_log(text).points("loss") == [(1, 2.5), (2, 2.4)]


def test_windows_do_not_change_a_table() -> None:
    """A table that reaches over many windows is read once, with its line numbers."""
    rows = "".join(f"{i}\t{3 - i / 1000:.4f}\n" for i in range(1, 400))
    whole = read_log("Step\tTraining Loss\n" + rows)
    cut = read_log("Step\tTraining Loss\n" + rows, chunk_bytes=200, ahead=1 << 14)

    assert whole.points("loss") == cut.points("loss")
    assert whole.samples("loss").records.tolist() == cut.samples("loss").records.tolist() == list(range(2, 401))


def test_a_dictionary_that_a_terminal_broke_is_joined() -> None:
    """Breaks in the middle of numbers and names leave the values whole."""
    text = "{'loss': 0.5123, 'grad_norm': 1.25, 'rewards/cho\nsen': -1.0625, 'kl': 0.0\n, 'epoch': 0.1}\n"
    told = read_log(text + text.replace("0.5123", "0.5\n345"))

    assert looks_like_log(text.encode())
    assert [value for _, value in told.points("loss")] == [0.5123, 0.5345]
    assert [value for _, value in told.points("rewards/chosen")] == [-1.0625, -1.0625]


def test_a_printed_configuration_over_several_lines_is_no_entry() -> None:
    """It has texts among its values, or no loss."""
    text = "{'epoch': 3,\n 'loss': 'sigmoid',\n 'lr': 0.1}\n{'epoch': 3,\n 'batch': 8}\n"

    assert read_log(text).names() == set()


def test_curly_quotes_around_keys_are_quotes() -> None:
    """An issue form made them; an apostrophe in a text stays what it is."""
    told = read_log(
        "{\u2018loss\u2019: 1.5, \u2018learning_rate\u2019: 1e-05, \u2018epoch\u2019: 0.5}\nit\u2019s: odd\n"
    )

    assert [value for _, value in told.points("loss")] == [1.5]
    assert [value for _, value in told.points("learning_rate")] == [1e-05]


def test_loops_of_ones_own_may_write_capitals_and_two_words() -> None:
    """`Loss: x`, `Train Loss: x, Val Loss: y` and litgpt's `loss train: x`."""
    told = read_log("Epoch: 1, Step: 100, Loss: 2.31, LR: 2e-5\nEpoch: 1, Step: 200, Loss: nan, LR: 2e-5\n")
    both = read_log("step 50: train loss 1.91, val loss 2.02\n")
    litgpt = read_log("Epoch 1 | iter 3 step 0 | loss train: 2.5, val: n/a | iter time: 55.9 ms\n")

    assert told.points("loss")[0] == (100, 2.31)
    assert math.isnan(told.points("loss")[1][1])
    assert told.points("learning_rate")[0] == (100, 2e-5)
    assert both.points("loss") == [(50, 1.91)]
    assert both.points("eval_loss") == [(50, 2.02)]
    assert litgpt.points("loss") == [(0, 2.5)]


def test_epochs_are_no_steps() -> None:
    """A line that names its epoch only keeps it; among lines with a step it has none."""
    lines = "Epoch [1/3], Train Loss: 1.9, Val Loss: 1.8\nEpoch [2/3], Train Loss: 1.5, Val Loss: 1.7\n"

    assert looks_like_log(lines.encode())
    assert by_epoch(read_log(lines), "loss") == [(1.0, 1.9), (2.0, 1.5)]
    assert by_epoch(read_log(lines), "eval_loss") == [(1.0, 1.8), (2.0, 1.7)]
    assert read_log("step 700: loss 1.6\n" + lines).points("loss")[0] == (700, 1.6)


def test_the_last_entry_of_an_excerpt_takes_the_bar_before_it() -> None:
    """No bar follows it; elsewhere the bar before an entry is one behind the bar after it."""
    bar = " 10%|#   | {}/50 [00:10<01:00, 1.0s/it]"
    text = "{'loss': 0.9}\n" + "".join(bar.format(i) + "{'loss': 0." + str(9 - i) + "}\n" for i in (1, 2, 3))

    assert read_log(text).points("loss") == [(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6)]
