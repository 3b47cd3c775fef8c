"""How a model is trained: which framework holds the gradients, where they are before and after the reduction."""

from __future__ import annotations

import sys
from typing import Any

import torch

WRAPPERS = {"DistributedDataParallel", "DataParallel", "DeepSpeedEngine", "FullyShardedDataParallel"}
OPTIMIZER_WRAPPERS = {"AcceleratedOptimizer", "DeepSpeedOptimizerWrapper", "LightningOptimizer"}


def is_a(thing: Any, names: set[str]) -> bool:
    """Tell whether a class of this name is among the classes of `thing`; no framework is imported to ask."""
    return any(kind.__name__ in names for kind in type(thing).__mro__)


def inner_optimizer(optimizer: Any) -> Any:
    """Return the ZeRO optimizer inside of its wrappers, or else the torch optimizer."""
    while optimizer is not None and not hasattr(optimizer, "averaged_gradients"):
        wrapped = is_a(optimizer, OPTIMIZER_WRAPPERS) or not isinstance(optimizer, torch.optim.Optimizer)
        inside = getattr(optimizer, "optimizer", None)
        if not wrapped or inside is None:
            break
        optimizer = inside
    return optimizer


OF_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What `torch.compile`, FSDP1 and activation checkpointing put into the names of parameters."""


def plain_name(name: str) -> str:
    """Return the name that a parameter has in the model and in its checkpoints."""
    for part in OF_WRAPPERS:
        name = name.replace(part, "")
    return name


class Setup:
    """What was found out about model and optimizer.

    `kind` is single, replicated (DDP, or ranks that reduce by hand), fsdp2, fsdp1, zero12 or zero3. `reduced` says
    where the reduced gradient is read: "engine" just before the step of a ZeRO optimizer, "callback" at the end of
    the backward pass, "step" at the step of the optimizer, after clipping.
    """

    def __init__(self, model: Any, optimizer: Any, world: int, *, wrapped: bool) -> None:
        self.engine = model if is_a(model, {"DeepSpeedEngine"}) else None
        self.ddp = None
        while is_a(model, WRAPPERS) or hasattr(model, "_orig_mod"):
            if is_a(model, {"FullyShardedDataParallel"}):
                break
            self.ddp = model if is_a(model, {"DistributedDataParallel"}) else self.ddp
            model = getattr(model, "_orig_mod", None) or model.module
        self.model = model
        pairs = [(plain_name(name), p) for name, p in model.named_parameters() if p.requires_grad]
        if not pairs:
            raise ValueError("no parameter of the model is trained")
        self.names = [name for name, _ in pairs]
        self.parameters = [parameter for _, parameter in pairs]
        self.index = {id(parameter): i for i, parameter in enumerate(self.parameters)}
        self.optimizer = inner_optimizer(getattr(self.engine, "optimizer", None) if optimizer is None else optimizer)
        self.zero: Any = self.optimizer if hasattr(self.optimizer, "averaged_gradients") else None
        self.kind = self._kind(world)
        self.reduced = self._reduced(wrapped=wrapped and world > 1)
        self.accumulates = self.kind in {"single", "replicated"} or (
            self.kind == "zero12" and not getattr(self.zero, "partition_gradients", True)
        )

    def _kind(self, world: int) -> str:
        if self.zero is not None:
            return "zero3" if hasattr(self.parameters[0], "ds_tensor") else "zero12"
        if any(is_a(module, {"FullyShardedDataParallel"}) for module in self.model.modules()):
            return "fsdp1"
        if any(hasattr(module, "_get_fsdp_state") for module in self.model.modules()):
            return "fsdp2"
        return "replicated" if world > 1 else "single"

    def _reduced(self, *, wrapped: bool) -> str:
        if self.zero is not None or self.engine is not None:
            return "engine"
        # Ranks that reduce by hand after the backward pass have nothing to read at its end.
        return "callback" if self.kind == "fsdp2" or self.ddp is not None or wrapped else "step"

    @property
    def shard(self) -> bool:
        return self.kind in {"fsdp1", "fsdp2", "zero12", "zero3"}

    @property
    def hooked(self) -> bool:
        """Whether local gradients arrive at the parameters themselves."""
        return self.kind not in {"fsdp1", "fsdp2"}

    @property
    def last_micro_batch(self) -> bool:
        """Whether the gradients of this backward pass will be reduced, as far as anything tells."""
        if self.ddp is not None:
            return bool(self.ddp.require_backward_grad_sync)
        if self.engine is not None:
            return bool(self.engine.is_gradient_accumulation_boundary())
        states = sys.modules.get("accelerate.state")
        shared = getattr(getattr(states, "GradientState", None), "_shared_state", None) or {}
        return bool(shared.get("sync_gradients", True))

    def unsharded(self) -> list[tuple[int, Any]]:
        """Return FSDP2's unsharded parameters with their numbers: there after the first forward pass.

        Their gradients are local; a hook on the sharded parameter sees the reduced one, and one put there would
        turn off torch's overlap (`_fsdp_collectives.py`, has_post_acc_grad_hook).
        """
        found = []
        for module in self.model.modules():
            state = module._get_fsdp_state() if hasattr(module, "_get_fsdp_state") else None
            group = getattr(state, "_fsdp_param_group", None)
            for parameter in group.fsdp_params if group is not None else ():
                index = self.index.get(id(parameter.sharded_param))
                whole = getattr(parameter, "_unsharded_param", None)
                if index is not None and whole is not None:
                    found.append((index, whole))
        return found

    def partitions(self) -> list[tuple[int, Any]]:
        """Return this rank's reduced, scaled, not yet clipped pieces of gradients in ZeRO 1, 2 and 3.

        `averaged_gradients` runs parallel to the parameters of each group and may end with a padding tensor. With an
        optimizer that is offloaded it stays empty, and the gradients lie beside the float32 weights on the host.
        """
        if self.zero is None:
            return []
        groups = self.zero.fp16_groups if self.kind == "zero3" else self.zero.params_in_partition
        held = self._offloaded(groups) if self.offloads else self.zero.averaged_gradients
        return [
            (self.index[id(parameter)], gradient)
            for number, gradients in held.items()
            for parameter, gradient in zip(groups[number], gradients or [])
            if gradient is not None and id(parameter) in self.index
        ]

    @property
    def offloads(self) -> bool:
        """Whether a ZeRO optimizer keeps reduced gradients and float32 weights on the host (or on NVMe)."""
        # Stages 1 and 2, stage 3 (deepspeed 0.12.5 to 0.19.8).
        return any(getattr(self.zero, name, False) is True for name in ("cpu_offload", "offload_optimizer"))

    def _offloaded(self, groups: Any) -> dict[int, list[Any]]:
        """Return the gradients of an offloaded optimizer by group: none for those that were swapped out to NVMe."""
        if self.kind != "zero3":
            found: dict[int, list[Any]] = self.zero.offload_gradient_dict
            return found
        return {number: [self._offloaded_piece(p) for p in parameters] for number, parameters in enumerate(groups)}

    def _offloaded_piece(self, parameter: Any) -> Any:
        group, offset, count = self.zero.grad_position[self.zero.get_param_id(parameter)]
        gradient = self.zero.fp32_partitioned_groups_flat[group].grad
        return gradient if gradient is None else gradient.narrow(0, offset, count)

    def gradients(self) -> list[tuple[int, Any]]:
        """Return the gradients that lie at the parameters."""
        return [(i, p.grad) for i, p in enumerate(self.parameters) if p.grad is not None]

    def rates(self) -> list[float] | None:
        """Return the learning rate of each group; one that lies on another device is not waited for."""
        groups = getattr(self.optimizer, "param_groups", None)
        if groups is None:
            return None
        rates = (group["lr"] for group in groups)
        return [float(rate) for rate in rates if not (torch.is_tensor(rate) and rate.device.type != "cpu")]
