"""What a resume reads, and what of it a checkpoint does not hold.

The Trainer loads the weights and `trainer_state.json` or fails; an optimizer or scheduler that is missing it leaves
out without a word and begins anew (transformers 4.57, `Trainer._load_optimizer_and_scheduler`), which is a leap of
the loss that looks like a fault.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Checkpoint

WEIGHTS, OPTIMIZER, SCHEDULER, TRAINER = "weights", "optimizer state", "scheduler state", "trainer state"
MOMENTS = frozenset({"master", "exp_avg", "exp_avg_sq", "optimizer"})
OF_AN_OPTIMIZER = expression(r"(^|/)[^/]*optim[^/]*(/|$)", re.IGNORECASE)
"""optimizer.pt, optimizer_0/, *_optim_states.pt, optim_world_size_2_rank_0.pt, distrib_optim.pt."""
OF_ACCELERATE = expression(r"^random_states_\d+\.pkl$")


def with_gaps(checkpoints: Iterable[Checkpoint], artifacts: Iterable[Artifact]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints with what each lacks for a resume; `artifacts` are all files of the run."""
    paths = [artifact.path for artifact in artifacts]
    return tuple(replace(c, lacks=_lacks(c, _below(c, paths))) for c in checkpoints)


def _below(checkpoint: Checkpoint, paths: Iterable[str]) -> frozenset[str]:
    """Return the paths of the files in a checkpoint's folder, relative to it; those of the run's own top are flat."""
    if checkpoint.path == ".":
        return frozenset(path for path in paths if "/" not in path)
    prefix = f"{checkpoint.path}/"
    return frozenset(path[len(prefix) :] for path in paths if path.startswith(prefix))


def _lacks(checkpoint: Checkpoint, below: Collection[str]) -> tuple[str, ...]:
    roles = {word for word in checkpoint.tensors.roles.words if checkpoint.tensors.roles.among({word}).any()}
    optimizer = bool(roles & MOMENTS) or any(map(OF_AN_OPTIMIZER.search, below))
    if not below:  # one file that holds everything
        optimizer = optimizer or checkpoint.optimizer is not None
    held = {WEIGHTS: bool(roles & {"weight", "master"}), OPTIMIZER: optimizer}
    if checkpoint.kind.startswith("huggingface") and not any(map(OF_ACCELERATE.match, below)):
        # DeepSpeed keeps its own scheduler inside of its states.
        held[SCHEDULER] = "scheduler.pt" in below or "deepspeed" in checkpoint.kind
        held[TRAINER] = "trainer_state.json" in below
    return tuple(name for name, there in held.items() if not there)
