"""Curves of names that nothing is known of: what may be judged by their course alone."""

from typing import Any

import numpy as np
import pytest

from forensics.diagnosis.checked import QUALITY, checked
from forensics.model import Floats
from forensics.testing import make_run

SHAKEN = np.tile([1.0, 0.9, 1.1], 8)
FALLING = np.geomspace(40.0, 2.0, 24) * SHAKEN
RISING = np.linspace(0.4, 0.9, 24) * SHAKEN**0.2


def _judged(curves: dict[str, Floats]) -> tuple[str, ...]:
    metrics: dict[str, Any] = {name: values.tolist() for name, values in curves.items()}
    return checked(make_run(**metrics)).judged


@pytest.mark.parametrize(
    ("name", "values"),
    [("inertia", FALLING), ("kd", FALLING), ("ndcg@5", RISING), ("dice", RISING)],
)
def test_what_comes_down_or_rises_beside_a_counter_is_judged(name: str, values: Floats) -> None:
    assert QUALITY in _judged({name: values})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("teacher_forcing", FALLING),
        ("tau", FALLING),
        ("queue", np.geomspace(40.0, 2.0, 24)),
        ("inertia", SHAKEN * 3),
        ("inertia", FALLING - 20),
        ("inertia", FALLING[:6]),
        ("fitness", FALLING),
        ("ndcg@5", RISING[::-1]),
    ],
)
def test_a_schedule_and_what_gets_worse_are_not(name: str, values: Floats) -> None:
    """A schedule has no noise; what lies on both sides of 0, rests, or is short tells nothing of a name unknown."""
    assert QUALITY not in _judged({name: values})


def test_beside_a_loss_only_known_names_speak() -> None:
    """Else a number that sinks for a reason of its own would excuse a loss that rests."""
    assert QUALITY not in _judged({"loss": SHAKEN * 3, "inertia": FALLING})
