"""Every run is found once: neither its checkpoints nor its trackers' folders are runs."""

import json
from pathlib import Path

import pytest

from fleet.run_folders import touch
from forensics.errors import UnreadableError
from forensics.fleet.find import find_runs

STATE = "trainer_state.json"
EVENTS = "events.out.tfevents.1.host.1.0"

LAYOUTS = {
    "one run": ([STATE, "checkpoint-5/trainer_state.json"], ["."]),
    "a folder of runs": ([f"a/{STATE}", f"b/{STATE}", "notes/readme.md"], ["a", "b"]),
    "event files below the run": ([f"a/{STATE}", f"a/runs/Jan01/{EVENTS}"], ["a"]),
    "only checkpoints": (["a/checkpoint-10/model.safetensors", "a/checkpoint-20/model.safetensors"], ["a"]),
    "a log and its output folder": (["a/train.log", f"a/output/{STATE}"], ["a"]),
    "a log folder and an output folder": (["a/logs/train.log", f"a/output/{STATE}"], ["a"]),
    "logs of jobs beside runs": (["slurm-1.out", f"a/{STATE}", f"b/{STATE}"], ["a", "b", "slurm-1.out"]),
    "a run inside of a run": ([f"a/{STATE}", f"a/second/{STATE}"], ["a", "a/second"]),
    "a folder named runs": ([f"runs/x/{STATE}", f"runs/y/{STATE}", "note.log"], ["note.log", "runs/x", "runs/y"]),
    "trackers of one run": ([f"a/{STATE}", "a/wandb/run-1/run-1.wandb", "a/wandb/run-1/files/output.log"], ["a"]),
    "trackers alone": (["wandb/run-1/run-1.wandb", "wandb/run-2/run-2.wandb"], ["wandb/run-1", "wandb/run-2"]),
    "deepspeed": (["a/latest", "a/global_step10/mp_rank_00_model_states.pt"], ["a"]),
    "megatron": (["a/latest_checkpointed_iteration.txt", "a/iter_0000010/x.pt"], ["a"]),
    "packed and rotated logs": (["a/train.log.gz", "b/train.log.2", "c/log.txt.xz"], ["a", "b", "c"]),
    "nothing": (["readme.md", "src/train.py"], []),
    "an environment": ([f"venv/lib/{STATE}", f".git/{STATE}"], []),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_has_these_runs(name: str, tmp_path: Path) -> None:
    files, expected = LAYOUTS[name]
    touch(tmp_path, *files)

    assert [run.path.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)] == expected


TELLING = {
    "out.txt": "Epoch 0 batch 10/100 loss 2.31\n",
    "log.jsonl": '{"step": 1, "train/loss": 2.3}\n',
    "table.csv": "epoch,train_loss,acc\n0,2.3,0.1\n",
    "history.json": '{"loss": [2.3, 2.1], "val_loss": [2.4]}',
    "Untitled.ipynb": json.dumps({"cells": [{"outputs": [{"text": "{'loss': 1.97, 'epoch': 0.1}"}]}]}),
    "broken.md": "the log:\n    step 3 | loss nan\n",
}
MUTE = {
    "requirements.txt": "torch==2.4\n",
    "config.json": '{"router_aux_loss_coef": 0.001, "loss": "ce"}',
    "train.jsonl": '{"text": "a loss of words, no loss at all"}\n',
    "readme.md": "# Loss\n\nThe loss is explained in 3 places.\n",
}


@pytest.mark.parametrize(("name", "told"), [*((n, True) for n in TELLING), *((n, False) for n in MUTE)])
def test_a_loss_makes_a_run_of_a_folder_that_no_name_tells(name: str, told: bool, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_text({**TELLING, **MUTE}[name])

    assert [run.path.name for run in find_runs(tmp_path, peek=True)] == (["a"] if told else [])


def test_a_table_beside_runs_is_none(tmp_path: Path) -> None:
    touch(tmp_path, f"a/{STATE}")
    (tmp_path / "all.csv").write_text(TELLING["table.csv"])

    assert [run.path.name for run in find_runs(tmp_path, peek=True)] == ["a"]


@pytest.mark.parametrize("name", [STATE, "train.log", EVENTS])
def test_tables_below_a_run_are_its_own(name: str, tmp_path: Path) -> None:
    touch(tmp_path, name)
    for folder in ("eval-1", "eval-2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "results.json").write_text(TELLING["history.json"])

    assert [run.path for run in find_runs(tmp_path, peek=True)] == [tmp_path]


def test_a_run_does_not_read_the_run_inside_of_it(tmp_path: Path) -> None:
    touch(tmp_path, f"a/{STATE}", f"a/deep/second/{STATE}")

    assert [run.apart for run in find_runs(tmp_path)] == [("deep/second",), ()]


def test_a_checkpoint_may_be_asked_for_by_name(tmp_path: Path) -> None:
    touch(tmp_path, f"checkpoint-5/{STATE}")

    assert [run.path for run in find_runs(tmp_path / "checkpoint-5")] == [tmp_path / "checkpoint-5"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, f"a/{STATE}")
    (tmp_path / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)

    assert [run.path for run in find_runs(tmp_path)] == [tmp_path / "a"]


def test_a_single_file_is_a_run(tmp_path: Path) -> None:
    touch(tmp_path, "train.log")

    assert [run.path for run in find_runs(tmp_path / "train.log")] == [tmp_path / "train.log"]


def test_a_root_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="does not exist"):
        find_runs(tmp_path / "absent")
