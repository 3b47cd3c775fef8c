"""1,024 weights of each tensor, gathered in a few operations after each step: how far they moved, and their hash."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from forensics.recorder.layout import HASH_WEIGHTS, PROBE, probe_layout
from forensics.recorder.norms import placed

SIGNED = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def weights_of(parameter: Any) -> Any:
    """Return this rank's weights: the partition in ZeRO-3, the shard in FSDP2, else the tensor."""
    if hasattr(parameter, "ds_tensor"):
        return parameter.ds_tensor.data
    return getattr(parameter, "_local_tensor", parameter).detach()


def layout_of(weights: Any) -> tuple[int, int]:
    return probe_layout(weights.numel(), weights.shape[-1] if weights.dim() else 1)


class Group:
    """The probed tensors of one device and type."""

    def __init__(self, indices: list[int], views: list[Any], device: Any) -> None:
        first = views[0]
        padding = torch.zeros(PROBE, dtype=first.dtype, device=first.device)
        # The strided views and the indices stay on the device: nothing is copied there in a step.
        self.parts = [part for view in views for part in (view, padding[: PROBE - view.numel()]) if part.numel()]
        self.positions = indices
        self.indices = torch.tensor(indices, device=device)
        self.counts = torch.tensor([view.numel() for view in views], device=first.device, dtype=torch.float32)
        self.multipliers = torch.from_numpy(HASH_WEIGHTS.view(np.int64)).to(first.device)
        self.before: Any = None

    def gather(self) -> Any:
        return torch.cat(self.parts).view(len(self.positions), PROBE)

    def measure(self) -> tuple[Any, Any]:
        """Return update norm, weight norm and share of unmoved weights, (3, n) float32, and the hashes, (n,) int64."""
        now, before = self.gather(), self.before
        self.before = now
        bits = now.view(SIGNED[now.element_size()])
        hashes = (bits.to(torch.int64) * self.multipliers).sum(1)
        # Bits are compared, so that a NaN equals itself.
        same = ((bits == before.view(bits.dtype)).sum(1) - (PROBE - self.counts)) / self.counts
        moved = torch.linalg.vector_norm(now.float() - before.float(), dim=1)
        return torch.stack([moved, torch.linalg.vector_norm(now.float(), dim=1), same]), hashes


class Probe:
    """The probed weights of all parameters of one process."""

    def __init__(self, parameters: list[Any], device: Any) -> None:
        self.parameters, self.device = parameters, device
        self.groups: list[Group] = []
        self.addresses: list[int] = []
        self._refresh()

    @property
    def positions(self) -> list[int]:
        """The numbers of the tensors that are probed: those that are contiguous and not empty here."""
        return [position for group in self.groups for position in group.positions]

    def _refresh(self) -> None:
        """Take views of the weights; again when a framework has moved them."""
        weights = [weights_of(parameter) for parameter in self.parameters]
        addresses = [tensor.data_ptr() for tensor in weights]
        if addresses == self.addresses:
            return
        chosen: dict[Any, tuple[list[int], list[Any]]] = {}
        for index, tensor in enumerate(weights):
            if (
                tensor.is_contiguous()
                and tensor.numel()
                and tensor.element_size() in SIGNED
                and not tensor.is_complex()
            ):
                stride, count = layout_of(tensor)
                indices, views = chosen.setdefault((tensor.device, tensor.dtype), ([], []))
                indices.append(index)
                views.append(tensor.view(-1)[::stride][:count])
        before = {tuple(group.positions): group.before for group in self.groups}
        self.groups = [Group(indices, views, self.device) for indices, views in chosen.values()]
        for group in self.groups:
            group.before = before.get(tuple(group.positions))
            if group.before is None or group.before.device != group.parts[0].device:
                group.before = group.gather()
        self.addresses = addresses

    def measure(self) -> tuple[Any, Any]:
        """Return update norm, weight norm and still share, (3, tensors), and the hashes, (tensors,), on `device`."""
        self._refresh()
        columns = torch.zeros(3, len(self.parameters), device=self.device)
        hashes = torch.zeros(len(self.parameters), dtype=torch.int64, device=self.device)
        for group in self.groups:
            values, codes = group.measure()
            columns[:, group.indices] = placed(values, self.device)
            hashes[group.indices] = placed(codes, self.device)
        return columns, hashes
