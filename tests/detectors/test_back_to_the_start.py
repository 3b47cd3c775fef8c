"""A run that was resumed from nothing: its loss is back where it began, and the log says where it began again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forensics.analysis.context import seams
from forensics.investigate import investigate
from forensics.model import Finding, Order
from forensics.names import Kind
from forensics.testing import make_events, make_run

FIRST, SEAM = 2.05, 61
WIGGLE = (0.0, 0.02, -0.03, 0.01, -0.01)


def curve(start: float, end: float, size: int) -> list[float]:
    return [end + (start - end) * 0.95**i + WIGGLE[i % len(WIGGLE)] for i in range(size)]


def jumps(folder: Path) -> list[Finding]:
    return [f for f in investigate(folder).findings if f.symptom == "resume-jump"]


def logged(losses: list[float], first: int = 1) -> str:
    return "".join(f"iter {first + i}: loss {loss:.4f}, time 50.00ms\n" for i, loss in enumerate(losses))


SAID = (
    "Resuming training from out",
    "Resuming from ./checkpoints/latest.pt",
    "[2025-03-01 10:00:00,123] INFO Resume training from /data/ckpt/step-60",
    "Loaded checkpoint 'out/last.pt' (epoch 3)",
    "Restored all states from the checkpoint at last.ckpt",
    "***** Running training *****",
)


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("end", [1.4, 1.7])
def test_a_loss_back_at_its_first_level_where_the_log_says_that_it_was_resumed(
    tmp_path: Path, said: str, end: float
) -> None:
    """From 1.7 it is a rise by a fifth: a jump as such must be of 30 %."""
    text = f"{logged(curve(FIRST, end, 60))}{said}\n{logged(curve(FIRST, end, 60), SEAM)}"
    (tmp_path / "train.log").write_text(text)
    (found,) = jumps(tmp_path)

    assert (found.severity, found.step, found.step_range) == ("warning", SEAM, (SEAM - 1, SEAM))
    assert found.statement.endswith("it is back at the level of its first entries")


@pytest.mark.parametrize("said", SAID)
def test_a_resume_that_goes_on_is_silent(tmp_path: Path, said: str) -> None:
    """The same words above a loss that goes on, and above the first entry."""
    losses = curve(FIRST, 1.4, 120)
    (tmp_path / "train.log").write_text(f"{said}\n{logged(losses[:60])}{said}\n{logged(losses[60:], SEAM)}")

    assert jumps(tmp_path) == []


@pytest.mark.parametrize(("start", "found"), [(FIRST, 1), (1.5, 0)])
def test_attempts_in_files_of_their_own(tmp_path: Path, start: float, found: int) -> None:
    """Nothing is said but where the second file begins; a loss that rises by less than a tenth is a resume spike."""
    (tmp_path / "train_1.log").write_text(logged(curve(FIRST, 1.4, 60)))
    (tmp_path / "train_2.log").write_text(logged(curve(start, 1.4, 60), SEAM))

    assert len(jumps(tmp_path)) == found


@pytest.mark.parametrize("end", [3.0, 1.4])
def test_the_rise_of_a_loss_that_had_hardly_fallen_is_no_jump(tmp_path: Path, end: float) -> None:
    """8 % above the noise may be other data; so may a rise that leaves most of what was learnt."""
    again = curve(end + 0.25, end, 60)
    (tmp_path / "train.log").write_text(
        f"{logged(curve(max(FIRST, end + 0.25), end, 60))}{SAID[0]}\n{logged(again, SEAM)}"
    )

    assert jumps(tmp_path) == []


def test_metrics_in_files_of_their_own(tmp_path: Path) -> None:
    for number, first in enumerate((1, SEAM)):
        rows = [{"step": first + i, "loss": loss} for i, loss in enumerate(curve(FIRST, 1.4, 60))]
        (tmp_path / f"metrics_{number}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    assert [f.step for f in jumps(tmp_path)] == [SEAM]


def test_words_in_a_history_that_was_overwritten_are_no_seam() -> None:
    """The run went back from 60 to 41 there; what stands at 41 in the end is of a later attempt."""
    order = Order(np.array([60, 60]), np.array([41, SEAM]), np.array([50, 40]), 100)
    events = replace(make_events(Kind.RESUMED, (-1, -1)), order=order)

    assert seams(make_run(loss=curve(FIRST, 1.4, 100), events=[events])) == {SEAM}


def test_entries_without_steps_are_counted(tmp_path: Path) -> None:
    """The words stand between two entries, whatever these are counted in."""
    before, after = (
        "".join(f"{{'loss': {loss:.4f}, 'grad_norm': 1.0}}\n" for loss in curve(start, 1.4, 60))
        for start in (FIRST, 2.04)
    )
    (tmp_path / "train.log").write_text(f"{before}Resuming from out/last\n{after}")

    assert [f.step for f in jumps(tmp_path)] == [SEAM]
