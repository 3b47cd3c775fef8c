"""What a record says of itself: tensors, places, versions, where the run came from."""

from __future__ import annotations

import os
import sys
from typing import Any

from forensics.recorder.layout import COLUMNS, FORMAT, VERSION
from forensics.recorder.probe import layout_of, weights_of
from forensics.recorder.setups import Setup

RUN_VARIABLES = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID")
PACKAGES = ("torch", "transformers", "deepspeed", "accelerate", "peft", "trl", "lightning", "numpy")


def described(setup: Setup, *, rank: int, world: int, start: float) -> dict[str, Any]:
    """Return the part of meta.json that does not change while the run goes on."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "columns": list(COLUMNS),
        "rank": rank,
        "world": world,
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "start": start,
        "kind": setup.kind,
        "reduced_read": setup.reduced,
        "accumulates": setup.accumulates,
        "optimizer": None if setup.optimizer is None else type(setup.optimizer).__name__,
        "run": {name: os.environ[name] for name in RUN_VARIABLES if os.environ.get(name)},
        "versions": {name: getattr(sys.modules[name], "__version__", None) for name in PACKAGES if name in sys.modules},
        "ds_config": engine_config(setup),
        "tensors": [tensor(name, parameter) for name, parameter in zip(setup.names, setup.parameters)],
    }


def tensor(name: str, parameter: Any) -> dict[str, Any]:
    weights = weights_of(parameter)
    return {
        "name": name,
        "shape": list(getattr(parameter, "ds_shape", parameter.shape)),
        "dtype": str(parameter.dtype).removeprefix("torch."),
        "local": list(weights.shape),
        "probe": list(layout_of(weights)),
    }


def engine_config(setup: Setup) -> dict[str, Any] | None:
    """Return what of a DeepSpeed configuration decides how gradients are reduced, as the optimizer holds it."""
    zero = setup.zero
    if zero is None:
        return None
    names = (
        "overlap_comm",
        "contiguous_gradients",
        "reduce_scatter",
        "partition_gradients",
        "cpu_offload",
        "offload_optimizer",
        "loss_scale",
    )
    found = {name: getattr(zero, name, None) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, (bool, int, float))}
