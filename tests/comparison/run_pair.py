"""A pair of run directories that differ in the version of DeepSpeed, and in what became of them."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from runs import FOUNDING

GOOD_VERSION, BAD_VERSION = "0.11.1", "0.12.5"
KEPT = ("train.log", "pip_freeze.txt", "ds_zero2.json")


@dataclass(frozen=True, slots=True)
class Pair:
    good: Path
    bad: Path


def _healed(log: str) -> str:
    """Return the log as the run would have written it: falling losses where zeros were, and finite evaluations."""
    numbers = iter(range(1, 1000))

    def loss(match: re.Match[str]) -> str:
        return f"'loss': {1.06 - 0.003 * next(numbers):.4f}" if match[1] == "0.0" else match[0]

    return re.sub(r"'loss': ([0-9.]+)", loss, log).replace("'eval_loss': nan", "'eval_loss': 1.05")


def write_pair(folder: Path) -> Pair:
    """Write the founding run, and a copy of its text files with DeepSpeed 0.11.1 and a loss that stays healthy."""
    good, bad = folder / "good", folder / "bad"
    for path in (good, bad):
        path.mkdir()
        for name in KEPT:
            shutil.copy(FOUNDING.run / name, path / name)
    for name in KEPT[:2]:
        text = (good / name).read_text()
        text = text.replace(f"deepspeed=={BAD_VERSION}", f"deepspeed=={GOOD_VERSION}")
        text = text.replace(f"version={BAD_VERSION}", f"version={GOOD_VERSION}")
        (good / name).write_text(_healed(text))
    return Pair(good, bad)
