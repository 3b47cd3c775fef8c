"""Two records: the step, the tensor and the column where they part (A14)."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from forensics.cli import main
from forensics.comparison import RecordsCompared
from forensics.comparison.records import compare_records
from forensics.investigate import read
from forensics.testing import make_recording, make_run


def compared(cases: Path, one: str, other: str) -> RecordsCompared:
    found = compare_records(*(read(cases / f"compare-{name}" / "blackbox") for name in (one, other)))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("one", "other"), [("a", "b"), ("a", "checkpointed"), ("ddp", "ddp-again"), ("ddp", "ddpview")]
)
def test_the_same_run_twice_is_equal_to_the_last_bit(cases: Path, one: str, other: str) -> None:
    found = compared(cases, one, other)

    assert (found.comparable, found.step, found.aligned) == (True, None, 12)
    assert "to the last bit" in found.sentence


@pytest.mark.parametrize(("one", "other"), [("ddp", "fsdp2"), ("a", "threads")])
def test_another_framework_or_number_of_threads_is_equal_within_rounding(cases: Path, one: str, other: str) -> None:
    found = compared(cases, one, other)

    assert (found.comparable, found.step, found.aligned) == (True, None, 12)
    assert "equal" in found.sentence


@pytest.mark.parametrize(
    ("one", "other", "column", "layer"),
    [
        ("a", "lr", "update", "optimizer or learning rate"),
        ("a", "sgd", "update", "optimizer or learning rate"),
        ("clip", "clip-half", "reduced", "communication or clipping"),
        ("a", "seed", "local", "data, model, kernel or precision"),
        ("a", "bf16", "update", "float32 against bfloat16"),
    ],
)
def test_the_column_names_the_layer_of_the_fault(cases: Path, one: str, other: str, column: str, layer: str) -> None:
    found = compared(cases, one, other)

    assert (found.step, found.other_step, found.column, found.tensor) == (1, 1, column, "head.weight")
    assert layer in found.sentence


def test_other_data_are_refused_by_their_check_sums(cases: Path) -> None:
    found = compared(cases, "a", "shift")

    assert (found.comparable, found.step, found.other_step, found.tensor) == (False, 2, 1, None)
    assert "the data differ: step 2 of the first run sees the batch of step 1 of the second" in found.sentence
    assert "on 1 against 2 ranks" in compared(cases, "a", "ddp").sentence


def test_one_process_is_compared_with_two_ranks_where_the_global_batch_is_the_same(cases: Path) -> None:
    found = compared(cases, "global", "ddp")

    assert (found.comparable, found.aligned, found.step) == (True, 6, None)
    assert found.sentence.startswith("equal")


def test_rounding_that_grew_is_no_finding_of_a_layer() -> None:
    one, other = (make_recording(world=1, kind="single") for _ in range(2))
    other.values[:, :, 4] *= 1 + 1e-6
    other.values[7:, :, 4] *= 1.01
    found = compare_records(make_run(recordings=[one]), make_run(recordings=[other]))

    assert found is not None
    assert found.step == 8
    assert "rounding that grew" in found.sentence


def test_nothing_in_common_and_nothing_recorded() -> None:
    one = make_run(recordings=[make_recording(world=1, kind="single")])
    strange = make_run(recordings=[make_recording(world=1, kind="single", names=("x", "y"))])
    found = compare_records(one, strange)

    assert found is not None
    assert not found.comparable
    assert compare_records(one, make_run(loss=[1.0])) is None


def test_the_command_tells_it_in_every_format(cases: Path) -> None:
    paths = [str(cases / name / "blackbox") for name in ("compare-a", "compare-lr")]
    table = CliRunner().invoke(main, ["compare", *paths, "-q"])
    tree = json.loads(CliRunner().invoke(main, ["compare", *paths, "-q", "-f", "json"]).stdout)
    page = CliRunner().invoke(main, ["compare", *paths, "-q", "-f", "markdown"])

    assert "The records: they part at step 1, in the update column of head.weight" in table.output
    assert (tree["records"]["column"], tree["records"]["step"], tree["records"]["tensor"]) == (
        "update",
        1,
        "head.weight",
    )
    assert "The records: they part at step 1" in page.output
