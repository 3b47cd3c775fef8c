"""Lines that count and tell numbers of unknown names; tables that come again with every epoch."""

import pytest

from readers.text.log_reading import read_log

TENS = range(10, 130, 10)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("[Step {s}] Global Cos: {a:.4f} | SNR: {b:.2f} | Last K: 59", {"Global Cos", "SNR", "Last K"}),
        ("Generation {s} | fitness: {a:.3f} | diversity: {b:.2f}", {"fitness", "diversity"}),
        (
            "2020-04-27 10:{m}:05,793 - precision: {a:.4f}, recall: {b:.4f}, fscore: {a:.4f} ||",
            {"precision", "recall", "fscore"},
        ),
    ],
)
def test_numbers_of_unknown_names_beside_a_counter(line: str, names: set[str]) -> None:
    """Under their own names: SPEB's checks of a gradient, an evolution, scores of OpenJERE without any counter."""
    text = "".join(line.format(s=s, m=s // 10 + 10, a=1 - 1 / s, b=100 / s) + "\n" for s in TENS)
    told = read_log(text)

    assert names <= told.names()
    assert all(len(told.samples(name).values) == len(TENS) for name in names)
    assert ("{s}" not in line) or told.samples(min(names)).steps.tolist() in ([*TENS], [-1] * len(TENS))


@pytest.mark.parametrize(
    "line",
    [
        "Iteration {s}: took {a:.3f} s, {b:.1f} MB",
        "step {s}: latency p99 {a:.3f} ms, retries {b:.2f}",
        "Epoch {s}: threshold 0.5, window 3.25",
        "epoch 5: ratio {a:.3f}",
        "Trial {s} done: F1-score: {a:.4f}",
        "Sample {s}: accuracy: {a:.4f}",
    ],
)
def test_what_a_machine_needs_and_what_is_compared_are_no_metrics(line: str) -> None:
    """No time, memory or size is one; nor what stands still, nor what does not count, nor scores of trials."""
    text = "".join(line.format(s=s, a=1 - 1 / s, b=100 / s) + "\n" for s in TENS)

    assert not read_log(text).names()


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (
            "Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size",
            ["box_loss", "cls_loss", "dfl_loss"],
        ),
        ("Epoch   gpu_mem       box       obj       cls    labels  img_size", ["box loss", "obj loss", "cls loss"]),
    ],
    ids=["ultralytics", "yolov5-before-6.2"],
)
def test_a_table_is_read_however_often_its_header_comes(header: str, names: list[str]) -> None:
    """Ultralytics prints it at each epoch: a line that tells nothing by itself is met each time all the same."""
    text = "".join(
        f"\n      {header}\n"
        f"\r     {n}/60     4.23G   {2 - n / 90:.4f}   0.01   0.02   19   640:  50%|███   | 7/14 [00:02<00:02,  3it/s]"
        f"\r     {n}/60     4.23G   {2 - n / 100:.4f}   {1 / n:.4f}   0.02   193   640: 100%|███| 14/14 [00:05<00:00]\n"
        for n in range(1, 61)
    )
    told = read_log(text)

    assert told.samples(names[0]).values.tolist() == [float(f"{2 - n / 100:.4f}") for n in range(1, 61)]
    assert set(names) <= told.names()


def test_arguments_that_are_printed_as_a_dictionary_are_no_entry() -> None:
    """A tracker prints them at the start, some without a single word; a rate alone is an argument too."""
    text = (
        "INFO wandb.init called with sweep_config: {'bid': True, 'dropout': 0.5, 'epoch': 20, 'lr': 0.001}\n" * 2
        + "### Run with defaults (50 epochs, batch size 8, fixed LR = 1e-5):\n"
    )
    assert not read_log(text).names()
