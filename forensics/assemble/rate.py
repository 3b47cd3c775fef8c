"""Which series is the learning rate, where only those of groups of parameters were logged."""

import re
from collections.abc import Sequence
from dataclasses import replace

from forensics.deferred.patterns import expression
from forensics.model import Samples
from forensics.names import LEARNING_RATE

OF_A_GROUP = expression(
    r"^(?:train/)?(?:lr|learning[_ ]rate)[-_/ ](?:group|param|pg|opt|net|model|back|head|main|base|gen|disc|adam|sgd"
    r"|muon|rms|lamb|lion|ada|[dg]$|\d)[\w./-]{0,40}$"
    r"|^(?:train/)?\w{1,30}[-_/ ](?:lr|learning[_ ]rate)(?:[-_]?\d)?$",
    re.IGNORECASE,
)
"""`lr-AdamW/pg1` of Lightning's LearningRateMonitor, `lr/pg0` of Ultralytics, backbone_lr and lr_g of one's own."""
NO_RATE = expression(r"(?:init|initial|base|max|min|peak|final|best|new|old|target|warmup)\w{0,8}[-_/ ]", re.IGNORECASE)
"""Bounds of a schedule, not what is in force."""


def with_rate(samples: Sequence[Samples]) -> list[Samples]:
    """Give the first group's rate that is not 0 throughout the name `learning_rate`, where no other has it.

    A group that is frozen by a rate of 0 says nothing of the others; where all are 0, nothing moves.
    """
    groups = sorted({block.name for block in samples if len(block.steps) and _is_of_a_group(block.name)})
    if not groups or any(block.name == LEARNING_RATE and len(block.steps) for block in samples):
        return list(samples)
    moving = [name for name in groups if any(block.values.any() for block in samples if block.name == name)]
    chosen = (moving or groups)[0]
    return [
        replace(block, name=LEARNING_RATE, logged_as=chosen) if block.name == chosen else block for block in samples
    ]


def _is_of_a_group(name: str) -> bool:
    return bool(OF_A_GROUP.search(name)) and not NO_RATE.search(name)
