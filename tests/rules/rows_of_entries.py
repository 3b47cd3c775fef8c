"""For each TOML entry one run that shows its cause as its page tells it, and what rules the cause out there.

The facts come from the entry's sources (what its users set, the release they had, what they saw), never from what the
program answers. A death by the last line of a log has a line in `tests/data/last_lines.tsv` instead, or in `LOGS` of
the test; engines that share a model among processes have a file of their own, `rows_of_engines.py`.
"""

from forensics.model import Problem, Source
from forensics.testing import make_checkpoint, make_events
from rules.issue_runs import ATTENTION, BOARDS, TRIED, Facts, saved, template
from rules.rule_judging import GOOD, NAN, STILL, broken_file

STAGES = [{"zero_optimization.stage": number} for number in range(4)]
BF16, FP16 = {"bf16.enabled": True}, {"fp16.enabled": True}
ALIVE: Facts = {"grad_norm": [*GOOD, 1.1, 0.9, 1.0]}
ZERO: Facts = {"loss": [2.0] * 7, "grad_norm": [0.0] * 7, "onset": 1}
DIED: Facts = {"loss": [2.0, 1.9, 1.8, 1.7, NAN, NAN, NAN], "grad_norm": [*GOOD, NAN, NAN, NAN]}
GROWN: Facts = {"loss": [2.0, 2.0, 2.0, 2.6, 4.0, 6.5, 9.0], "grad_norm": [1.0, 1.0, 1.1, 5.0, 20.0, 60.0, 90.0]}
GUESSES: Facts = {"loss": [10.37] * 5, "symptom": "loss-uniform", "onset": 1}
UNMOVED: Facts = {**ALIVE, "checkpoints": STILL}
COUNTED = Problem("suspicious", "the folder says step 24, its optimizer has counted 12", Source("checkpoint-24"))
STATE_DICT = "fsdp_state_dict_type"
ACCUMULATED, ONCE = {"gradient_accumulation_steps": 8}, {"settings": {"gradient_accumulation_steps": 1}}
BOARD_AMD = {"gpu": "AMD Instinct MI300X"}


def told(kind: str, text: str = "") -> Facts:
    return {"events": [make_events(kind, text=text)]}


def asked(package: str, version: str, settings: Facts, *others: Facts) -> Facts:
    """Return a run with these settings, one release, and what else was recorded."""
    facts: Facts = {"packages": {package: version}, "settings": settings}
    for other in others:
        facts |= other
    return facts


def set_to(**values: object) -> Facts:
    return {"settings": values}


def release(package: str, version: str) -> Facts:
    return {"packages": {package: version}}


ROWS: list[tuple[str, Facts, Facts | None]] = [
    # releases
    ("framework-regression", release("unsloth", "2024.11.6") | {"events": [TRIED]}, None),
    ("custom-kernel", {"packages": {"flash-attn-4": "4.0.0b11"}, "events": [ATTENTION]}, None),
    ("environment-stack-regression", {**DIED, "packages": {"torch": "2.9.0+cu129"}, "events": [BOARDS]}, None),
    # adapters, tokens and data
    (
        "adapter-frozen-by-injection",
        asked(
            "peft",
            "0.18.0",
            {"adapter.init_lora_weights": "pissa"},
            {"loss": [3.0, 2.6, 2.2, 1.9, 1.9, 1.9, 1.9], "grad_norm": [1.0, 0.9, 0.8, 0.9, 0.0, 0.0, 0.0]},
        ),
        ALIVE,
    ),
    ("trl-freezes-peft-model", asked("trl", "0.23.0", {"load_in_4bit": True}, ZERO, {"checkpoints": STILL}), ALIVE),
    (
        "peft-layers-of-experts",
        asked("peft", "0.19.1", {"adapter.layers_to_transform": "[0, 1]", "model.num_experts": 64}, ZERO),
        {"settings": {"model.num_experts": 1}},
    ),
    (
        "peft-embedding-scale",
        asked("peft", "0.17.1", {"adapter.trainable_token_indices": "[262144]", "model.model_type": "gemma3"}),
        {"settings": {"model.model_type": "gemma2"}},
    ),
    (
        "peft-saved-module-by-substring",
        asked("peft", "0.14.0", {"modules_to_save": "['head', 'lm_head']", "resume_from_checkpoint": "out/last"}),
        release("peft", "0.15.0"),
    ),
    (
        "loraplus-embedding-rate",
        asked("peft", "0.18.0", {"loraplus_lr_embedding": 1e-6}),
        set_to(loraplus_lr_embedding=None),
    ),
    (
        "peft-double-state-dict-filter",
        asked(
            "peft",
            "0.10.0",
            {"adapter.peft_type": "LORA"},
            {"checkpoints": broken_file("adapter_model.bin of 443 bytes holds no tensors")},
        ),
        release("peft", "0.2.0"),
    ),
    ("axolotl-packing-backends", asked("axolotl", "0.17.0", {"sample_packing": True}), set_to(sample_packing=False)),
    ("axolotl-warmup-zero", asked("axolotl", "0.12.2", {"warmup_steps": 0}), release("axolotl", "0.13.0")),
    (
        "bfd-packing-fragments",
        asked("trl", "0.28.0", {"packing": True, "packing_strategy": "bfd"}),
        set_to(packing_strategy="wrapped"),
    ),
    (
        "packing-through-linear-attention",
        asked("transformers", "5.2.0", {"model.model_type": "qwen3_next", "packing": True}),
        set_to(packing=False),
    ),
    (
        "padding-free-attention-mask",
        asked("trl", "0.23.0", {"padding_free": True, "attn_implementation": "flash_attention_2"}),
        set_to(padding_free=False),
    ),
    (
        "llamafactory-packed-positions",
        asked("llamafactory", "0.9.2", {"neat_packing": True}),
        set_to(neat_packing=False),
    ),
    (
        "llamafactory-vlm-loss",
        asked(
            "llamafactory",
            "0.9.2",
            {"freeze_vision_tower": True, **ACCUMULATED},
            {"packages": {"llamafactory": "0.9.2", "transformers": "4.49.0"}},
        ),
        ONCE,
    ),
    (
        "dpo-keep-end-empties-samples",
        asked("trl", "0.17.0", {"truncation_mode": "keep_end", "max_length": 512}, ZERO),
        None,
    ),
    (
        "embedding-resize",
        asked("transformers", "4.43.1", {"resize_vocab": True, "add_special_tokens": "<a>", **STAGES[3]}),
        None,
    ),
    (
        "untrained-special-token-embeddings",
        {
            "settings": {"template": "chatml", "model_name_or_path": "01-ai/Yi-6B", "fp16": True},
            "checkpoints": template(1e-6),
        },
        None,
    ),
    # files
    (
        "modules-to-save-lost",
        {
            "settings": {**STAGES[3], "adapter.modules_to_save": "['lm_head']"},
            "checkpoints": saved(
                **{"base_model.model.q.lora_A.weight": (8, 64), "base_model.model.lm_head.weight": (0,)}
            ),
        },
        {"settings": {"adapter.modules_to_save": None}},
    ),
    (
        "custom-class-not-loaded",
        asked("transformers", "5.2.0", {"trust_remote_code": True}, GUESSES),
        None,
    ),
    (
        "quantized-scales-zero",
        {"checkpoints": broken_file("1 of 2 scales of quantised weights are zero (q_proj.absmax)")},
        None,
    ),
    (
        "tied-weights-apart",
        {
            "checkpoints": broken_file(
                "lm_head.weight and embed_tokens.weight differ, although config.json ties them: the head is dropped",
                "suspicious",
            )
        },
        None,
    ),
    (
        "wrapper-prefix-in-checkpoint",
        {
            "checkpoints": saved(**{"_orig_mod.model.norm.weight": (64,), "_orig_mod.lm_head.weight": (128, 64)}),
            **told("newly-initialized-weights", "Some weights were newly initialized: ['model.norm.weight']"),
        },
        {"checkpoints": saved(**{"model.norm.weight": (64,), "lm_head.weight": (128, 64)})},
    ),
    (
        "zero3-save-without-gather",
        {"settings": STAGES[3], "checkpoints": saved(**{"model.norm.weight": (0,), "lm_head.weight": (0,)})},
        {"settings": STAGES[2]},
    ),
    (
        "zero3-load-into-placeholders",
        {
            "settings": STAGES[3],
            **told(
                "size-mismatch",
                "size mismatch for lm_head.weight: copying a param with shape torch.Size([32000, 8]) from checkpoint, "
                "the shape in current model is torch.Size([0]).",
            ),
        },
        {"settings": STAGES[2]},
    ),
    (
        "fsdp-optimizer-not-loaded",
        asked(
            "accelerate",
            "1.12.0",
            {STATE_DICT: "SHARDED_STATE_DICT", "resume_from_checkpoint": "out/checkpoint-24"},
            {"checkpoints": [make_checkpoint(24, problems=[COUNTED])]},
        ),
        {"settings": {STATE_DICT: "FULL_STATE_DICT"}},
    ),
    (
        "lightning-resume-iterates-twice",
        asked("lightning", "2.5.2", {"ckpt_path": "last.ckpt"}),
        release("lightning", "2.5.3"),
    ),
    # precision and kernels
    ("shift-attn-concatenation", {"settings": {"shift_attn": True, "fp16": True}}, set_to(shift_attn=False)),
    (
        "gradient-checkpointing-no-input-grad",
        {
            "settings": {"gradient_checkpointing": True},
            **ZERO,
            **told("no-input-requires-grad", "None of the inputs have requires_grad=True. Gradients will be None"),
        },
        {"grad_norm": [0.7, 0.8, 0.7, 0.9, 0.8, 0.7, 0.8]},
    ),
    ("fp8-recipe", {"settings": {"fp8_format": "hybrid", "fp8_recipe": "delayed"}, **GROWN}, set_to(fp8=False)),
    (
        "gemma4-without-cache",
        {
            "settings": {"model.model_type": "gemma4", "use_cache": False, "gradient_checkpointing": True},
            "loss": [14.2, 13.9, 13.1, 12.8, 12.5],
            "onset": 1,
        },
        {"settings": {"model.model_type": "gemma3"}},
    ),
    (
        "liger-fused-moe-overflow",
        asked(
            "liger-kernel",
            "0.8.0",
            {"use_liger_kernel": True, "model.model_type": "mixtral"},
            told("illegal-memory-access", "CUDA error: an illegal memory access was encountered"),
        ),
        release("liger-kernel", "0.8.1"),
    ),
    (
        "liger-jsd-ignores-mask",
        asked("liger-kernel", "0.6.4", {"use_liger_kernel": True, "lmbda": 0.5}),
        release("liger-kernel", "0.6.5"),
    ),
    ("liger-kernel", asked("liger-kernel", "0.5.2", {"use_liger_kernel": True}, ZERO), set_to(use_liger_kernel=False)),
    (
        "liger-modules-to-save",
        asked("liger-kernel", "0.5.9", {"use_liger_kernel": True, "adapter.modules_to_save": "['lm_head']"}),
        {"settings": {"adapter.modules_to_save": None}},
    ),
    (
        "min-snr-at-zero-terminal",
        {"settings": {"snr_gamma": 5.0, "rescale_betas_zero_snr": True}},
        set_to(rescale_betas_zero_snr=False),
    ),
    (
        "quantized-compute-dtype",
        {"settings": {"quantization_bit": 4, "bf16": False, "fp16": False}, "loss": [NAN] * 5, "onset": 1},
        {"settings": {"quantization_bit": 16}},
    ),
    (
        "rocm-kernel",
        {"packages": {"torch": "2.4.0+rocm6.1"}, "hardware": BOARD_AMD, **DIED},
        {"packages": {"torch": "2.4.0+cu121"}, "hardware": {"gpu": "NVIDIA A100-SXM4-80GB"}},
    ),
    (
        "bnb-lion-weight-decay",
        asked("bitsandbytes", "0.49.2", {"optim": "paged_lion_32bit", "weight_decay": 0.1}),
        set_to(weight_decay=0.0),
    ),
    (
        "bnb-8bit-optimizer-bug",
        asked("bitsandbytes", "0.41.0", {"optim": "paged_adamw_8bit"}),
        set_to(optim="adamw_torch"),
    ),
    (
        "int8-hardware",
        {"settings": {"load_in_8bit": True}, "hardware": {"gpu": "Tesla V100-SXM2-32GB"}},
        {"hardware": {"gpu": "NVIDIA A100-SXM4-80GB"}},
    ),
    (
        "flash-attention-bug",
        asked("flash-attn", "2.0.4", {"attn_implementation": "flash_attention_2"}),
        set_to(attn_implementation="eager"),
    ),
    (
        "fully-masked-attention-row",
        asked("torch", "2.3.0+cu121", {"padding_side": "left", "per_device_train_batch_size": 4}),
        set_to(padding_side="right"),
    ),
    (
        "torch-compile",
        {"settings": {"torch_compile": True}, **told("traceback", "torch._dynamo.exc.Unsupported: Graph break")},
        {"settings": {"torch_compile": False}, "events": []},
    ),
    (
        "weights-not-loaded",
        {"loss": [0.69] * 5, "onset": 1, **told("nothing-loaded", "none of the weights of the checkpoint were used")},
        {"loss": [2.0, 1.6, 1.3, 1.1, 1.0, 8.9, 9.1], "onset": 6},
    ),
    # preference and policy training
    (
        "completions-all-truncated",
        {
            "settings": {"mask_truncated_completions": True},
            "completions/clipped_ratio": [1.0, 1.0, 0.99, 1.0, 1.0, 1.0, 1.0],
            "reward": [0.0] * 7,
            **ZERO,
        },
        {"completions/clipped_ratio": [0.1, 0.2, 0.15, 0.1, 0.1, 0.2, 0.1]},
    ),
    (
        "distillation-server-nan",
        asked("trl", "1.3.0", {"teacher_model_server_url": "http://teacher:8000", "beta": 0.5}, DIED),
        release("trl", "1.4.0"),
    ),
    (
        "gkd-liger-divergence",
        asked("trl", "1.3.0", {"lmbda": 0.5, "use_liger_kernel": True}),
        set_to(use_liger_kernel=False),
    ),
    ("gkd-masks-end-token", asked("trl", "1.8.0", {"lmbda": 0.5}), release("trl", "1.9.0")),
    (
        "grpo-padding-attended",
        asked("trl", "0.14.0", {"num_generations": 8, "per_device_train_batch_size": 4}),
        release("trl", "0.15.0"),
    ),
    (
        "grpo-temperature-left-out",
        asked("trl", "0.15.2", {"num_generations": 8, "temperature": 0.7}),
        set_to(temperature=1.0),
    ),
    (
        "grpo-truncated-divisor",
        asked("trl", "1.8.0", {"mask_truncated_completions": True, "loss_type": "dapo"}),
        set_to(loss_type="grpo"),
    ),
    ("orpo-loss-accumulation", asked("trl", "0.19.1", {"orpo_alpha": 0.1, **ACCUMULATED}), ONCE),
    (
        "trl-preference-loss-accumulation",
        asked(
            "trl",
            "0.13.0",
            {"beta": 0.1, "loss_type": "sigmoid", **ACCUMULATED},
            {"packages": {"trl": "0.13.0", "transformers": "4.46.2"}},
        ),
        ONCE,
    ),
    (
        "sampler-differs-from-trainer",
        {"settings": {"use_vllm": True}, "sampling/sampling_logp_difference/mean": [0.01, 0.2, 0.4, 0.5]},
        None,
    ),
    (
        "rl-kl-overflow",
        {
            "settings": {"kl_loss_type": "low_var_kl"},
            "reward": [0.1] * 7,
            **DIED,
            "kl": [0.1, 0.4, 3.0, 90.0, NAN, NAN, NAN],
        },
        {"settings": {"per_device_train_batch_size": 4}, "reward": [], "kl": [], "recon_loss": [4.1, 3.2, 2.9]},
    ),
    # schedule
    (
        "ds-scheduler-config",
        {
            "settings": {**STAGES[2], "scheduler.type": "WarmupLR", "lr_scheduler_type": "cosine"},
            "learning_rate": [1e-5, *[2e-5] * 6],
        },
        {"settings": {"scheduler.type": "WarmupDecayLR"}},
    ),
    (
        "warmup-longer-than-run",
        {"settings": {"warmup_steps": 2000, "max_steps": 500}, "learning_rate": [1e-7 * step for step in range(1, 8)]},
        set_to(warmup_steps=50),
    ),
]
"""Cause, what was recorded, and the change that rules the cause out; None where it has no condition."""
