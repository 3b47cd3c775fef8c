"""Whole patterns of data entries, and the facts that speak against them."""

from typing import Any

import pytest

from forensics import catalog
from forensics.model import Problem, Source
from forensics.names import Kind
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.rule_judging import Judge

NAN = float("nan")
DEAD = {"loss": [2.0, 1.9, 1.8, 1.7, 0.0, 0.0, 0.0], "grad_norm": [0.5] * 4 + [NAN] * 3}
STAGE3 = {"zero_optimization.stage": 3}
REFUSED = make_events(Kind.CHECKPOINT_REFUSED, text="_pickle.UnpicklingError: Weights only load failed")
RANDOM_STATE = make_events(
    Kind.CHECKPOINT_REFUSED,
    text='File "/venv/lib/python3.11/site-packages/transformers/trainer.py", line 3118, in _load_rng_state',
)
WEIGHTS_ONLY = make_events(Kind.TRACEBACK, text="_pickle.UnpicklingError: Weights only load failed")
TIMEOUT = make_events(Kind.NCCL_TIMEOUT)
COUNTED = "the folder says step 24, its optimizer has counted 12"
LAGGING = make_checkpoint(24, problems=[Problem("suspicious", COUNTED, Source("checkpoint-24"))])
RAISED = make_events(Kind.TRACEBACK, text="ValueError: no input_ids (/app/train.py:7)")
SIZES = make_events(
    Kind.TRACEBACK, text="ZeRORuntimeException: used a DP world size of 32 but the current world size is 48"
)


def killed(code: float) -> Any:
    return make_events(Kind.SIGNAL, [-1], [code])


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("custom-kernel", {"packages": {"flash-attn-4": "4.0.0b11"}}, "possible"),
    ("custom-kernel", {"settings": {"attn_implementation": "sdpa"}}, "unlikely"),
    ("ds-config-incomplete", {"settings": {"gradient_clipping": 1.0, **STAGE3}}, "ruled out"),
    ("embedding-resize", {"settings": {"resize_vocab": True, "add_special_tokens": "<a>"}}, "possible"),
    ("environment-stack-regression", {**DEAD, "packages": {"torch": "2.9.0+cu129"}}, "possible"),
    (
        "flash-attention-bug",
        {"packages": {"flash-attn": "2.0.4"}, "settings": {"attn_implementation": "flash_attention_2"}},
        "likely",
    ),
    ("flash-attention-bug", {"packages": {"flash-attn": "2.3.3"}}, "unlikely"),
    ("fp16-hardware", {"hardware": {"gpu": "Tesla V100"}, "settings": {"fp16": True}}, "possible"),
    ("fp16-hardware", {"hardware": {"gpu": "NVIDIA A100"}, "settings": {"fp16": True}}, "ruled out"),
    ("framework-regression", {"packages": {"unsloth": "2024.11.6"}}, "possible"),
    ("framework-regression", {"packages": {"unsloth": "2024.10.7"}}, "unlikely"),
    ("modules-to-save-lost", {"settings": {"adapter.modules_to_save": "lm_head", **STAGE3}}, "possible"),
    ("modules-to-save-lost", {"settings": {"adapter.modules_to_save": None, **STAGE3}}, "ruled out"),
    ("neftune-handling", {"settings": {"neftune_noise_alpha": 5}, "packages": {"trl": "0.9.4"}}, "possible"),
    ("neftune-handling", {"settings": {"neftune_noise_alpha": None}}, "ruled out"),
    ("non-cuda-backend", {"hardware": {"gpu": "Ascend 910B"}}, "possible"),
    ("non-cuda-backend", {"hardware": {"gpu": "NVIDIA H100"}}, "ruled out"),
    ("non-cuda-backend", {"packages": {"torch-neuronx": "2.5.1"}}, "possible"),
    ("non-cuda-backend", {"variables": {"PJRT_DEVICE": "TPU"}}, "possible"),
    ("non-cuda-backend", {"variables": {"PJRT_DEVICE": "CUDA"}}, "unlikely"),
    ("optimizer-master-mismatch", {**DEAD, "settings": {"learning_rate": 1e-7}}, "unlikely"),
    ("optimizer-state-missing", {"settings": {"save_only_model": True}}, "possible"),
    ("optimizer-state-missing", {"settings": {"save_only_model": False}}, "unlikely"),
    ("optimizer-state-missing", {"learning_rate": [9e-5, 6e-5, 3e-5, 1e-5, 9e-5, 8e-5]}, "likely"),
    ("optimizer-state-missing", {"learning_rate": [9e-5, 6e-5, 3e-5, 1e-5, 5e-3, 5e-3]}, "ruled out"),
    (
        "optimizer-state-missing",
        {
            "learning_rate": [9e-5, 6e-5, 3e-5, 1e-5, 9e-5, 8e-5],
            "settings": {"lr_scheduler_type": "cosine_with_restarts"},
        },
        "ruled out",
    ),
    (
        "optimizer-state-missing",
        {"events": [make_events(Kind.CHECKPOINT_REFUSED, text="Can't find a valid checkpoint at out/checkpoint-5")]},
        "likely",
    ),
    ("optimizer-state-missing", {"events": [REFUSED]}, "unlikely"),
    ("optimizer-state-missing", {"checkpoints": [LAGGING], "settings": {"save_only_model": False}}, "possible"),
    ("other-rank-died", {"events": [TIMEOUT, RAISED]}, "likely"),
    ("other-rank-died", {"events": [TIMEOUT, killed(-9)]}, "likely"),
    ("other-rank-died", {"events": [TIMEOUT, killed(1)]}, "possible"),
    ("other-rank-died", {"events": [TIMEOUT, RAISED, make_events(Kind.OUT_OF_MEMORY)]}, "likely"),
    ("other-rank-died", {"events": [TIMEOUT, make_events(Kind.DISK_FULL)]}, "unlikely"),
    ("other-rank-died", {"events": [TIMEOUT, RAISED], "settings": {"world_size": 1}}, "ruled out"),
    ("collective-timeout", {"events": [TIMEOUT, RAISED]}, "possible"),
    ("collective-timeout", {"events": [TIMEOUT, killed(137)]}, "possible"),
    ("host-kill", {"events": [killed(-9)]}, "possible"),
    ("host-kill", {"events": [killed(1)]}, "unlikely"),
    ("packing-bug", {"settings": {"neat_packing": True, "attn_implementation": "sdpa"}}, "possible"),
    ("packing-bug", {"settings": {"neat_packing": False}}, "unlikely"),
    (
        "pad-equals-eos-masking",
        {"loss": [0.0] * 7, "grad_norm": [0.0] * 7, "events": [make_events(Kind.PAD_TOKEN)]},
        "possible",
    ),
    ("pad-equals-eos-masking", {**DEAD, "events": [make_events(Kind.PAD_TOKEN)]}, "possible"),
    ("peft-double-state-dict-filter", {"settings": {"adapter.peft_type": "LORA"}}, "possible"),
    ("resume-world-size-changed", {"events": [SIZES]}, "likely"),
    ("resume-world-size-changed", {"events": [RAISED]}, "unlikely"),
    ("resume-world-size-changed", {"events": [REFUSED], "settings": {"resume_from_checkpoint": "a"}}, "possible"),
    (
        "rng-state-refused",
        {
            "events": [RANDOM_STATE, WEIGHTS_ONLY],
            "packages": {"torch": "2.6.0"},
            "settings": {"resume_from_checkpoint": "a"},
        },
        "likely",
    ),
    (
        "rng-state-refused",
        {
            "events": [REFUSED, WEIGHTS_ONLY],
            "packages": {"torch": "2.6.0"},
            "settings": {"resume_from_checkpoint": "a"},
        },
        "possible",
    ),
    ("rng-state-refused", {"events": [RANDOM_STATE, RAISED]}, "possible"),
    ("rng-state-refused", {"events": [REFUSED, WEIGHTS_ONLY], "packages": {"torch": "2.5.1"}}, "unlikely"),
    ("shift-attn-concatenation", {"settings": {"shift_attn": True}}, "possible"),
    ("shift-attn-concatenation", {"settings": {"shift_attn": False}}, "ruled out"),
    ("time-limit-reached", {"events": [make_events(Kind.TIME_LIMIT)]}, "established"),
    ("time-limit-reached", {"events": [make_events(Kind.KILLED)]}, "unlikely"),
    (
        "untrained-special-token-embeddings",
        {"settings": {"template": "chatml", "model_name_or_path": "01-ai/Yi-6B", "fp16": True}},
        "possible",
    ),
    ("untrained-special-token-embeddings", {"settings": {"template": "llama2"}}, "unlikely"),
    ("untrained-special-token-embeddings", {"settings": {"model_name_or_path": "Qwen2.5-7B-Instruct"}}, "unlikely"),
    ("zero3-save-without-gather", {"settings": {"zero_optimization.stage": 2}}, "ruled out"),
    ("zero3-save-without-gather", {"checkpoints": [make_checkpoint(6, make_table(elements=0))]}, "unlikely"),
    (
        "zero3-weights-not-loaded",
        {"onset": 1, "loss": [10.4] * 5, "settings": STAGE3, "events": [make_events(Kind.NEWLY_INITIALIZED)]},
        "likely",
    ),
    ("zero3-weights-not-loaded", {"settings": {"zero_optimization.stage": 2}}, "ruled out"),
]


@pytest.mark.parametrize(("name", "facts", "verdict"), CASES)
def test_a_known_issue_is_judged(judge: Judge, name: str, facts: dict[str, Any], verdict: str) -> None:
    run = make_run(**{key: given for key, given in facts.items() if key != "onset"})

    assert judge(catalog.find_rule(name), run, "loss-to-zero", step=facts.get("onset", 5)).verdict == verdict
