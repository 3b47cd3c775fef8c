"""Every run is found once: neither its checkpoints nor its trackers' folders are runs."""

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
    "nothing": (["readme.md", "src/train.py"], []),
    "an environment": ([f"venv/lib/{STATE}", f".git/{STATE}"], []),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_has_these_runs(name: str, tmp_path: Path) -> None:
    files, expected = LAYOUTS[name]
    touch(tmp_path, *files)

    assert [run.path.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)] == expected


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
