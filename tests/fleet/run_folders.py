"""Small run directories, written in a moment."""

import json
from collections.abc import Sequence
from pathlib import Path

HEALTHY = tuple(2.0 - 0.05 * i for i in range(20))
DIED = (*HEALTHY[:10], *([0.0] * 10))


def write_run(folder: Path, loss: Sequence[float] = HEALTHY, *, norm: float = 0.5, dead: float = float("nan")) -> Path:
    """Write the trainer state of a run; where the loss is 0 the gradient norm is `dead`."""
    folder.mkdir(parents=True, exist_ok=True)
    history = [
        {"step": i, "epoch": i / 10, "loss": value, "grad_norm": norm if value else dead, "learning_rate": 1e-5}
        for i, value in enumerate(loss, 1)
    ]
    state = {"global_step": len(loss), "max_steps": len(loss), "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    return folder


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
