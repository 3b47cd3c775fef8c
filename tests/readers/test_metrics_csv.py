"""Metrics as comma-separated values."""

import math
from pathlib import Path

import pytest

from forensics.model import UNKNOWN_STEP, Artifact, Fact, Samples, Skip
from forensics.readers.metrics_csv import looks_like_table, metrics_csv

LIGHTNING = "epoch,grad_norm,lr-AdamW,step,train_loss,val_loss\n0,,,49,1.8312,\n0,1.5,2e-05,99,nan,\n0,,,99,,1.6902\n"


def read(tmp_path: Path, data: str, name: str = "metrics.csv") -> list[Fact]:
    path = tmp_path / name
    path.write_bytes(data.encode())
    return list(metrics_csv.read(Artifact(tmp_path, path.name, path.stat().st_size, 0.0)))


def block(facts: list[Fact], name: str) -> Samples:
    (found,) = [fact for fact in facts if isinstance(fact, Samples) and fact.name == name]
    return found


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lightning(tmp_path: Path, line_end: str) -> None:
    """Empty cells are absent, NaN is a value, training and validation stand on rows of their own."""
    facts = read(tmp_path, LIGHTNING.replace("\n", line_end))

    assert block(facts, "train_loss").steps.tolist() == [49, 99]
    assert math.isnan(block(facts, "train_loss").values[1])
    assert block(facts, "eval_loss").values.tolist() == [1.6902]
    assert block(facts, "eval_loss").records.tolist() == [4]
    assert block(facts, "grad_norm").steps.tolist() == [99]
    epochs = block(facts, "train_loss").epochs
    assert epochs is not None
    assert epochs.tolist() == [0.0, 0.0]


def test_deepspeed_monitor(tmp_path: Path) -> None:
    """The header comes again at every start; the steps count samples."""
    facts = read(tmp_path, "step,train_loss\n8,2.5\nstep,train_loss\n16,2.0\n", "Train_Samples_train_loss.csv")
    rates = read(tmp_path, "step,lr\n8,2e-05\n", "Train_Samples_lr.csv")

    assert block(facts, "loss").steps.tolist() == [8, 16]
    assert block(facts, "loss").axis == "samples"
    assert block(facts, "loss").records.tolist() == [2, 4]
    assert block(rates, "learning_rate").values.tolist() == [2e-05]


def test_quotes_and_times(tmp_path: Path) -> None:
    """TensorBoard's download has a wall time; cells may be quoted."""
    facts = read(tmp_path, '"Wall time","Step","Value"\n"1746093600.5","10","0.5"\n')

    assert block(facts, "Value").steps.tolist() == [10]


def test_wall_times(tmp_path: Path) -> None:
    """A time column becomes the wall time of its row."""
    facts = read(tmp_path, "timestamp,step,loss\n1970-01-02 00:00:00,1,2.5\n")
    times = block(facts, "loss").wall_times

    assert times is not None
    assert times.tolist() == [86400.0]


def test_damage_costs_the_row(tmp_path: Path) -> None:
    """A row that does not fit the header is reported; a step that is no count is unknown, not guessed."""
    facts = read(tmp_path, 'step,epoch,loss\n1,0.1,2.5\n2,0.2\n1.5,0.3,2.0\n"3,0.4')

    assert block(facts, "loss").steps.tolist() == [1, UNKNOWN_STEP]
    (skip,) = [fact for fact in facts if isinstance(fact, Skip)]
    assert skip.reason == "2 lines do not fit the header, the first of them line 3"


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        (LIGHTNING.encode(), True),
        (b"prompt,answer\n1,2\n", False),
        (b"step\n1\n", False),
        (b"", False),
    ],
)
def test_sniffing(head: bytes, taken: bool) -> None:
    """A table of metrics has a step or an epoch beside something else."""
    assert looks_like_table(head) is taken
