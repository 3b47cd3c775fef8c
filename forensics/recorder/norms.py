"""Norms of gradients: queued where the gradient is, kept as tensors on its device, never waited for."""

from __future__ import annotations

from typing import Any

import torch

Norms = tuple[Any, Any, Any]
"""L2 norm, least and largest element: 0-d tensors on the gradient's device; the last two None when not read."""

HALF = (torch.bfloat16, torch.float16)
PIECE = 1 << 18
"""Elements of half precision that are read at a time on a CPU: 1 MB as float32."""


def local_of(tensor: Any) -> Any:
    """Return this rank's part of a DTensor, and any other tensor as it is."""
    return getattr(tensor, "_local_tensor", tensor)


def placed(tensor: Any, device: Any) -> Any:
    """Return a tensor on `device`; a copy to the host is waited for, as what it holds is read at once."""
    return tensor.to(device, non_blocking=torch.device(device).type != "cpu")


def device_of(parameters: Any) -> Any:
    """Return the device that computes; the shards that FSDP2 offloads lie on the host, their mesh does not."""
    first = next(iter(parameters), None)
    mesh = getattr(first, "device_mesh", None)
    if mesh is not None and mesh.device_type != "cpu":
        return torch.device(mesh.device_type, getattr(torch, mesh.device_type).current_device())
    return torch.device("cpu") if first is None else local_of(first).device


def dense(gradient: Any) -> Any:
    """Return what can be measured of a gradient: None for a sparse or empty one, real numbers for complex ones."""
    gradient = local_of(gradient)
    if gradient.layout is not torch.strided or not gradient.numel():
        return None
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient


def single_precision(gradient: Any) -> Any:
    """Return the type in which the norm is summed: float32, but never narrower than the gradient."""
    return None if gradient.dtype == torch.float64 else torch.float32


def length_of(gradient: Any) -> Any:
    """Return the L2 norm of one gradient.

    Half precision on a CPU goes through float32 piece by piece, within its cache, which takes a sixth less time than
    `vector_norm(dtype=float32)` (torch 2.13).
    """
    if gradient.device.type != "cpu" or gradient.dtype not in HALF or not gradient.is_contiguous():
        return torch.linalg.vector_norm(gradient, 2, dtype=single_precision(gradient))
    lengths = [torch.linalg.vector_norm(piece.float()) for piece in gradient.view(-1).split(PIECE)]
    return lengths[0] if len(lengths) == 1 else torch.linalg.vector_norm(torch.stack(lengths))


def norms_of(gradient: Any, *, maximum: bool) -> Norms:
    """Return the norms of one gradient.

    The largest magnitude comes from `aminmax`, which keeps NaN: the infinity norm has no vector code on a CPU and
    is 40 times slower (torch 2.13, `vector_norm` at 0.7 GB/s against 30).
    """
    length = length_of(gradient)
    return (length, *torch.aminmax(gradient)) if maximum else (length, None, None)


def norms_of_all(gradients: list[Any], *, maximum: bool) -> list[Norms]:
    """Return the norms of many gradients in as few operations as there are devices and types."""
    groups: dict[Any, list[int]] = {}
    for index, gradient in enumerate(gradients):
        groups.setdefault((gradient.device, gradient.dtype), []).append(index)
    found: list[Any] = [None] * len(gradients)
    for members in groups.values():
        chosen = [gradients[index] for index in members]
        if chosen[0].device.type == "cpu" and chosen[0].dtype in HALF:
            lengths = [length_of(gradient) for gradient in chosen]
        else:
            lengths = torch._foreach_norm(chosen, 2, dtype=single_precision(chosen[0]))
        for index, gradient, length in zip(members, chosen, lengths):
            found[index] = (length, *torch.aminmax(gradient)) if maximum else (length, None, None)
    return found


def joined(one: Norms, other: Norms) -> Norms:
    """Return the norms of a tensor of which `one` and `other` are two pieces."""
    least = None if one[1] is None or other[1] is None else torch.minimum(one[1], other[1])
    largest = None if one[2] is None or other[2] is None else torch.maximum(one[2], other[2])
    return torch.hypot(one[0], other[0]), least, largest


def ratio(before: list[Any], now: list[Any], device: Any) -> Any:
    """Return by what a few gradients were multiplied, 1 where that cannot be told; a 0-d tensor on `device`.

    A power of two, as a loss scale is, comes out without rounding.
    """
    sums = []
    for norms in (before, now):
        lengths = [placed(norm[0], device).double() for norm in norms if norm is not None]
        sums.append(torch.stack(lengths).square().sum().sqrt() if lengths else torch.ones((), device=device))
    factor = sums[1] / sums[0]
    return torch.where(torch.isfinite(factor) & (factor > 0), factor, torch.ones_like(factor)).float()


def scaled(norms: Any, factor: Any) -> Any:
    """Return the norms of a gradient that was multiplied by a positive factor."""
    if norms is None:
        return None
    length, *bounds = norms
    factor = placed(factor, length.device)
    return (length * factor, *(None if bound is None else bound * factor for bound in bounds))


def packed(norms: list[Norms | None], device: Any) -> Any:
    """Return a float32 tensor of shape (2, tensors) on `device`: L2 norms and largest magnitudes.

    A tensor without norms has 0 in both. One whose maximum was not read has 0 there, or NaN where the L2 norm is
    not finite, so that whoever judges by the maximum sees it all the same.
    """
    # Gradients that are offloaded lie on the host, a model may be spread over several devices: all of one place are
    # copied at once.
    places = {norm[0].device for norm in norms if norm is not None}
    home = places.pop() if len(places) == 1 else device
    zero = torch.zeros((), device=home)
    empty = (zero, zero, zero)
    rows = [
        norm
        if norm is not None and norm[1] is not None
        else empty
        if norm is None
        else (norm[0],) + (norm[0] - norm[0],) * 2
        for norm in norms
    ]
    flat = [placed(row[column], home) for column in range(3) for row in rows]
    # The types are made equal after stacking: one operation instead of one a tensor.
    values = torch.stack(flat).float().view(3, len(rows))
    return placed(torch.stack([values[0], torch.maximum(-values[1], values[2])]), device)
