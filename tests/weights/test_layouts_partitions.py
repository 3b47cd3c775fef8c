"""Flat ZeRO partitions to parameters, on made shards: straddling, padding, groups, orders, sub-groups, frozen.

The reference cuts a vector as the engine does, so a reader that puts it together otherwise fails.
"""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weights.checkpoint_files import by_name, only, statements, tensor_of

torch = pytest.importorskip("torch")

Shapes = dict[str, tuple[int, ...]]


def fresh(shapes: Shapes) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(len(shapes))
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write_zero2(
    folder: Path, groups: list[Shapes], ranks: int, *, padding: list[list[int]] | None = None, lean: bool = True
) -> dict[str, Any]:
    """Write the shards as `stage_1_and_2.py` cuts them: end to end, rounded up to 2 x ranks, one slice a rank."""
    folder.mkdir(parents=True)
    tensors: dict[str, Any] = {}
    slices: list[list[Any]] = [[] for _ in range(ranks)]
    for number, shapes in enumerate(groups):
        made = {f"{name}": tensor for name, tensor in fresh(shapes).items()}
        tensors |= made
        parts = []
        for position, tensor in enumerate(made.values()):
            extra = padding[number][position] if padding else 0
            parts += [tensor.reshape(-1), torch.zeros(extra)]
        flat = torch.cat(parts)
        total = math.ceil(len(flat) / (2 * ranks)) * 2 * ranks
        whole = torch.cat([flat, torch.full((total - len(flat),), 9e9)])
        for rank in range(ranks):
            begin, end = rank * total // ranks, (rank + 1) * total // ranks
            slices[rank].append(whole[begin : min(end, max(len(flat), begin)) if lean else end].clone())
    for rank in range(ranks):
        state = {n: {"exp_avg": s * 2, "exp_avg_sq": s * s} for n, s in enumerate(slices[rank])}
        optimizer = {
            "single_partition_of_fp32_groups": slices[rank],
            "base_optimizer_state": {"state": state, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99)}]},
            "partition_count": [ranks] * len(groups),
        }
        if padding:
            optimizer["param_alignment_paddings"] = padding
        torch.save({"optimizer_state_dict": optimizer}, folder / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    header = {"module": {}, "param_shapes": [dict(s) for s in groups], "global_steps": 5}
    torch.save(header, folder / "mp_rank_00_model_states.pt")
    return tensors


def assert_read(folder: Path, tensors: dict[str, Any]) -> None:
    checkpoint = only(folder.parent)
    held = by_name(checkpoint.records)
    for name, tensor in tensors.items():
        for label, expected in (("master", tensor), ("exp_avg", tensor * 2), ("exp_avg_sq", tensor * tensor)):
            record = held[f"{label}/{name}"]
            assert torch.equal(tensor_of(torch, folder.parent, record), expected), (label, name)
    assert statements(checkpoint) == []


def test_parameters_that_straddle_ranks_are_put_together(tmp_path: Path) -> None:
    """10 + 21 + 7 elements on 4 ranks: 10 a rank, so that `b` lies on three of them."""
    folder = tmp_path / "global_step5"
    tensors = write_zero2(folder, [{"a": (10,), "b": (3, 7), "c": (7,)}], 4)

    assert_read(folder, tensors)
    straddling = by_name(only(tmp_path).records)["master/b"]
    assert [piece.nbytes // 4 for piece in straddling.pieces] == [10, 10, 1]


@pytest.mark.parametrize("lean", [True, False])
def test_several_groups_with_padding_at_their_ends(tmp_path: Path, lean: bool) -> None:
    """Lean files cut the padding off (DeepSpeed ZeRO-1/2), others keep it (its bf16 optimizer)."""
    folder = tmp_path / "global_step5"
    tensors = write_zero2(folder, [{"a": (5, 3)}, {"norm": (3,), "bias": (1,)}], 4, lean=lean)

    assert_read(folder, tensors)


def test_the_order_is_that_of_param_shapes(tmp_path: Path) -> None:
    """With round_robin_gradients the parameters are reordered, and so is the dict."""
    folder = tmp_path / "global_step5"
    tensors = write_zero2(folder, [{"z": (3,), "a": (4,), "m": (2, 2)}], 2)

    assert_read(folder, tensors)


def test_padding_behind_each_parameter_is_left_out(tmp_path: Path) -> None:
    """DeepSpeed 0.19.8 may align every parameter (`param_alignment_paddings`)."""
    folder = tmp_path / "global_step5"
    tensors = write_zero2(folder, [{"a": (5,), "b": (2, 3), "c": (1,)}], 2, padding=[[3, 2, 7]])

    assert_read(folder, tensors)


def test_partitions_that_are_too_small_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "global_step5"
    write_zero2(folder, [{"a": (10,)}], 2)
    header = {"module": {}, "param_shapes": [{"a": (10,), "b": (90,)}], "global_steps": 5}
    torch.save(header, folder / "mp_rank_00_model_states.pt")

    assert "hold 10 elements, its parameters need 100" in statements(only(tmp_path), "suspicious")[0]


SIZES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(sizes=SIZES, ranks=st.integers(1, 5), lean=st.booleans())
def test_any_shapes_on_any_ranks(tmp_path_factory: pytest.TempPathFactory, sizes: Any, ranks: int, lean: bool) -> None:
    folder = tmp_path_factory.mktemp("zero") / "global_step5"
    tensors = write_zero2(folder, [{f"p{n}": shape for n, shape in enumerate(sizes)}], ranks, lean=lean)

    assert_read(folder, tensors)


def write_zero3(folder: Path, shapes: Shapes, ranks: int, sub_group: int, frozen: Shapes) -> dict[str, Any]:
    """Write the shards as `stage3.py` cuts them: parameters in `ranks` parts, parts end to end in sub-groups."""
    folder.mkdir(parents=True)
    tensors, still = fresh(shapes), fresh(frozen)
    for rank in range(ranks):
        flat = torch.cat([_part(tensor, rank, ranks) for tensor in tensors.values()])
        subs = [s.clone() for s in flat.split(sub_group)]
        state = {n: {"exp_avg": s * 2, "exp_avg_sq": s * s} for n, s in enumerate(subs)}
        optimizer = {
            "zero_stage": 3,
            "fp32_flat_groups": subs,
            "optimizer_state_dict": {"state": state, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99)}]},
            "partition_count": ranks,
        }
        torch.save({"optimizer_state_dict": optimizer}, folder / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
        header = {
            "module": {name: torch.empty(0) for name in (*shapes, *frozen)},
            "param_shapes": [dict(shapes)],
            "frozen_param_shapes": dict(frozen),
            "frozen_param_fragments": {n: _part(t, rank, ranks).clone() for n, t in still.items()},
            "global_steps": 5,
        }
        torch.save(header, folder / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
    return tensors | {f"frozen {name}": tensor for name, tensor in still.items()}


def _part(tensor: Any, rank: int, ranks: int) -> Any:
    size = math.ceil(tensor.numel() / ranks)
    padded = torch.cat([tensor.reshape(-1), torch.full((size * ranks - tensor.numel(),), 7e7)])
    return padded[rank * size : (rank + 1) * size]


@settings(max_examples=25, deadline=None)
@given(sizes=SIZES, ranks=st.integers(1, 12), sub_group=st.integers(1, 40))
def test_zero3_with_any_sub_groups(
    tmp_path_factory: pytest.TempPathFactory, sizes: Any, ranks: int, sub_group: int
) -> None:
    """Sub-groups end within parameters, parts are padded, small parameters leave ranks without one of theirs.

    Twelve ranks check that the tenth comes after the ninth.
    """
    folder = tmp_path_factory.mktemp("zero") / "global_step5"
    shapes = {f"p{n}": shape for n, shape in enumerate(sizes)}
    tensors = write_zero3(folder, shapes, ranks, sub_group, {"embed": (3, 5)})
    frozen = tensors.pop("frozen embed")

    assert_read(folder, tensors)
    record = by_name(only(folder.parent).records)["embed"]
    assert torch.equal(tensor_of(torch, folder.parent, record), frozen)
    assert record.trained == "frozen"
