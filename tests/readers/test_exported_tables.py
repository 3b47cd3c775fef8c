"""Tables and JSON lines as trackers and trainers leave them: counters, runs, histories, nests."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.fleet.find import find_runs
from forensics.investigate import investigate, read
from forensics.model import UNKNOWN_STEP
from forensics.readers.metrics_csv import metrics_csv
from forensics.readers.metrics_jsonl import metrics_jsonl
from readers.reading import facts_of, samples_of, skips_of


def csv_of(tmp_path: Path, text: str, name: str = "chart.csv") -> dict[str, tuple[list[int], list[float]]]:
    found = samples_of(facts_of(metrics_csv, tmp_path, name, text))
    return {name: (block.steps.tolist(), block.values.tolist()) for name, block in found.items()}


def jsonl_of(tmp_path: Path, rows: list[object], name: str = "log.jsonl") -> dict[str, tuple[list[int], list[float]]]:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    found = samples_of(facts_of(metrics_jsonl, tmp_path, name, text))
    return {name: (block.steps.tolist(), block.values.tolist()) for name, block in found.items()}


def steps_of(tmp_path: Path, rows: list[object], name: str = "log.jsonl") -> dict[str, list[int]]:
    """Return the steps of each metric of the run that a table is alone."""
    (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {metric: series.steps.tolist() for metric, series in read(tmp_path).timeline.series.items()}


def test_a_chart_of_wandb_is_the_metric(tmp_path: Path) -> None:
    """The run's name goes, as do the bounds of each bin; a second run is told and left out."""
    text = (
        '"Step","lively-sun-7 - train/loss","lively-sun-7 - train/loss__MIN","lively-sun-7 - train/loss__MAX",'
        '"dark-moon-8 - train/loss"\n"10","2.5","2.5","2.5","9"\n"20","2.0","","","8"\n"30","NaN","","",""\n'
    )
    facts = facts_of(metrics_csv, tmp_path, "chart.csv", text)
    loss = samples_of(facts)["loss"]

    assert (loss.steps.tolist(), list(map(repr, loss.values.tolist()))) == ([10, 20, 30], ["2.5", "2.0", "nan"])
    assert skips_of(facts) == [("chart.csv", "holds several runs; only the first was read, not dark-moon-8")]


CHARTS = {
    "tensorboard": ("run-.-tag-train_loss.csv", "Wall time,Step,Value\n1.74e9,10,2.5\n1.75e9,20,2\n", "loss"),
    "tensorboard-eval": ("run-x_y-tag-eval_loss.csv", "Wall time,Step,Value\n1.7e9,10,2.5\n1.7e9,20,2\n", "eval_loss"),
    "neptune": ("grad_norm.csv", "step,value,timestamp\n10,2.5,2024-01-01 00:00\n20,2,2024-01-01\n", "grad_norm"),
    "ray": ("progress.csv", "training_iteration,time_total_s,loss\n10,1.5,2.5\n20,3.0,2\n", "loss"),
    "step-in-capitals": ("x.csv", "Step,Training Loss,Epoch\n10,2.5,0.5\n20,2.0,1\n", "loss"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "metric"), CHARTS.values(), ids=list(CHARTS))
def test_an_export_of_a_chart_is_its_metric(tmp_path: Path, name: str, text: str, metric: str) -> None:
    """What a column calls "value" is named by the file."""
    assert csv_of(tmp_path, text, name)[metric] == ([10, 20], [2.5, 2.0])


def test_trainings_that_were_appended_are_several(tmp_path: Path) -> None:
    """Keras' CSVLogger(append=True): the epochs begin anew, no loss leaps."""
    rows = [f"{e},{2 - e / 20}" for e in range(20)] + [f"{e},{2 - e / 20}" for e in range(8)]
    (tmp_path / "training.csv").write_text("epoch,loss\n" + "\n".join(rows) + "\n")

    assert {finding.symptom for finding in investigate(tmp_path).findings} <= {"step-rewind"}


def test_a_table_that_is_called_a_log_is_read_once(tmp_path: Path) -> None:
    """Keras' CSVLogger writes what people call training.log."""
    (tmp_path / "training.log").write_text("epoch,loss,val_loss\n0,2.5,2.25\n1,2.0,1.75\n2,1.5,1.25\n")

    assert [block.name for block in read(tmp_path).timeline.samples] == ["loss", "eval_loss"]


def epochs_of(length: int, epochs: int, first: int = 1) -> list[object]:
    return [
        {"mode": "train", "epoch": e, "iter": i, "lr": 1e-4, "loss": 2.0 - (e * length + i) / 100}
        for e in range(first, first + epochs)
        for i in range(1, length + 1)
    ]


@pytest.mark.parametrize("first", [0, 1])
def test_a_counter_of_the_epoch_is_made_global(tmp_path: Path, first: int) -> None:
    """mmcv and mmengine count `iter` within the epoch."""
    assert steps_of(tmp_path, epochs_of(7, 3, first))["loss"] == list(range(1, 22))


def test_a_counter_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    """A counter of the run rises through its epochs, and falls where the run was started again."""
    rows: list[object] = [{"epoch": 1 + n // 5, "step": n, "loss": 1.0} for n in range(1, 11)]

    assert jsonl_of(tmp_path, rows)["loss"][0] == list(range(1, 11))
    assert jsonl_of(tmp_path, [*rows, *rows[4:]])["loss"][0] == [*range(1, 11), *range(5, 11)]


def test_evaluations_of_mmcv_are_placed_by_their_epoch(tmp_path: Path) -> None:
    """Their `iter` counts batches of the evaluation; a rate of 0.0 is one that five decimals do not show."""
    rows = [*epochs_of(7, 1), {"mode": "val", "epoch": 1, "iter": 3, "lr": 0.0, "AP": 0.5, "loss": 1.5}]
    rows.append({"mode": "train", "epoch": 2, "iter": 1, "lr": 0.0, "loss": 1.0})
    found = jsonl_of(tmp_path, rows, "20240101_000000.log.json")

    assert found["eval_AP"] == ([UNKNOWN_STEP], [0.5])
    assert found["eval_loss"] == ([UNKNOWN_STEP], [1.5])
    assert found["learning_rate"] == (list(range(1, 8)), [1e-4] * 7)

    placed = steps_of(tmp_path, rows, "20240101_000000.log.json")
    assert placed["loss"] == list(range(1, 9))
    assert placed["eval_AP"] == placed["eval_loss"] == [7]


HISTORY: list[object] = [{"loss": 2.0 - n / 10, "step": 10 * n, "epoch": n / 10} for n in range(1, 6)]
LINES: list[object] = [{"loss": 2.0 - n / 10, "global_step/max_steps": f"{10 * n}/50"} for n in range(1, 6)]


@pytest.mark.parametrize("lines", [LINES, []], ids=["with-its-lines", "alone"])
def test_the_history_at_the_end_tells_what_the_lines_told(tmp_path: Path, lines: list[object]) -> None:
    """ms-swift's last line holds the log_history; where the lines are gone it is what is left."""
    rows = [*lines, {"train_runtime": 9.5, "log_history": HISTORY, "memory": 19.4}]
    if not lines:
        rows.append({"note": 1})  # one object alone is a trainer state
    path = tmp_path / "logging.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = read(path)

    assert run.timeline.series["loss"].steps.tolist() == [10, 20, 30, 40, 50]
    assert len(run.timeline.segments) == 1
    assert not any("breaks off" in skip.reason for skip in run.skips)


def test_nested_results_keep_their_path(tmp_path: Path) -> None:
    """Ray's `result.json`: learner statistics are metrics, the configuration in each line is none."""
    rows: list[object] = [
        {
            "training_iteration": n,
            "episode_reward_mean": 1.5 * n,
            "info": {"learner": {"default_policy": {"learner_stats": {"total_loss": 0.5 / n}}}},
            "config": {"lr": 5e-5, "seed": 7},
            "hist_stats": {"episode_reward": [1.0, 2.0]},
        }
        for n in range(1, 4)
    ]
    found = jsonl_of(tmp_path, rows, "result.json")

    assert found["episode_reward_mean"] == ([1, 2, 3], [1.5, 3.0, 4.5])
    assert found["info/learner/default_policy/learner_stats/total_loss"][0] == [1, 2, 3]
    assert not any("lr" in name or "seed" in name for name in found)


DATA = {
    "prompts": [{"step": n, "prompt": "x" * 300, "score": n / 7, "loss": 9.5} for n in range(20)],
    "tokens": [{"step": n, "input_ids": list(range(200)), "loss": 9.5} for n in range(20)],
}


@pytest.mark.parametrize("rows", DATA.values(), ids=list(DATA))
def test_examples_are_no_entries(tmp_path: Path, rows: list[object]) -> None:
    """A data set or the samples of a roll-out have columns called step and loss, and long texts."""
    assert jsonl_of(tmp_path, rows) == {}


def test_a_tracker_folder_without_its_record_is_one_run(tmp_path: Path) -> None:
    """`files/` and `logs/` of W&B, copied without the `.wandb` file; folders of runs stay several."""
    for name in ("one/files/output.log", "one/logs/debug.log", "two/a/train.log", "two/b/train.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("step: 1 loss: 2.5\nstep: 2 loss: 2.25\nstep: 3 loss: 2.0\n")

    assert [run.path.name for run in find_runs(tmp_path / "one")] == ["one"]
    assert [run.path.name for run in find_runs(tmp_path / "two")] == ["a", "b"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.integers(2, 9), epochs=st.integers(2, 6), every=st.integers(1, 4), first=st.integers(0, 1))
def test_steps_are_those_of_the_run(tmp_path: Path, lengths: int, epochs: int, every: int, first: int) -> None:
    """Whatever the length of an epoch and how often it was logged, steps rise by what was trained in between."""
    rows: list[object] = [
        {"epoch": e, "iter": i, "loss": 1.5 + i / 100}
        for e in range(first, first + epochs)
        for i in range(1, lengths + 1)
        if i % every == 0 or i == lengths
    ]
    expected = [
        (e - first) * lengths + row_i
        for e in range(first, first + epochs)
        for row_i in range(1, lengths + 1)
        if row_i % every == 0 or row_i == lengths
    ]
    assert steps_of(tmp_path, rows)["loss"] == expected
