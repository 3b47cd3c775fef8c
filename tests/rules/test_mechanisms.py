"""The links between a symptom and its cause: one row for each branch of their evidence."""

from dataclasses import replace
from typing import Any

import pytest

from forensics import catalog
from forensics.model import OptimizerState, Precision, Run
from forensics.names import Kind
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.rule_judging import Judge

NAN = float("nan")
FALL = [2.3, 2.2, 2.1, 2.0, 0.0, 0.0, 0.0]
GOOD = [1.0, 1.1, 0.9, 1.0]
RATE = [1e-5, 9e-6, 8e-6, 7e-6, 6e-6, 5e-6, 4e-6]
WHOLE = {"model.layers.0.mlp.weight": 64, "model.norm.weight": 64}
ROOT2 = 1.4142135381698608


def poisoned(step: int) -> Any:
    return make_checkpoint(step, make_table(nan=WHOLE))


def moved(**same: int) -> Any:
    names = ("model.layers.0.mlp.weight", "model.norm.weight")
    return make_checkpoint(20, make_table(names, same=dict(zip(names, same.values(), strict=True)), dtype="BF16"))


ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    # LOG001
    ("nan-loss-logged-as-zero", "sudden fall alone is possible", {"loss": FALL}, "possible"),
    ("nan-loss-logged-as-zero", "sudden fall, rate goes on", {"loss": FALL, "learning_rate": RATE}, "likely"),
    ("nan-loss-logged-as-zero", "norm NaN", {"loss": FALL, "grad_norm": [*GOOD, NAN, NAN, NAN]}, "likely"),
    ("nan-loss-logged-as-zero", "sentinel", {"loss": FALL, "grad_norm": [*GOOD, ROOT2, ROOT2, ROOT2]}, "likely"),
    ("nan-loss-logged-as-zero", "finite norms", {"loss": FALL, "grad_norm": [*GOOD, 1.1, 0.7, 0.9]}, "ruled out"),
    (
        "nan-loss-logged-as-zero",
        "eval NaN",
        {"loss": FALL, "eval_loss": [2.0, NAN], "steps": {"eval_loss": [3, 6]}},
        "likely",
    ),
    ("nan-loss-logged-as-zero", "weights NaN", {"loss": FALL, "checkpoints": [poisoned(6)]}, "likely"),
    ("nan-loss-logged-as-zero", "absurd entry", {"loss": [2.1, 2.0, 2.0, 121486.8, 0.0, 0.0]}, "likely"),
    (
        "nan-loss-logged-as-zero",
        "from the first entry",
        {"onset": 1, "loss": [0.0] * 5, "learning_rate": RATE[:5]},
        "possible",
    ),
    ("nan-loss-logged-as-zero", "faded", {"loss": [0.2, 0.03, 0.01, 0.001, 0.0, 0.0]}, "unlikely"),
    (
        "nan-loss-logged-as-zero",
        "filter off",
        {"loss": FALL, "settings": {"logging_nan_inf_filter": False}},
        "ruled out",
    ),
    (
        "nan-loss-logged-as-zero",
        "filter on",
        {"loss": FALL, "settings": {"logging_nan_inf_filter": True}},
        "likely",
    ),
    (
        "nan-loss-logged-as-zero",
        "before the filter",
        {"loss": FALL, "packages": {"transformers": "4.10.3"}},
        "ruled out",
    ),
    # LOG002
    (
        "nan-norm-shown-as-sentinel",
        "constant beside a dead loss",
        {"loss": FALL, "grad_norm": [*GOOD, ROOT2, ROOT2, ROOT2], "frameworks": ("deepspeed",)},
        "likely",
    ),
    (
        "nan-norm-shown-as-sentinel",
        "early release",
        {"loss": FALL, "grad_norm": [*GOOD, 1.0, 1.0, 1.0], "packages": {"deepspeed": "0.12.5"}},
        "likely",
    ),
    (
        "nan-norm-shown-as-sentinel",
        "release that prints inf",
        {"loss": FALL, "grad_norm": [*GOOD, 1.0, 1.0, 1.0], "packages": {"deepspeed": "0.19.8"}},
        "ruled out",
    ),
    (
        "nan-norm-shown-as-sentinel",
        "healthy loss",
        {"loss": [2.0] * 7, "grad_norm": [*GOOD, 1.0, 1.0, 1.0]},
        "ruled out",
    ),
    (
        "nan-norm-shown-as-sentinel",
        "no DeepSpeed",
        {"loss": FALL, "grad_norm": [*GOOD, 1.0, 1.0, 1.0], "settings": {"deepspeed": None}},
        "ruled out",
    ),
    (
        "nan-norm-shown-as-sentinel",
        "norm NaN itself",
        {"loss": FALL, "grad_norm": [*GOOD, NAN, NAN, NAN]},
        "ruled out",
    ),
    (
        "nan-norm-shown-as-sentinel",
        "finite weights",
        {"loss": FALL, "grad_norm": [*GOOD, 1.0, 1.0, 1.0], "checkpoints": [make_checkpoint(6)]},
        "likely",
    ),
    # LOG003
    ("log-precision-rounds-to-zero", "faded", {"loss": [0.2, 0.03, 0.01, 0.0003, 0.0, 0.0]}, "likely"),
    (
        "log-precision-rounds-to-zero",
        "four decimals",
        {"loss": [0.2, 0.03, 0.01, 0.0003, 0.0], "grad_norm": [0.1] * 5, "precision": Precision.FOUR_DECIMALS},
        "likely",
    ),
    ("log-precision-rounds-to-zero", "sudden", {"loss": FALL}, "ruled out"),
    (
        "log-precision-rounds-to-zero",
        "norm NaN",
        {"loss": [0.2, 0.03, 0.01, 0.0003, 0.0], "grad_norm": [*GOOD, NAN]},
        "ruled out",
    ),
    (
        "log-precision-rounds-to-zero",
        "eval NaN",
        {"loss": [0.2, 0.03, 0.01, 0.0003, 0.0], "eval_loss": [NAN], "steps": {"eval_loss": [5]}},
        "ruled out",
    ),
    (
        "log-precision-rounds-to-zero",
        "weights NaN",
        {"loss": [0.2, 0.03, 0.01, 0.0003, 0.0], "checkpoints": [poisoned(5)]},
        "ruled out",
    ),
    # NUM001
    ("nan-gradient-applied", "norm NaN to the end", {"loss": FALL, "grad_norm": [*GOOD, NAN, NAN, NAN]}, "likely"),
    ("nan-gradient-applied", "sentinel", {"loss": FALL, "grad_norm": [*GOOD, ROOT2, ROOT2, ROOT2]}, "likely"),
    ("nan-gradient-applied", "norm zero", {"loss": FALL, "grad_norm": [*GOOD, 0.0, 0.0, 0.0]}, "ruled out"),
    ("nan-gradient-applied", "norm recovers", {"loss": FALL, "grad_norm": [*GOOD, NAN, 1.2, 1.3]}, "ruled out"),
    ("nan-gradient-applied", "norm finite", {"loss": FALL, "grad_norm": [*GOOD, 1.2, 1.3, 1.4]}, "ruled out"),
    ("nan-gradient-applied", "all weights NaN", {"loss": FALL, "checkpoints": [poisoned(6)]}, "likely"),
    ("nan-gradient-applied", "weights clean", {"loss": FALL, "checkpoints": [make_checkpoint(6)]}, "ruled out"),
    ("nan-gradient-applied", "never recovers, nothing else", {"loss": FALL}, "possible"),
    (
        "nan-gradient-applied",
        "no guard in bf16",
        {
            "loss": FALL,
            "packages": {"deepspeed": "0.12.5"},
            "settings": {"bf16.enabled": True},
            "frameworks": ("deepspeed",),
        },
        "possible",
    ),
    (
        "nan-gradient-applied",
        "guarded",
        {"loss": FALL, "settings": {"bf16.check_grad_overflow": True, "bf16.enabled": True}},
        "unlikely",
    ),
    (
        "nan-gradient-applied",
        "skipped by the guard",
        {"loss": FALL, "events": [make_events(Kind.NONFINITE_SKIPPED, [5])]},
        "unlikely",
    ),
    (
        "nan-gradient-applied",
        "skipped by the scaler",
        {"loss": FALL, "events": [make_events(Kind.OVERFLOW, [5])]},
        "unlikely",
    ),
    (
        "nan-gradient-applied",
        "evaluations broke",
        {"loss": FALL, "eval_loss": [2.0, None, 1.9, None, NAN, None, NAN]},
        "likely",
    ),
    (
        "nan-gradient-applied",
        "an evaluation after it is finite",
        {"loss": FALL, "eval_loss": [2.0, None, 1.9, None, NAN, None, 1.9]},
        "possible",
    ),
    (
        "nan-gradient-applied",
        "no evaluation before it",
        {"loss": FALL, "eval_loss": [None, None, None, None, NAN, None, NAN]},
        "possible",
    ),
    ("nan-gradient-applied", "assertion of a norm", {"events": [make_events(Kind.NAN_ASSERTION)]}, "likely"),
    # NUM002
    ("nan-spread-by-clipping", "all tensors", {"checkpoints": [poisoned(6)]}, "likely"),
    (
        "nan-spread-by-clipping",
        "clipped",
        {"checkpoints": [poisoned(6)], "settings": {"max_grad_norm": 1.0}},
        "likely",
    ),
    (
        "nan-spread-by-clipping",
        "not clipped",
        {"checkpoints": [poisoned(6)], "settings": {"max_grad_norm": 0}},
        "ruled out",
    ),
    (
        "nan-spread-by-clipping",
        "one tensor",
        {"checkpoints": [make_checkpoint(6, make_table(nan={"model.norm.weight": 1}))]},
        "ruled out",
    ),
    # NUM003
    ("overflow-steps-skipped", "overflow lines", {"events": [make_events(Kind.OVERFLOW, [3, 4])]}, "likely"),
    ("overflow-steps-skipped", "guard of bf16", {"events": [make_events(Kind.NONFINITE_SKIPPED, [3])]}, "likely"),
    ("overflow-steps-skipped", "at minimum", {"events": [make_events(Kind.LOSS_SCALE_AT_MINIMUM)]}, "likely"),
    (
        "overflow-steps-skipped",
        "scale falls, fp16",
        {"loss_scale": [65536, 1024, 16], "settings": {"fp16": True}},
        "likely",
    ),
    (
        "overflow-steps-skipped",
        "bf16 without lines",
        {"learning_rate": RATE, "settings": {"bf16": True}},
        "ruled out",
    ),
    (
        "overflow-steps-skipped",
        "frozen rate in fp16",
        {"learning_rate": [1e-5, 2e-5, 3e-5, 4e-5, 4e-5, 4e-5, 4e-5], "settings": {"fp16": True}},
        "likely",
    ),
    (
        "overflow-steps-skipped",
        "weights NaN",
        {"events": [make_events(Kind.OVERFLOW, [3])], "checkpoints": [poisoned(6)]},
        "possible",
    ),
    # NUM004
    (
        "update-below-precision",
        "norms stand, matrices move",
        {"checkpoints": [moved(mlp=30, norm=64)], "settings": {"learning_rate": 2e-6}},
        "possible",
    ),
    ("update-below-precision", "all stand", {"checkpoints": [moved(mlp=64, norm=64)]}, "possible"),
    (
        "update-below-precision",
        "under DeepSpeed",
        {"checkpoints": [moved(mlp=30, norm=64)], "frameworks": ("deepspeed",)},
        "ruled out",
    ),
    (
        "update-below-precision",
        "the optimizer state has no masters",
        {"checkpoints": [replace(moved(mlp=30, norm=64), optimizer=OptimizerState(step=6))]},
        "likely",
    ),
    ("update-below-precision", "float32", {"checkpoints": [make_checkpoint(6, make_table(same=64))]}, "ruled out"),
    (
        "update-below-precision",
        "rate zero",
        {"checkpoints": [moved(mlp=64, norm=64)], "learning_rate": [0.0, 0.0, 0.0]},
        "possible",
    ),
    (
        "update-below-precision",
        "no gradient",
        {"checkpoints": [moved(mlp=64, norm=64)], "grad_norm": [0.0] * 7},
        "possible",
    ),
    # NUM005
    ("gradients-all-zero", "zero beside a flat loss", {"loss": [2.3] * 7, "grad_norm": [0.0] * 7}, "likely"),
    ("gradients-all-zero", "zero beside zero", {"loss": [0.0] * 7, "grad_norm": [0.0] * 7}, "possible"),
    (
        "gradients-all-zero",
        "loss falls",
        {"onset": 1, "loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0], "grad_norm": [0.0] * 7},
        "ruled out",
    ),
    ("gradients-all-zero", "norms above zero", {"loss": [2.3] * 7, "grad_norm": [0.5] * 7}, "ruled out"),
    (
        "gradients-all-zero",
        "weights stand",
        {"grad_norm": [0.0] * 7, "checkpoints": [make_checkpoint(6, make_table(same=64))]},
        "likely",
    ),
    # DATA001
    ("all-labels-ignored", "zero norm", {"loss": [0.0] * 7, "grad_norm": [0.0] * 7}, "likely"),
    ("all-labels-ignored", "norm NaN", {"loss": FALL, "grad_norm": [*GOOD, NAN, NAN, NAN]}, "ruled out"),
    ("all-labels-ignored", "norm above zero", {"loss": [0.0] * 7, "grad_norm": [0.4, 0.5] * 3}, "ruled out"),
    ("all-labels-ignored", "trainer says so", {"events": [make_events(Kind.ALL_LABELS_IGNORED)]}, "likely"),
    ("all-labels-ignored", "mismatches", {"events": [make_events(Kind.TOKENIZATION_MISMATCH)]}, "possible"),
    ("all-labels-ignored", "template", {"events": [make_events(Kind.RESPONSE_TEMPLATE_NOT_FOUND)]}, "possible"),
    ("all-labels-ignored", "weights NaN", {"grad_norm": [0.0] * 7, "checkpoints": [poisoned(6)]}, "ruled out"),
    (
        "all-labels-ignored",
        "reinforcement learning",
        {"loss": [0.0] * 7, "grad_norm": [0.0] * 7, "reward": [1.0] * 7},
        "possible",
    ),
]


@pytest.mark.parametrize(("name", "facts", "verdict"), [pytest.param(n, f, v, id=f"{n}: {b}") for n, b, f, v in ROWS])
def test_a_mechanism_is_judged(judge: Judge, name: str, facts: dict[str, Any], verdict: str) -> None:
    """Each branch of the evidence moves the verdict as the table says."""
    run: Run = make_run(**{key: value for key, value in facts.items() if key != "onset"})
    rule = catalog.find_rule(name)

    assert judge(rule, run, "loss-to-zero", step=facts.get("onset", 5)).verdict == verdict
