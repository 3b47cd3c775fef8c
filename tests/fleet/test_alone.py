"""Several runs side by side are refused; what one run leaves stays one run."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import forensics
from fleet.run_folders import DIED, touch, write_run
from forensics.cli import main
from forensics.errors import UsageError
from forensics.fleet.alone import apart_of
from runs import BROKEN, FOUNDING, HEALTHY

EVENTS = "events.out.tfevents.1.host.1.0"
STATE = "trainer_state.json"


def named_runs(root: Path) -> str:
    """Return what the refusal says, without the path of the test."""
    with pytest.raises(UsageError) as refused:
        apart_of(root, Path("root"))
    return str(refused.value)


def test_fixture_runs_side_by_side_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FOUNDING.run, tmp_path / "a")
    shutil.copytree(HEALTHY[0].run, tmp_path / "b")
    done = CliRunner().invoke(main, ["analyze", str(tmp_path)])

    assert done.exit_code == 2
    assert "holds 2 runs: a, b; name one of them, or use `medforensics triage`" in done.stderr


@pytest.mark.parametrize("command", [["timeline"], ["env"], ["bundle", "-o", "../x.zip"], ["compare", "."]])
def test_every_command_that_reads_one_run_refuses_two(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", DIED)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*command, "."])

    assert done.exit_code == 2
    assert "holds 2 runs: a, b" in done.stderr


def test_the_functions_of_the_package_refuse_two(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", DIED)

    with pytest.raises(UsageError, match="holds 2 runs"):
        forensics.analyze(tmp_path)
    with pytest.raises(UsageError, match="holds 2 runs"):
        forensics.read(tmp_path)


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_a_real_run_is_one_run(case: object) -> None:
    assert apart_of(case.run, case.run) == ()  # type: ignore[attr-defined]  # a `runs.Case`


ONE_RUN = {
    "an output folder with everything": [
        STATE,
        "checkpoint-5/trainer_state.json",
        f"runs/Jan01_host/{EVENTS}",
        f"runs/Jan02_host/{EVENTS}",
        "wandb/run-20260101_000000-abc/run-abc.wandb",
        "wandb/run-20260102_000000-def/run-def.wandb",
        "train.log",
        "logs/rank0/stdout.log",
    ],
    "a log of the job, the output, a saved model": [
        "slurm-1.out",
        "output/checkpoint-5/trainer_state.json",
        "final/training_args.bin",
        "final/model.safetensors",
    ],
    "job logs beside an output with event files": ["slurm/slurm-1.out", f"out/{STATE}", f"out/runs/x/{EVENTS}"],
    "logs in one folder, output in another": ["slurm/slurm-1.out", "out/checkpoint-5/model.safetensors"],
    "a folder for each rank": ["0/stdout.log", "1/stdout.log", "2/stdout.log"],
    "a folder for each node": ["node-0/train.log", "node-1/train.log"],
    "training and validation writers": [f"train/{EVENTS}", f"validation/{EVENTS}"],
    "main writer and its sub-writers": [EVENTS, f"loss_a/{EVENTS}", f"loss_b/{EVENTS}"],
    "two trackers": [f"tensorboard/{EVENTS}", "wandb/run-20260101_000000-abc/run-abc.wandb"],
    "a W&B run that was resumed": [
        "wandb/run-20260101_000000-abc/run-abc.wandb",
        "wandb/run-20260102_000000-abc/run-abc.wandb",
    ],
    "a checkpoint alone": ["checkpoint-5/model.safetensors", "checkpoint-5/trainer_state.json"],
}


@pytest.mark.parametrize("name", ONE_RUN)
def test_what_one_run_leaves_is_one_run(name: str, tmp_path: Path) -> None:
    touch(tmp_path, *ONE_RUN[name])

    assert apart_of(tmp_path, tmp_path) == ()


SEVERAL = {
    "checkpoints of two runs": ["a/checkpoint-5/model.safetensors", "b/checkpoint-5/model.safetensors"],
    "experiments in TensorBoard's folder": [f"runs/base/{EVENTS}", f"runs/lr-1e-4/{EVENTS}"],
    "two runs in W&B's folder": [
        "wandb/run-20260101_000000-abc/run-abc.wandb",
        "wandb/run-20260102_000000-def/run-def.wandb",
    ],
    "versions of Lightning": [f"lightning_logs/version_a/{EVENTS}", f"lightning_logs/version_b/{EVENTS}"],
    "logs of jobs beside two runs": ["slurm-1.out", f"a/{STATE}", "b/checkpoint-5/x"],
    "a run with checkpoints and one without": [f"a/{STATE}", "a/train.log", "b/metrics.csv", "b/train.log"],
    "logs alone": ["a/train.log", "b/train.log"],
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_runs_are_refused(name: str, tmp_path: Path) -> None:
    touch(tmp_path, *SEVERAL[name])

    assert "holds 2 runs" in named_runs(tmp_path)


def test_many_runs_are_told_by_their_first(tmp_path: Path) -> None:
    for number in range(7):
        write_run(tmp_path / f"r{number}", DIED)

    assert named_runs(tmp_path).startswith("root holds 7 runs: r0, r1, r2, r3, r4, ...;")


def test_a_copied_checkpoint_belongs_to_the_run_it_was_copied_from(tmp_path: Path) -> None:
    """`best/` with the run's own state is no second run; the same folder with another history is one."""
    write_run(tmp_path / "out")
    write_run(tmp_path / "out" / "checkpoint-20")
    write_run(tmp_path / "out" / "best")
    write_run(tmp_path / "out" / "other", DIED)

    assert apart_of(tmp_path / "out", tmp_path) == ("other",)


def test_a_run_inside_of_a_run_is_left_out_and_told(tmp_path: Path) -> None:
    write_run(tmp_path / "out", [3.0 - 0.1 * i for i in range(10)])
    write_run(tmp_path / "out" / "deep" / "second", DIED)
    report = json.loads(CliRunner().invoke(main, ["analyze", str(tmp_path / "out"), "--json"]).stdout)
    run = forensics.read(tmp_path / "out")

    assert run.timeline.last_step == 10
    assert [skip.what for skip in run.skips] == ["deep/second"]
    assert report["verdict"] == "healthy"


@pytest.mark.parametrize("link", [True, False], ids=["link", "copy"])
def test_the_latest_run_of_wandb_is_not_read_twice(link: bool, tmp_path: Path) -> None:
    data = Path(__file__).parents[1] / "data" / "wandb"
    log = next(data.rglob("*.wandb"))
    own = tmp_path / "wandb" / "run-20260101_000000-abc"
    own.mkdir(parents=True)
    shutil.copy(log, own / "run-abc.wandb")
    once = forensics.read(tmp_path)
    if link:
        (tmp_path / "wandb" / "latest-run").symlink_to(own, target_is_directory=True)
    else:
        shutil.copytree(own, tmp_path / "wandb" / "latest-run")
    twice = forensics.read(tmp_path)

    assert len(twice.frame()) == len(once.frame()) > 0
    assert any("latest-run" in skip.what for skip in twice.skips)
