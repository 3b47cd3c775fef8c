"""One thing under many names: the ZeRO stage, the engine's switches, the number of processes."""

import pytest

from forensics.assemble.meanings import with_meanings
from forensics.model import Scalar, Setting, Source, Standing

STAGE = "zero_optimization.stage"


def _meant(given: dict[str, Scalar], standing: Standing = Standing.CONFIGURED) -> dict[str, tuple[Scalar, str]]:
    settings = [Setting("setting", name, value, Source("a.yaml"), standing) for name, value in given.items()]
    meant = with_meanings(settings)
    assert meant[: len(settings)] == settings
    return {each.name: (each.value, each.standing.name) for each in meant[len(settings) :]}


STAGES: dict[str, tuple[dict[str, Scalar], int, str]] = {
    "ms-swift": ({"deepspeed": "zero3"}, 3, "INTENDED"),
    "LLaMA-Factory": ({"deepspeed": "examples/deepspeed/ds_z2_config.json"}, 2, "INFERRED"),
    "axolotl": ({"deepspeed": "deepspeed_configs/zero1.json"}, 1, "INFERRED"),
    "an own name": ({"training.deepspeed_config": "configs/ds_zero_3_offload.json"}, 3, "INFERRED"),
    "Lightning": ({"strategy": "deepspeed_stage_2"}, 2, "CONFIGURED"),
    "Lightning in Hydra": ({"trainer.strategy": "deepspeed_stage_3_offload"}, 3, "CONFIGURED"),
    "a strategy of ours": ({"run.distributed_strategy": "ZeRO-2"}, 2, "CONFIGURED"),
    "accelerate": ({"accelerate.deepspeed_config.zero_stage": 2}, 2, "CONFIGURED"),
    "as text": ({"ds_stage": "1"}, 1, "CONFIGURED"),
    "inside of arguments": ({"deepspeed.zero_optimization.stage": 2}, 2, "CONFIGURED"),
    "inside of W&B": ({"args.deepspeed_config.zero_optimization.stage": 3}, 3, "CONFIGURED"),
}


@pytest.mark.parametrize(("given", "stage", "standing"), STAGES.values(), ids=STAGES)
def test_the_stage_is_told_whoever_names_it(given: dict[str, Scalar], stage: int, standing: str) -> None:
    assert _meant(given) == {STAGE: (stage, standing)}


@pytest.mark.parametrize(
    "given",
    [
        {"deepspeed": "ds_config.json"},
        {"deepspeed_plugin": "step3"},
        {"strategy": "ddp_2"},
        {"zero_stage": True},
        {"zero_stage": 7},
        {"zero_stage": "auto"},
        {"zero_grad": 1},
        {"counts.zero": 2},
        {STAGE: 2},
        {"model.bf16.enabled": True},
    ],
)
def test_what_names_no_stage_means_none(given: dict[str, Scalar]) -> None:
    assert _meant(given) == {}


def test_switches_of_an_engine_inside_of_a_configuration_are_its_own() -> None:
    meant = _meant({"deepspeed.bf16.enabled": True, "ds_config.zero_optimization.overlap_comm": False})

    assert meant == {
        "bf16.enabled": (True, "CONFIGURED"),
        "zero_optimization.overlap_comm": (False, "CONFIGURED"),
    }


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"trainer.devices": 7}, 7),
        ({"devices": "4", "num_nodes": 2}, 8),
        ({"trainer.n_gpus_per_node": 8, "trainer.nnodes": 4}, 32),
        ({"trainer.devices": 4, "graph.num_nodes": 2708}, 4),
        ({"gpus": 1}, None),
        ({"devices": "auto"}, None),
        ({"world_size": 2, "devices": 4}, None),
        ({"num_nodes": 2}, None),
    ],
)
def test_processes_are_those_of_each_machine_times_machines(given: dict[str, Scalar], size: int | None) -> None:
    assert _meant(given) == ({} if size is None else {"world_size": (size, "CONFIGURED")})
