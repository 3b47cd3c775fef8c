"""The causes that are data: every file is well formed, and whole patterns are judged right."""

from typing import Any

import pytest

from forensics import catalog
from forensics.names import Kind
from forensics.rules._issue_files import load
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.rule_judging import DEAD, FALL, NAN, Judge, broken_file

ISSUES = dict(load())


@pytest.mark.parametrize("file", ISSUES)
def test_a_file_is_named_after_its_cause_and_has_links(file: str) -> None:
    """Its keys and words are held by the loader: `test_vocabulary.py`."""
    assert file == ISSUES[file]["name"].replace("-", "_") + ".toml"
    assert all(url.startswith("https://") for url in ISSUES[file]["sources"])


def test_a_shared_sign_counts_only_beside_something_of_its_own(judge: Judge) -> None:
    """NaN norms alone do not speak for a ROCm kernel; on an AMD board they do."""
    rule = catalog.find_rule("rocm-kernel")
    alone = judge(rule, make_run(**DEAD), "loss-to-zero", step=5)
    beside = judge(rule, make_run(**DEAD, hardware={"gpu": "AMD Instinct MI300X"}), "loss-to-zero", step=5)

    assert (alone.score, beside.score) == (0, 4)


STAGE3 = {"zero_optimization.stage": 3}
OVERLAP = "zero_optimization.overlap_comm"
RACE: dict[str, Any] = {
    "settings": {**STAGE3, OVERLAP: True, "bf16": True, "world_size": 8},
    "packages": {"deepspeed": "0.18.7", "torch": "2.10.0"},
}
BNB = {"bitsandbytes": "0.49.2"}
ROCM: dict[str, Any] = {
    "settings": {"load_in_4bit": True},
    "packages": BNB,
    "hardware": {"gpu": "AMD Instinct MI300X"},
}
GEMMA: dict[str, Any] = {
    "settings": {
        "model.model_type": "gemma4",
        "attn_implementation": "sdpa",
        "per_device_train_batch_size": 2,
    },
    "hardware": {"gpu": "NVIDIA H100 80GB HBM3"},
}
LORA_B = "layers.0.q.lora_B.weight"
LEARNT: dict[str, Any] = {
    "loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0],
    "checkpoints": [make_checkpoint(6, make_table([LORA_B], zero={LORA_B: 64}))],
}
WHOLE_CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "ds-zeropp-hpz-bug",
        {
            "loss": FALL,
            "settings": {**STAGE3, "zero_optimization.zero_hpz_partition_size": 8},
            "packages": {"deepspeed": "0.13.2"},
        },
        "likely",
    ),
    ("ds-zeropp-hpz-bug", {"settings": STAGE3}, "ruled out"),
    ("ds-zero3-stream-race", {**DEAD, **RACE}, "likely"),
    ("ds-zero3-stream-race", {**DEAD, **RACE, "packages": {"deepspeed": "0.18.7", "torch": "2.9.1"}}, "ruled out"),
    ("ds-zero3-stream-race", {**DEAD, **RACE, "settings": {**RACE["settings"], OVERLAP: False}}, "ruled out"),
    ("ds-zero3-stream-race", {**DEAD, "packages": RACE["packages"]}, "possible"),
    ("ds-all-reduce-fetch-stride", {"settings": STAGE3, "packages": {"deepspeed": "0.19.0"}}, "ruled out"),
    ("ds-fused-optimizer-returns-early", {"settings": STAGE3, "packages": {"deepspeed": "0.18.0"}}, "ruled out"),
    ("ds-universal-checkpoint-stage3", {"packages": {"deepspeed": "0.17.0"}}, "possible"),
    ("ds-hpz-stale-secondary", {"settings": STAGE3, "packages": {"deepspeed": "0.18.0"}}, "ruled out"),
    ("onebit-lamb-empty-parameter", {"settings": {"optimizer.type": "AdamW"}}, "ruled out"),
    ("dpo-keep-end-empties-samples", {"settings": {"truncation_mode": "keep_start"}}, "ruled out"),
    ("fsdp2-stale-optimizer", {"settings": {"fsdp_version": 1}, "packages": {"accelerate": "1.6.0"}}, "ruled out"),
    ("tensor-parallel-stale-optimizer", {"settings": {"tp_size": 1}}, "ruled out"),
    ("ulysses-all-to-all", {"settings": {"sequence_parallel_size": 1}}, "ruled out"),
    ("tmp-checkpoint-rename", {"packages": {"transformers": "4.36.0"}}, "possible"),
    ("bnb-4bit-rocm", {**DEAD, **ROCM, "onset": 1}, "likely"),
    ("bnb-4bit-rocm", {**DEAD, **ROCM, "settings": {"load_in_4bit": False}}, "ruled out"),
    ("bnb-4bit-rocm", {**DEAD, **ROCM, "hardware": {"gpu": "NVIDIA A100"}, "packages": BNB}, "ruled out"),
    ("gemma4-sdpa-hopper", {**DEAD, **GEMMA}, "likely"),
    ("gemma4-sdpa-hopper", {**DEAD, **GEMMA, "hardware": {"gpu": "NVIDIA A100"}}, "ruled out"),
    ("gemma4-sdpa-hopper", {**DEAD, "hardware": GEMMA["hardware"]}, "unlikely"),
    ("packing-through-linear-attention", {"settings": {"model.model_type": "qwen3"}}, "ruled out"),
    ("te-fused-cross-entropy", {"settings": {"cross_entropy_fusion_impl": "native"}}, "ruled out"),
    ("megatron-optimizer-instances", {"settings": {"overlap_grad_reduce": False}}, "ruled out"),
    ("megatron-expert-tensor-norm", {"settings": {"tensor_model_parallel_size": 1}}, "ruled out"),
    ("grpo-temperature-left-out", {"settings": {"temperature": 1.0, "num_generations": 8}}, "ruled out"),
    ("grpo-truncated-divisor", {"settings": {"mask_truncated_completions": False}}, "ruled out"),
    ("gkd-liger-divergence", {"settings": {"use_liger_kernel": False}}, "ruled out"),
    ("padding-free-attention-mask", {"settings": {"padding_free": False}}, "ruled out"),
    ("sync-each-batch-steps", {"settings": {"sync_each_batch": False}}, "ruled out"),
    ("bnb-lion-weight-decay", {"settings": {"optim": "lion_8bit", "weight_decay": 0.1}}, "ruled out"),
    ("ds-frozen-flat-buffers", {"settings": STAGE3, "packages": {"deepspeed": "0.18.0"}}, "ruled out"),
    (
        "tmp-checkpoint-rename",
        {
            "packages": {"transformers": "4.36.0"},
            "events": [
                make_events(
                    Kind.TRACEBACK,
                    text="FileNotFoundError: [Errno 2] No such file: 'out/tmp-checkpoint-9' -> 'out/checkpoint-9'",
                )
            ],
        },
        "likely",
    ),
    (
        "ds-zero0-bf16-gradient-bug",
        {"settings": {"zero_optimization.stage": 0, "bf16.enabled": True}, "packages": {"deepspeed": "0.18.0"}},
        "likely",
    ),
    (
        "ds-pipeline-loss-display",
        {"settings": {"pipeline.stages": 2, "bf16.enabled": True}, "packages": {"deepspeed": "0.12.2"}},
        "likely",
    ),
    (
        "ds-cpu-offload-gradients",
        {
            "settings": {"zero_optimization.stage": 2, "zero_optimization.offload_optimizer.device": "cpu"},
            "packages": {"deepspeed": "0.16.9"},
        },
        "possible",
    ),
    (
        "ds-zero2-gradient-regression",
        {
            "settings": {"zero_optimization.stage": 2, "gradient_accumulation_steps": 8},
            "packages": {"deepspeed": "0.18.3"},
        },
        "possible",
    ),
    (
        "ds-scheduler-config",
        {"settings": {"scheduler.type": "WarmupLR", "lr_scheduler_type": "cosine"}},
        "possible",
    ),
    ("ds-scheduler-config", {"settings": {"scheduler.type": "WarmupDecayLR"}}, "ruled out"),
    (
        "fsdp-uninitialised-params",
        {"settings": {"fsdp": "full_shard", "fsdp_config.sync_module_states": False, "world_size": 4}},
        "possible",
    ),
    ("launch-dataparallel", {"events": [make_events(Kind.DATA_PARALLEL)]}, "possible"),
    (
        "bnb-8bit-optimizer-bug",
        {"settings": {"optim": "paged_adamw_8bit"}, "packages": {"bitsandbytes": "0.41.0"}},
        "likely",
    ),
    (
        "bnb-8bit-optimizer-bug",
        {"settings": {"optim": "paged_adamw_8bit"}, "packages": {"bitsandbytes": "0.41.1"}},
        "possible",
    ),
    ("int8-hardware", {"settings": {"load_in_8bit": True}, "hardware": {"gpu": "Tesla V100"}}, "likely"),
    ("liger-kernel", {"settings": {"use_liger_kernel": True}}, "possible"),
    (
        "fully-masked-attention-row",
        {
            "settings": {"padding_side": "left", "per_device_train_batch_size": 4},
            "packages": {"torch": "2.3.0+cu121"},
        },
        "likely",
    ),
    (
        "fully-masked-attention-row",
        {"settings": {"padding_side": "left"}, "packages": {"torch": "2.13.0"}},
        "possible",
    ),
    ("out-of-memory", {"events": [make_events(Kind.OUT_OF_MEMORY)]}, "established"),
    ("collective-timeout", {"events": [make_events(Kind.NCCL_TIMEOUT)]}, "likely"),
    (
        "collective-timeout",
        {"events": [make_events(Kind.NCCL_TIMEOUT), make_events(Kind.OUT_OF_MEMORY)]},
        "possible",
    ),
    ("host-kill", {"events": [make_events(Kind.OOM_KILL_RECORD)]}, "established"),
    ("host-kill", {"events": [make_events(Kind.KILLED)]}, "possible"),
    ("disk-full", {"events": [make_events(Kind.DISK_FULL)]}, "established"),
    ("data-loader-failure", {"events": [make_events(Kind.DATA_LOADER)]}, "likely"),
    (
        "gradient-checkpointing-no-input-grad",
        {"grad_norm": [0.0] * 7, "events": [make_events(Kind.NO_INPUT_REQUIRES_GRAD)]},
        "possible",
    ),
    (
        "gradient-checkpointing-no-input-grad",
        {"grad_norm": [0.7, 0.8] * 4, "events": [make_events(Kind.NO_INPUT_REQUIRES_GRAD)]},
        "ruled out",
    ),
    (
        "adapter-not-trained",
        {"checkpoints": [make_checkpoint(6, make_table([LORA_B], zero={LORA_B: 64}))]},
        "likely",
    ),
    ("adapter-not-trained", {"checkpoints": [make_checkpoint(6, make_table([LORA_B]))]}, "ruled out"),
    ("adapter-not-trained", {**LEARNT, "onset": 1}, "possible"),
    ("adapter-not-saved-from-engine", {**LEARNT, "onset": 1, "settings": STAGE3}, "likely"),
    ("adapter-not-saved-from-engine", {**LEARNT, "onset": 1, "settings": {"deepspeed": None}}, "ruled out"),
    ("adapter-not-saved-from-engine", {**LEARNT, "onset": 1, "grad_norm": [0.0] * 7}, "possible"),
    (
        "tied-weights",
        {
            "settings": {"model.tie_word_embeddings": True},
            "checkpoints": broken_file("lm_head.weight is missing", "incomplete"),
        },
        "likely",
    ),
    ("tied-weights", {"settings": {"model.tie_word_embeddings": False}}, "ruled out"),
    ("lfs-pointer", {"checkpoints": broken_file("a Git LFS pointer, not safetensors")}, "established"),
    ("missing-shard", {"checkpoints": broken_file("1 of 3 shards are missing: a", "incomplete")}, "likely"),
    (
        "grad-norm-reporting-only",
        {"onset": 1, "loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0], "grad_norm": [0.0] * 7},
        "likely",
    ),
    ("grad-norm-reporting-only", {"loss": [0.0] * 7, "grad_norm": [0.0] * 7}, "ruled out"),
    # A tenth lower by chance: that the run learns is not known, and what explains a norm of 0 away not likely.
    (
        "grad-norm-reporting-only",
        {"onset": 1, "loss": [1.14, 1.21, 1.12, 0.98, 0.99, 1.11], "grad_norm": [0.0] * 6},
        "unlikely",
    ),
    ("rl-kl-overflow", {**DEAD, "kl": [0.1] * 7, "settings": {"kl_loss_type": "low_var_kl"}}, "possible"),
    (
        "weights-not-loaded",
        {"onset": 1, "loss": [0.69] * 5, "events": [make_events(Kind.NEWLY_INITIALIZED)]},
        "possible",
    ),
    ("weights-not-loaded", {"onset": 1, "loss": [0.69] * 5, "events": [make_events(Kind.NOTHING_LOADED)]}, "likely"),
    (
        "mps-optimizer-not-contiguous",
        {
            "settings": {"device": "mps", "optim": "adamw_torch"},
            "packages": {"torch": "2.2.1"},
            "checkpoints": [make_checkpoint(6, make_table(same=64))],
        },
        "likely",
    ),
    (
        "mps-optimizer-not-contiguous",
        {"packages": {"torch": "2.2.1"}, "hardware": {"gpu": "NVIDIA A100"}},
        "ruled out",
    ),
    ("torch-compile", {**DEAD, "settings": {"torch_compile": True}}, "possible"),
    ("pcie-p2p-corruption", {**DEAD, "settings": {"world_size": 1}}, "ruled out"),
    ("quantized-compute-dtype", {"settings": {"bf16": False, "fp16": False}, "loss": [NAN] * 5}, "unlikely"),
]


@pytest.mark.parametrize(("name", "facts", "verdict"), WHOLE_CASES)
def test_a_known_issue_is_judged(judge: Judge, name: str, facts: dict[str, Any], verdict: str) -> None:
    """The whole pattern speaks for the cause, its contradiction against it."""
    run = make_run(**{key: given for key, given in facts.items() if key != "onset"})

    assert judge(catalog.find_rule(name), run, "loss-to-zero", step=facts.get("onset", 5)).verdict == verdict
