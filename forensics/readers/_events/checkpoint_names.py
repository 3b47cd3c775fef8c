"""Steps in the names of checkpoints."""

import re

from forensics.model import UNKNOWN_STEP


def checkpoint_step(path: bytes) -> int:
    """Return the step that a checkpoint's path names, unknown when it names none.

    >>> checkpoint_step(b"out/checkpoint-500/global_step480/mp_rank_00_model_states.pt"), checkpoint_step(b"final")
    (480, -1)
    """
    found = re.findall(rb"(?:global_step|checkpoint-|step[-_]|iter_)(\d{1,18})", path)
    return int(found[-1]) if found else UNKNOWN_STEP
