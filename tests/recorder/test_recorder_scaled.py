"""Gradients that a loss scaler multiplies behind our back, and sharding by FSDP1, on the CPU."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from recorder.recorder_records import Opened, records

torch = pytest.importorskip("torch")

from forensics.recorder import BlackBox  # noqa: E402
from forensics.recorder.setups import Setup  # noqa: E402

SCALE = 1024.0


def scaled(folder: Path, *, unscale: bool = False, overflow: int = 0, steps: int = 4) -> tuple[Opened, list[float]]:
    """Train under a GradScaler; return the record and the norms of the first weight as the optimizer got them."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    box = BlackBox(model, optimizer, folder)
    given: list[float] = []
    optimizer.register_step_pre_hook(lambda *_: given.append(float(model[0].weight.grad.norm())))
    for step in range(1, steps + 1):
        loss = model(torch.randn(4, 8)).square().mean() * (float("inf") if step == overflow else 1.0)
        scaler.scale(loss).backward()
        if unscale:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        box.step(step=step, loss=loss.detach(), scale=SCALE)
    (record,) = records(folder)
    return record, given


@pytest.mark.parametrize("unscale", [False, True])
def test_what_the_optimizer_gets_is_unscaled(tmp_path: Path, unscale: bool) -> None:
    """`GradScaler.unscale_` divides in place and leaves `_version` as it was."""
    record, given = scaled(tmp_path, unscale=unscale)

    np.testing.assert_allclose(record.column("reduced_l2")[:, 0], given, rtol=1e-6)
    if not unscale:
        np.testing.assert_array_equal(record.column("reduced_l2") * SCALE, record.column("local_l2"))
        np.testing.assert_array_equal(record.column("reduced_max")[0] * SCALE, record.column("local_max")[0])


def test_a_step_that_the_scaler_skips_shows_its_local_gradients(tmp_path: Path) -> None:
    record, given = scaled(tmp_path, overflow=3)

    assert len(given) == 3
    assert not np.isfinite(record.column("local_l2")[2, 0])
    assert record.column("update_l2")[2, 0] == 0
    assert record.lines[2]["skipped"] is True
    np.testing.assert_allclose(record.column("reduced_l2")[[0, 1, 3], 0], given, rtol=1e-6)


@pytest.mark.parametrize("zero", [False, True])
def test_gradients_multiplied_through_data_are_read_anew(tmp_path: Path, zero: bool) -> None:
    """`p.grad.data.mul_` leaves no mark either; where the small gradients are all zero they tell nothing."""
    torch.manual_seed(3)
    model = torch.nn.Linear(4, 4, bias=not zero)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    box = BlackBox(model, optimizer, tmp_path)
    for step in (1, 2):
        (model(torch.zeros(2, 4) if zero else torch.randn(2, 4)).square().mean()).backward()
        for parameter in model.parameters():
            parameter.grad.data.mul_(0.25)
        optimizer.step()
        optimizer.zero_grad()
        box.step(step=step)
    (record,) = records(tmp_path)

    np.testing.assert_array_equal(record.column("reduced_l2"), record.column("local_l2") * (0.0 if zero else 0.25))


def test_fsdp1_records_what_it_reduced_under_the_names_of_the_model(cases: Path) -> None:
    sharded, replicated = (records(cases / f"compare-{kind}" / "blackbox") for kind in ("fsdp1", "ddp"))

    assert [record.names for record in sharded] == [replicated[0].names] * 2
    pieces = np.stack([record.column("reduced_l2") for record in sharded]).astype(np.float64)
    np.testing.assert_allclose(np.sqrt((pieces**2).sum(0)), replicated[0].column("reduced_l2"), rtol=1e-5)
    assert all((record.column("local_l2") == 0).all() for record in sharded)
    told = (cases / "stderr.txt").read_text()
    for rank in (0, 1):
        line = f"rank0000{rank}, not seen here (fsdp1): gradients before their reduction; the rest is recorded"
        assert told.count(line) == 1
    assert told.count("not seen here") == 2


def test_gradients_that_were_swapped_to_a_disk_are_not_seen() -> None:
    """DeepSpeed's stage 3 with NVMe leaves no gradient beside the float32 weights."""
    model = torch.nn.Linear(2, 2)
    for parameter in model.parameters():
        parameter.ds_tensor = parameter.data
    flat = torch.nn.Parameter(torch.zeros(6))
    zero = SimpleNamespace(
        averaged_gradients={}, offload_optimizer=True, fp16_groups=[list(model.parameters())],
        fp32_partitioned_groups_flat=[flat], grad_position={0: [0, 0, 4], 1: [0, 4, 2]},
        get_param_id=lambda parameter: int(parameter is model.bias),
    )  # fmt: skip
    setup = Setup(model, zero, 2, wrapped=False)

    assert setup.kind == "zero3"
    assert setup.partitions() == []
    flat.grad = torch.arange(6.0)
    assert [(index, piece.tolist()) for index, piece in setup.partitions()] == [(0, [0, 1, 2, 3]), (1, [4, 5])]
