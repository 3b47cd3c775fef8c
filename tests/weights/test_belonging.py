"""A checkpoint belongs to its step when its weights have the hashes that the black box recorded there."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from forensics.investigate import investigate  # noqa: E402
from forensics.model import Report  # noqa: E402
from forensics.recorder import BlackBox  # noqa: E402


def trained(run: Path, saves: dict[int, int], dtype: Any = torch.float32, cast: Any = None) -> None:
    """Train under the black box; `saves` maps a step to the number that its checkpoint is named after."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.Linear(96, 8)).to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    box = BlackBox(model, optimizer, run / "blackbox")
    for step in range(1, 13):
        loss = model(torch.randn(4, 64, dtype=dtype)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        box.step(step=step, loss=loss)
        if step in saves:
            folder = run / f"checkpoint-{saves[step]}"
            folder.mkdir()
            state = {name: value.to(cast or dtype).clone() for name, value in model.state_dict().items()}
            safetensors.save_file(state, folder / "model.safetensors")


def foreign(report: Report) -> list[str]:
    return [finding.statement for finding in report.findings if finding.symptom == "checkpoint-foreign"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_right_checkpoints_are_silent(tmp_path: Path, dtype: Any) -> None:
    trained(tmp_path / "run", {4: 4, 8: 8}, dtype)
    report = investigate(tmp_path / "run")

    assert foreign(report) == []
    assert len(list(report.run.timeline.events_of("checkpoint-step"))) == 2


def test_a_checkpoint_of_another_step_is_told_with_the_step_it_holds(tmp_path: Path) -> None:
    trained(tmp_path / "run", {4: 6, 8: 8})

    assert foreign(investigate(tmp_path / "run")) == [
        "checkpoint-6 is named after step 6 and holds the weights of step 4, by their hashes"
    ]


def test_weights_of_no_recorded_step(tmp_path: Path) -> None:
    trained(tmp_path / "run", {4: 4})
    file = tmp_path / "run" / "checkpoint-4" / "model.safetensors"
    state = safetensors.load_file(file)
    safetensors.save_file({name: value + 1 for name, value in state.items()}, file)

    assert foreign(investigate(tmp_path / "run")) == [
        "checkpoint-4 is named after step 4 and holds the weights of no recorded step, by their hashes"
    ]


def test_another_type_is_not_compared(tmp_path: Path) -> None:
    trained(tmp_path / "run", {4: 6}, cast=torch.bfloat16)

    assert foreign(investigate(tmp_path / "run")) == []
