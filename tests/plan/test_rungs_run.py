"""The rungs of a plan are launched as they are printed, each in turn, and compared as the plan says."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from forensics.cli import main
from recorder.recorder_records import ROOT
from recorder.test_recorder_frameworks import VENVS

SCRIPT = Path(__file__).parent / "tiny_train.py"
LAUNCH = (
    "torchrun --nproc_per_node=2 tiny_train.py --bf16 True --use_cpu True --learning_rate 1e-3 --max_steps 6"
    " --per_device_train_batch_size 2 --gradient_accumulation_steps 2 --logging_steps 1 --report_to none --seed 5"
    " --output_dir out --save_strategy no"
)
EXPECTED = {
    2: "equal within rounding in all 3 steps",
    3: "equal within rounding in all 10 steps",
    4: "equal in all 10 steps, to the last bit",
}


def test_each_rung_of_a_plan_runs_and_is_equal_to_the_one_before(tmp_path: Path) -> None:
    """Two ranks in bfloat16 over gloo: float32 alone, bfloat16 alone, two ranks, the run as it was."""
    home = VENVS / "v5"
    if not (home / "complete").exists():
        pytest.skip("the environment v5 is not there: fixtures/generators/make.py makes it")
    shutil.copy(SCRIPT, tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.sh").write_text(LAUNCH + "\n")
    variables = os.environ | {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    plan = json.loads(CliRunner().invoke(main, ["plan", str(run), "-f", "json"]).stdout)
    assert len(plan["rungs"]) == 4
    for rung in plan["rungs"]:
        done = subprocess.run(
            ["bash", "-c", rung["command"]], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        if rung["compare"]:
            one, other = (str(tmp_path / place) for place in shlex.split(rung["compare"])[2:4])
            told = CliRunner().invoke(main, ["compare", one, other, "-q", "-f", "json"])
            assert EXPECTED[rung["rung"]] in json.loads(told.stdout)["records"]["sentence"]
