"""What the black box of rank 0 measured, as metrics of the run."""

from dataclasses import replace

from forensics.model import Samples
from forensics.names import LOSS, RECORDED, TRAIN_LOSS


def with_recorded(samples: list[Samples]) -> list[Samples]:
    """Take what the black box of rank 0 measured for a metric that nothing else tells.

    Beside another source it keeps its own name: one rank's loss is not the mean that a trainer logs.
    """
    present = {block.name for block in samples if len(block.steps)}
    names = {recorded: name for name, recorded in RECORDED.items() if name not in present}
    if TRAIN_LOSS in present:
        names.pop(RECORDED[LOSS], None)
    return [replace(block, name=names[block.name]) if block.name in names else block for block in samples]
