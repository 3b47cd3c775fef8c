"""Logs of one folder that are several runs, and those that are one run in several pieces."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from forensics.assemble.several import several_runs
from forensics.cli import main
from forensics.model import Events, Fact, Samples, Setting, Source, Standing
from forensics.names import Kind


def log(path: str, steps: range, seed: int, *, finished: bool = False, planned: int | None = None) -> list[Fact]:
    """Return the losses of a run, and whether it came to its end; the seed decides the values."""
    values = np.round(
        3 / np.sqrt(np.arange(1, len(steps) + 1)) + np.random.default_rng(seed).normal(0, 0.05, len(steps)), 4
    )
    records = np.arange(1, len(steps) + 1, dtype=np.int64)
    found: list[Fact] = [Samples("loss", np.array(steps, dtype=np.int64), values, records, path, "line {}")]
    if finished:
        done = np.array([len(steps) + 1], dtype=np.int64)
        found.append(Events(Kind.TRAINING_FINISHED, np.array([-1]), np.array([np.nan]), done, path, "line {}"))
    if planned is not None:
        found.append(Setting("setting", "max_steps", planned, Source(path), Standing.RECORDED))
    return found


def died(path: str) -> Events:
    return Events(Kind.TRACEBACK, np.array([60]), np.array([1.0]), np.array([99], dtype=np.int64), path, "line {}")


A, B = range(5, 65, 5), range(5, 85, 5)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([*log("a.log", A, 1, finished=True), *log("b.log", B, 2, finished=True)], ("a.log", "b.log")),
        ([*log("a.log", A, 1, finished=True), *log("b.log", B, 2)], ("a.log", "b.log")),
        ([*log("a.log", A, 1, planned=60), *log("b.log", A, 2, planned=100)], ("a.log", "b.log")),
        ([*log("fast.log", A, 1, finished=True), *log("slow.log", A, 2, finished=True)], ("fast.log", "slow.log")),
        ([*log("lr_1e-3.csv", A, 1), *log("lr_1e-4.csv", A, 2)], ("lr_1e-3.csv", "lr_1e-4.csv")),
        ([*log("a/train.csv", A, 1), *log("b/train.csv", A, 2)], ("a/train.csv", "b/train.csv")),
        ([*log("b2.log", A, 1, planned=60), *log("b10.log", A, 2, planned=70)], ("b2.log", "b10.log")),
    ],
    ids=[
        "two that ended",
        "one went on behind the other's end",
        "two plans",
        "the same plan twice",
        "a sweep",
        "two folders",
        "natural order",
    ],
)
def test_several_runs(facts: list[Fact], expected: tuple[str, ...]) -> None:
    assert several_runs(facts) == expected


@pytest.mark.parametrize(
    "facts",
    [
        [*log("a.log", A, 1), *log("b.log", B, 2, finished=True)],
        [*log("a.log", A, 1), *log("b.log", B, 2)],
        [*log("rank_0.csv", A, 1), *log("rank_1.csv", A, 2)],
        [*log("attempt_0/train.csv", A, 1), *log("attempt_1/train.csv", A, 2)],
        [*log("lr_1e-3.csv", A, 1), *log("lr_1e-4.csv", A, 2), died("lr_1e-3.csv")],
        [*log("batch.csv", A, 1), *log("smooth.csv", A, 2)],
        [*log("a.log", A, 1, finished=True), *log("b.log", A, 1, finished=True)],
        [*log("a.log", A, 1, finished=True), *log("b.log", range(65, 125, 5), 2, finished=True)],
        [*log("a.log", A, 1, finished=True), *log("b.log", range(50, 125, 5), 2, finished=True)],
        [*log("rank0.log", A, 1, finished=True), *log("rank1.log", A, 2, finished=True)],
        [*log("a.log", A, 1, finished=True), *log("checkpoint-60/trainer.log", B, 2, finished=True)],
        [*log("a.log", A, 1, planned=60), *log("b.log", B, 1, planned=80)],
        [*log("a.log", range(5, 15, 5), 1, finished=True), *log("b.log", B, 2, finished=True)],
    ],
    ids=[
        "an attempt that died, and one that ended",
        "two attempts",
        "processes by name",
        "attempts by name",
        "one of them died",
        "two names for one run",
        "copies",
        "a continuation",
        "a resume behind the start",
        "two processes",
        "a copy in a checkpoint",
        "the same values under another plan",
        "too short to tell",
    ],
)
def test_one_run(facts: list[Fact]) -> None:
    assert several_runs(facts) == ()


def written(folder: Path, name: str, steps: int, seed: int, end: str) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.05, steps)
    rows = [f"{{'loss': {3 / (1 + n) ** 0.5 + noise[n]:.4f}, 'step': {5 * (n + 1)}}}\n" for n in range(steps)]
    (folder / name).write_text("".join(rows) + end)


DONE = "{'train_runtime': 12.5, 'train_samples_per_second': 8.0, 'train_loss': 1.5, 'epoch': 1.0}\n"
DIED = (
    'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\nIndexError: index 7 is out of range\n'
)


def test_a_failing_run_is_not_outvoted_by_another(tmp_path: Path) -> None:
    """The folder is refused with the names of its runs, and triage has a row for each."""
    written(tmp_path, "a.log", 12, 1, DONE)
    written(tmp_path, "b.log", 20, 2, DIED)

    refused = CliRunner().invoke(main, ["analyze", str(tmp_path)])
    rows = json.loads(CliRunner().invoke(main, ["triage", str(tmp_path), "-j", "1", "-f", "json"]).stdout)["runs"]
    assert refused.exit_code == 2
    assert "holds 2 runs: a.log, b.log" in refused.stderr
    assert {row["path"]: row["verdict"] for row in rows} == {"a.log": "healthy", "b.log": "broken"}
