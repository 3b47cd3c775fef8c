"""The recorder needs torch and numpy and nothing of the analyzer; joined it is one file that needs nothing else."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.recorder.join import PARTS, joined
from recorder.recorder_records import ROOT, environment, records

pytest.importorskip("torch")

BLOCKED = """
import sys
import numpy, torch, torch._dynamo, torch.optim  # and whatever these want for themselves
class Block:
    def find_spec(self, name, path=None, target=None):
        top, _, rest = name.partition(".")
        ours = top == "blackbox" or (top == "forensics" and (not rest or rest.partition(".")[0] == "recorder"))
        if not ours and top not in sys.stdlib_module_names | {"torch", "numpy"}:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Block())
"""
LOOP = """
import torch
model = torch.nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
box = BlackBox(model, optimizer, "box")
for step in (1, 2):
    loss = model(torch.ones(1, 4)).sum()
    loss.backward()
    optimizer.step()
    box.step(step=step, loss=loss, batch={"input_ids": torch.ones(1, 4, dtype=torch.int64)})
assert not box.dead
BlackBoxCallback(stop_on="nonfinite").on_epoch_begin(None, None, None)
"""


@pytest.mark.parametrize("place", ["package", "file"])
def test_it_records_with_everything_else_blocked(tmp_path: Path, place: str) -> None:
    import_line = {
        "package": "from forensics.recorder import BlackBox, BlackBoxCallback",
        "file": "from blackbox import BlackBox, BlackBoxCallback",
    }[place]
    if place == "file":
        (tmp_path / "blackbox.py").write_text(joined("test"))
    path = str(ROOT) if place == "package" else str(tmp_path)
    subprocess.run(
        [sys.executable, "-c", f"{BLOCKED}\n{import_line}\n{LOOP}"],
        env=environment(PYTHONPATH=path),
        cwd=tmp_path,
        check=True,
    )

    (record,) = records(tmp_path / "box")
    assert record.rows["step"].tolist() == [1, 2]
    if place == "file":
        assert "forensics" not in (tmp_path / "blackbox.py").read_text().replace("medforensics", "")


def test_no_name_is_taken_twice_in_the_joined_file() -> None:
    tree = ast.parse(joined("test"))
    names = Counter(
        name
        for node in tree.body
        for name in (
            [node.name]
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
            else [t.id for t in node.targets if isinstance(t, ast.Name)]
            if isinstance(node, ast.Assign)
            else []
        )
    )

    assert [name for name, count in names.items() if count > 1] == []


def test_every_part_is_joined() -> None:
    folder = ROOT / "forensics" / "recorder"
    assert {p.stem for p in folder.glob("*.py")} == {*PARTS, "__init__", "join"}


def test_the_command_writes_the_joined_file(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from forensics import __version__
    from forensics.cli import main

    done = CliRunner().invoke(main, ["recorder"])

    assert (done.exit_code, done.output) == (0, joined(__version__))


def test_the_tutorial_runs_as_it_stands_and_says_what_it_promises(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "record.md").read_text()
    section = page.partition("## Try it on a laptop")[2].partition("## ")[0]
    code, promised = (part.partition("\n")[2] for part in section.split("```")[1::2])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    report = investigate(tmp_path / "try")

    assert promised.strip() in done.stderr
    assert report.findings[0].statement.startswith(
        "gradients turned NaN or infinite after the backward pass of step 12"
    )
    assert "0.weight" in report.findings[0].statement
    # One process reduces nothing: neither a cause nor an advice may be about a reduction.
    assert "fp16-reduction-overflow" not in {h.cause for h in report.hypotheses if h.verdict != "ruled out"}
    assert report.hypotheses[0].experiments[0].action.startswith("Print what is not finite")
