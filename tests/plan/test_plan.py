"""The ladder of a run: which rungs, what each changes, and a launch line that can be pasted."""

import json
from typing import Any

from click.testing import CliRunner

from forensics.cli import main
from forensics.model import Setting, Source, Standing
from forensics.plan import ladder
from forensics.testing import make_run
from runs import FOUNDING

ZERO2: dict[str, Any] = {
    "world_size": 2,
    "gradient_accumulation_steps": 4,
    "bf16": True,
    "seed": 7,
    "deepspeed": "ds.json",
    "zero_optimization.stage": 2,
    "zero_optimization.overlap_comm": True,
}


def launched(command: str, **settings: Any) -> Any:
    run = make_run(settings=settings)
    entry = Setting("command", "launch", command, Source("run.sh"), Standing.INTENDED)
    run.environment.entries[("command", "launch")] = (entry,)  # type: ignore[index]
    return run


def test_a_run_of_several_ranks_climbs_four_rungs() -> None:
    rungs = ladder(make_run(settings=ZERO2))

    assert [rung.number for rung in rungs] == [1, 2, 3, 4]
    assert [rung.command.split()[0] for rung in rungs] == ["python", "python", "torchrun", "torchrun"]
    assert rungs[0].compare == ""
    assert rungs[2].compare == "medforensics compare rungs/2 rungs/3"


def test_one_process_sees_the_global_batch() -> None:
    first, second, third, _ = ladder(make_run(settings=ZERO2))

    for rung in (first, second):
        assert "--gradient_accumulation_steps=8" in rung.command
        assert "deepspeed" not in rung.command
    assert "--bf16=False" in first.command
    assert "--attn_implementation=eager" in first.command
    assert "--bf16=True" in second.command
    assert "--deepspeed=ds.json" in third.command


def test_overlap_comes_last() -> None:
    third, fourth = ladder(make_run(settings=ZERO2))[2:]

    assert ("zero_optimization.overlap_comm", True, False) in {(c.name, c.was, c.now) for c in third.changes}
    assert "overlap_comm" not in {c.name for c in fourth.changes}


def test_a_plain_run_has_two_rungs() -> None:
    assert len(ladder(make_run(settings={"max_steps": 100}))) == 2
    assert len(ladder(make_run())) == 2
    assert "torch.compile" in ladder(make_run(settings={"torch_compile": True}))[1].title
    assert "--fsdp" not in ladder(make_run(settings={"fsdp": "full_shard", "world_size": 2}))[0].command


def test_the_recorded_command_is_kept() -> None:
    run = launched("torchrun --nproc_per_node 8 tune.py --model m --bf16 True --max_steps 900 --peft", **ZERO2)
    first = ladder(run)[0].command

    assert first.startswith("python tune.py --model m --peft --max_steps=10 --seed=7")
    assert "900" not in first
    assert ladder(launched("torchrun 'cut", **ZERO2))[0].command.startswith("python train.py --max_steps=10")


def test_the_command_prints_both_formats() -> None:
    text = CliRunner().invoke(main, ["plan", str(FOUNDING.run)])
    tree = json.loads(CliRunner().invoke(main, ["plan", str(FOUNDING.run), "-f", "json"]).stdout)

    assert text.exit_code == 0
    assert "DeepSpeed configuration zero_optimization.overlap_comm: True -> False" in text.output
    assert "then: medforensics compare rungs/3 rungs/4" in text.output
    assert [rung["rung"] for rung in tree["rungs"]] == [1, 2, 3, 4]
