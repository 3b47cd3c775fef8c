"""Which series counts as the learning rate, where only those of groups of parameters were logged."""

import numpy as np
import pytest

from forensics.assemble.rate import with_rate
from forensics.model import Samples


def block(name: str, values: list[float]) -> Samples:
    count = np.arange(1, len(values) + 1, dtype=np.int64)
    return Samples(name, count, np.array(values), count, "metrics.csv", "row {}")


def names(*blocks: Samples) -> list[str]:
    return [each.name for each in with_rate(blocks)]


FALLING = [3e-4, 2e-4, 1e-4]


@pytest.mark.parametrize(
    "name",
    ["lr-Adam", "lr-AdamW/pg1", "lr/pg0", "backbone_lr", "lr_g", "proj learning rate", "lr_0", "lr-SGD-momentum"],
)
def test_the_rate_of_a_group_is_the_rate(name: str) -> None:
    (found,) = with_rate([block(name, FALLING)])

    assert (found.name, found.logged_as) == ("learning_rate", name)


@pytest.mark.parametrize("name", ["max_lr", "initial_lr", "lr_loss", "lr_scale", "lr", "blr", "min learning rate"])
def test_bounds_and_other_quantities_are_not(name: str) -> None:
    assert names(block(name, FALLING)) == [name]


def test_one_that_is_logged_as_such_goes_before() -> None:
    assert names(block("lr/pg0", FALLING), block("learning_rate", FALLING)) == ["lr/pg0", "learning_rate"]


def test_a_frozen_group_says_nothing_of_the_others() -> None:
    """Unless all of them are frozen."""
    assert names(block("backbone_lr", [0.0] * 3), block("head_lr", FALLING)) == ["backbone_lr", "learning_rate"]
    assert names(block("backbone_lr", [0.0] * 3), block("head_lr", [0.0] * 3)) == ["learning_rate", "head_lr"]
