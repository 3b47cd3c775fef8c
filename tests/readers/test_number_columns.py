"""Bare columns of numbers: what they are is said by their file or by one line."""

from pathlib import Path

import pytest

from forensics.investigate import read
from forensics.model import UNKNOWN_STEP
from forensics.readers.number_columns import looks_like_column, number_columns
from readers.reading import facts_of, samples_of

VALUES = "2.5e-01\n2.25e-01\nnan\n"


def steps_and_values(tmp_path: Path, name: str, text: str) -> dict[str, tuple[list[int], list[str]]]:
    found = samples_of(facts_of(number_columns, tmp_path, name, text))
    return {
        key: (block.steps.tolist(), [repr(value) for value in block.values.tolist()]) for key, block in found.items()
    }


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("loss.txt", "loss"),
        ("val_loss_3.txt", "eval_loss"),
        ("trainLoss.dat", "loss"),
        ("accuracy (2).csv", "accuracy"),
    ],
)
def test_the_file_names_its_numbers(tmp_path: Path, name: str, metric: str) -> None:
    """Each line is an entry; what numbers the copy of a file is no part of the name."""
    told = steps_and_values(tmp_path, name, VALUES)

    assert told == {metric: ([UNKNOWN_STEP] * 3, ["0.25", "0.225", "nan"])}


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("2.5 0\n2.25 100\n2 200\n", [0, 100, 200]),
        ("0\t2.5\t0.7\n1\t2.25\t0.8\n2\t2\t0.9\n", [UNKNOWN_STEP] * 3),
        ("100,2.5\n200,2.25\n300,2\n", [100, 200, 300]),
    ],
)
def test_a_column_that_counts_is_the_step(tmp_path: Path, text: str, steps: list[int]) -> None:
    """What only numbers the lines is none."""
    assert steps_and_values(tmp_path, "loss.log", text) == {"loss": (steps, ["2.5", "2.25", "2.0"])}


def test_a_line_above_may_name_them(tmp_path: Path) -> None:
    """Torch7's logger writes one; such a file is known whatever it is called."""
    text = "% mean class accuracy (test set)\t\n 7.05e+01\n 8.5e+01\n 9.0e+01\n"
    (tmp_path / "test.log").write_text(text)

    assert looks_like_column(text.encode())
    assert [block.values.tolist() for block in read(tmp_path).timeline.samples] == [[70.5, 85.0, 90.0]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loss.txt", "1\n2\n3\n"),
        ("loss.txt", "0.5\n0.25\n"),
        ("loss.txt", "0.5\n0.25\nthe end\n"),
        ("loss.txt", "0.5\n0.25 1 2\n0.5\n"),
        ("weight_loss.txt", VALUES),
        ("packet_loss.csv", VALUES),
        ("loss.txt", "seconds\n0.5\n0.25\n0.75\n"),
        ("loss.txt", "0.63  4.0\n0.04  4.0\n0.06  2.0\n"),
        ("loss.txt", ""),
    ],
)
def test_what_is_no_curve_gives_nothing(tmp_path: Path, name: str, text: str) -> None:
    """Counts, a table, prose, and losses of another kind."""
    assert steps_and_values(tmp_path, name, text) == {}


@pytest.mark.parametrize("head", [b"", b"0.5\n0.25\n0.75\n", b"seconds\n0.5\n0.25\n0.75\n", b"loss\n1 2\n2 3\n3 4\n"])
def test_without_a_name_numbers_are_no_metric(head: bytes) -> None:
    """A name of training must stand above, and one number a line below it."""
    assert not looks_like_column(head)
