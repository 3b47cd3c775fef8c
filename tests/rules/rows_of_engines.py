"""Rows (see `rows_of_entries.py`) of DeepSpeed and of other engines that share a model among processes."""

from rules.issue_runs import BUCKETS, ONE_WORKS, Facts
from rules.rows_of_entries import (
    ACCUMULATED,
    BF16,
    DIED,
    FP16,
    GROWN,
    GUESSES,
    ONCE,
    STAGES,
    UNMOVED,
    asked,
    release,
    set_to,
    told,
)
from rules.rule_judging import STILL, WHOLE

OFFLOAD = "zero_optimization.offload_optimizer.device"
FETCH = "zero_optimization.stage3_use_all_reduce_for_fetch_params"
LEAVES = {"zero_optimization.leaf_module.classes": "MixtralSparseMoeBlock"}
BOARD_4090 = {"gpu": "NVIDIA GeForce RTX 4090"}

ROWS: list[tuple[str, Facts, Facts | None]] = [
    # DeepSpeed
    (
        "bf16-optimizer-low-precision-step",
        asked("deepspeed", "0.15.0", {"data_types.grad_accum_dtype": "bf16", **BF16}),
        {"settings": {"data_types.grad_accum_dtype": "fp32"}},
    ),
    (
        "ds-all-reduce-fetch-stride",
        asked("deepspeed", "0.19.3", {FETCH: True, **STAGES[3], "world_size": 3}, DIED),
        {"settings": {FETCH: False}},
    ),
    (
        "ds-autocast-large-parameter",
        asked(
            "deepspeed",
            "0.18.1",
            {"torch_autocast.enabled": True, **STAGES[1]},
            told(
                "traceback", "KeyError: torch.float32 (/v/deepspeed/runtime/zero/stage_1_and_2.py:1005 in reduce_ready)"
            ),
        ),
        {"settings": STAGES[3]},
    ),
    (
        "ds-bf16-boundary-gradient",
        asked(
            "deepspeed",
            "0.18.9",
            {"data_types.grad_accum_dtype": "fp32", **STAGES[1], **BF16, **ACCUMULATED, "world_size": 8},
        ),
        {"settings": STAGES[2]},
    ),
    (
        "ds-config-incomplete",
        asked("deepspeed", "0.16.0", {**BUCKETS, "max_grad_norm": 1.0}, GROWN, {"onset": 7}),
        set_to(gradient_clipping=1.0),
    ),
    ("ds-expert-gradient-scale", asked("deepspeed", "0.15.3", {"ep_size": 4, **STAGES[2]}), set_to(ep_size=1)),
    (
        "ds-frozen-flat-buffers",
        asked(
            "deepspeed",
            "0.18.0",
            {**STAGES[0], **BF16, "adapter.peft_type": "LORA"},
            told("out-of-memory", "torch.OutOfMemoryError: CUDA out of memory."),
        ),
        {"settings": STAGES[2]},
    ),
    (
        "ds-fused-beyond-int",
        asked(
            "deepspeed",
            "0.18.0",
            {"optimizer.type": "AdamW", **STAGES[0]},
            told("illegal-memory-access", "CUDA error: an illegal memory access was encountered"),
            {"checkpoints": STILL},
        ),
        release("deepspeed", "0.18.1"),
    ),
    (
        "ds-fused-optimizer-returns-early",
        asked("deepspeed", "0.18.0", {**STAGES[0], **FP16}, UNMOVED),
        release("deepspeed", "0.18.2"),
    ),
    (
        "ds-hpz-stale-secondary",
        asked(
            "deepspeed",
            "0.18.2",
            {**STAGES[3], "zero_optimization.zero_hpz_partition_size": 8},
            {"loss": [10.4, 9.1, 3.0, 2.1, 2.0], "onset": 1},
        ),
        release("deepspeed", "0.18.3"),
    ),
    (
        "ds-overlap-before-the-bucket",
        asked("deepspeed", "0.12.3", {**STAGES[2], "zero_optimization.overlap_comm": True, "world_size": 8}, GROWN),
        {"settings": {"zero_optimization.overlap_comm": False}},
    ),
    ("ds-pipeline-gradient-scale", asked("deepspeed", "0.19.2", {"pipeline.stages": 4, **ACCUMULATED}), ONCE),
    (
        "ds-pipeline-loss-display",
        asked("deepspeed", "0.12.2", {"pipeline.stages": 2, **BF16}),
        {"checkpoints": WHOLE},
    ),
    (
        "ds-tensor-parallel-norm",
        asked("deepspeed", "0.14.1", {"tensor_model_parallel_size": 2, **FP16}),
        set_to(tensor_model_parallel_size=1),
    ),
    (
        "ds-topk-gate-by-logits",
        asked("deepspeed", "0.18.9", {"moe_top_k": 4, "num_experts": 16, **STAGES[1]}),
        set_to(num_experts=1),
    ),
    (
        "ds-tutel-tensor-parallel",
        asked("deepspeed", "0.19.3", {"use_tutel": True, "tensor_model_parallel_size": 2}),
        set_to(use_tutel=False),
    ),
    (
        "ds-warmup-cosine-first-step",
        asked("deepspeed", "0.18.9", {"scheduler.type": "WarmupCosineLR"}),
        {"settings": {"scheduler.type": "WarmupDecayLR"}},
    ),
    (
        "ds-warmup-of-groups",
        asked("deepspeed", "0.19.3", {"scheduler.type": "WarmupLR"}),
        {"settings": {"scheduler.type": "WarmupDecayLR"}},
    ),
    (
        "ds-cpu-offload-gradients",
        asked("deepspeed", "0.16.9", {**STAGES[2], OFFLOAD: "cpu", **ACCUMULATED}),
        {"settings": {OFFLOAD: "none"}},
    ),
    (
        "ds-universal-checkpoint-stage3",
        asked("deepspeed", "0.17.0", {**STAGES[3], "checkpoint.load_universal": True}, GUESSES),
        {"settings": {"checkpoint.load_universal": False}},
    ),
    (
        "ds-zero0-bf16-gradient-bug",
        asked("deepspeed", "0.18.0", {**STAGES[0], **BF16}),
        {"settings": STAGES[1]},
    ),
    (
        "ds-zero2-gradient-regression",
        asked("deepspeed", "0.18.3", {**STAGES[2], **ACCUMULATED}),
        {"settings": STAGES[1]},
    ),
    (
        "onebit-lamb-empty-parameter",
        asked("deepspeed", "0.18.3", {"optimizer.type": "OneBitLamb"}, DIED, {"checkpoints": WHOLE}),
        {"settings": {"optimizer.type": "Lamb"}},
    ),
    (
        "optimizer-master-mismatch",
        {
            "settings": {**STAGES[2], **BF16, "learning_rate": 1.4e-7},
            "loss": [1.9, 11.4, 11.4],
            "learning_rate": [1.4e-7] * 3,
            "onset": 2,
        },
        None,
    ),
    (
        "ulysses-all-to-all",
        asked("deepspeed", "0.14.3", {"sequence_parallel_size": 4, **STAGES[3]}, GUESSES),
        set_to(sequence_parallel_size=1),
    ),
    (
        "ulysses-stage0-scale",
        asked("deepspeed", "0.14.2", {"sequence_parallel_size": 4, **STAGES[0]}),
        {"settings": STAGES[1]},
    ),
    (
        "zero3-experts-hang",
        {
            "settings": {**STAGES[3], "model.model_type": "mixtral"},
            **told("nccl-timeout", "Watchdog caught collective operation timeout: WorkNCCL(OpType=_ALLGATHER_BASE)"),
        },
        {"settings": STAGES[2]},
    ),
    (
        "zero3-leaf-module-race",
        asked(
            "deepspeed",
            "0.18.5",
            {**STAGES[3], **LEAVES},
            told("traceback", "AssertionError: {'id': 7, 'status': 'INFLIGHT', 'ds_status': 3}"),
        ),
        release("deepspeed", "0.18.6"),
    ),
    (
        "zero3-mixed-dtype-gather",
        asked(
            "deepspeed",
            "0.19.2",
            {**STAGES[3], **BF16, "lora_rank": 16},
            told("traceback", "RuntimeError: dtypes differ (/v/deepspeed/x.py:9 in _allgather_params_coalesced)"),
        ),
        release("deepspeed", "0.19.3"),
    ),
    # other engines
    ("fsdp2-stale-optimizer", asked("accelerate", "1.6.0", {"fsdp_version": 2}, UNMOVED), set_to(fsdp_version=1)),
    ("tensor-parallel-stale-optimizer", asked("accelerate", "1.11.0", {"tp_size": 2}, UNMOVED), set_to(tp_size=1)),
    (
        "sync-each-batch-steps",
        asked("accelerate", "0.30.1", {"sync_each_batch": True, **ACCUMULATED}),
        set_to(sync_each_batch=False),
    ),
    (
        "fsdp-uninitialised-params",
        {
            "settings": {"fsdp": "full_shard", "fsdp_config.sync_module_states": False, "world_size": 4},
            "loss": [10.4] * 7,
            "onset": 1,
        },
        set_to(world_size=1),
    ),
    (
        "megatron-expert-tensor-norm",
        asked("megatron-core", "0.18.0", {"expert_model_parallel_size": 4, "tensor_model_parallel_size": 2}),
        set_to(tensor_model_parallel_size=1),
    ),
    (
        "megatron-layerwise-overlap",
        asked("megatron-core", "0.17.1", {"overlap_param_gather": True, "optimizer": "dist_muon"}),
        set_to(overlap_param_gather=False),
    ),
    (
        "megatron-optimizer-instances",
        asked("megatron-core", "0.16.0", {"num_distributed_optimizer_instances": 2, "overlap_grad_reduce": True}),
        set_to(overlap_grad_reduce=False),
    ),
    (
        "te-fsdp-wgrad-fusion",
        asked("transformer-engine", "2.9", {"gradient_accumulation_fusion": True, "use_megatron_fsdp": True}),
        set_to(gradient_accumulation_fusion=False),
    ),
    (
        "te-fused-cross-entropy",
        asked("transformer-engine", "2.11.0", {"cross_entropy_fusion_impl": "te"}),
        set_to(cross_entropy_fusion_impl="native"),
    ),
    (
        "titan-pipeline-accumulation",
        asked("torchtitan", "0.1.0", {"parallelism.pipeline_parallel_degree": 4, "training.global_batch_size": 512}),
        {"settings": {"parallelism.pipeline_parallel_degree": 1}},
    ),
    (
        "lightning-fsdp-low-precision-init",
        asked("lightning", "2.6.1", {"strategy": "fsdp", "precision": "bf16-mixed"}),
        set_to(strategy="ddp"),
    ),
    ("lightning-nograd-under-amp", asked("lightning", "2.5.4", {"precision": "16-mixed"}), set_to(precision="32-true")),
    (
        "verl-sft-accumulation",
        asked("verl", "0.5.0", {"data.micro_batch_size_per_gpu": 4, "trainer.total_epochs": 3}),
        release("verl", "0.6.0"),
    ),
    (
        "pcie-p2p-corruption",
        {"settings": {"world_size": 4}, "hardware": BOARD_4090, **DIED, "events": [ONE_WORKS]},
        set_to(NCCL_P2P_DISABLE=1),
    ),
]
