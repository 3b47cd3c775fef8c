"""Causes in kernels, model, data, checkpoints, adapters and rewards: one row for each branch."""

from typing import Any

import pytest

from forensics import catalog
from forensics.model import Run
from forensics.names import Kind
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.rule_judging import DEAD, FALL, GOOD, GREW, LORA, NAN, ONE, WHOLE, Judge, broken_file, preference

ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    # kernels, model, data
    ("attention-impl-nan", "stride warning", {"events": [make_events(Kind.CUDNN_SDPA_STRIDES)]}, "established"),
    (
        "attention-impl-nan",
        "torch 2.5.0, backward first",
        {"onset": 1, "loss": [0.87, 0.0, 0.0], "grad_norm": [NAN] * 3, "packages": {"torch": "2.5.0+cu124"}},
        "possible",
    ),
    (
        "attention-impl-nan",
        "2.12 on Hopper",
        {
            "onset": 1,
            "loss": [0.87, 0.0, 0.0],
            "grad_norm": [NAN] * 3,
            "packages": {"torch": "2.12.1"},
            "hardware": {"gpu": "NVIDIA H100 80GB HBM3"},
        },
        "possible",
    ),
    ("attention-impl-nan", "other release", {**DEAD, "packages": {"torch": "2.6.0"}}, "unlikely"),
    (
        "attention-impl-nan",
        "eager",
        {"packages": {"torch": "2.5.0"}, "settings": {"attn_implementation": "eager"}},
        "ruled out",
    ),
    (
        "attention-impl-nan",
        "on a CPU",
        {"packages": {"torch": "2.5.0"}, "settings": {"use_cpu": True}},
        "ruled out",
    ),
    ("model-code-unstable", "one tensor", {"checkpoints": ONE}, "likely"),
    (
        "model-code-unstable",
        "forward first, one process, float32",
        {
            **DEAD,
            "settings": {"bf16": False, "fp16": False, "deepspeed": None, "world_size": 1},
        },
        "possible",
    ),
    ("model-code-unstable", "all tensors", {"checkpoints": WHOLE}, "unlikely"),
    ("bad-data-sample", "comes back each epoch", {"grad_norm": [1, 1, 1, NAN] * 5}, "likely"),
    ("bad-data-sample", "norms grew", GREW, "unlikely"),
    ("memorised", "sinks", {"loss": [2.0, 0.9, 0.3, 0.04, 0.01, 0.001, 0.0, 0.0], "onset": 7}, "established"),
    ("memorised", "sudden", {"loss": FALL}, "ruled out"),
    ("memorised", "norm NaN", {"loss": [0.5, 0.04, 0.01, 0.001, 0.0], "grad_norm": [*GOOD, NAN]}, "ruled out"),
    ("memorised", "weights NaN", {"loss": [0.5, 0.04, 0.01, 0.001, 0.0], "checkpoints": WHOLE}, "ruled out"),
    # checkpoints
    ("truncated-write", "cut", {"checkpoints": broken_file("model.safetensors is cut off")}, "likely"),
    ("truncated-write", "flipped", {"checkpoints": broken_file("model.pt: CRC mismatch in a/data/3")}, "ruled out"),
    ("truncated-write", "page", {"checkpoints": broken_file("model.bin is an HTML page")}, "ruled out"),
    ("truncated-write", "pointer", {"checkpoints": broken_file("a Git LFS pointer")}, "ruled out"),
    (
        "truncated-write",
        "refused",
        {"events": [make_events(Kind.CHECKPOINT_REFUSED, text="SafetensorError: header: MetadataIncompleteBuffer")]},
        "likely",
    ),
    ("truncated-write", "sound", {"checkpoints": [make_checkpoint(6)]}, "ruled out"),
    ("resume-data-repeated", "one segment", {"loss": [1.0, 1.0]}, "ruled out"),
    ("resume-data-repeated", "asked for", {"settings": {"ignore_data_skip": True}}, "possible"),
    # reinforcement learning
    (
        "grpo-zero-loss",
        "learns",
        {"loss": [0.0] * 7, "grad_norm": [0.4, 0.5] * 4, "reward": [0.1] * 7},
        "established",
    ),
    ("grpo-zero-loss", "no rewards", {"loss": [0.0] * 7, "grad_norm": [0.4, 0.5] * 4}, "ruled out"),
    ("grpo-zero-loss", "norm NaN", {"loss": [0.0] * 7, "grad_norm": [NAN] * 7, "reward": [0.1] * 7}, "ruled out"),
    (
        "grpo-zero-loss",
        "no signal",
        {"loss": [0.0] * 7, "grad_norm": [0.0] * 7, "reward": [0.1] * 7, "frac_reward_zero_std": [1.0] * 7},
        "ruled out",
    ),
    (
        "grpo-no-reward-variance",
        "all equal",
        {"grad_norm": [0.0] * 7, "reward": [0.1] * 7, "frac_reward_zero_std": [1.0] * 7},
        "likely",
    ),
    ("grpo-no-reward-variance", "they differ", {"reward": [0.1] * 7, "reward_std": [0.3] * 7}, "ruled out"),
    ("dpo-reference-mismatch", "starts elsewhere", preference(1.4, -5.0, -22.0), "likely"),
    ("dpo-reference-mismatch", "starts at ln 2", preference(0.6931, 0.0, 0.0), "ruled out"),
    ("dpo-reference-mismatch", "no reference takes part", preference(1.4, -6.0, -9.0), "unlikely"),
    (
        "dpo-reference-mismatch",
        "a reference was asked for",
        preference(1.4, -6.0, -9.0, settings={"loss_type": "['sigmoid']"}),
        "likely",
    ),
    (
        "dpo-reference-mismatch",
        "a loss that starts elsewhere",
        preference(25.0, -5.0, -22.0, settings={"loss_type": "ipo"}),
        "unlikely",
    ),
    ("dpo-reference-mismatch", "a mean over ten steps", preference(0.55, 0.4, -0.2, logging_steps=10), "unlikely"),
    ("dpo-reference-mismatch", "no preferences", {"loss": [1.4, 1.2]}, "ruled out"),
    # adapters
    (
        "merge-noop",
        "adapter learnt, merged stands",
        {
            "settings": {"adapter.peft_type": "LORA"},
            "checkpoints": [make_checkpoint(6, make_table((*LORA, "base.weight"), same=64))],
        },
        "likely",
    ),
    (
        "merge-noop",
        "adapter empty",
        {
            "settings": {"adapter.peft_type": "LORA"},
            "checkpoints": [make_checkpoint(6, make_table(LORA, zero={LORA[1]: 64}))],
        },
        "ruled out",
    ),
    # environment
]


@pytest.mark.parametrize(("name", "facts", "verdict"), [pytest.param(n, f, v, id=f"{n}: {b}") for n, b, f, v in ROWS])
def test_a_cause_is_judged(judge: Judge, name: str, facts: dict[str, Any], verdict: str) -> None:
    """Each branch of the evidence moves the verdict as the table says."""
    run: Run = make_run(**{key: value for key, value in facts.items() if key != "onset"})
    rule = catalog.find_rule(name)

    assert judge(rule, run, "loss-to-zero", step=facts.get("onset", 5)).verdict == verdict
